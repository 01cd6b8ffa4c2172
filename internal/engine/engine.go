package engine

import (
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

// Engine holds the handlers of events, runs and ticks. Its methods may be called by any number
// of goroutines.
type Engine struct {
	stores Stores
	live   *Live
	facts  Fetcher
	fence  Fence
	limits Limits
	log    zerolog.Logger
	now    func() time.Time

	matches rules.Meter
}

// Stores are the places an engine reads and writes. All are needed.
type Stores struct {
	Records Records
	Work    Work
	Events  Events
}

// Sources are where the facts come from. Both are needed; a [*Facts] is both.
type Sources struct {
	Facts Fetcher
	Fence Fence
}

// maxRecord is the default of the largest record, in bytes: below the default message limit of a nats-server.
const maxRecord = 900 << 10

// Limits bound what one event may cause. A zero field means its default, and one below zero too
// where nothing else is said.
type Limits struct {
	// ChainDepth is up to which depth events caused by our own commits are seen by rules
	// with on_own_commits. Default 3; below 0: no rule sees any of them.
	ChainDepth int
	// Record is the largest run record, in bytes. Default 900 KiB, below the default
	// message limit of a nats-server.
	Record int
	// Parallel is how many facts of one run are fetched at a time. Default 4.
	Parallel int
	// Calls is how many calls the facts of one run may take. Default 2000.
	Calls int
}

func (l Limits) withDefaults() Limits {
	none := l.ChainDepth < 0
	for _, d := range [...]struct {
		field *int
		value int
	}{{&l.ChainDepth, 3}, {&l.Record, maxRecord}, {&l.Parallel, 4}, {&l.Calls, 2000}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if none {
		l.ChainDepth = 0
	}
	return l
}

// New makes an engine on loaded rules. now is the clock, nil for the system's.
func New(stores Stores, live *Live, sources Sources, limits Limits, log zerolog.Logger, now func() time.Time) (*Engine, error) {
	if stores.Records == nil || stores.Work == nil || stores.Events == nil || live == nil || sources.Facts == nil || sources.Fence == nil {
		return nil, errors.New("engine: a store, the rules or a source is missing")
	}
	if now == nil {
		now = time.Now
	}
	return &Engine{
		stores: stores, live: live, facts: sources.Facts, fence: sources.Fence,
		limits: limits.withDefaults(), log: log, now: now,
	}, nil
}
