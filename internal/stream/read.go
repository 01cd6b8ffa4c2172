package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/pkg/events"
)

// ReadOptions says which events to read. The zero value is all there are.
type ReadOptions struct {
	// From leaves out what was stored before it. Zero: no such limit. Not together with FromSequence.
	From time.Time
	// Until leaves out what was stored at that time or later. Zero: no such limit.
	Until time.Time
	// FromSequence is the first place in EVENTS to read. 0: the first there is.
	FromSequence uint64
	// To is the last place in EVENTS to read. 0: the last there is when reading begins.
	To uint64
	// Source is the name of one source. Empty: all.
	Source string
	// Type is one event type, or the first part of a type and ".*". Empty: all.
	Type string
}

const (
	readAhead      = 4096     // messages
	readAheadBytes = 16 << 20 // of one request; a message has about 1 MiB at most
	// readIdle is how long nothing may come before another consumer is made.
	readIdle = 2 * time.Second
	// readPatience is how long the broker may be away.
	readPatience = 2 * time.Minute
)

// errReadAgain tells that a consumer is of no use any more, and another has to be made.
var errReadAgain = errors.New("the connection or the consumer was lost")

// EventsSpan is the places of the first and the last event in EVENTS. With none, first is last + 1.
func (c *Conn) EventsSpan(ctx context.Context) (first, last uint64, err error) {
	info, err := c.info(ctx, Events)
	if err != nil {
		return 0, 0, err
	}
	return info.State.FirstSeq, info.State.LastSeq, nil
}

// ReadEvents calls fn for the events stored in EVENTS, in the order they were stored, each once, until fn returns an error, which it hands on.
// What is stored while it reads is left out. A message that is no event is handed over too, with [StoredEvent.Err].
//
// It reads by a consumer of its own, in memory of the broker, that it removes again: it acknowledges nothing, and no other consumer
// notices. When the connection is lost it goes on after the last event as soon as there is one again, and gives up after two
// minutes. What is purged before it is read is left out.
func (c *Conn) ReadEvents(ctx context.Context, o ReadOptions, fn func(*StoredEvent) error) error {
	const op = "read events"
	filter, err := o.filter()
	if err != nil {
		return final(op, ClassFailed, "%v", err)
	}
	return c.read(ctx, op, Events, filter, o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error { return fn(storedEvent(m, meta)) })
}

// read calls fn for what a store holds under a subject, as [Conn.ReadEvents] says.
func (c *Conn) read(
	ctx context.Context, op string, store Store, filter string, o ReadOptions, fn func(jetstream.Msg, *jetstream.MsgMetadata) error,
) error {
	s, err := c.stream(ctx, store)
	if err != nil {
		return refuse(op, err)
	}
	if o.To == 0 {
		info, err := c.info(ctx, store)
		if err != nil {
			return err
		}
		if o.To = info.State.LastSeq; o.To == 0 {
			return nil
		}
	}
	r := &reading{conn: c, stream: s, ReadOptions: o, filter: filter, fn: fn}
	for failures := 0; ; failures++ {
		before := r.last
		err := r.round(ctx)
		var stop *stopReading
		switch {
		case err == nil:
			return nil
		case errors.As(err, &stop):
			return stop.err
		case ctx.Err() != nil:
			return refuse(op, ctx.Err())
		}
		if r.last != before || failures == 0 {
			failures, r.lost = 0, time.Now()
		}
		if time.Since(r.lost) > readPatience || errors.Is(err, jetstream.ErrStreamNotFound) {
			return refuse(op, err)
		}
		pause(ctx, failures)
	}
}

// filter is the subject of what is to be read.
func (o ReadOptions) filter() (string, error) {
	if !o.From.IsZero() && o.FromSequence > 0 {
		return "", errors.New("reading begins at a time or at a place, not at both")
	}
	source, kind := or(o.Source, "*"), or(o.Type, ">")
	if o.Source != "" && !events.ValidSource(o.Source) {
		return "", fmt.Errorf("%q is not the name of a source", o.Source)
	}
	if first, rest := strings.CutSuffix(o.Type, ".*"); o.Type != "" && (!events.ValidType(first) || rest && strings.Contains(first, ".")) {
		return "", fmt.Errorf("%q is not an event type", o.Type)
	}
	return "events." + source + "." + kind, nil
}

// reading is one call of read.
type reading struct {
	ReadOptions
	conn   *Conn
	stream jetstream.Stream
	filter string
	fn     func(jetstream.Msg, *jetstream.MsgMetadata) error

	last uint64    // place of the last message handed over
	lost time.Time // when trouble began
}

// stopReading is the end that fn asked for.
type stopReading struct{ err error }

func (s *stopReading) Error() string { return s.err.Error() }

// round reads with one consumer. nil: that was all.
func (r *reading) round(ctx context.Context) error {
	cons, err := r.consumer(ctx)
	if err != nil {
		return err
	}
	info := cons.CachedInfo()
	defer func() { // it would go by itself
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		_ = r.stream.DeleteConsumer(ctx, info.Name)
	}()
	if info.NumPending == 0 {
		return nil
	}
	it, err := cons.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(readAhead, readAheadBytes),
		jetstream.PullExpiry(pullExpiry),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer it.Stop()
	defer context.AfterFunc(ctx, it.Stop)()
	return r.drain(it)
}

func (r *reading) consumer(ctx context.Context) (jetstream.Consumer, error) {
	cfg := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, FilterSubject: r.filter, Replicas: 1, MemoryStorage: true, InactiveThreshold: time.Minute,
	}
	switch {
	case r.last > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.last+1
	case r.FromSequence > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.FromSequence
	case !r.From.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.From
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return r.stream.CreateConsumer(ctx, cfg)
}

// drain hands over what comes until the end. The numbers a consumer gives show when one went missing.
func (r *reading) drain(it jetstream.MessagesContext) error {
	idle := or(r.conn.cfg.heartbeat, readIdle)
	for got := uint64(0); ; {
		m, err := it.Next(jetstream.NextMaxWait(idle))
		if errors.Is(err, nats.ErrTimeout) { // something got lost, or what was left has been purged: the next consumer knows
			return errReadAgain
		}
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != got+1 {
			return errReadAgain
		}
		got++
		if meta.Sequence.Stream > r.To || !r.Until.IsZero() && !meta.Timestamp.Before(r.Until) {
			return nil
		}
		if err := r.fn(m, meta); err != nil {
			return &stopReading{err}
		}
		r.last = meta.Sequence.Stream
		if r.last == r.To || meta.NumPending == 0 {
			return nil
		}
	}
}

func storedEvent(m jetstream.Msg, meta *jetstream.MsgMetadata) *StoredEvent {
	e, err := events.FromHeader(m.Headers().Get, m.Data())
	return &StoredEvent{Event: e, Sequence: meta.Sequence.Stream, Stored: meta.Timestamp.UTC(), Err: err}
}
