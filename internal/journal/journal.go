package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/events"
)

// Broker is where events go.
type Broker interface {
	// CheckEvent is an error if the broker could never take the event: it is too large, or makes no message.
	CheckEvent(e *events.Event) error
	// PublishEvent returns a nil error once the broker has stored the event; duplicate is true if it had an event of that id. It may keep e.
	// An error may have Refused() true: the broker has answered, and takes nothing for now; and Retryable() false: it will never take
	// this event. Any other means that the broker is away.
	PublishEvent(ctx context.Context, e *events.Event) (duplicate bool, err error)
	// PublishAgain is PublishEvent for an event out of the files, which the broker may have had before, and perhaps lost what followed from it.
	PublishAgain(ctx context.Context, e *events.Event) (duplicate bool, err error)
}

// Options say where a [Journal] is and what it may use. Dir and Broker are required; all sizes and times must be above 0.
type Options struct {
	// Dir is the folder, made if it is not there. One journal at a time has it.
	Dir string
	// MaxBytes is how much its files may hold together, in bytes; at least [MinBytes]. What comes above is refused.
	MaxBytes int64
	// Hold is how long events stay after the broker has taken them: at least twice as long as the broker may take to write to its disk.
	Hold time.Duration
	// Wait is how long a request waits for the broker after its event is synced.
	Wait   time.Duration
	Broker Broker
	Log    zerolog.Logger
	// Now is the clock. nil means time.Now.
	Now func() time.Time
}

// MinBytes is the least a journal may hold, in bytes.
const MinBytes = 4 << 20

// link is what is known of the broker.
type link int

const (
	open     link = iota // requests publish what they have synced
	behind               // it did not answer: requests leave it to what publishes from the files
	refusing             // it said no: nothing new is taken until it has all that was
)

// Journal is an open journal. It is safe for concurrent use.
type Journal struct {
	opts         Options
	disk         disk
	release      func() error // of the folder's lock
	segmentBytes int64
	segmentAge   time.Duration

	pen chan struct{} // holds a value while somebody writes

	// Who has the pen has these. active is also read under mu, and only commit changes it.
	active  *segment // nil: the next write makes one
	out     file
	end     int64    // of what is written to it
	written []*entry // and not synced yet
	broken  bool     // what follows end is not whole
	batch   []byte
	number  uint64 // of the newest segment

	mu       sync.Mutex
	segments []*segment
	used     int64 // bytes in the segments
	queue    []*entry
	waiting  int64 // bytes that are not synced yet
	failing  error // of the last write, nil when it went well
	link     link
	refusal  error // why the broker refuses
	epoch    uint64
	lost     bool // the broker: nobody knows what it has
	lostAt   time.Time
	closed   bool

	arrived chan struct{} // something is to be synced
	work    chan struct{} // something is to be published from the files
	again   chan struct{} // the broker was found again
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Open opens a journal, and begins to publish what is in it. What is damaged is told in the log, and no reason to fail: an error means
// that the folder cannot be used, or is in use, or that the options are wrong.
func Open(opts Options) (*Journal, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	d, err := openFolder(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the journal %s: %w", opts.Dir, err)
	}
	j, err := openOn(d, opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the journal %s: %w", opts.Dir, err), d.close())
	}
	j.release = d.close
	return j, nil
}

func (o *Options) check() error {
	switch {
	case o.Dir == "":
		return errors.New("the journal has no folder")
	case o.Broker == nil:
		return errors.New("the journal has no broker")
	case o.MaxBytes < MinBytes:
		return fmt.Errorf("the journal may hold %d bytes, and needs %d at least", o.MaxBytes, MinBytes)
	case o.Hold <= 0 || o.Wait <= 0:
		return errors.New("hold and wait of the journal must be above 0")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// openOn opens a journal on a disk.
func openOn(d disk, opts Options) (*Journal, error) {
	j := &Journal{
		opts: opts, disk: d, release: func() error { return nil },
		pen: make(chan struct{}, 1), arrived: make(chan struct{}, 1), work: make(chan struct{}, 1), again: make(chan struct{}, 1),
	}
	j.segmentBytes, j.segmentAge = segmentShape(opts.MaxBytes, opts.Hold)
	all, strange, err := find(d, opts.Now())
	if err != nil {
		return nil, err
	}
	j.adopt(all, strange)
	ctx, stop := context.WithCancel(context.Background())
	j.stop = stop
	j.running.Go(j.commit)
	j.running.Go(func() { j.keep(ctx) })
	return j, nil
}

// adopt takes the segments that were there, and tells what is wrong with them.
func (j *Journal) adopt(all []found, strange []string) {
	log, count := &j.opts.Log, 0
	for _, name := range strange {
		log.Warn().Str("file", name).Str("reason", "its name is not that of a segment, it is left as it is").Msg("journal damaged")
	}
	for _, f := range all {
		if f.torn > 0 {
			log.Warn().Str("file", f.name).Int64("bytes", f.torn).Int("events", f.events).
				Str("reason", "a write was cut short, as by a crash: nobody was told that it is accepted").Msg("journal cut")
		}
		if f.lost > 0 || f.err != nil {
			log.Error().Str("file", f.name).Int64("bytes", f.lost).Int("events", f.events).AnErr("error", f.err).
				Str("reason", "records that were whole are not any more: look at the disk").Msg("journal damaged")
		}
		j.number = max(j.number, f.number)
		if f.synced == 0 && f.err == nil && j.disk.remove(f.name) == nil {
			continue
		}
		j.used += f.synced
		count += f.events
		j.segments = append(j.segments, f.segment) // dirty from 0
	}
	log.Info().Int("files", len(all)).Int("events", count).Int64("bytes", j.used).Msg("journal opened")
	signal(j.work)
}

// Close takes nothing more, syncs what waits, and stops publishing. What the broker does not have is published after the next Open.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	j.stop()
	close(j.arrived)
	j.running.Wait()
	if j.out != nil {
		j.seal()
	}
	return j.release()
}

// drop forgets a segment whose file is gone. The lock is held.
func (j *Journal) drop(s *segment) {
	for i, have := range j.segments {
		if have == s {
			j.segments = append(j.segments[:i], j.segments[i+1:]...)
			j.used -= s.synced
			return
		}
	}
}
