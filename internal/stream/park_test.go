package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

// A worker that dies after the wake-up call was stored and before the message was acknowledged
// leaves two of them; both are handled, and nothing is left.
func TestKilledBetweenParkAndAck(t *testing.T) {
	b := streamtest.Server(t)
	dying, j := open(t, b)
	c, _ := dial(t, b)
	j.mu.Lock()
	j.hook = func(line map[string]any) {
		if line["message"] != "parked" {
			return
		}
		if n := counts(t, c); n.Parked != 1 || n.Work != 1 {
			t.Errorf("at the line 'parked' the counts are %+v, want the schedule stored and the message not acknowledged", n)
		}
		dying.nc.Close()
	}
	j.mu.Unlock()
	first := runs(func(context.Context, *Message) error { return wait{until: time.Now().Add(time.Hour), state: "s"} }) // until it is woken by hand
	first.AckWait, first.Concurrency = 500*time.Millisecond, 1
	stop := consume(t, dying, first)
	put(t, c, Runs, "k1")
	eventually(t, "the connection is cut", func() bool { return dying.nc.IsClosed() })
	stop()

	states := make(chan string, 10)
	second := runs(func(_ context.Context, m *Message) error { states <- m.State; return nil })
	second.AckWait = 3 * time.Second
	consume(t, c, second)
	if s := receive(t, states, "the original again"); s != "" {
		t.Errorf("state %q, want the original", s)
	}
	eventually(t, "the other one to be left", func() bool { return counts(t, c) == Counts{Parked: 1} })
	wake(t, c, "k1")
	if s := receive(t, states, "the one that was parked"); s != "s" {
		t.Errorf("state %q, want the parked one", s)
	}
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
	if len(states) > 0 {
		t.Error("handled a third time")
	}
}

// Two copies of a message that are both parked become one.
func TestParkingTwiceReplaces(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	put(t, c, Runs, "k1")
	put(t, c, Runs, "k1")
	handled := make(chan string, 10)
	until := time.Now().Add(time.Hour) // until it is woken by hand
	consume(t, c, runs(func(_ context.Context, m *Message) error {
		if m.State == "" {
			return wait{until: until, state: "s"}
		}
		handled <- m.State
		return nil
	}))
	eventually(t, "both are one", func() bool { return counts(t, c) == Counts{Parked: 1} })
	wake(t, c, "k1")
	receive(t, handled, "the one")
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
	if len(handled) > 0 {
		t.Error("handled twice after waking up")
	}
}

func TestParkedSurvivesARestart(t *testing.T) {
	b := streamtest.Server(t)
	b.Front()
	c, j := open(t, b)
	handled := make(chan *Message, 10)
	until := time.Now().Add(3 * time.Second).Truncate(time.Second)
	consume(t, c, runs(func(_ context.Context, m *Message) error {
		if m.State == "" {
			return wait{until: until, state: "s"}
		}
		handled <- m
		return nil
	}))
	put(t, c, Runs, "k1")
	eventually(t, "parked", func() bool { return len(j.with("parked")) == 1 })
	b.Restart()
	m := receive(t, handled, "the message, by the same consumer, after the restart")
	if time.Now().Before(until) {
		t.Errorf("it came back %s early", time.Until(until))
	}
	if m.Header["Millrace-Key"] != "k1" {
		t.Errorf("message = %+v", m)
	}
	eventually(t, "nothing left", func() bool { n, err := c.Counts(t.Context()); return err == nil && n == Counts{} })
}

// Parked runs hold no worker and no place: with more of them than the consumer may hand out
// at once, an unrelated one is handled while every one of them is still waiting.
func TestManyParkedDelayNobody(t *testing.T) {
	const parked = 10_000
	b := streamtest.Server(t)
	c, _ := open(t, b)
	release := time.Now().Add(time.Hour) // until they are woken by hand
	unrelated := make(chan Counts, 1)
	var woken sync.Map
	var count, early atomic.Int32
	cons := runs(func(ctx context.Context, m *Message) error {
		switch {
		case m.Header["Millrace-Key"] == "unrelated":
			n, err := c.Counts(ctx)
			if err != nil {
				return err
			}
			unrelated <- n
			return nil
		case m.State == "":
			return wait{until: release, state: "s"}
		}
		if _, twice := woken.LoadOrStore(m.Header["Millrace-Key"], true); twice {
			early.Add(1)
		}
		count.Add(1)
		return nil
	})
	cons.Concurrency, cons.MaxAckPending = 16, 100
	consume(t, c, cons)
	putMany(t, c, parked)
	eventually(t, "all parked", func() bool { return counts(t, c) == Counts{Parked: parked} })

	put(t, c, Runs, "unrelated")
	if n := receive(t, unrelated, "the unrelated run"); n.Parked != parked {
		t.Errorf("%d were parked while the unrelated one was handled, want all %d", n.Parked, parked)
	}
	if count.Load() != 0 {
		t.Error("one woke up before its time")
	}
	keys := make([]string, parked)
	for i := range keys {
		keys[i] = "k" + strconv.Itoa(i)
	}
	wake(t, c, keys...)
	eventually(t, "all handled", func() bool { return count.Load() == parked })
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
	if early.Load() != 0 {
		t.Errorf("%d were handled twice", early.Load())
	}
}

// putMany fills the work queue without waiting for each message.
func putMany(t *testing.T, c *Conn, n int) {
	t.Helper()
	for i := range n {
		msg := nats.NewMsg(Runs)
		msg.Header.Set(headerKey, "k"+strconv.Itoa(i))
		msg.Data = []byte(`{"v":1}`)
		if _, err := c.js.PublishMsgAsync(msg, jetstream.WithStallWait(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, c.js.PublishAsyncComplete(), "all stored")
}

// wake replaces wake-up calls by such that are due, as parking again does.
func wake(t *testing.T, c *Conn, keys ...string) {
	t.Helper()
	for _, key := range keys {
		msg := nats.NewMsg(parkPrefix + key)
		msg.Header.Set(headerKey, key)
		msg.Header.Set(headerState, "s")
		msg.Header.Set(headerSchedule, "@at "+writeTime(time.Now()))
		msg.Header.Set(headerScheduleTarget, Runs)
		msg.Data = []byte(`{"v":1}`)
		if _, err := c.js.PublishMsgAsync(msg, jetstream.WithStallWait(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, c.js.PublishAsyncComplete(), "all woken")
}

func TestMessageWithoutAKeyIsParkedUnderItsPlace(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	keys := make(chan string, 10)
	consume(t, c, runs(func(_ context.Context, m *Message) error {
		keys <- m.Header["Millrace-Key"]
		if m.Attempts < 2 {
			return errors.New("no")
		}
		return nil
	}))
	for range 2 { // two of them do not replace each other
		if _, err := c.js.Publish(t.Context(), Runs, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	for range 6 {
		seen[receive(t, keys, "a delivery")]++
	}
	if fmt.Sprint(seen) != "map[m1:3 m2:3]" {
		t.Errorf("keys = %v", seen)
	}
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
}

// A failure while the broker is away costs nothing but time.
func TestBrokerAwayWhileHandling(t *testing.T) {
	b := streamtest.Server(t)
	b.Front()
	c, _ := open(t, b)
	begun, release := make(chan struct{}, 10), make(chan struct{})
	cons := runs(func(_ context.Context, m *Message) error {
		begun <- struct{}{}
		<-release
		if m.Attempts == 0 && !m.Redelivered {
			return errors.New("the broker is away")
		}
		return nil
	})
	cons.AckWait = time.Second
	consume(t, c, cons)
	put(t, c, Runs, "k1")
	receive(t, begun, "the delivery")
	b.Stop()
	close(release)
	b.Start()
	receive(t, begun, "the delivery after the broker is back")
	eventually(t, "nothing left", func() bool { n, err := c.Counts(t.Context()); return err == nil && n == Counts{} })
}
