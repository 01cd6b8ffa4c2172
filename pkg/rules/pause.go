package rules

import (
	"fmt"
	"hash/fnv"
	"sync"
	"time"
)

// Defaults and bounds of `limit`.
const (
	DefaultMatchesPerMinute = 600
	DefaultPause            = 10 * time.Minute

	maxMatchesPerMinute = 100_000
	minPause            = time.Minute
	maxPause            = 24 * time.Hour
)

// Limit is how many events accepted within one minute may fit the rule, and how long it is paused when more do.
func (r *Rule) Limit() (matchesPerMinute int, pause time.Duration) { return r.perMinute, r.pause }

// Meter counts how often each rule fits events, and pauses a rule that does so too often. The clock is the time the events were
// accepted: after an outage, a backlog of hours is not one minute's. What it knows is of one process, and of one ruleset: with
// another it begins anew. The zero Meter is ready, and may be used by any number of goroutines.
type Meter struct {
	mu     sync.Mutex
	digest string
	rules  map[string]*meter
}

// meter is what is known of one rule.
type meter struct {
	minute int64               // of the newest event, counted from 1970
	now    map[uint64]struct{} // events of that minute that were let through, by hash: one that is handed out again is let through again
	before map[uint64]struct{} // and of the minute before it
	from   time.Time           // of the last pause
	until  time.Time
	paused bool // and no event has come since
}

// RulePause is a rule that is paused.
type RulePause struct {
	Rule  string
	Most  int       // matches in one minute
	From  time.Time // inclusive, of when an event was accepted
	Until time.Time // exclusive
	Began bool      // with this very event
}

// Reason says why an event does not lead to a run.
func (p *RulePause) Reason() string {
	return fmt.Sprintf("the rule is paused for events accepted from %s until %s: more than %d fitted it within one minute",
		p.From.UTC().Format(time.RFC3339), p.Until.UTC().Format(time.RFC3339), p.Most)
}

// Count counts an event that fits a rule of the ruleset, and was accepted at a time. It gives the pause that the event falls into, nil
// when it is to be run; resumed tells that it is the first after one. An event that was let through is let through again, as far as
// that is remembered: for the minute of the newest event and the one before.
func (m *Meter) Count(rs *Ruleset, r *Rule, eventID string, at time.Time) (p *RulePause, resumed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rules == nil || m.digest != rs.digest {
		m.digest, m.rules = rs.digest, map[string]*meter{}
	}
	k := m.rules[r.name]
	if k == nil {
		k = &meter{}
		m.rules[r.name] = k
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(eventID)) // it never fails
	event, minute := h.Sum64(), at.Unix()/60
	if k.knows(event, minute) {
		return nil, false // also within a pause that began since: two copies of it, handled at once, must agree
	}
	began := false
	if at.Before(k.from) || !at.Before(k.until) {
		if k.letThrough(event, minute, r.perMinute) {
			resumed = k.paused && !at.Before(k.until)
			k.paused = k.paused && !resumed
			return nil, resumed
		}
		// Events do not come in order: one from before the pause, in a minute that is full as well, makes it begin earlier.
		if k.from, began = at, !at.Before(k.until); began {
			k.until, k.paused = at.Add(r.pause), true
		}
	}
	return &RulePause{Rule: r.name, Most: r.perMinute, From: k.from, Until: k.until, Began: began}, false
}

// knows tells whether an event was let through, as far as that is remembered.
func (k *meter) knows(event uint64, minute int64) (known bool) {
	switch minute {
	case k.minute:
		_, known = k.now[event]
	case k.minute - 1:
		_, known = k.before[event]
	}
	return known
}

// letThrough counts an event unless its minute has the most already. Events do not come in order; one that is older than the minute
// before the newest counts for nothing.
func (k *meter) letThrough(event uint64, minute int64, most int) bool {
	if minute > k.minute {
		k.before = nil
		if minute == k.minute+1 {
			k.before = k.now
		}
		k.minute, k.now = minute, nil
	}
	of := &k.now
	switch minute {
	case k.minute:
	case k.minute - 1:
		of = &k.before
	default:
		return true
	}
	if len(*of) >= most {
		return false
	}
	if *of == nil {
		*of = map[uint64]struct{}{}
	}
	(*of)[event] = struct{}{}
	return true
}

// Decision is what is decided about an event that falls into a pause: nothing was looked at.
func (p *RulePause) Decision(in Input) *Decision {
	if in.RunID == "" {
		in.RunID = RunID(in.EventID, p.Rule)
	}
	return &Decision{
		V: FormatVersion, EventID: in.EventID, RunID: in.RunID, Rule: p.Rule, Digest: in.Digest, At: in.Now,
		Outcome: OutcomePaused, Reason: p.Reason(),
	}
}
