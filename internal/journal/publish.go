package journal

import (
	"context"
	"errors"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// PublishEvent returns a nil error once the event is synced to the disk; it is then published until the broker has it, whatever happens.
// Once it is written it is published while the disk syncs; that is waited for a moment too, and duplicate is true if the broker said that it
// had an event of that id. An error means that nothing is promised; unless it is a sync that failed, or ctx has ended, nothing of the event
// is kept either, here or by the broker.
func (j *Journal) PublishEvent(ctx context.Context, e *events.Event) (duplicate bool, err error) {
	if err := j.opts.Broker.CheckEvent(e); err != nil {
		return false, err
	}
	w, err := j.append(e)
	if err != nil {
		return false, err
	}
	if err := j.await(ctx, w, j.pen); err != nil || !w.flying {
		return false, err // what does not fly is published from the file
	}
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), j.opts.Wait)
	defer cancel()
	duplicate, publishing := j.opts.Broker.PublishEvent(waiting, e)
	if err := j.await(ctx, w, nil); err != nil || !w.flying {
		return false, err
	}
	j.landed(w, e, publishing)
	return duplicate && publishing == nil, nil
}

// landed notes what became of an event that its request has published.
func (j *Journal) landed(w *entry, e *events.Event, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := w.segment
	delete(s.flying, w.at)
	switch {
	case err == nil && w.epoch == j.epoch:
		s.touched = j.opts.Now()
	case final(err):
		j.stick(s, e, err)
	default: // not taken, or by a broker that may have lost it since
		s.need(w.at)
		j.heard(err)
		signal(j.work)
	}
	if j.link == refusing {
		signal(j.work) // perhaps the door can open
	}
}

// heard notes an answer, or none, of the broker. The lock is held.
func (j *Journal) heard(err error) {
	switch {
	case err == nil:
	case refused(err):
		j.refusal = err
		if j.link != refusing {
			j.link = refusing
			j.opts.Log.Warn().Err(err).Msg("door closed")
		}
	case j.link == open:
		j.link = behind
		j.opts.Log.Warn().Err(err).Msg("broker behind")
	}
}

// stick notes an event that the broker will never take. It stays on the disk, and is tried again after a start and a reconnect. The
// lock is held.
func (j *Journal) stick(s *segment, e *events.Event, err error) {
	s.stuck = true
	line := j.opts.Log.Error().Err(err).Str("file", s.name)
	if e != nil {
		line = line.Str("event_id", e.ID)
	}
	line.Str("reason", "the broker will not take it as it is; it is kept, and tried again after a start and a reconnect").Msg("event stuck")
}

// Disconnected says that the broker is lost. It may have lost what it had not written to its disk, so nothing is removed until it is found
// again and has it all.
func (j *Journal) Disconnected() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.lost {
		j.lost, j.lostAt = true, j.opts.Now()
	}
}

// Reconnected says that the broker was lost and is found again: it may have lost what it had not written to its disk. All that is in
// the journal is published again.
func (j *Journal) Reconnected() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.epoch++
	away := time.Duration(0)
	if j.lost {
		away = j.opts.Now().Sub(j.lostAt)
	}
	j.lost = false
	for _, s := range j.segments {
		s.touched = s.touched.Add(away) // perhaps it stood still, and wrote nothing to its disk
		s.again()
	}
	signal(j.again)
}

func refused(err error) bool {
	var e interface{ Refused() bool }
	return errors.As(err, &e) && e.Refused()
}

func final(err error) bool {
	var e interface{ Retryable() bool }
	return errors.As(err, &e) && !e.Retryable()
}

// Stats is what monitoring wants to know.
type Stats struct {
	// Bytes are in the files, of MaxBytes.
	Bytes, MaxBytes int64
	// Unpublished is how many bytes of them the broker may not have, at most.
	Unpublished int64
	Files       int
	// Closed: the broker refuses, so nothing is taken. Behind: it is away, or slow.
	Closed, Behind bool
	// Stuck: there are events that the broker will never take as they are, or a file that cannot be read.
	Stuck bool
	// Failing is why nothing can be written, nil if it can.
	Failing error
}

// Stats looks at the journal.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Stats{
		Bytes: j.used, MaxBytes: j.opts.MaxBytes, Files: len(j.segments),
		Closed: j.link == refusing, Behind: j.link == behind, Failing: j.failing,
	}
	for _, seg := range j.segments {
		s.Unpublished += seg.unpublished()
		s.Stuck = s.Stuck || seg.stuck || seg.unread != clean
	}
	return s
}

// Ready is nil if an event would be taken now, else why not.
func (j *Journal) Ready() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return errClosed
	case j.failing != nil:
		return errors.Join(ErrDisk, j.failing)
	case j.link == refusing:
		return errors.Join(ErrDoorClosed, j.refusal)
	case j.used+j.waiting+maxRecord > j.opts.MaxBytes:
		return ErrFull
	}
	return nil
}
