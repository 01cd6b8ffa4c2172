package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/pkg/events"
)

// findBatch is how many headers are asked for at a time.
const findBatch = 1000

// StoredEvent is an event with its place in EVENTS.
type StoredEvent struct {
	*events.Event
	Sequence uint64
	Stored   time.Time // in UTC
	// Err says why what is stored there is no event; then Event is nil. Only [Conn.ReadEvents] hands such over.
	Err error
}

// FindEvent looks for an event in EVENTS by its id, among those stored from a time on; a zero time is the beginning. It reads the
// headers of all events of the source until it finds it, by a consumer that it removes again. Of several with the same id it is
// the first. nil and no error: there is none, or not any more.
func (c *Conn) FindEvent(ctx context.Context, id string, from time.Time) (*StoredEvent, error) {
	op := "look for event " + id
	source, _, ok := strings.Cut(id, "/")
	if !ok || !events.ValidSource(source) {
		return nil, final(op, ClassFailed, "an event id is a source, a slash and the sender's delivery id")
	}
	s, err := c.stream(ctx, Events)
	if err != nil {
		return nil, refuse(op, err)
	}
	cfg := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, FilterSubject: eventPrefix + source + ".>", HeadersOnly: true,
		MemoryStorage: true, InactiveThreshold: 30 * time.Second,
	}
	if !from.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &from
	}
	cons, err := s.CreateConsumer(ctx, cfg)
	if err != nil {
		return nil, refuse(op, err)
	}
	defer func() { _ = s.DeleteConsumer(context.WithoutCancel(ctx), cons.CachedInfo().Name) }() // it would go by itself
	seq, err := findHeader(ctx, cons, id)
	switch {
	case err != nil:
		return nil, refuse(op, err)
	case seq == 0:
		return nil, nil
	}
	return c.EventAt(ctx, seq) // it may have been purged since
}

// EventAt reads the event at a place in EVENTS, from 1 on. nil and no error: there is none, or not any more.
func (c *Conn) EventAt(ctx context.Context, seq uint64) (*StoredEvent, error) {
	op := fmt.Sprintf("read event %d", seq)
	s, err := c.stream(ctx, Events)
	if err != nil {
		return nil, refuse(op, err)
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, refuse(op, err)
	}
	e, err := events.FromHeader(func(name string) string { return m.Header.Get(name) }, m.Data)
	if err != nil {
		return nil, final(op, ClassFailed, "what is stored there is no event: %v", err)
	}
	return &StoredEvent{Event: e, Sequence: seq, Stored: m.Time.UTC()}, nil
}

// findHeader is the sequence of the event with that id, 0 when the consumer has come to the end without it.
func findHeader(ctx context.Context, cons jetstream.Consumer, id string) (uint64, error) {
	left := cons.CachedInfo().NumPending
	next := uint64(1)
	for left > 0 {
		batch, err := cons.Fetch(int(min(left, findBatch)), jetstream.FetchMaxWait(requestTimeout))
		if err != nil {
			return 0, err
		}
		before := next
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return 0, err
			}
			if meta.Sequence.Consumer != next {
				return 0, fmt.Errorf("header %d came where %d was due: the connection was lost in between", meta.Sequence.Consumer, next)
			}
			next++
			left = meta.NumPending
			if e, err := events.FromHeader(m.Headers().Get, nil); err == nil && e.ID == id {
				return meta.Sequence.Stream, nil
			}
		}
		if err := batch.Error(); err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if next == before { // what was left may have been purged
			info, err := cons.Info(ctx)
			if err != nil {
				return 0, err
			}
			left = info.NumPending
		}
	}
	return 0, nil
}
