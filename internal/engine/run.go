package engine

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Run handles one message of work.run.<source>: it fetches the facts of the rule, evaluates it, creates
// the run record, and puts the actions that wait for no result. When the record is there already
// nothing is fetched or decided again; its actions are put, and whoever carries them out knows
// which are done. Actions that wait for a result are put by whoever has that result.
//
// A fact that is not ready parks the run, with the deadline of each fact in the message's state.
func (e *Engine) Run(ctx context.Context, m Message) error {
	o, err := readOrder(m)
	if err != nil {
		return err
	}
	log := eventLogger(e.log, o.event).With().Str("run_id", o.runID).Str("rule", o.rule).Logger()
	var d rules.Decision
	found, err := e.readRecord(ctx, runSubject(o.runID), &d)
	if err != nil {
		return fmt.Errorf("run rule %s on event %s: %w", o.rule, o.event.ID, err)
	}
	if !found {
		decided, err := e.decide(ctx, o, m, log)
		if err != nil {
			return fmt.Errorf("run rule %s on event %s: %w", o.rule, o.event.ID, err)
		}
		d = *decided
	}
	if err := e.putActions(ctx, &d, m.Header, log); err != nil {
		return fmt.Errorf("run rule %s on event %s: %w", o.rule, o.event.ID, err)
	}
	return nil
}

// decide evaluates the rule of a run and creates the run record. The decision returned is the
// one recorded, which is another worker's when that one was first.
func (e *Engine) decide(ctx context.Context, o *runOrder, m Message, log zerolog.Logger) (*rules.Decision, error) {
	rs, err := e.live.Ruleset(ctx, o.digest)
	if err != nil {
		return nil, err
	}
	rule := rs.Rule(o.rule)
	if rule == nil {
		return nil, &FinalError{class: ClassRuleset, err: fmt.Errorf("ruleset %s has no rule %s", o.digest, o.rule)}
	}
	view, err := events.Decode(o.event)
	if err != nil {
		return nil, &FinalError{class: ClassMessage, err: err}
	}
	view.Chain = o.chain
	x, err := rule.Begin(rules.Input{
		Event: view, EventID: o.event.ID, RunID: o.runID, Digest: o.digest,
		Accepted: o.event.Time, Now: e.now().UTC(), Chain: o.chain,
	})
	if err != nil {
		return nil, evaluationError(err)
	}
	if d, err := e.overtaken(ctx, rule, x, view, o.event); err != nil {
		return nil, err
	} else if d != nil {
		return e.recordDecision(ctx, d, o.forced, log)
	}
	g := gathering{engine: e, order: o, view: view, rule: rule, run: x, log: log, chain: o.chain, state: readState(m.State)}
	d, err := g.gather(ctx)
	if err != nil {
		return nil, err
	}
	if d == nil {
		if d, err = x.Decide(); err != nil {
			return nil, evaluationError(err)
		}
	}
	g.setChain(d)
	if err := e.setFences(ctx, d); err != nil {
		return nil, err
	}
	if err := checkTargets(d); err != nil {
		return nil, err
	}
	// Facts may have taken their time.
	switch late, err := e.overtaken(ctx, rule, x, view, o.event); {
	case err != nil:
		return nil, err
	case late != nil && d.Outcome == rules.OutcomeActed:
		return e.recordDecision(ctx, late, o.forced, log)
	}
	if err := e.throttle(ctx, rule, d, o.event.Time); err != nil {
		return nil, err
	}
	return e.recordDecision(ctx, d, o.forced, log)
}

// recordDecision creates the run record. Everything before it may happen again, nothing after.
func (e *Engine) recordDecision(ctx context.Context, d *rules.Decision, forced *rules.Forced, log zerolog.Logger) (*rules.Decision, error) {
	d.Forced = forced
	data, err := e.encodeDecision(d)
	if err != nil {
		return nil, err
	}
	var other rules.Decision
	created, err := e.createRecord(ctx, runSubject(d.RunID), data, &other)
	if err != nil {
		return nil, err
	}
	if !created {
		return &other, nil
	}
	log.Debug().Str("outcome", d.Outcome).Msg("run recorded")
	log.Info().Str("outcome", d.Outcome).Str("reason", reasonOf(d)).Msg("run decided")
	return d, nil
}
