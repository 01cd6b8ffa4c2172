package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

const (
	workerKind = "worker"
	// presenceEvery is how often a worker says that it is there. The store forgets who has not said so for three times as long.
	presenceEvery = 30 * time.Second
	// presenceAgain is how soon it says it again when it could not be written.
	presenceAgain = 3 * time.Second
)

// Where a worker's rules come from.
const (
	FromFiles  = "files"
	FromPushed = "pushed"
)

// WorkerState is what a worker says of itself, in the record "worker.<id>".
type WorkerState struct {
	V       int       `json:"v"`
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
	Version string    `json:"version,omitempty"` // of the program
	From    string    `json:"from"`              // FromFiles or FromPushed
	// Digest is that of the rules in use, "" when there are none yet; Since is when they were taken into use.
	Digest string    `json:"digest,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Generation is that of the push that was handled last: is in use, or refused for good.
	Generation uint64    `json:"generation,omitempty"`
	Refused    *Refusal  `json:"refused,omitempty"` // why the newest rules are not in use
	Renewed    time.Time `json:"renewed"`           // when it last said so
}

// Name is the worker's name for people, and in the timeline.
func (w WorkerState) Name() string { return w.Host + "/" + w.ID }

// Refusal says why rules are not in use.
type Refusal struct {
	Digest string    `json:"digest,omitempty"` // "" when it is not known
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// RecordLister lists records.
type RecordLister interface {
	RecordReader
	// RecordNames are the subjects of the records of a kind, as in "worker".
	RecordNames(ctx context.Context, kind string) ([]string, error)
}

// ReadWorkers is what all workers say that are there, or were until a moment ago, sorted by host and id.
func ReadWorkers(ctx context.Context, records RecordLister) ([]WorkerState, error) {
	subjects, err := records.RecordNames(ctx, workerKind)
	if err != nil {
		return nil, fmt.Errorf("look for workers: %w", err)
	}
	var all []WorkerState
	for _, subject := range subjects {
		var w WorkerState
		found, err := readRecord(ctx, records, subject, &w)
		if err != nil {
			return nil, err
		}
		if found { // it may have gone since
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b WorkerState) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// PresenceRecords is where a worker says that it is there.
type PresenceRecords interface {
	Records
	// Forget removes a record; that there is none is no error.
	Forget(ctx context.Context, subject string) error
}

// Presence keeps the record of this worker. Its methods may be called by any goroutine.
type Presence struct {
	records PresenceRecords
	log     zerolog.Logger
	changed chan struct{} // there is something new to say

	mu    sync.Mutex
	state WorkerState
}

// NewPresence makes the presence of a worker, of which state says id, host, started, version and where its rules come from.
func NewPresence(records PresenceRecords, state WorkerState, log zerolog.Logger) *Presence {
	state.V, state.Started = rules.FormatVersion, state.Started.UTC()
	return &Presence{records: records, state: state, log: log, changed: make(chan struct{}, 1)}
}

// Keep writes the record at once, at each change and every 30 seconds, until ctx is done; then it removes it. A failing write is tried
// again, and keeps nobody from anything.
func (p *Presence) Keep(ctx context.Context) {
	failure := ""
	for {
		pause := presenceEvery
		if err := p.write(ctx); err != nil && ctx.Err() == nil {
			pause = presenceAgain
			if text := err.Error(); text != failure {
				failure = text
				p.log.Warn().Err(err).Msg("worker not announced")
			}
		} else {
			failure = ""
		}
		select {
		case <-ctx.Done():
			p.leave(ctx)
			return
		case <-p.changed:
		case <-time.After(pause):
		}
	}
}

func (p *Presence) write(ctx context.Context) error {
	return changeRecord(ctx, p.records, maxRecord, p.subject(), func(WorkerState) (WorkerState, bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.state.Renewed = time.Now().UTC()
		return p.state, true
	})
}

// leave removes the record, so that nobody waits for a worker that has ended. If it cannot, the store forgets it by itself.
func (p *Presence) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), presenceAgain)
	defer cancel()
	if err := p.records.Forget(ctx, p.subject()); err != nil {
		p.log.Debug().Err(err).Msg("worker not signed off")
	}
}

func (p *Presence) subject() string { return workerKind + "." + p.state.ID }

// loaded says which rules are in use since at.
func (p *Presence) loaded(digest string, generation uint64, at time.Time) {
	p.change(func(w *WorkerState) {
		if w.Digest != digest {
			w.Digest, w.Since = digest, at.UTC()
		}
		w.Generation = generation
	})
}

// handled says that a push was refused for good.
func (p *Presence) handled(generation uint64) {
	p.change(func(w *WorkerState) { w.Generation = generation })
}

// refused says why the newest rules are not in use; nil: they are.
func (p *Presence) refused(r *Refusal) { p.change(func(w *WorkerState) { w.Refused = r }) }

func (p *Presence) change(how func(w *WorkerState)) {
	p.mu.Lock()
	how(&p.state)
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default: // it is to be written already
	}
}
