package rules

import (
	"encoding/json"
	"time"
)

// Outcomes of a decision.
const (
	OutcomeActed     = "acted"      // at least one item fired
	OutcomeNoMatch   = "no_match"   // `when` was false for every item
	OutcomeSkipped   = "skipped"    // a fact was awaited in vain and on_timeout is skip
	OutcomeShadow    = "shadow"     // would have acted; mode: shadow carries nothing out
	OutcomeOwnCommit = "own_commit" // a fact named a commit of ours
	OutcomeThrottled = "throttled"  // would have acted, and another run has the slot of its throttle
	OutcomeOvertaken = "overtaken"  // latest_only, and there is a newer event
	OutcomePaused    = "paused"     // the rule was paused, see RulePause
)

const (
	// MaxItems is how many items one decision may have.
	MaxItems = 1000
	// MaxFactRecorded is the size in bytes up to which a fact's value is kept in the record; a larger one by size and hash.
	MaxFactRecorded = 64 << 10
	// maxDecided is how many bytes the actions of one decision may hold: a thousand items can repeat a long text of the event, and
	// no broker takes what comes of it.
	maxDecided = 8 << 20
)

// Decision is what a run decided. Its JSON is the run record: once it is created nothing decides again.
type Decision struct {
	V       int                   `json:"v"`
	EventID string                `json:"event_id"`
	RunID   string                `json:"run_id"`
	Rule    string                `json:"rule"`
	Digest  string                `json:"digest"`
	At      time.Time             `json:"at"`
	Outcome string                `json:"outcome"`
	Reason  string                `json:"reason,omitempty"`
	Facts   map[string]FactRecord `json:"facts,omitempty"`
	Items   []Item                `json:"items,omitempty"`
	// Forced is who had the event or the run handled once more by force, when this decision came of it.
	Forced *Forced `json:"forced,omitempty"`
}

// FactRecord is a fact as the decision saw it: its value, or, when that is larger than MaxFactRecorded, its size and hash.
type FactRecord struct {
	Value       json.RawMessage `json:"value,omitempty"`
	NotRecorded bool            `json:"not_recorded,omitempty"`
	Size        int             `json:"size,omitempty"`   // bytes
	SHA256      string          `json:"sha256,omitempty"` // lower-case hex
}

// Item is the decision for one item of for_each, or the only one of a rule without it (Key "").
type Item struct {
	Key         string      `json:"key,omitempty"`
	Fired       bool        `json:"fired"`
	Explanation Explanation `json:"explanation"` // of `when`; true and nothing else when the rule has none
	Actions     []Action    `json:"actions,omitempty"`
	// Throttle is the key of the rule's throttle, when the rule has one and the item would act; Throttled says why it does not.
	Throttle  string `json:"throttle,omitempty"`
	Throttled string `json:"throttled,omitempty"`
	// Skipped are the actions that the item does not take, with the reason.
	Skipped []SkippedAction `json:"skipped,omitempty"`
}

// SkippedAction is an action whose `if` was false, or whose named result will never be there.
type SkippedAction struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
}
