package backtest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// item is an event with what has to be known to play rules on it.
type item struct {
	Event
	view      *events.View
	broken    bool // its body cannot be read
	overtakes bool
	takers    []taker
	head      string // its head commit
	chain     events.Chain
	recorded  *Recorded // nil: nothing was
	recall    *recall
}

// taker is a lane whose rule fits the event, before or after.
type taker struct {
	lane int
	fits [2]bool
}

// prepare finds out which rules fit, and reads the records of those events that some rule fits.
func (r *run) prepare(ctx context.Context, items []*item) error {
	if err := parallel(ctx, len(items), r.Jobs, func(i int) error {
		r.match(items[i])
		return nil
	}); err != nil {
		return err
	}
	var known []*item
	for _, it := range items {
		if it.broken {
			r.broken.Add(1)
		}
		if len(it.takers) > 0 || it.overtakes {
			known = append(known, it)
		}
	}
	return parallel(ctx, len(known), asked, func(i int) error { return r.remember(ctx, known[i]) })
}

func (r *run) match(it *item) {
	view, err := events.Decode(it.Event.Event)
	if err != nil {
		it.broken = true
		return
	}
	it.view, it.overtakes = view, r.overtakes(it.Type)
	flat := view.Flat()
	var room [16]*rules.Rule
	for side, rs := range [2]*rules.Ruleset{r.Before, r.After} {
		for _, rule := range rs.Match(room[:0], &flat) {
			lane, differs := r.byRule[side][rule]
			if !differs {
				continue
			}
			at := -1
			for i := range it.takers {
				if it.takers[i].lane == lane {
					at = i
				}
			}
			if at < 0 {
				at = len(it.takers)
				it.takers = append(it.takers, taker{lane: lane})
			}
			it.takers[at].fits[side] = true
		}
	}
}

// remember reads what was recorded of an event: as much as the rules that fit need.
func (r *run) remember(ctx context.Context, it *item) error {
	facts := false
	for _, t := range it.takers {
		facts = facts || r.lanes[t.lane].asks
	}
	var err error
	if it.recorded, err = r.world.Recorded(ctx, it.ID, facts); err != nil {
		return fmt.Errorf("read what was decided about event %s: %w", it.ID, err)
	}
	it.head, _ = it.view.Head()
	switch {
	case it.recorded != nil:
		it.chain = it.recorded.Chain
	case it.head != "":
		if it.chain, err = r.world.OwnCommit(ctx, it.head); err != nil {
			return fmt.Errorf("look whether commit %s is ours: %w", it.head, err)
		}
	}
	if facts && it.recorded != nil {
		it.recall, err = r.recollect(ctx, it)
	}
	return err
}

// parallel calls fn for 0 to n-1, up to width at once, until one fails; which error it then gives is left open.
func parallel(ctx context.Context, n, width int, fn func(i int) error) error {
	var next atomic.Int64
	var once sync.Once
	var failed error
	var running sync.WaitGroup
	for range min(n, width) {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := fn(i); err != nil {
					once.Do(func() { failed = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	running.Wait()
	if failed == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failed
}
