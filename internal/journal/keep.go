package journal

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

const (
	// inFlight is how many events are published from the files at the same time.
	inFlight = 32
	// publishTimeout is how long the broker may take for one of them.
	publishTimeout = 5 * time.Second
	// firstPause and lastPause are between two tries while the broker is away or refuses.
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	// readAgain is after how long a file that could not be read is tried again.
	readAgain = time.Minute
)

// keep publishes what requests have left and removes what is held no more, until ctx ends.
func (j *Journal) keep(ctx context.Context) {
	pause := time.Duration(0)
	for {
		work, idle := j.work, min(max(j.segmentAge/2, 10*time.Millisecond), readAgain)
		if pause > 0 {
			work, idle = nil, pause
		}
		timer := time.NewTimer(idle)
		select {
		case <-ctx.Done():
		case <-j.again:
			pause = 0
		case <-work:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		j.readUnread()
		if j.publishAll(ctx) {
			pause = 0
		} else {
			pause = min(max(2*pause, firstPause), lastPause)
		}
		j.tidy()
	}
}

// publishAll publishes all that is dirty when it begins, and tells whether the broker has taken it.
func (j *Journal) publishAll(ctx context.Context) bool {
	began, sent, good := j.opts.Now(), 0, true
	for _, s := range j.dirty() {
		n, ok := j.publishSegment(ctx, s)
		sent += n
		if !ok {
			good = false
			break
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if sent > 0 && ctx.Err() == nil {
		j.opts.Log.Info().Int("events", sent).Bool("complete", good).Dur("took", j.opts.Now().Sub(began)).Msg("journal published")
	}
	if good {
		j.caughtUp()
	}
	return good
}

// caughtUp lets requests go to the broker again: once it has taken what was left of them, and if it had refused, all of it. The lock is held.
func (j *Journal) caughtUp() {
	switch j.link {
	case open:
	case behind:
		j.link = open
		j.opts.Log.Info().Msg("broker caught up")
	case refusing:
		for _, s := range j.segments {
			if s.dirty != clean || len(s.flying) > 0 {
				return // landed says when to look again
			}
		}
		j.link, j.refusal = open, nil
		j.opts.Log.Info().Msg("door opened")
	}
}

// dirty are the segments with something to publish.
func (j *Journal) dirty() []*segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []*segment
	for _, s := range j.segments {
		if s.dirty != clean {
			all = append(all, s)
		}
	}
	return all
}

// readUnread lets what could not be read be tried again.
func (j *Journal) readUnread() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segments {
		if s.unread != clean && j.opts.Now().Sub(s.touched) >= readAgain {
			s.need(s.unread)
			s.unread = clean
		}
	}
}

// publishSegment publishes what is dirty in a segment, and tells how many events the broker has taken and whether that was all.
func (j *Journal) publishSegment(ctx context.Context, s *segment) (sent int, ok bool) {
	unsized := j.measure(s)
	j.mu.Lock()
	from, end := s.dirty, s.synced
	if from == clean || from >= end {
		from = end
	}
	s.dirty, s.reading = clean, from
	j.mu.Unlock()
	r := &round{journal: j, segment: s, failed: clean}
	err := unsized
	if err == nil {
		err = r.read(ctx, from, end)
	}
	r.flight.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	s.reading = clean
	if !s.had || r.taken || err != nil || r.lost > 0 {
		s.touched = j.opts.Now()
	}
	if err != nil {
		s.unread = from
	}
	if err != nil || r.lost > 0 {
		j.opts.Log.Error().AnErr("error", err).Str("file", s.name).Int64("bytes", r.lost).
			Str("reason", "what was whole before cannot be read any more: look at the disk").Msg("journal damaged")
	}
	if r.failed != clean {
		s.need(r.failed)
	}
	return r.sent, r.failed == clean
}

// measure finds out how large a segment is that could not be looked at when it was found.
func (j *Journal) measure(s *segment) error {
	j.mu.Lock()
	unsized := s.unsized
	j.mu.Unlock()
	if !unsized {
		return nil
	}
	data, size, err := openSized(j.disk, s.name)
	if err != nil {
		return err
	}
	_ = data.Close() // only looked at
	j.mu.Lock()
	defer j.mu.Unlock()
	s.synced, s.unsized = size, false
	j.used += size
	return nil
}

// round is one way through a segment.
type round struct {
	journal *Journal
	segment *segment
	flight  sync.WaitGroup

	lost int64 // bytes that were records once
	// Under the journal's lock.
	sent   int
	taken  bool  // the broker did not have one of them
	failed int64 // the first place of an event that the broker did not take, or clean
}

// read publishes what is between two places. It stops at the first event that the broker does not take.
func (r *round) read(ctx context.Context, from, end int64) error {
	if from == end {
		return nil
	}
	data, err := r.journal.disk.open(r.segment.name)
	if err != nil {
		return err
	}
	defer func() { _ = data.Close() }() // only read
	scan := scanner{from: data, salt: r.segment.salt, off: from, end: end}
	places := make(chan struct{}, inFlight)
	for {
		at, payload, err := scan.next()
		if errors.Is(err, io.EOF) {
			r.lost = scan.lost + scan.torn
			return nil
		}
		if err != nil {
			return err
		}
		if r.flies(at) {
			continue
		}
		e, err := readEvent(payload)
		if err != nil {
			r.land(at, nil, false, finalError{err})
			continue
		}
		places <- struct{}{}
		if r.over(at) {
			return nil
		}
		r.flight.Go(func() {
			defer func() { <-places }()
			publishing, cancel := context.WithTimeout(ctx, publishTimeout)
			defer cancel()
			duplicate, err := r.journal.opts.Broker.PublishAgain(publishing, e)
			r.land(at, e, duplicate, err)
		})
	}
}

// flies tells whether a request publishes the event at a place.
func (r *round) flies(at int64) bool {
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	return r.segment.flying[at]
}

// over tells whether the broker has not taken an event before the one at a place, which is then left for later.
func (r *round) over(at int64) bool {
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	return r.failed != clean && r.failed < at
}

// land notes what became of the event at a place.
func (r *round) land(at int64, e *events.Event, duplicate bool, err error) {
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	switch {
	case err == nil:
		r.sent++
		r.taken = r.taken || !duplicate
	case final(err):
		r.journal.stick(r.segment, e, err)
	default:
		r.journal.heard(err)
		if r.failed == clean || at < r.failed {
			r.failed = at
		}
	}
}

// finalError is one that no repetition mends.
type finalError struct{ error }

// Retryable is false.
func (finalError) Retryable() bool { return false }

// Unwrap returns the cause.
func (e finalError) Unwrap() error { return e.error }

// tidy ends the active segment when it is old, and removes the segments that the broker has and that were held long enough.
func (j *Journal) tidy() {
	for _, s := range j.past() {
		if err := j.disk.remove(s.name); err != nil {
			j.opts.Log.Warn().Err(err).Str("file", s.name).Msg("journal failed")
			continue
		}
		j.mu.Lock()
		j.drop(s)
		j.mu.Unlock()
	}
}

// past are the segments to be removed.
func (j *Journal) past() []*segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.opts.Now()
	if j.active != nil && !j.closed && now.Sub(j.active.begun) >= j.segmentAge {
		signal(j.arrived) // commit seals it
	}
	var all []*segment
	for _, s := range j.segments {
		if !j.lost && s.sealed && s.done() && now.Sub(s.touched) >= j.opts.Hold {
			all = append(all, s)
		}
	}
	return all
}
