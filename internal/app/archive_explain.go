package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// PastEvent is a stored event and what workers made of it.
type PastEvent struct {
	Event    *events.Event
	View     *events.View
	Recorded *engine.Recorded // nil: nothing is recorded of it
	// Ruleset is the one of then: that it was matched with, or, when nothing is recorded, that was live when it was stored. Of nil
	// Unknown says why.
	Ruleset *rules.Ruleset
	Unknown error

	archive *Archive
}

// Look finds a stored event by its id, and what is known of its past.
func (a *Archive) Look(ctx context.Context, id string) (*PastEvent, error) {
	event, sequence, err := a.Event(ctx, id)
	if err != nil {
		return nil, err
	}
	p := &PastEvent{Event: event, archive: a}
	if p.View, err = events.Decode(event); err != nil {
		return nil, fmt.Errorf("event %s: %w", id, err)
	}
	if p.Recorded, err = a.Recorded(ctx, id); err != nil {
		return nil, err
	}
	digest := ""
	if p.Recorded != nil {
		digest = p.Recorded.Digest
	} else if digest, err = a.LiveAt(ctx, sequence); err != nil {
		return nil, err
	}
	if digest == "" {
		p.Unknown = fmt.Errorf("which rules were live when event %s was stored is not known any more", id)
		return p, nil
	}
	p.Ruleset, p.Unknown = a.Ruleset(ctx, digest)
	return p, nil
}

// WithoutRecord says why nothing may be recorded of an event; "" when something is.
func (p *PastEvent) WithoutRecord(now time.Time) string {
	switch {
	case p.Recorded != nil:
		return ""
	case now.Sub(p.Event.Time) > stream.RecordsKeep:
		return fmt.Sprintf("Nothing is recorded of it: records are kept for %d days, and it is older.", int(stream.RecordsKeep.Hours())/24)
	}
	return "Nothing is recorded of it: no rule took it then, or no worker has matched it yet."
}

// Explain says what rules of a ruleset, of then or of now, make of the event: with the facts that were recorded, but for those that are
// given by name, and with what workers made of the rules of these names.
func (p *PastEvent) Explain(
	ctx context.Context, ruleset *rules.Ruleset, chosen []*rules.Rule, given map[string]json.RawMessage,
) ([]*trial.Explained, trial.Summary, error) {
	own := ownCommits{ctx: ctx, past: p}
	in := trial.Input{Ruleset: ruleset, Event: p.Event, View: p.View, OwnCommit: own.chain, ChainDepth: p.archive.chainDepth}
	then := in
	decisions := map[string]*rules.Decision{}
	if p.Recorded != nil && p.Ruleset != nil {
		then.Ruleset, decisions = p.Ruleset, p.Recorded.Decisions
	}
	past := trial.NewPast(then, decisions)
	var all []*trial.Explained
	for _, rule := range chosen {
		in.Rule = rule
		e := past.Explain(in, given)
		if own.err != nil {
			return nil, trial.Summary{}, own.err
		}
		if err := p.addRecorded(ctx, e, ruleset == p.Ruleset); err != nil {
			return nil, trial.Summary{}, err
		}
		all = append(all, e)
	}
	return all, trial.Summarize(in, all), nil
}

// ownCommits asks the records which commits are ours. What the head of the event was when it was matched is recorded with it.
type ownCommits struct {
	ctx  context.Context //nolint:containedctx // the play that asks takes none
	past *PastEvent
	err  error
}

func (o *ownCommits) chain(id string) events.Chain {
	if head, _ := o.past.View.Head(); id == head && o.past.Recorded != nil {
		return o.past.Recorded.Chain
	}
	chain, err := engine.ReadOwnCommit(o.ctx, o.past.archive.stores, id)
	o.err = errors.Join(o.err, err)
	return chain
}

// addRecorded adds what workers made of the rule of that name. Of a rule of then the actions that waited for results become what they
// were with these.
func (p *PastEvent) addRecorded(ctx context.Context, e *trial.Explained, then bool) error {
	if p.Recorded == nil || !slices.Contains(p.Recorded.Candidates, e.Rule) {
		return nil
	}
	e.Recorded = &trial.PastRun{Outcome: trial.Undecided, Digest: p.Recorded.Digest, At: p.Recorded.At}
	d := p.Recorded.Decisions[e.Rule]
	if d == nil {
		return nil
	}
	e.Recorded.Outcome, e.Recorded.Reason, e.Recorded.At = d.Outcome, d.Reason, d.At
	if d.Outcome != rules.OutcomeActed {
		return nil
	}
	ready := map[string]*rules.Action{}
	for i := range d.Items {
		l := ledger{p.archive.stores, &d.Items[i], map[string]rules.Result{}, ready, e.Recorded}
		for j := range l.item.Actions {
			if err := l.read(ctx, &l.item.Actions[j]); err != nil {
				return err
			}
		}
	}
	if then && e.Decision != nil {
		e.Decision = withReady(e.Decision, ready)
	}
	return nil
}

// withReady is the decision with the actions that are ready in the place of those that waited, by key.
func withReady(d *rules.Decision, ready map[string]*rules.Action) *rules.Decision {
	out := *d
	out.Items = slices.Clone(d.Items)
	for i := range out.Items {
		actions := slices.Clone(out.Items[i].Actions)
		for j := range actions {
			if a := ready[actions[j].Key]; a != nil {
				actions[j] = *a
			}
		}
		out.Items[i].Actions = actions
	}
	return &out
}

// ledger reads what became of the actions of an item.
type ledger struct {
	records engine.RecordReader
	item    *rules.Item
	results map[string]rules.Result  // of those that have ended, by id
	ready   map[string]*rules.Action // that waited and are rendered, by key
	run     *trial.PastRun
}

// read reads what became of an action. Those it waits for were read before: an action names only what stands before it.
func (l *ledger) read(ctx context.Context, a *rules.Action) error {
	if a.Deferred != nil {
		for _, id := range a.Waits {
			if _, ended := l.results[id]; !ended {
				return l.add(ctx, a, a.Key, "")
			}
		}
		ready, skipped, err := rules.RenderDeferred(a, l.results)
		if err != nil || skipped != "" {
			return l.add(ctx, a, a.Key, "") //nolint:nilerr // its record says so
		}
		l.ready[a.Key], a = ready, ready
	}
	if a.Notify == nil {
		return l.add(ctx, a, a.Key, "")
	}
	for i, target := range a.Notify.To {
		if slices.Contains(a.Notify.To[:i], target) {
			continue
		}
		if err := l.add(ctx, a, rules.WorkKey(a.Key, target), target); err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) add(ctx context.Context, a *rules.Action, key, target string) error {
	end, err := effects.ReadEnd(ctx, l.records, key)
	if err != nil {
		return err
	}
	past := trial.PastAction{ID: a.ID, Kind: a.Kind, Item: l.item.Key, Target: target, Key: key, State: trial.ActionOpen}
	switch {
	case end == nil:
	case !end.Done:
		past.State, past.Error = trial.ActionNotDone, end.Error
		l.results[a.ID] = rules.Result{Failed: true, Error: end.Error}
	default:
		past.State = trial.ActionDone
		l.results[a.ID] = end.Result
		if end.Result != (rules.Result{}) {
			past.Result = &end.Result
		}
	}
	l.run.Actions = append(l.run.Actions, past)
	return nil
}
