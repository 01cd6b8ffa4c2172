package backtest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/rules"
)

// absent is the outcome of a rule that a side does not have.
const absent = "absent"

// lane is one rule, as it was and as it is tried, with what each would remember. Its events are played one after the other.
type lane struct {
	run   *run
	rules [2]*rules.Rule
	sides [2]*rules.Ruleset
	asks  bool // one of them has facts

	memory    [2]*trial.Memory
	rehearsal [2]*trial.Rehearsal
	// unsure is until when what a throttle remembers is not known, and whose fault that is.
	unsure   time.Time
	unsureOf string

	report Rule
}

func newLane(r *run, name string, pair [2]*rules.Rule, sides [2]*rules.Ruleset) *lane {
	l := &lane{run: r, rules: pair, sides: sides, report: Rule{Name: name, Change: Changed}}
	switch {
	case pair[before] == nil:
		l.report.Change = Added
	case pair[after] == nil:
		l.report.Change = Removed
	}
	for side, rule := range pair {
		l.memory[side], l.rehearsal[side] = trial.NewMemory(), trial.NewRehearsal()
		l.asks = l.asks || rule != nil && len(rule.Facts()) > 0
	}
	return l
}

// turn is what a lane does with an event: it is told of it, and plays it when a rule fits.
type turn struct {
	*item
	fits  [2]bool
	plays bool
}

// played is what a rule makes of an event, and what would come of it.
type played struct {
	*trial.Played
	unknown string // why that is not known
	carried *trial.Carried
}

func (p *played) fired() bool {
	return p.Outcome == rules.OutcomeActed || p.Outcome == rules.OutcomeShadow
}

func (l *lane) turn(ctx context.Context, t turn) error {
	if !t.plays {
		for side, rs := range l.sides {
			l.memory[side].Accept(rs, t.Event.Event, t.view, t.chain, l.run.ChainDepth)
		}
		return nil
	}
	var both [2]*played
	for side := range both {
		p, err := l.play(ctx, side, t)
		if err != nil {
			return err
		}
		both[side] = p
	}
	class := l.compare(t.item, both)
	l.note(t.item, both, class)
	if class == NotComparable {
		l.doubt(t.item)
	}
	return nil
}

// play plays one side.
func (l *lane) play(ctx context.Context, side int, t turn) (*played, error) {
	rule := l.rules[side]
	switch {
	case rule == nil:
		return &played{Played: &trial.Played{Outcome: absent, Reason: "there is no such rule"}}, nil
	case !t.fits[side]:
		return &played{Played: &trial.Played{Outcome: trial.NotCandidate}}, nil
	}
	facts := &remembered{recall: t.recall, rule: rule, chosen: map[string]*group{}}
	own := ownCommits{ctx: ctx, world: l.run.world, it: t.item}
	p := &played{Played: trial.Play(trial.Input{
		Ruleset: l.sides[side], Rule: rule, Event: t.Event.Event, View: t.view, Facts: facts, Now: t.now(rule.Name()),
		OwnCommit: own.chain, ChainDepth: l.run.ChainDepth, Impatient: t.recall == nil || !t.recall.vain, Memory: l.memory[side],
	})}
	switch p.Outcome {
	case trial.NeedsFacts:
		p.unknown = facts.why
	case trial.Waits:
		p.unknown = "the rule would have waited longer than the one whose facts were recorded: " + p.Reason
	}
	return p, own.err
}

// now is when an event is decided: when it was, else when it was matched, else when it was stored.
func (it *item) now(rule string) time.Time {
	if it.recorded == nil {
		return it.Stored
	}
	if d := it.recorded.Decisions[rule]; d != nil {
		return d.At
	}
	return it.recorded.At
}

// compare tells of what class the event is.
func (l *lane) compare(it *item, both [2]*played) string {
	b, a := both[before], both[after]
	if l.unknown(it, both) != "" {
		return NotComparable
	}
	if same(b, a) && !l.alerts(b) {
		return Unchanged
	}
	for side, p := range both {
		if p.fired() {
			p.carried = l.rehearsal[side].CarryOut(p.Played)
		}
	}
	switch bad := [2]bool{b.Outcome == trial.Failed, a.Outcome == trial.Failed}; {
	case !bad[before] && bad[after]:
		return NowFails
	case bad[before] && !bad[after]:
		return NoLongerFails
	case !b.fired() && a.fired():
		return NewlyFires
	case b.fired() && !a.fired():
		return NoLongerFires
	case b.Outcome != a.Outcome && b.Outcome != absent && a.Outcome != absent, bad[after] && b.Reason != a.Reason:
		return DifferentOutcome
	}
	return firstDifference(b.carried, a.carried)
}

// note counts an event, and keeps it as an example when there are not enough of its class.
func (l *lane) note(it *item, both [2]*played, class string) {
	if !l.report.count(class, l.run.Examples) {
		return
	}
	for side, p := range both {
		if p.Outcome == trial.NotCandidate {
			flat := it.view.Flat()
			p.Reason = trial.WhyNot(l.rules[side], &flat)
		}
	}
	b, a := both[before], both[after]
	l.report.Examples = append(l.report.Examples, &Example{
		Class: class, EventID: it.ID, Type: it.Type, Repository: it.Repository, Accepted: it.Time, Before: b.ending(), After: a.ending(),
		Unknown: l.unknown(it, both), Difference: difference(b.carried, a.carried),
	})
}

// unknown says why the sides cannot be compared; "" when they can.
func (l *lane) unknown(it *item, both [2]*played) string {
	for _, p := range both {
		if p.unknown != "" {
			return p.unknown
		}
	}
	if !it.Time.Before(l.unsure) {
		return ""
	}
	for _, p := range both {
		if p.fired() || p.Outcome == rules.OutcomeThrottled {
			return fmt.Sprintf("event %s, which throttle would remember, is not comparable", l.unsureOf)
		}
	}
	return ""
}

// doubt notes that an event leaves a throttle in doubt.
func (l *lane) doubt(it *item) {
	for _, rule := range l.rules {
		if rule == nil || rule.Throttle() == 0 {
			continue
		}
		if until := it.Time.Add(rule.Throttle()); until.After(l.unsure) {
			l.unsure, l.unsureOf = until, it.ID
		}
	}
}

// alerts tells whether a play has readings, which alerts remember.
func (l *lane) alerts(p *played) bool {
	return p.Decision != nil && slices.ContainsFunc(p.Decision.Items, func(item rules.Item) bool {
		return slices.ContainsFunc(item.Actions, func(a rules.Action) bool { return a.Kind == rules.KindAlert })
	})
}

// same tells quickly that both decided the same.
func same(b, a *played) bool {
	if b.Outcome != a.Outcome || b.Outcome == trial.Failed || !b.fired() {
		return b.Outcome == a.Outcome && b.Outcome != trial.Failed
	}
	one, other := b.Decision.Items, a.Decision.Items
	return slices.EqualFunc(one, other, func(x, y rules.Item) bool {
		return x.Key == y.Key && slices.Equal(x.Skipped, y.Skipped) && slices.EqualFunc(x.Actions, y.Actions, func(p, q rules.Action) bool {
			p.Digest, q.Digest = "", ""
			return reflect.DeepEqual(p, q)
		})
	})
}

// ending is how a play ended.
func (p *played) ending() Ending {
	return Ending{Outcome: p.Outcome, Reason: p.Reason, Class: p.Class}
}
