package stream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	housekeepEvery = time.Minute
	// eventsFull is the part of EVENTS, in percent, above which matched events go early.
	eventsFull = 90
)

// Housekeep removes matched events from EVENTS until ctx ends: those older than
// Config.EventsKeep, and above 90 % of the store's cap all of them. What the match consumer of its source has not
// acknowledged is never removed. It also gives stores the replicas that Config.Replicas asks for, as [Conn.Ensure] does, once a cluster has
// grown. Any number of workers may do it at once.
func (c *Conn) Housekeep(ctx context.Context) error {
	tick := time.NewTicker(housekeepEvery)
	defer tick.Stop()
	for {
		purged, err := c.purgeEvents(ctx, time.Now())
		if err != nil && ctx.Err() == nil {
			c.log.Warn().Err(err).Msg("events not purged")
		}
		if purged > 0 {
			c.log.Info().Uint64("events", purged).Msg("events purged")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		c.raiseReplicas(ctx)
	}
}

// purgeEvents does it once and returns how many sequences it freed.
func (c *Conn) purgeEvents(ctx context.Context, now time.Time) (purged uint64, err error) {
	s, err := c.stream(ctx, Events)
	if err != nil {
		return 0, refuse("look up EVENTS", err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(AllEvents))
	if err != nil {
		return 0, refuse("look up EVENTS", err)
	}
	first, keepFrom := info.State.FirstSeq, info.State.LastSeq+1
	if info.State.Msgs == 0 {
		return 0, nil
	}
	if limit := info.Config.MaxBytes; limit <= 0 || info.State.Bytes < uint64(limit)/100*eventsFull {
		keepFrom, err = firstSince(ctx, s, first, info.State.LastSeq, now.Add(-c.cfg.EventsKeep))
		if err != nil {
			return 0, refuse("look for old events", err)
		}
	}
	if keepFrom > first {
		if keepFrom, err = c.firstUnmatched(ctx, s, info, keepFrom); err != nil {
			return 0, err
		}
	}
	if keepFrom <= first {
		return 0, nil
	}
	// By subject it would be exact, but the server would read all of the store for it and take no event meanwhile.
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(keepFrom)); err != nil {
		return 0, refuse("purge EVENTS", err)
	}
	return keepFrom - first, nil
}

// firstUnmatched is the first sequence before another one whose event the consumer of its source may not have acknowledged; that other
// one if there is none. info is of before, with all subjects.
func (c *Conn) firstUnmatched(ctx context.Context, s jetstream.Stream, info *jetstream.StreamInfo, before uint64) (uint64, error) {
	consumers, err := c.eventConsumers(ctx)
	if err != nil {
		return 0, err
	}
	for source := range sourcesIn(info) {
		after := uint64(0) // a source without a consumer has nothing matched
		if cons := consumers[consumerOf(MatchConsumer, source)]; cons != nil {
			after = cons.AckFloor.Stream
		}
		if after+1 >= before {
			continue
		}
		m, err := s.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(subjectOf(Events, source))) // the first one at or after it
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return 0, refuse("look for events that are not matched", err)
		default:
			before = min(before, m.Sequence)
		}
	}
	return before, nil
}

// firstSince is the first sequence from first on whose message is not older than since, and
// at most last+1.
func firstSince(ctx context.Context, s jetstream.Stream, first, last uint64, since time.Time) (uint64, error) {
	low, high := first, last+1 // everything before low is older, nothing from high on is asked about
	for low < high {
		mid := low + (high-low)/2
		m, err := s.GetMsg(ctx, mid, jetstream.WithGetMsgSubject(AllEvents)) // the first one at or after mid
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return 0, err
		}
		switch {
		case err != nil || m.Sequence >= high || !m.Time.Before(since):
			high = mid
		default:
			low = m.Sequence + 1
		}
	}
	return low, nil
}
