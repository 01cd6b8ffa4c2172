package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// gathering is one pass over the facts of a run. Every pass starts from nothing, so all facts of
// a record come from the same one; only deadlines survive from pass to pass.
type gathering struct {
	engine *Engine
	order  *runOrder
	view   *events.View
	rule   *rules.Rule
	run    *rules.Run
	log    zerolog.Logger
	state  state
	calls  int
	// chain is the event's, or the deeper one of a commit of ours that a fact named.
	chain   events.Chain
	checked map[string]bool // commit ids the loop guard has looked at
}

// gather fetches level by level until the rule has all its facts. It returns a decision when
// the run ends before that: a fact awaited in vain, or a commit of ours among the facts.
func (g *gathering) gather(ctx context.Context) (*rules.Decision, error) {
	for {
		calls, err := g.run.Next()
		if err != nil {
			return nil, evaluationError(err)
		}
		if len(calls) == 0 {
			return g.guard(ctx) // for what was given up, and is there in part
		}
		if g.calls += len(calls); g.calls > g.engine.limits.Calls {
			return nil, evaluationError(fmt.Errorf("the facts take more than %d calls", g.engine.limits.Calls))
		}
		batches, err := g.fetch(ctx, calls)
		if err != nil {
			return nil, err
		}
		waits, err := g.provide(batches)
		if err != nil {
			return nil, err
		}
		if d, err := g.guard(ctx); d != nil || err != nil {
			return d, err
		}
		if d, err := g.await(waits); d != nil || err != nil {
			return d, err
		}
	}
}

// batch is all calls of one fact and what they brought.
type batch struct {
	fact     string
	calls    []rules.Call
	values   []json.RawMessage
	absent   []bool // of calls that are not ready
	notReady bool   // one of them at least
	took     time.Duration
}

// fetch carries the calls out, several at a time, and groups them by fact in the order given.
func (g *gathering) fetch(ctx context.Context, calls []rules.Call) ([]*batch, error) {
	began := g.engine.now()
	values := make([]json.RawMessage, len(calls))
	absent := make([]bool, len(calls))
	done := make([]time.Time, len(calls))
	err := parallel(ctx, len(calls), g.engine.limits.Parallel, func(ctx context.Context, i int) (err error) {
		values[i], err = g.engine.facts.Fetch(ctx, g.dated(calls[i]), g.since(calls[i]))
		done[i] = g.engine.now()
		if notReady(err) {
			absent[i] = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("fetch fact %s: %w", calls[i].Fact, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var batches []*batch
	byFact := make(map[string]*batch)
	for i, call := range calls {
		b := byFact[call.Fact]
		if b == nil {
			b = &batch{fact: call.Fact}
			byFact[call.Fact] = b
			batches = append(batches, b)
		}
		b.calls = append(b.calls, call)
		b.values = append(b.values, values[i])
		b.absent = append(b.absent, absent[i])
		b.notReady = b.notReady || absent[i]
		b.took = max(b.took, done[i].Sub(began))
	}
	return batches, nil
}

// lookBack is how long before an event something it leads to may have begun, when the event does
// not say that it has only just begun.
const lookBack = 7 * 24 * time.Hour

// since is the earliest time at which what a call looks for can have begun. What is asked about
// the very commit that was pushed began with the push; another commit, or that of a merge request,
// may be older.
func (g *gathering) since(call rules.Call) time.Time {
	head, _ := g.view.Head()
	if commit, _ := call.Args["commit"].(string); g.view.Type == "push" && head != "" && commit == head {
		return g.order.event.Time
	}
	return g.order.event.Time.Add(-lookBack)
}

// dated tells a call for the build of a commit by when that commit had been pushed, if the rule does
// not: an event that names it came after. Only from then on a later build of its branch has it.
func (g *gathering) dated(call rules.Call) rules.Call {
	given := func(name string) bool { return call.Args[name] != nil }
	if call.Kind != codearts.OpBuildOfCommit || !given("branch") || given(codearts.ArgSince) || given(codearts.ArgPushed) {
		return call
	}
	call.Args = maps.Clone(call.Args)
	call.Args[codearts.ArgPushed] = g.order.event.Time
	return call
}

// provide hands the values to the run and returns the facts that are not ready.
func (g *gathering) provide(batches []*batch) ([]rules.Wait, error) {
	var waits []rules.Wait
	for _, b := range batches {
		for i, call := range b.calls {
			if b.absent[i] {
				continue
			}
			if err := g.run.Provide(call, b.values[i]); err != nil {
				return nil, evaluationError(err)
			}
		}
		if b.notReady { // on_timeout: continue goes on with the calls that are
			waits = append(waits, g.run.NotReady(b.fact))
			continue
		}
		wait, err := g.run.Pending(b.fact)
		if err != nil {
			return nil, evaluationError(err)
		}
		if wait != nil {
			waits = append(waits, *wait)
			continue
		}
		g.log.Info().Str("fact", b.fact).Str("kind", b.calls[0].Kind).Dur("took", b.took).Msg("fact fetched")
	}
	return waits, nil
}

// await decides about the facts that are not ready: those past their deadline end the run or are
// given up, for the others the run is parked.
func (g *gathering) await(waits []rules.Wait) (*rules.Decision, error) {
	pause, d, err := g.run.Await(waits, g.state.Deadlines, g.engine.now())
	if late := (*rules.TimeoutError)(nil); errors.As(err, &late) {
		return nil, &FinalError{class: ClassTimeout, err: err}
	}
	if pause == nil || d != nil || err != nil {
		return d, err
	}
	for _, w := range pause.Awaited {
		g.log.Info().Str("fact", w.Fact).Str("reason", w.What()).Time("until", pause.Until).Msg("facts awaited")
	}
	return nil, &ParkError{until: pause.Until, state: g.state.String(), reason: fmt.Sprintf("fact %s: %s", pause.For.Fact, pause.For.What())}
}

// guard applies the loop guard to the commits the facts name. The commit that caused the event
// was judged when the event was matched.
func (g *gathering) guard(ctx context.Context) (*rules.Decision, error) {
	for _, id := range g.run.Commits() {
		if g.checked[id] {
			continue
		}
		chain, err := g.engine.ownCommit(ctx, id)
		if err != nil {
			return nil, err
		}
		if g.checked == nil {
			g.checked = make(map[string]bool)
		}
		g.checked[id] = true
		if chain.Depth == 0 || chain.Action == g.order.chain.Action {
			continue
		}
		reason := g.rule.OwnFact(id, chain, g.engine.limits.ChainDepth)
		if reason == "" {
			if chain.Depth > g.chain.Depth {
				g.chain = chain
			}
			continue
		}
		g.log.Info().Str("commit", id).Str("key", chain.Action).Str("reason", reason).Msg("own commit recognised")
		d := g.run.Skip(reason)
		d.Outcome = rules.OutcomeOwnCommit
		return d, nil
	}
	return nil, nil
}

// setChain makes the actions of a decision descend from the deepest of our commits it saw.
func (g *gathering) setChain(d *rules.Decision) {
	if g.chain == g.order.chain {
		return
	}
	for i := range d.Items {
		for j := range d.Items[i].Actions {
			d.Items[i].Actions[j].Chain = g.chain
		}
	}
}
