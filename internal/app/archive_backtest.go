package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/internal/trial/backtest"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// BacktestOptions say which events a ruleset is tried on, and against what.
type BacktestOptions struct {
	// After is the ruleset that is tried, Before the one to compare with.
	Before, After *rules.Ruleset
	// From and To bound when events were stored, To excluded. Zero: no bound. What is stored after the backtest began is left out.
	From, To time.Time
	// Source is the one whose events are read. Empty: all.
	Source string
	// Rules are names; empty: all.
	Rules []string
	// Jobs is how many goroutines play. 0: one for each processor.
	Jobs int
	// Examples is how many are kept of each class of each rule. Below 0: none.
	Examples int
	// Progress, if set, is told now and then how much is done, from 0 to 1.
	Progress func(done float64)
}

// Backtest plays two rulesets on stored events with the facts that were recorded, and reports what is different. It reads only.
func (a *Archive) Backtest(ctx context.Context, o BacktestOptions) (*backtest.Report, error) {
	_, last, err := a.conn.EventsSpan(ctx)
	if err != nil {
		return nil, err
	}
	w := &pastWorld{
		Archive: a, live: engine.NewLive(a.catalogue, a.conn), commits: map[string]events.Chain{}, rulesets: map[string]*rules.Ruleset{},
		read: stream.ReadOptions{From: o.From, Until: o.To, To: last, Source: o.Source},
	}
	b := backtest.Options{
		Before: o.Before, After: o.After, Only: o.Rules, ChainDepth: a.chainDepth, Jobs: o.Jobs, Examples: o.Examples,
	}
	if o.Progress != nil {
		begun := uint64(0)
		b.Progress = func(sequence uint64) {
			if begun == 0 {
				begun = sequence - 1
			}
			o.Progress(float64(sequence-begun) / float64(max(last-begun, 1)))
		}
	}
	return backtest.Run(ctx, b, w)
}

// ErrNothingLive says that no worker ever took a ruleset into use.
var ErrNothingLive = errors.New("no worker has ever loaded rules here, so there is nothing to compare with")

// Baseline is the ruleset that workers use now; with a digest, or the first 6 characters of one at least, the one of that digest.
func (a *Archive) Baseline(ctx context.Context, digest string) (*rules.Ruleset, error) {
	if digest == "" {
		live, err := a.LiveNow(ctx)
		if err != nil {
			return nil, err
		}
		if live == "" {
			return nil, ErrNothingLive
		}
		return a.Ruleset(ctx, live)
	}
	if len(digest) < 64 {
		entries, err := engine.ReadTimeline(ctx, a.stores)
		if err != nil {
			return nil, err
		}
		full := ""
		for _, e := range entries {
			switch {
			case !strings.HasPrefix(e.Digest, digest) || e.Digest == full:
			case full != "":
				return nil, fmt.Errorf("more than one ruleset begins with %s; give more of the digest", digest)
			default:
				full = e.Digest
			}
		}
		if full == "" {
			return nil, fmt.Errorf("no ruleset that begins with %s was ever live; give a whole digest, or the rule files", digest)
		}
		digest = full
	}
	return a.Ruleset(ctx, digest)
}

// pastWorld is the past as NATS has it, for one backtest.
type pastWorld struct {
	*Archive
	live *engine.Live
	read stream.ReadOptions

	mu       sync.Mutex
	commits  map[string]events.Chain
	rulesets map[string]*rules.Ruleset // nil of those that cannot be had
}

// Events implements [backtest.World].
func (w *pastWorld) Events(ctx context.Context, fn func(backtest.Event) error) error {
	return w.conn.ReadEvents(ctx, w.read, func(e *stream.StoredEvent) error {
		return fn(backtest.Event{Event: e.Event, Sequence: e.Sequence, Stored: e.Stored})
	})
}

// Recorded implements [backtest.World].
func (w *pastWorld) Recorded(ctx context.Context, eventID string, decisions bool) (*backtest.Recorded, error) {
	read := engine.ReadMatched
	if decisions {
		read = engine.ReadRecorded
	}
	r, err := read(ctx, w.stores, eventID)
	if err != nil || r == nil {
		return nil, err
	}
	return &backtest.Recorded{Chain: r.Chain, At: r.At, Decisions: r.Decisions}, nil
}

// OwnCommit implements [backtest.World]. Which commits are ours does not change once they are known.
func (w *pastWorld) OwnCommit(ctx context.Context, id string) (events.Chain, error) {
	w.mu.Lock()
	chain, known := w.commits[id]
	w.mu.Unlock()
	if known {
		return chain, nil
	}
	chain, err := engine.ReadOwnCommit(ctx, w.stores, id)
	if err != nil {
		return chain, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.commits) >= 100_000 {
		clear(w.commits)
	}
	w.commits[id] = chain
	return chain, nil
}

// Ruleset implements [backtest.World]. What cannot be compiled is not tried again for every event.
func (w *pastWorld) Ruleset(ctx context.Context, digest string) (*rules.Ruleset, error) {
	w.mu.Lock()
	rs, known := w.rulesets[digest]
	w.mu.Unlock()
	if known {
		return rs, nil
	}
	rs, err := w.live.Ruleset(ctx, digest)
	unusable, final := (*engine.RulesetError)(nil), (*engine.FinalError)(nil)
	if err != nil && !errors.As(err, &unusable) && !errors.As(err, &final) {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rulesets[digest] = rs
	return rs, nil
}
