package rules

import "encoding/json"

// Verdicts of an explanation.
const (
	True      = "true"
	False     = "false"
	Failed    = "error"
	Unreached = "unreached"
)

// Explanation is one node of why a condition held or did not: what was wanted, what was seen, and the nodes below it.
type Explanation struct {
	Label    string          `json:"label"`            // "match repository.path", "when", or an expression's text
	Wanted   string          `json:"wanted,omitempty"` // in words
	Seen     json.RawMessage `json:"seen,omitempty"`   // absent when nothing was looked at
	Verdict  string          `json:"verdict"`          // true, false, error, unreached
	Error    string          `json:"error,omitempty"`
	Children []Explanation   `json:"children,omitempty"`
}

// size is how many bytes its texts have.
func (e *Explanation) size() int {
	n := len(e.Label) + len(e.Wanted) + len(e.Seen) + len(e.Verdict) + len(e.Error)
	for i := range e.Children {
		n += e.Children[i].size()
	}
	return n
}

// FirstFalse is the first leaf, in reading order, that did not hold; nil when all that were reached did.
func (e *Explanation) FirstFalse() *Explanation {
	if e.Verdict == True || e.Verdict == Unreached {
		return nil
	}
	for i := range e.Children {
		if f := e.Children[i].FirstFalse(); f != nil {
			return f
		}
	}
	return e
}

// Leaves counts the conditions at the ends of the tree: how many hold, of how many. What stands under a negation counts as one, for what
// holds there speaks against it.
func (e *Explanation) Leaves() (held, all int) {
	if len(e.Children) == 0 || e.turned() {
		if e.Label == "" {
			return 0, 0 // there is no condition
		}
		if e.Verdict == True {
			held = 1
		}
		return held, 1
	}
	for i := range e.Children {
		h, a := e.Children[i].Leaves()
		held, all = held+h, all+a
	}
	return held, all
}

// turned tells whether the node holds when what is below it does not.
func (e *Explanation) turned() bool {
	return len(e.Children) > 0 && (e.Wanted == wantNot || e.Label == labelNot)
}

// Brief is in one line what the node came to, and what was seen.
func (e *Explanation) Brief() string {
	line := e.Label + " is " + e.Verdict
	if len(e.Seen) > 0 {
		line += ", saw " + string(e.Seen)
	}
	return line
}
