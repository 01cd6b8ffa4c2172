package trial

import (
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Memory is what workers remember from event to event for rules with throttle, latest_only and limit. It is that of one worker: several
// count matches each by themselves.
type Memory struct {
	throttles map[string]rules.ThrottleMemory
	latest    map[string]rules.LatestMemory
	matches   rules.Meter
}

// NewMemory is a memory of nothing.
func NewMemory() *Memory {
	return &Memory{throttles: map[string]rules.ThrottleMemory{}, latest: map[string]rules.LatestMemory{}}
}

// Accept tells of an event that was accepted, which may overtake others. A worker is told when it matches the event; its chain says
// whether its head commit is ours, and depth up to where rules see that.
func (m *Memory) Accept(ruleset *rules.Ruleset, ev *events.Event, view *events.View, chain events.Chain, depth int) {
	id, ok := rules.LatestID(view)
	if !ok || !ruleset.LatestMatters(ev.Type) || chain.Depth > depth {
		return
	}
	m.latest[id], _ = m.latest[id].See(rules.LatestEvent{EventID: ev.ID, At: ev.Time}, chain.Depth > 0)
}

// paused is the decision on an event that the rule is paused for, nil when it is not.
func (m *Memory) paused(in *Input, now time.Time) *rules.Decision {
	if m == nil {
		return nil
	}
	p, _ := m.matches.Count(in.Ruleset, in.Rule, in.Event.ID, in.Event.Time)
	if p == nil {
		return nil
	}
	return p.Decision(rules.Input{EventID: in.Event.ID, Digest: in.Ruleset.Digest(), Now: now.UTC()})
}

// overtook is the event that has overtaken one, nil when none has.
func (m *Memory) overtook(in *Input) *rules.LatestEvent {
	if m == nil || !in.Rule.LatestOnly() {
		return nil
	}
	id, ok := rules.LatestID(in.View)
	if !ok {
		return nil
	}
	return m.latest[id].Overtook(rules.LatestEvent{EventID: in.Event.ID, At: in.Event.Time}, in.Rule)
}

// throttle takes what a decision would do back where another run has the slot.
func (m *Memory) throttle(in *Input, d *rules.Decision) {
	if m == nil {
		return
	}
	for _, key := range d.ThrottleKeys() {
		id := in.Rule.ThrottleID(key)
		next, holder, _ := m.throttles[id].Take(rules.ThrottleSlot{RunID: d.RunID, EventID: d.EventID, At: in.Event.Time}, in.Rule.Throttle())
		m.throttles[id] = next
		if holder != nil {
			d.Throttled(key, in.Rule.Throttle(), holder)
		}
	}
}
