package trial

import (
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Rehearsal imagines decisions carried out, one after the other, with the memory of alerts that comes of it. It is used by one goroutine.
type Rehearsal struct{ world world }

// NewRehearsal is a rehearsal before which nothing happened.
func NewRehearsal() *Rehearsal {
	return &Rehearsal{world{own: map[string]events.Chain{}, alerts: map[string]rules.AlertMemory{}}}
}

// Carried is what came of a decision.
type Carried struct {
	// Actions are those that would be carried out, in order, as objects with id, kind, item and the fields of their kind.
	Actions []map[string]any
	// Alerts is what alerts would say; Actions has their readings.
	Alerts []map[string]any
	// Skipped and Broken are actions that are left out, and that cannot be carried out, by id and item: why.
	Skipped, Broken map[string]any
}

// CarryOut imagines what a play decided carried out. A commit or a build succeeds under a made-up id, always the same.
func (r *Rehearsal) CarryOut(p *Played) *Carried {
	h := &happened{Played: p, skipped: map[string]any{}, broken: map[string]any{}}
	if p.Decision != nil {
		for i := range p.Decision.Items {
			r.world.item(h, &p.Decision.Items[i], &step{}, nil)
		}
	}
	return &Carried{Actions: h.actions, Alerts: h.alerts, Skipped: h.skipped, Broken: h.broken}
}
