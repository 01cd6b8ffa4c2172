package app_test

import (
	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// explain compares what workers decided with what explain says of it later, from the records alone.
func (a *agreement) explain(orders map[string]engine.Message, decisions map[string]*rules.Decision, seen map[string]int) {
	a.t.Helper()
	in := trial.Input{
		Ruleset: a.live.Current(), Event: a.event, View: a.view, OwnCommit: func(id string) events.Chain { return a.own[id] },
	}
	past := trial.NewPast(in, decisions)
	for _, rule := range a.live.Current().Rules() {
		in.Rule = rule
		e := past.Explain(in, nil)
		_, candidate := orders[rule.Name()]
		decision := decisions[rule.Name()]
		switch {
		case !candidate:
			if e.Verdict != trial.NotCandidate && e.Verdict != trial.Off && (e.Verdict != rules.OutcomeOwnCommit || e.Decision != nil) {
				a.t.Errorf("%s, rule %s: a worker had no run, it is explained as %s", a.what, rule.Name(), e.Verdict)
			}
		case decision == nil: // a dead letter leaves no facts
			seen["explained without record"]++
			if e.Verdict != trial.NeedsFacts && e.Verdict != trial.Failed {
				a.t.Errorf("%s, rule %s: a worker failed, it is explained as %s", a.what, rule.Name(), e.Verdict)
			}
		default:
			seen["explained"]++
			if d := cmp.Diff(decision, asRecorded(a.t, e.Decision)); d != "" {
				a.t.Errorf("%s, rule %s is explained as %s: %s (-worker +explained):\n%s", a.what, rule.Name(), e.Verdict, e.Reason, d)
			}
			other := in
			other.Ruleset, other.Rule = a.again, a.again.Rule(rule.Name())
			if e := past.Explain(other, nil); cmp.Diff(decision, asRecorded(a.t, e.Decision)) != "" {
				a.t.Errorf("%s, rule %s again is explained as %s: %s", a.what, rule.Name(), e.Verdict, e.Reason)
			}
		}
	}
}
