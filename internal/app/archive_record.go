package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Recording is what was decided about an event, ready for [trial.Record]: of the rules named, or, when none is, of all candidates.
// leftOut says which of them decided nothing that a test can expect, and why. It is an error when nothing else is there.
func (a *Archive) Recording(ctx context.Context, eventID string, names []string) (in trial.Recording, leftOut []string, err error) {
	event, _, err := a.Event(ctx, eventID)
	if err != nil {
		return in, nil, err
	}
	recorded, err := a.Recorded(ctx, eventID)
	switch {
	case err != nil:
		return in, nil, err
	case recorded == nil:
		return in, nil, fmt.Errorf("there are no records of event %s: no rule took it, no worker has matched it yet, or their time is over; "+
			"millrace rules explain PATH… --event says what rules make of it", eventID)
	}
	ruleset, err := a.Ruleset(ctx, recorded.Digest)
	if err != nil {
		return in, nil, err
	}
	in = trial.Recording{Ruleset: ruleset, Event: event}
	for _, rule := range ruleset.Rules() {
		decision, candidate := recorded.Decisions[rule.Name()], slices.Contains(recorded.Candidates, rule.Name())
		switch named := slices.Contains(names, rule.Name()); {
		case len(names) > 0 && !named, !named && !candidate:
			continue
		case candidate && decision == nil:
			leftOut = append(leftOut, fmt.Sprintf("rule %s has come to no decision: it waits, is being tried, or is a dead letter", rule.Name()))
			continue
		case candidate && decision.Outcome == rules.OutcomePaused:
			leftOut = append(leftOut, fmt.Sprintf("rule %s was paused when the event came, and decided nothing", rule.Name()))
			continue
		}
		run := trial.RecordedRun{Rule: rule, Decision: decision}
		if run.Results, err = a.results(ctx, decision); err != nil {
			return in, nil, err
		}
		in.Runs = append(in.Runs, run)
	}
	if err := known(ruleset, names); err != nil {
		return in, nil, err
	}
	if len(in.Runs) == 0 {
		return in, nil, fmt.Errorf("there is nothing to record of event %s: %s", eventID, strings.Join(leftOut, "; "))
	}
	in.Own = func(commit string) (events.Chain, error) { return engine.ReadOwnCommit(ctx, a.stores, commit) }
	return in, leftOut, nil
}

// known refuses names of rules that a ruleset does not have.
func known(ruleset *rules.Ruleset, names []string) error {
	var all []string
	for _, rule := range ruleset.Rules() {
		all = append(all, rule.Name())
	}
	for _, name := range names {
		if slices.Contains(all, name) {
			continue
		}
		hint := ""
		if near := rules.Nearest(name, all); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return fmt.Errorf("there is no rule %q in the ruleset %.12s that the event was matched with%s", name, ruleset.Digest(), hint)
	}
	return nil
}

// results are what became of the commits and builds of a decision, by the keys of their actions.
func (a *Archive) results(ctx context.Context, d *rules.Decision) (map[string]rules.Result, error) {
	if d == nil || d.Outcome != rules.OutcomeActed {
		return nil, nil
	}
	out := map[string]rules.Result{}
	for i := range d.Items {
		for j := range d.Items[i].Actions {
			action := &d.Items[i].Actions[j]
			if action.Kind != rules.KindCommit && action.Kind != rules.KindBuild {
				continue
			}
			result, ended, err := effects.ReadResult(ctx, a.stores, action.Key)
			if err != nil {
				return nil, err
			}
			if ended {
				out[action.Key] = result
			}
		}
	}
	return out, nil
}
