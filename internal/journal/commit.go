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

// After a sync of at least crowd records commit waits for gather before the next: those who have just been told come back together, and one
// sync for all of them costs less than one for the first and one for the others. Found by measuring, see docs/performance.md.
const (
	crowd  = 10
	gather = 1200 * time.Microsecond
)

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

// await waits for the next that an entry is told, and meanwhile writes what waits if it gets the pen, which may be nil. If ctx ends first the
// error says so, and the event may become part of the journal all the same; unless it has just become so.
func (j *Journal) await(ctx context.Context, w *entry, pen chan<- struct{}) error {
	for done := false; !done; {
		select {
		case pen <- struct{}{}:
			j.writeQueue(false)
			<-j.pen
			pen = nil
		case err := <-w.told:
			return err
		case <-ctx.Done():
			done = true
		}
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

// commit syncs what is written, again and again, until the journal is closed and nothing waits any more. Requests write what they bring
// themselves; what they may not, for want of a segment, is left to it.
func (j *Journal) commit() {
	for range j.arrived {
		for j.turn() {
		}
	}
}

// turn writes what waits, syncs what is written and tells those who wait for it. It is false if there was nothing.
func (j *Journal) turn() bool {
	j.pen <- struct{}{}
	wrote := j.writeQueue(true)
	batch, out := j.written, j.out
	j.written = nil
	<-j.pen
	if len(batch) == 0 {
		return wrote
	}
	err := out.sync()
	if err == nil {
		j.kept(batch)
		if len(batch) >= crowd {
			<-time.After(gather)
		}
		return true
	}
	j.pen <- struct{}{}
	batch = append(batch, j.written...) // during the sync
	j.written = nil
	j.distrust()
	<-j.pen
	j.refuse(batch, err)
	return true
}

// old tells whether the active segment has lasted long enough.
func (j *Journal) old() bool {
	s := j.active
	return s != nil && s.synced > 0 && j.opts.Now().Sub(s.begun) >= j.segmentAge
}

// take is the next batch. If nothing is to be synced before, fresh, it has a record if there is one; else it has what may still be added to
// the active segment. The pen is held.
func (j *Journal) take(fresh bool) (batch []*entry, size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	limit := int64(maxBatch)
	if !fresh {
		if j.active == nil || j.broken || j.failing != nil || j.old() {
			return nil, 0
		}
		limit = min(limit-(j.end-j.active.synced), j.segmentBytes-j.end)
	}
	taken := 0
	for _, w := range j.queue {
		length := int64(len(w.record))
		if size+length > limit && (!fresh || taken > 0) {
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

// writeQueue writes a batch of what waits, and tells whether there was one. It is all written or none of it is. Then its requests may
// publish, while it is synced: so an event whose sync fails is refused and may be with the broker all the same. The pen is held; commit
// alone begins and ends segments.
func (j *Journal) writeQueue(commit bool) bool {
	fresh := commit && len(j.written) == 0
	if fresh && j.broken {
		j.distrust()
	}
	batch, size := j.take(fresh)
	if len(batch) == 0 {
		if fresh && j.old() {
			j.seal()
		}
		return false
	}
	if fresh {
		if err := j.room(size); err != nil {
			j.refuse(batch, err)
			return true
		}
	}
	j.batch = j.batch[:0]
	for _, w := range batch {
		seal(w.record, j.active.salt)
		j.batch = append(j.batch, w.record...)
	}
	_, err := j.out.Write(j.batch)
	if cap(j.batch) > 2*maxBatch {
		j.batch = nil
	}
	if err != nil {
		if j.broken = true; fresh {
			j.distrust()
		}
		j.refuse(batch, err)
		return true
	}
	j.written = append(j.written, batch...)
	j.fly(batch)
	return true
}

// fly lets the requests of a batch that is written publish their events. A disk that has failed has to show that it can sync first.
func (j *Journal) fly(batch []*entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, w := range batch {
		w.segment, w.at, w.epoch = j.active, j.end, j.epoch
		j.end += int64(len(w.record))
		if j.link == open && j.failing == nil && !w.abandoned {
			w.flying = true
			w.segment.flying[w.at] = true
			w.told <- nil
		}
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
	j.active, j.out, j.end = s, out, 0
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
	j.active, j.out, j.broken = nil, nil, false
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

// refuse says to those who wait that nothing of theirs is kept.
func (j *Journal) refuse(batch []*entry, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failing == nil {
		j.opts.Log.Error().Err(err).Int("events", len(batch)).Msg("journal failed")
	}
	j.failing = err
	for _, w := range batch {
		j.waiting -= int64(len(w.record))
		if w.flying {
			delete(w.segment.flying, w.at)
		}
		w.settle(fmt.Errorf("%w: %w", ErrDisk, err))
	}
	signal(j.work) // the door may have waited for one of them
}

// kept says to those who wait that their records are synced.
func (j *Journal) kept(batch []*entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failing != nil {
		j.opts.Log.Info().Msg("journal mended")
		j.failing = nil
	}
	for _, w := range batch {
		size := int64(len(w.record))
		j.waiting -= size
		j.used += size
		w.segment.synced = w.at + size
		if !w.flying || w.abandoned {
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
