package rules

import "slices"

// Catalogue is all that rules may name: the event's fields and types, the facts with their arguments and results, and the targets
// and connections of the configuration. It must not change after it was given to Compile.
type Catalogue struct {
	Event      *Type    // nil: any
	EventTypes []string // for `on`; nil: not checked
	// SentTypes are those that some configured source sends, UnknownTypes for all of unknown kind. A rule `on` another one gets a
	// warning; nil: not checked.
	SentTypes []string
	Facts     []FactKind

	Targets []string // names `to:` may use; nil: not checked
	// Connections are the names `connection:` may use; nil: not checked. Without DefaultConnection among them, every fact and every
	// commit has to name one.
	Connections []string
}

// DefaultConnection is the connection of a fact or a commit that names none.
const DefaultConnection = "default"

// FactKind is something that can be fetched.
type FactKind struct {
	Name   string
	Doc    string
	Args   []Arg
	Result *Type
	Commit string // dotted field of the result (or of each of its elements) that names a commit, for the loop guard; "" none
}

// Arg is an argument of a fact, under the name the API gives it.
type Arg struct {
	Name     string
	Doc      string
	Type     Kind // what goes over the wire: digits may be written as a string or a number for either
	Required bool
}

func (c *Catalogue) fact(name string) *FactKind {
	i := slices.IndexFunc(c.Facts, func(k FactKind) bool { return k.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Facts[i]
}

func (c *Catalogue) factNames() []string {
	names := make([]string, len(c.Facts))
	for i := range c.Facts {
		names[i] = c.Facts[i].Name
	}
	return names
}

func (k *FactKind) arg(name string) *Arg {
	i := slices.IndexFunc(k.Args, func(a Arg) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return &k.Args[i]
}

func (k *FactKind) argNames() []string {
	names := make([]string, len(k.Args))
	for i := range k.Args {
		names[i] = k.Args[i].Name
	}
	return names
}
