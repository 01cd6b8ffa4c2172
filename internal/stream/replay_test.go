package stream

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/rules"
)

// bury makes a dead letter of whatever comes to a consumer, and returns it.
func bury(t *testing.T, c *Conn, cons Consumer) *DeadLetter {
	t.Helper()
	cons.Concurrency = 1
	cons.Handler = func(context.Context, *Message) error { return failure{final: true, class: "refused"} }
	before := counts(t, c).Dead
	stop := consume(t, c, cons)
	eventually(t, "a dead letter", func() bool { return counts(t, c).Dead == before+1 })
	stop()
	all := deadLetters(t, c)
	return all[len(all)-1]
}

// next is the next message of a consumer.
func next(t *testing.T, c *Conn, cons Consumer) *Message {
	t.Helper()
	got := make(chan *Message, 16)
	cons.Concurrency, cons.Handler = 1, func(_ context.Context, m *Message) error { got <- m; return nil }
	stop := consume(t, c, cons)
	m := receive(t, got, "the message of "+cons.Name)
	stop()
	return m
}

// A dead letter that is put again comes as if it had never been tried, and stays until it is dropped.
func TestPutAgain(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	cons := Consumer{Name: "commit", Stream: Work, Filter: Commits}
	put(t, c, Commits, "k1", "Millrace-Rule", "a")
	l := bury(t, c, cons)
	if err := c.PutAgain(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	m := next(t, c, cons)
	want := map[string]string{"Millrace-Key": "k1", "ce-id": "gitlab/k1", "Millrace-Rule": "a"}
	if diff := cmp.Diff(want, m.Header); diff != "" || m.Attempts != 0 || m.State != "" || string(m.Data) != string(l.Data) {
		t.Errorf("message %+v; header (-want +got):\n%s", m, diff)
	}
	read, err := c.DeadLetter(t.Context(), l.Sequence)
	if diff := cmp.Diff(l, read); diff != "" || err != nil {
		t.Errorf("%v; dead letter (-before +after):\n%s", err, diff)
	}
	for _, want := range []bool{true, false} {
		if dropped, err := c.DropDeadLetter(t.Context(), l.Sequence); dropped != want || err != nil {
			t.Errorf("dropped %t, %v; want %t", dropped, err, want)
		}
	}
	for _, gone := range []uint64{0, l.Sequence, l.Sequence + 1} {
		if read, err := c.DeadLetter(t.Context(), gone); read != nil || err != nil {
			t.Errorf("dead letter %d: %+v, %v", gone, read, err)
		}
	}
}

// An event does not go into the archive a second time, and what comes of it can be put again in turn.
func TestPutAgainEvent(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	if _, err := c.PublishEvent(t.Context(), event("1")); err != nil {
		t.Fatal(err)
	}
	l := bury(t, c, Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents})
	again := Consumer{Name: "rematch", Stream: Work, Filter: Matches}
	for range 2 {
		if err := c.PutAgain(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		l = bury(t, c, again)
	}
	if err := c.PutAgain(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	m := next(t, c, again)
	if m.Header["ce-id"] != "gitlab/1" || m.Header["ce-type"] != "merge_request.open" || m.Header["Millrace-Key"] != rules.Hash("match", "gitlab/1") {
		t.Errorf("header %v", m.Header)
	}
	if n := counts(t, c); n.Events != 1 || string(m.Data) != string(event("1").Body) {
		t.Errorf("%+v, body %s", n, m.Data)
	}
}

// A tick that is put again is the tick of its second, and the next one of its schedule does not replace it.
func TestPutAgainTick(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	tick := func() { // as the server makes one
		msg := nats.NewMsg("work.tick.daily")
		msg.Header.Set(HeaderScheduleID, "daily")
		msg.Header.Set(HeaderSchedulePattern, "@at "+at.Format(time.RFC3339))
		msg.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
		if _, err := c.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	tick()
	cons := Consumer{Name: "tick", Stream: Work, Filter: Ticks}
	l := bury(t, c, cons)
	if !l.FirstStored.Equal(at) || l.Subject != "work.tick.daily" {
		t.Fatalf("dead letter %+v, due %s", l, at)
	}
	if err := c.PutAgain(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	at = at.Add(time.Hour)
	tick()
	if n := counts(t, c); n.Work != 2 {
		t.Fatalf("%d messages wait, want the tick that was put again and the next one", n.Work)
	}
	m := next(t, c, cons)
	if !m.Stored.Equal(l.FirstStored) || m.Header[HeaderScheduleID] != "daily" {
		t.Errorf("message %+v", m)
	}
	l.FirstStored = time.Time{}
	if err := c.PutAgain(t.Context(), l); err == nil {
		t.Error("a tick of nobody knows when was put")
	}
}

func TestPutAgainRefuses(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	for _, subject := range []string{"", "work.at.k1", "work.at.cron.x", "records.run.a", "work.other"} {
		err := c.PutAgain(t.Context(), &DeadLetter{Subject: subject, Header: map[string]string{"Millrace-Key": "k1"}, FirstStored: time.Now()})
		var refused *Error
		if !errors.As(err, &refused) || refused.Retryable() {
			t.Errorf("subject %q: %v", subject, err)
		}
	}
	if n := counts(t, c); n != (Counts{}) {
		t.Errorf("counts %+v", n)
	}
}
