package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// Builds is what asking for builds needs of CodeArts Build. *codearts.Client is one.
type Builds interface {
	ProjectJobs(ctx context.Context, project codearts.ProjectID) iter.Seq2[*codearts.Job, error]
	JobRuns(ctx context.Context, jobID string, from, to time.Time) iter.Seq2[*codearts.JobRun, error]
	BuildRecord(ctx context.Context, jobID string, buildNo int) (*codearts.BuildRecord, error)
}

// PollRecords is the store of how far the sources have been polled.
type PollRecords interface {
	Records
	// Update replaces the revision rev of a record. When there is another by now the error has
	// a method Exists() bool that returns true.
	Update(ctx context.Context, subject string, data []byte, rev uint64) (newRev uint64, err error)
}

// PollSchedules starts the schedules of polls. One that is there already is left as it is.
type PollSchedules interface {
	EnsurePoll(ctx context.Context, id, pattern string) error
}

// PollStores are the places a poller reads and writes. All are needed.
type PollStores struct {
	Records   PollRecords
	Events    Events
	Schedules PollSchedules
}

// PollSource is a project of CodeArts that is asked for its builds. Each that has finished becomes one event.
type PollSource struct {
	Name       string // of the source
	Project    codearts.ProjectID
	Repository string // only tasks that build the repository with this id; "" all
	Every      time.Duration
	Builds     Builds
}

// Schedule is the schedule by which the source is polled: its id, and its pattern as the stream takes it. Sources of
// other names, projects or pauses have others.
func (s PollSource) Schedule() (id, pattern string) {
	pattern = "@every " + s.Every.String()
	return rules.Hash("poll", s.Name, string(s.Project), pattern), pattern
}

// PollLimits bound one poll. A field that is not positive means its default.
type PollLimits struct {
	// Calls is how many calls a poll may make beside listing the tasks. What is left comes at the
	// next one, those first that were not looked at for longest. Default 500.
	Calls int
	// Time is how long a poll may take. Default 5 min.
	Time time.Duration
	// Lease is how long a worker that went silent in the middle of a poll keeps the others from
	// it. Default 30 s.
	Lease time.Duration
	// Slack is how far the clock of CodeArts may be behind ours. Default 5 min.
	Slack time.Duration
}

func (l PollLimits) withDefaults() PollLimits {
	if l.Calls <= 0 {
		l.Calls = 500
	}
	for _, d := range [...]struct {
		field *time.Duration
		value time.Duration
	}{{&l.Time, 5 * time.Minute}, {&l.Lease, 30 * time.Second}, {&l.Slack, 5 * time.Minute}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return l
}

// Poller asks projects of CodeArts for the builds that have finished, and makes events of them.
//
// Any number of workers may do so at once. Which of them polls is a matter of a lease, which saves calls; what has become
// an event is kept in records, each written by compare-and-set after its events were published, so that a worker may die
// at any line: the same event is published again then, under the same id, and the match record absorbs it.
type Poller struct {
	stores  PollStores
	sources map[string]*polledSource // by the id of their schedules
	limits  PollLimits
	owner   string
	log     zerolog.Logger
	now     func() time.Time
}

// polledSource is a source and what this process remembers of its tasks.
type polledSource struct {
	PollSource
	mu     sync.Mutex // held during a poll
	begun  bool       // it was polled, here or anywhere
	memory map[string]*rememberedTask
}

// NewPoller makes a poller of sources with different names. now is the clock, nil for the system's.
func NewPoller(sources []PollSource, stores PollStores, limits PollLimits, log zerolog.Logger, now func() time.Time) (*Poller, error) {
	if stores.Records == nil || stores.Events == nil || stores.Schedules == nil {
		return nil, errors.New("engine: a store of the poller is missing")
	}
	if now == nil {
		now = time.Now
	}
	p := &Poller{
		stores: stores, sources: make(map[string]*polledSource), limits: limits.withDefaults(), owner: rand.Text(), log: log, now: now,
	}
	for _, s := range sources {
		if s.Builds == nil {
			return nil, fmt.Errorf("engine: source %s has nobody to ask", s.Name)
		}
		id, _ := s.Schedule()
		p.sources[id] = &polledSource{PollSource: s}
	}
	return p, nil
}

// Keep starts the schedules of the sources, starts again what is not there any more, and polls a source at once that never
// was, until ctx is done: what finishes from then on is not missed, however long its pause.
func (p *Poller) Keep(ctx context.Context) {
	ticker := time.NewTicker(ensureEvery)
	defer ticker.Stop()
	for {
		p.ensure(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (p *Poller) ensure(ctx context.Context) {
	for _, s := range p.sources {
		id, pattern := s.Schedule()
		err := p.stores.Schedules.EnsurePoll(ctx, id, pattern)
		if err == nil && !s.begun {
			var data []byte
			if data, _, err = p.stores.Records.Get(ctx, s.subject()); err == nil && data == nil {
				err = p.poll(ctx, s) // looked for again: it may have failed
			} else {
				s.begun = err == nil
			}
		}
		if err != nil {
			p.log.Debug().Err(err).Str("source", s.Name).Msg("schedules not looked after") // the broker is away, and others say so
		}
	}
}

// Tick handles one tick of a source's schedule, work.poll.<id>. What CodeArts refuses is no error of the tick: the next one
// comes soon enough.
func (p *Poller) Tick(ctx context.Context, m Message) error {
	s := p.sources[m.Header[headerSchedule]]
	if s == nil {
		p.log.Debug().Str("key", m.Header[headerSchedule]).Msg("schedule not used")
		return nil
	}
	return p.poll(ctx, s)
}

// poll polls a source once, unless somebody is at it. The error is the end of ctx: what is left is for another worker then.
func (p *Poller) poll(ctx context.Context, s *polledSource) error {
	if !s.mu.TryLock() {
		return nil // it takes longer than the pause
	}
	defer s.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, p.limits.Time)
	defer cancel()
	began := p.now()
	r := &pollRound{Poller: p, source: s, began: began, calls: p.limits.Calls, log: p.log.With().Str("source", s.Name).Logger()}
	taken, err := r.take(limited)
	switch {
	case err != nil:
		r.fail(err)
	case !taken:
		r.log.Debug().Msg("poll left to another worker")
		return ctx.Err()
	default:
		r.run(limited)
		r.giveBack(limited)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r.listed {
		r.log.Info().Int("tasks", r.tasks).Int("events", r.events).Dur("took", p.now().Sub(began)).Msg("source polled")
	}
	if r.failures > 0 {
		r.log.Warn().Str("reason", r.reason()).Msg("poll failed")
	}
	return nil
}
