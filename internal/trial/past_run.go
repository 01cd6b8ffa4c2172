package trial

import (
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// PastRun is what workers made of a rule, beside what is explained.
type PastRun struct {
	// Outcome is that of the decision, or Undecided.
	Outcome string       `json:"outcome"`
	Reason  string       `json:"reason,omitempty"`
	Digest  string       `json:"digest"` // of the ruleset
	At      time.Time    `json:"at"`     // of the decision, or of the match record
	Actions []PastAction `json:"actions,omitempty"`
}

// Undecided is of a candidate that has come to no decision: it waits for a fact, is being tried, or is a dead letter.
const Undecided = "undecided"

// PastAction is what became of an action, of a notify of its message to one target.
type PastAction struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Item   string `json:"item,omitempty"`   // key
	Target string `json:"target,omitempty"` // of a notify
	Key    string `json:"key"`              // of its record
	// State is ActionDone, ActionNotDone or ActionOpen.
	State  string        `json:"state"`
	Error  string        `json:"error,omitempty"`  // why it was not done
	Result *rules.Result `json:"result,omitempty"` // of a commit or a build that was done
}

// States of a past action.
const (
	ActionDone    = "done"
	ActionNotDone = "not_done" // it failed or was skipped
	ActionOpen    = "open"     // no end of it is recorded
)
