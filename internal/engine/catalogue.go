package engine

import (
	"strings"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Catalogue is all that rules may name: the fields of events, the facts that can be fetched, and
// the given targets and connections; nil ones are not checked. It is a new one at each call.
//
// A fact is a call of CodeArts that reads, by its name and with its arguments there.
//
// Types of objects are named in capitals: a name that a variable of an expression may have too,
// as "event.repository", would hide that variable.
func Catalogue(targets, connections []string) *rules.Catalogue {
	c := &rules.Catalogue{
		Event:      rules.TypeFor[events.View]("Event"),
		EventTypes: events.Types(),
		Targets:    targets, Connections: connections,
	}
	for _, op := range codearts.Operations() {
		if op.Reads() {
			c.Facts = append(c.Facts, factKind(op))
		}
	}
	return c
}

func factKind(op codearts.Operation) rules.FactKind {
	k := rules.FactKind{Name: op.Name, Doc: op.Doc, Result: rules.TypeOf(op.Result, typeName(op.Name)), Commit: op.Commit}
	for _, a := range op.Args {
		k.Args = append(k.Args, rules.Arg{Name: a.Name, Doc: a.Doc, Type: argKinds[a.Kind], Required: a.Required})
	}
	return k
}

// argKinds are the kinds of arguments as rules know them; a time is a text in RFC 3339.
var argKinds = map[codearts.ArgKind]rules.Kind{
	codearts.ArgText: rules.String, codearts.ArgTime: rules.String,
	codearts.ArgInt: rules.Int, codearts.ArgBool: rules.Bool, codearts.ArgJSON: rules.Dyn,
}

// typeName is build_record as BuildRecord.
func typeName(operation string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(operation, "_") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
