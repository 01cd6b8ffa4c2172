package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

func TestConsumerThatIsDeletedIsMadeAgain(t *testing.T) {
	for _, idle := range []bool{true, false} {
		t.Run(fmt.Sprintf("idle=%t", idle), func(t *testing.T) {
			c, _ := open(t, streamtest.Server(t))
			got, release := make(chan string, 10), make(chan struct{}, 10)
			cons := runs(func(_ context.Context, m *Message) error { got <- m.Header["Millrace-Key"]; <-release; return nil })
			cons.Concurrency = 1
			consume(t, c, cons)
			put(t, c, Runs, "k1")
			receive(t, got, "the first")
			if idle {
				release <- struct{}{}
				eventually(t, "acknowledged", func() bool { return counts(t, c).Work == 0 })
			}
			if err := c.js.DeleteConsumer(t.Context(), string(Work), "run"); err != nil {
				t.Fatal(err)
			}
			put(t, c, Runs, "k2")
			if !idle {
				release <- struct{}{}
			}
			for range 2 {
				release <- struct{}{}
			}
			eventually(t, "the second", func() bool {
				select {
				case k := <-got:
					return k == "k2"
				default:
					return false
				}
			})
			eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
		})
	}
}

func TestDeletedMatchConsumerGoesOnFromItsFloor(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	for _, id := range []string{"1", "2"} {
		if _, err := c.PublishEvent(t.Context(), event(id)); err != nil {
			t.Fatal(err)
		}
	}
	r := &consuming{Conn: c, Consumer: Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents, AckWait: time.Second, MaxAckPending: 10}}
	s, err := c.js.Stream(t.Context(), string(Events))
	if err != nil {
		t.Fatal(err)
	}
	r.floor = floor{seq: 1, created: s.CachedInfo().Created}
	cons, err := r.consumer(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := cons.CachedInfo().NumPending; n != 1 {
		t.Errorf("%d events to deliver, want only the one after the floor", n)
	}
	// The floor of another stream of that name means nothing.
	if err := c.js.DeleteConsumer(t.Context(), string(Events), MatchConsumer); err != nil {
		t.Fatal(err)
	}
	r.floor.created = r.floor.created.Add(-time.Hour)
	if cons, err = r.consumer(t.Context(), cons); err != nil {
		t.Fatal(err)
	}
	if n := cons.CachedInfo().NumPending; n != 2 {
		t.Errorf("%d events to deliver, want both", n)
	}
}

func TestConsumerSettingsAreBroughtUpToDate(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	_, err := c.js.CreateConsumer(t.Context(), string(Work), jetstream.ConsumerConfig{
		Durable: "run", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 3, AckWait: time.Hour, FilterSubject: Runs,
		BackOff: []time.Duration{time.Hour, 2 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *Message, 1)
	consume(t, c, runs(func(_ context.Context, m *Message) error { got <- m; return nil }))
	put(t, c, Runs, "k1")
	receive(t, got, "the message")
	cons, err := c.js.Consumer(t.Context(), string(Work), "run")
	if err != nil {
		t.Fatal(err)
	}
	if have := cons.CachedInfo().Config; have.MaxDeliver != -1 || have.AckWait != 30*time.Second || len(have.BackOff) != 0 {
		t.Errorf("settings = %+v", have)
	}
}

func TestConsumeRefuses(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	nothing := func(context.Context, *Message) error { return nil }
	_, err := c.js.CreateConsumer(t.Context(), string(Events), jetstream.ConsumerConfig{Durable: "careless", AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		t.Fatal(err)
	}
	for want, cons := range map[string]Consumer{
		"ticks arrive on work.tick.*":       {Name: "tick", Stream: Work, Filter: "work.tick", Handler: nothing},
		"nothing arrives on \"work.at.>\"":  {Name: "at", Stream: Work, Filter: "work.at.>", Handler: nothing},
		"needs a name":                      {Name: "a b", Stream: Work, Filter: Runs, Handler: nothing},
		"and a handler":                     {Name: "run", Stream: Work, Filter: Runs},
		"its acknowledgement policy is not": {Name: "careless", Stream: Events, Filter: AllEvents, Handler: nothing},
	} {
		if err := c.Consume(t.Context(), cons); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Consume(%s, %s) = %v, want %q", cons.Name, cons.Filter, err, want)
		}
	}
	if err := c.js.DeleteStream(t.Context(), string(Work)); err != nil {
		t.Fatal(err)
	}
	if err := c.Consume(t.Context(), runs(nothing)); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("Consume without a stream = %v", err)
	}
}
