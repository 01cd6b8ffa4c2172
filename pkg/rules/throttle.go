package rules

import (
	"fmt"
	"slices"
	"time"
)

// throttle makes a rule act at most once for each key and time.
type throttle struct {
	key *template
	per time.Duration
}

// Bounds of a throttle.
const (
	minPer = time.Second
	maxPer = 14 * 24 * time.Hour // shorter than records are kept
)

// maxSlots is how many runs one key remembers: a run that took its slot, and could not be decided for long, is to find it again.
const maxSlots = 16

// Throttle is the time in which the rule acts at most once for each key, 0 when it has no throttle.
func (r *Rule) Throttle() time.Duration {
	if r.throttle == nil {
		return 0
	}
	return r.throttle.per
}

// ThrottleID is what the memory of one key of the rule's throttle is kept under. What a rule decides in shadow does not keep it from
// acting when it is live.
func (r *Rule) ThrottleID(key string) string { return Hash("throttle", r.name, r.mode, key) }

// ThrottleMemory is what is remembered of one key of a rule's throttle. The zero memory is that of a key that was never used.
type ThrottleMemory struct {
	Slots []ThrottleSlot `json:"slots"` // sorted by time
}

// ThrottleSlot is a run that acts under a key.
type ThrottleSlot struct {
	RunID   string    `json:"run_id"`
	EventID string    `json:"event_id"`
	At      time.Time `json:"at"` // when its event was accepted
}

// Take asks for a slot: holder is the run whose slot is in the way, nil when s has one. A run that has a slot already keeps it, however
// often it asks. changed tells whether next is another memory than m; only once that is kept the slot is taken.
//
// The clock is the time the events were accepted, whenever they are decided: no two slots of one key are nearer than per. An event older
// than all that is remembered of a key has no slot: what came before is not known any more.
func (m ThrottleMemory) Take(s ThrottleSlot, per time.Duration) (next ThrottleMemory, holder *ThrottleSlot, changed bool) {
	s.At = s.At.UTC()
	for i := range m.Slots {
		if m.Slots[i].RunID == s.RunID {
			return m, nil, false
		}
	}
	for i := range m.Slots {
		if d := m.Slots[i].At.Sub(s.At).Abs(); d < per {
			return m, &m.Slots[i], false
		}
	}
	i, _ := slices.BinarySearchFunc(m.Slots, s.At, func(o ThrottleSlot, at time.Time) int { return o.At.Compare(at) })
	if i == 0 && len(m.Slots) == maxSlots {
		return m, &m.Slots[0], false
	}
	next.Slots = slices.Insert(slices.Clone(m.Slots), i, s)
	next.Slots = next.Slots[max(0, len(next.Slots)-maxSlots):]
	return next, nil, true
}

// ThrottleKeys are the keys under which items of the decision act, each once, in the order of the items; none when the rule has no
// throttle.
func (d *Decision) ThrottleKeys() []string {
	var keys []string
	seen := map[string]bool{}
	for i := range d.Items {
		if key := d.Items[i].Throttle; key != "" && len(d.Items[i].Actions) > 0 && !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// Throttled takes the actions of all items with that key back, because holder acts under it. When nothing is left of a decision that
// would have acted, its outcome is OutcomeThrottled.
func (d *Decision) Throttled(key string, per time.Duration, holder *ThrottleSlot) {
	reason := fmt.Sprintf("the rule acts once in %s under the key %s, and did so for event %s, accepted %s",
		brief(per), quoted(key), holder.EventID, holder.At.UTC().Format(time.RFC3339))
	left := false
	for i := range d.Items {
		if item := &d.Items[i]; item.Throttle == key && len(item.Actions) > 0 {
			item.Actions, item.Throttled = nil, reason
		}
		left = left || d.Items[i].Fired && d.Items[i].Throttled == ""
	}
	if !left && (d.Outcome == OutcomeActed || d.Outcome == OutcomeShadow) {
		d.Outcome, d.Reason = OutcomeThrottled, reason
	}
}
