package stream

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Message is one message handed to a handler.
type Message struct {
	Subject string
	// Header is as it was put: without the broker's headers and those managed here.
	Header map[string]string
	Data   []byte
	// Attempts counts the tries that failed so far. For an event it counts deliveries.
	Attempts int
	// FirstTried is when a handler first got it, for an event when it was stored.
	FirstTried time.Time
	// State is what a handler asked to be kept when it parked the message, else "".
	State string
	// Stored is when the message was first stored. A tick of "@at" has the time of its
	// schedule, any other tick the second in which it was due.
	Stored time.Time
	// Sequence is the message's place in its stream at this delivery.
	Sequence uint64
	// Redelivered tells that it was delivered before and nobody finished with it.
	Redelivered bool
}

// Headers of work messages that this package reads or manages.
const (
	headerKey          = "Millrace-Key"
	headerAttempts     = "Millrace-Attempts"
	headerFirstTried   = "Millrace-First-Tried"
	headerState        = "Millrace-State"
	headerFirstFailure = "Millrace-First-Failure"
	headerLastFailure  = "Millrace-Last-Failure"
	headerStored       = "Millrace-Stored"
)

// travels is true for headers that belong to whoever put the message.
func travels(name string) bool {
	switch name {
	case headerAttempts, headerFirstTried, headerState, headerFirstFailure, headerLastFailure, headerStored:
		return false
	}
	return !strings.HasPrefix(name, "Nats-")
}

// delivery is a message together with what is needed to settle it.
type delivery struct {
	msg jetstream.Msg
	*Message
	key string
	// firstFailure and lastFailure are zero while nothing failed.
	firstFailure, lastFailure time.Time
	isEvent                   bool
}

// readDelivery fails only for what no stream delivered; what there is of it is returned all the same.
func readDelivery(msg jetstream.Msg, now time.Time) (*delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		meta = &jetstream.MsgMetadata{Timestamp: now}
		err = fmt.Errorf("message on %s without a place in a stream: %w", msg.Subject(), err)
	}
	d := newDelivery(msg.Subject(), msg.Headers(), meta, now)
	d.msg, d.Data = msg, msg.Data()
	return d, err
}

// newDelivery reads what the headers say. Nonsense there counts as absent: anybody who may
// publish can write it.
func newDelivery(subject string, from nats.Header, meta *jetstream.MsgMetadata, now time.Time) *delivery {
	d := &delivery{isEvent: Store(meta.Stream) == Events, Message: &Message{
		Subject: subject, Header: make(map[string]string, len(from)),
		Stored: meta.Timestamp.UTC(), FirstTried: now.UTC(),
		Sequence: meta.Sequence.Stream, Redelivered: meta.NumDelivered > 1,
	}}
	for name := range from {
		if travels(name) {
			d.Header[name] = from.Get(name)
		}
	}
	if d.isEvent {
		d.Attempts, d.FirstTried = max(int(meta.NumDelivered)-1, 0), d.Stored
		return d
	}
	d.Attempts, _ = strconv.Atoi(from.Get(headerAttempts))
	d.Attempts = min(max(d.Attempts, 0), mostAttempts)
	d.State, _ = url.PathUnescape(from.Get(headerState))
	readTime(&d.FirstTried, from.Get(headerFirstTried))
	readTime(&d.firstFailure, from.Get(headerFirstFailure))
	readTime(&d.lastFailure, from.Get(headerLastFailure))
	if strings.HasPrefix(subject, tickPrefix) {
		d.Stored = d.Stored.Truncate(time.Second)
		if at, ok := atTime(d.Header[HeaderSchedulePattern]); ok {
			d.Stored = at.UTC()
		}
	}
	readTime(&d.Stored, from.Get(headerStored))
	if d.key = d.Header[headerKey]; !validToken(d.key) {
		d.key = fmt.Sprintf("m%d", d.Sequence)
		d.Header[headerKey] = d.key
	}
	return d
}

// mostAttempts is where counting stops.
const mostAttempts = 1_000_000

func readTime(into *time.Time, text string) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		*into = t.UTC()
	}
}

func writeTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
