package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// maxBatch is the most that is written before a sync, in bytes, unless one record alone is larger.
const maxBatch = 8 << 20

// entry is a record on its way to the disk.
type entry struct {
	record []byte
	// told gets nil once the record is written, if its request is to publish it while the disk syncs, which flying then says. And in
	// every case what became of it: nil once it is synced.
	told   chan error
	flying bool

	// What follows is there once it is written, or synced.
	segment *segment
	at      int64 // where the record begins
	epoch   uint64

	// Under the journal's lock.
	settled   bool // told has all it ever gets, and outcome is the last of it
	outcome   error
	abandoned bool // nobody waits any more
}

// append puts an event into the queue of what is written next.
func (j *Journal) append(e *events.Event) (*entry, error) {
	record, err := appendRecord(make([]byte, 0, recordHeader+len(e.Body)+256), e)
	if err != nil {
		return nil, err
	}
	w := &entry{record: record, told: make(chan error, 2)}
	return w, j.enqueue(w)
}

// await waits for the next that an entry is told. If ctx ends first the error says so, and the event may become part of the journal all the
// same; unless it has just become so.
func (j *Journal) await(ctx context.Context, w *entry) error {
	select {
	case err := <-w.told:
		return err
	case <-ctx.Done():
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if w.settled {
		if w.outcome == nil {
			j.leave(w)
		}
		return w.outcome
	}
	w.abandoned = true
	if i := slices.Index(j.queue, w); i >= 0 { // not being written yet: a disk that stands still must not fill the memory
		j.queue = slices.Delete(j.queue, i, i+1)
		j.waiting -= int64(len(w.record))
	}
	return fmt.Errorf("the disk has not answered: %w", ctx.Err())
}

func (j *Journal) enqueue(w *entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch size := int64(len(w.record)); {
	case j.closed:
		return errClosed
	case j.link == refusing:
		return fmt.Errorf("%w: %w", ErrDoorClosed, j.refusal)
	case j.used+j.waiting+size > j.opts.MaxBytes:
		return fmt.Errorf("%w: it holds %d of at most %d bytes", ErrFull, j.used, j.opts.MaxBytes)
	default:
		j.waiting += size
	}
	j.queue = append(j.queue, w)
	signal(j.arrived)
	return nil
}

// commit writes what waits, batch after batch, until the journal is closed and nothing waits any more.
func (j *Journal) commit() {
	for range j.arrived {
		for batch, size := j.take(); len(batch) > 0; batch, size = j.take() {
			j.write(batch, size)
		}
		if j.old() {
			j.seal()
		}
	}
}

// old tells whether the active segment has lasted long enough.
func (j *Journal) old() bool {
	s := j.active
	return s != nil && s.synced > 0 && j.opts.Now().Sub(s.begun) >= j.segmentAge
}

// take is the next batch and its size in bytes.
func (j *Journal) take() (batch []*entry, size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	taken := 0
	for _, w := range j.queue {
		length := int64(len(w.record))
		if len(batch) > 0 && size+length > maxBatch {
			break
		}
		batch = append(batch, w)
		size += length
		taken++
	}
	clear(j.queue[:taken])
	j.queue = j.queue[taken:]
	if len(j.queue) == 0 {
		j.queue = nil
	}
	return batch, size
}

// write puts a batch on the disk and tells those who wait. It is all there or none of it is. What was written is published while the disk
// syncs, so an event whose sync fails is refused and may be with the broker all the same.
func (j *Journal) write(batch []*entry, size int64) {
	err := j.room(size)
	if err == nil {
		j.batch = j.batch[:0]
		for _, w := range batch {
			seal(w.record, j.active.salt)
			j.batch = append(j.batch, w.record...)
		}
		if _, err = j.out.Write(j.batch); err == nil {
			j.fly(batch)
			err = j.out.sync()
		}
		if err != nil {
			j.distrust()
		}
	}
	if cap(j.batch) > 2*maxBatch {
		j.batch = nil
	}
	j.tell(batch, size, err)
}

// fly lets the requests of a batch that is written publish their events. A disk that has failed has to show that it can sync first.
func (j *Journal) fly(batch []*entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.link != open || j.failing != nil {
		return
	}
	s := j.active
	at := s.synced
	for _, w := range batch {
		if !w.abandoned {
			w.segment, w.at, w.epoch, w.flying = s, at, j.epoch, true
			s.flying[at] = true
			w.told <- nil
		}
		at += int64(len(w.record))
	}
}

// leave lets an event that is synced be published from the file. The lock is held.
func (j *Journal) leave(w *entry) {
	if w.flying {
		w.flying = false
		delete(w.segment.flying, w.at)
	}
	w.segment.need(w.at)
	signal(j.work)
}

// room makes sure there is a segment to write to.
func (j *Journal) room(size int64) error {
	if s := j.active; j.old() || (s != nil && s.synced > 0 && s.synced+size > j.segmentBytes) {
		j.seal()
	}
	if j.active != nil {
		return nil
	}
	s := newSegment(j.number+1, j.opts.Now())
	out, err := j.disk.create(s.name)
	if err != nil {
		return err
	}
	j.number++
	j.mu.Lock()
	j.active, j.out = s, out
	j.segments = append(j.segments, s)
	j.mu.Unlock()
	return nil
}

// seal ends the active segment. All of it is synced, so what closing it says is of no consequence.
func (j *Journal) seal() {
	_ = j.out.Close()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.active.sealed = true
	j.active, j.out = nil, nil
}

// distrust ends a segment to which a write has failed: what the system then has in memory need not be what is on the disk. What was
// synced before stays, the rest is cut off as well as that is possible; a start that finds some of it publishes it, which is no harm.
func (j *Journal) distrust() {
	s, out := j.active, j.out
	_ = out.truncate(s.synced)
	j.seal()
	if s.synced > 0 {
		return
	}
	_ = j.disk.remove(s.name)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.drop(s)
}

// tell says to those who wait what became of their records.
func (j *Journal) tell(batch []*entry, size int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiting -= size
	if err != nil {
		if j.failing == nil {
			j.opts.Log.Error().Err(err).Int("events", len(batch)).Msg("journal failed")
		}
		j.failing = err
		for _, w := range batch {
			if w.flying {
				delete(w.segment.flying, w.at)
			}
			w.settle(fmt.Errorf("%w: %w", ErrDisk, err))
		}
		signal(j.work) // the door may have waited for one of them
		return
	}
	if j.failing != nil {
		j.opts.Log.Info().Msg("journal mended")
		j.failing = nil
	}
	s := j.active
	j.used += size
	for _, w := range batch {
		at := s.synced
		s.synced += int64(len(w.record))
		if !w.flying || w.abandoned {
			w.segment, w.at = s, at
			j.leave(w)
		}
		w.record = nil
		w.settle(nil)
	}
}

// settle tells what became of an entry. The lock is held.
func (w *entry) settle(err error) {
	w.settled, w.outcome = true, err
	w.told <- err
}

// signal wakes whoever reads from c, once.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// What is wrong when an event is not taken. The sender may try again later in every case.
var (
	// ErrFull: the folder has as many bytes as it may have.
	ErrFull = errors.New("the journal is full")
	// ErrDisk: writing or syncing has failed.
	ErrDisk = errors.New("the journal's disk has failed")
	// ErrDoorClosed: the broker refuses events. What is accepted goes first.
	ErrDoorClosed = errors.New("the broker refuses events, and those accepted before go first")
	// ErrInUse: another process has opened the folder.
	ErrInUse  = errors.New("another process has it open; each receiver needs a journal of its own")
	errClosed = errors.New("the journal is closed")
)

// segmentShape is how large and how old a segment becomes. A segment is removed as a whole, so it must be a small part of the journal, and
// of the time it is kept.
func segmentShape(maxBytes int64, hold time.Duration) (bytes int64, age time.Duration) {
	return min(max(maxBytes/16, maxRecord), 64<<20), max(hold/4, time.Millisecond)
}
