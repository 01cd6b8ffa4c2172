package backtest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// World is the past: what was stored and what was decided about it. Its methods may be called by several goroutines at once.
type World interface {
	// Events calls fn for the events to play, in the order they were stored, until fn returns an error, which it hands on.
	Events(ctx context.Context, fn func(Event) error) error
	// Recorded is what was decided about an event, nil when there is no record of it. Decisions is only filled in when it is asked for.
	Recorded(ctx context.Context, eventID string, decisions bool) (*Recorded, error)
	// OwnCommit is the chain of a commit of ours, of depth 0 when it is not ours.
	OwnCommit(ctx context.Context, id string) (events.Chain, error)
	// Ruleset is the ruleset that a recorded decision names; nil without an error when it cannot be had any more.
	Ruleset(ctx context.Context, digest string) (*rules.Ruleset, error)
}

// Event is an event of the past; what is no event has none.
type Event struct {
	*events.Event
	Sequence uint64
	Stored   time.Time
}

// Recorded is what was decided about an event.
type Recorded struct {
	Chain     events.Chain
	At        time.Time                  // when it was matched
	Decisions map[string]*rules.Decision // by rule
}

// Options say what to compare.
type Options struct {
	// Before is the ruleset to compare with, After the one that is tried.
	Before, After *rules.Ruleset
	// Only are names of rules; empty: all.
	Only []string
	// ChainDepth is up to which depth rules with on_own_commits see events of our own commits. 0: as a worker without configuration.
	ChainDepth int
	// Jobs is how many goroutines play. 0: one for each processor.
	Jobs int
	// Examples is how many are kept of each class of each rule. Below 0: none.
	Examples int
	// Progress, if set, is called now and then with the place of the last event that is done with; by one goroutine at a time.
	Progress func(sequence uint64)

	chunk int // events that are prepared at a time, fewer in tests
}

const (
	chunkOf = 512
	// asked is how many records are asked for at a time.
	asked = 128
)

// Run plays both rulesets. The report depends on the rulesets and the past alone.
func Run(ctx context.Context, o Options, w World) (*Report, error) {
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.ChainDepth == 0 {
		o.ChainDepth = trial.DefaultChainDepth
	}
	if o.chunk == 0 {
		o.chunk = chunkOf
	}
	r, err := newRun(o, w)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	read, ready := make(chan []*item, 2), make(chan []*item, 1)
	go func() {
		defer close(read)
		cancelWith(cancel, r.read(ctx, read))
	}()
	go func() {
		defer close(ready)
		for items := range read {
			err := r.prepare(ctx, items)
			cancelWith(cancel, err)
			if err == nil {
				err = send(ctx, ready, items)
			}
			if err != nil {
				for range read { // the reader sees that it is over
				}
				return
			}
		}
	}()
	for items := range ready {
		if ctx.Err() == nil {
			cancelWith(cancel, r.play(ctx, items))
		}
		if last := items[len(items)-1]; o.Progress != nil {
			o.Progress(last.Sequence)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return r.report(), nil
}

func cancelWith(cancel context.CancelCauseFunc, err error) {
	if err != nil {
		cancel(err)
	}
}

func send(ctx context.Context, to chan<- []*item, items []*item) error {
	select {
	case to <- items:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run is one call of Run.
type run struct {
	Options
	world World

	lanes  []*lane // of the rules that differ, by name
	same   int     // rules that are the same
	byRule [2]map[*rules.Rule]int
	// watching are the lanes that are told of all events that may overtake others.
	watching []int
	takes    map[string]bool // event types that a lane is for; used by the reader alone

	window Window       // of the reader
	broken atomic.Int64 // events whose body cannot be read
}

// The sides of a comparison.
const (
	before = iota
	after
)

func newRun(o Options, w World) (*run, error) {
	r := &run{Options: o, world: w, takes: map[string]bool{}}
	sides := [2]*rules.Ruleset{o.Before, o.After}
	var names []string
	for side, rs := range sides {
		r.byRule[side] = map[*rules.Rule]int{}
		for _, rule := range rs.Rules() {
			if len(o.Only) == 0 || slices.Contains(o.Only, rule.Name()) {
				names = append(names, rule.Name())
			}
		}
	}
	for _, name := range o.Only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("neither ruleset has a rule %q", name)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		pair := [2]*rules.Rule{o.Before.Rule(name), o.After.Rule(name)}
		if pair[before] != nil && pair[after] != nil && pair[before].Fingerprint() == pair[after].Fingerprint() {
			r.same++
			continue
		}
		for side, rule := range pair {
			if rule == nil {
				continue
			}
			r.byRule[side][rule] = len(r.lanes)
			if n := len(r.lanes); rule.LatestOnly() && !slices.Contains(r.watching, n) {
				r.watching = append(r.watching, n)
			}
		}
		r.lanes = append(r.lanes, newLane(r, name, pair, sides))
	}
	return r, nil
}

// concerns tells whether events of a type have to be looked at.
func (r *run) concerns(kind string) bool {
	takes, known := r.takes[kind]
	if !known {
		takes = r.overtakes(kind) || slices.ContainsFunc(r.lanes, func(l *lane) bool {
			return slices.ContainsFunc(l.rules[:], func(rule *rules.Rule) bool { return rule != nil && rule.TakesType(kind) })
		})
		r.takes[kind] = takes
	}
	return takes
}

// overtakes tells whether events of a type may overtake others for a rule that is played.
func (r *run) overtakes(kind string) bool {
	return len(r.watching) > 0 && (r.Before.LatestMatters(kind) || r.After.LatestMatters(kind))
}

// read hands on the events in chunks; those that concern nobody are only counted.
func (r *run) read(ctx context.Context, to chan<- []*item) error {
	var items []*item
	err := r.world.Events(ctx, func(e Event) error {
		r.window.add(e)
		if e.Event != nil && r.concerns(e.Type) {
			items = append(items, &item{Event: e})
		}
		if len(items) < r.chunk {
			return nil
		}
		full := items
		items = make([]*item, 0, r.chunk)
		return send(ctx, to, full)
	})
	if err == nil && len(items) > 0 {
		err = send(ctx, to, items)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// play plays what was prepared: the events of a rule one after the other, different rules at once.
func (r *run) play(ctx context.Context, items []*item) error {
	work := make([][]turn, len(r.lanes))
	var busy []int
	add := func(lane int, t turn) {
		if len(work[lane]) == 0 {
			busy = append(busy, lane)
		}
		work[lane] = append(work[lane], t)
	}
	for _, it := range items {
		if it.overtakes {
			for _, lane := range r.watching {
				add(lane, turn{item: it})
			}
		}
		for _, t := range it.takers {
			add(t.lane, turn{item: it, fits: t.fits, plays: true})
		}
	}
	return parallel(ctx, len(busy), r.Jobs, func(i int) error {
		l := r.lanes[busy[i]]
		for _, t := range work[busy[i]] {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := l.turn(ctx, t); err != nil {
				return err
			}
		}
		return nil
	})
}
