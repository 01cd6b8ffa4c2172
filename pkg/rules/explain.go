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
