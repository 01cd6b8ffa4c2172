package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/events"
)

// An event that fails by itself is matched again as work, and its dead letter knows since when it failed.
func TestPoisonEventIsParkedAsWork(t *testing.T) {
	c, j := open(t, streamtest.Server(t))
	var mu sync.Mutex
	var tries []string
	giveUp := false
	handler := func(_ context.Context, m *Message) error {
		mu.Lock()
		defer mu.Unlock()
		tries = append(tries, fmt.Sprintf("%s %d", m.Subject, m.Attempts))
		if giveUp = len(tries) >= 3; giveUp {
			return failure{final: true, class: "evaluation"}
		}
		panic("a bug")
	}
	before := time.Now().Add(-time.Second)
	consume(t, c, Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents, Handler: handler})
	consume(t, c, Consumer{Name: "rematch", Stream: Work, Filter: Matches, Handler: handler})
	e := event("poison")
	if _, err := c.PublishEvent(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the dead letter", func() bool { return counts(t, c) == Counts{Events: 1, Dead: 1} })
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"events.gitlab.merge_request.open 0", "work.match 1", "work.match 2"}, tries); diff != "" {
		t.Errorf("tries (-want +got):\n%s", diff)
	}
	l := deadLetters(t, c)[0]
	if l.Subject != Matches || l.Consumer != "rematch" || l.Class != "evaluation" || l.Attempts != 3 || !bytes.Equal(l.Data, e.Body) || l.Header["ce-id"] != e.ID {
		t.Errorf("dead letter = %+v", l)
	}
	if l.FirstFailure.Before(before) || !l.FirstFailure.Before(l.LastFailure) || l.FirstStored.Before(before) || l.FirstStored.After(l.FirstFailure) {
		t.Errorf("stored %s, failed from %s to %s", l.FirstStored, l.FirstFailure, l.LastFailure)
	}
	if lines := j.with("retried"); len(lines) != 2 || lines[0]["class"] != "panic" || lines[0]["event_id"] != e.ID {
		t.Errorf("log:\n%s", j.messages())
	}
	eventually(t, "the event to be acknowledged", func() bool {
		cons, err := c.js.Consumer(t.Context(), string(Events), MatchConsumer)
		return err == nil && cons.CachedInfo().AckFloor.Stream == 1
	})
}

// Events without an id do not replace each other.
func TestPoisonEventsWithoutAnID(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	consume(t, c, Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents, Retry: Retry{First: time.Hour, Max: time.Hour}, Handler: func(context.Context, *Message) error {
		panic("a bug")
	}})
	for range 3 {
		if _, err := c.js.Publish(t.Context(), "events.gitlab.push", []byte("garbage")); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all parked", func() bool { return counts(t, c) == Counts{Events: 3, Parked: 3} })
}

// The largest event that is accepted can be parked and kept as a dead letter.
func TestLargestEventIsKept(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	fails := func(_ context.Context, m *Message) error {
		if m.Attempts == 0 {
			return errors.New(strings.Repeat("why ", maxReason))
		}
		return failure{final: true}
	}
	consume(t, c, Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents, Handler: fails})
	consume(t, c, Consumer{Name: "rematch", Stream: Work, Filter: Matches, Handler: fails})
	e := event("large")
	e.Body = fmt.Appendf(nil, `{"pad":"%s"}`, strings.Repeat("x", events.MaxBody-10))
	if _, err := c.PublishEvent(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the dead letter", func() bool { return counts(t, c) == Counts{Events: 1, Dead: 1} })
	if l := deadLetters(t, c)[0]; !bytes.Equal(l.Data, e.Body) {
		t.Errorf("%d bytes are kept of %d", len(l.Data), len(e.Body))
	}
}

// What is so large that it cannot be put again with anything added is a dead letter at its first failure, cut, and says so.
func TestOversizeMessageIsBuried(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	most := int(c.nc.MaxPayload())
	consume(t, c, runs(func(context.Context, *Message) error { return errors.New("away") }))
	large := nats.NewMsg(Runs)
	large.Header.Set(headerKey, "large")
	large.Data = bytes.Repeat([]byte("x"), most-100)
	wordy := nats.NewMsg(Runs)
	wordy.Header.Set(headerKey, "wordy")
	wordy.Header.Set("pad", strings.Repeat("x", 65_400))
	wordy.Data = []byte("small")
	for _, msg := range []*nats.Msg{large, wordy} {
		if _, err := c.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the dead letters", func() bool { return counts(t, c) == Counts{Dead: 2} })
	for _, l := range deadLetters(t, c) {
		if l.Class != ClassSize || l.Attempts != 1 || !strings.HasPrefix(l.Reason, "it cannot be parked: ") {
			t.Errorf("dead letter: class %s, %d attempts, %s", l.Class, l.Attempts, l.Reason)
		}
		switch l.Header[headerKey] {
		case "large":
			if want := fmt.Sprintf("of its %d bytes the first %d are kept", most-100, len(l.Data)); !strings.Contains(l.Reason, want) || len(l.Data) < most-4<<10 {
				t.Errorf("%d bytes of the large one are kept: %s", len(l.Data), l.Reason)
			}
		case "":
			if string(l.Data) != "small" || !strings.Contains(l.Reason, "its headers are too large and not kept") {
				t.Errorf("the one with large headers: %q, %s", l.Data, l.Reason)
			}
		}
	}
}

// stray is a message that no stream has delivered.
type stray struct {
	jetstream.Msg
	acked *int
}

func (stray) Subject() string                           { return Runs }
func (stray) Headers() nats.Header                      { return nats.Header{"Odd": {"yes"}} }
func (stray) Data() []byte                              { return []byte("\x00garbage") }
func (stray) Metadata() (*jetstream.MsgMetadata, error) { return nil, jetstream.ErrNotJSMessage }
func (s stray) Ack() error                              { *s.acked++; return nil }

func TestStrayMessageIsKept(t *testing.T) {
	c, j := open(t, streamtest.Server(t))
	r := &consuming{Conn: c, Consumer: Consumer{Name: "run", Handler: func(context.Context, *Message) error { panic("it is handled") }}, handlers: t.Context()}
	acked := 0
	r.handle(t.Context(), stray{acked: &acked})
	l := deadLetters(t, c)
	if len(l) != 1 || string(l[0].Data) != "\x00garbage" || l[0].Header["Odd"] != "yes" || !strings.Contains(l[0].Reason, "without a place in a stream") || acked != 1 {
		t.Errorf("acked %d times, dead letters %+v", acked, l)
	}
	if len(j.with("message refused")) != 1 {
		t.Errorf("log:\n%s", j.messages())
	}
}
