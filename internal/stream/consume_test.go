package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

func TestHandlerReceivesWhatWasPut(t *testing.T) {
	c, j := open(t, streamtest.Server(t))
	got := make(chan *Message, 1)
	consume(t, c, runs(func(_ context.Context, m *Message) error { got <- m; return nil }))
	before := time.Now().Add(-time.Second)
	put(t, c, Runs, "k1", "Millrace-Rule", "a", "Nats-Msg-Id", "x", "Millrace-Attempts", "7", "Millrace-State", "old")

	m := receive(t, got, "the message")
	want := map[string]string{"Millrace-Key": "k1", "ce-id": "gitlab/k1", "Millrace-Rule": "a"}
	if diff := cmp.Diff(want, m.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if m.Subject != Runs || string(m.Data) != `{"v":1}` || m.Attempts != 0 || m.State != "" || m.Redelivered || m.Sequence != 1 {
		t.Errorf("message = %+v", m)
	}
	if m.Stored.Before(before) || m.FirstTried.Before(before) {
		t.Errorf("stored %s, first tried %s, want now", m.Stored, m.FirstTried)
	}
	eventually(t, "acked", func() bool { return len(j.with("acked")) == 1 })
	eventually(t, "nothing left", func() bool { return counts(t, c).Work == 0 })
}

func TestParkedComesBackWithItsState(t *testing.T) {
	c, j := open(t, streamtest.Server(t))
	got := make(chan *Message, 2)
	consume(t, c, runs(func(_ context.Context, m *Message) error {
		got <- m
		if m.State == "" {
			return fmt.Errorf("wrapped: %w", wait{state: "fact 2; 50 %\nnext"})
		}
		return nil
	}))
	put(t, c, Runs, "k1", "Millrace-Rule", "a")
	first, second := receive(t, got, "the first delivery"), receive(t, got, "the second")
	if second.State != "fact 2; 50 %\nnext" || second.Attempts != 0 {
		t.Errorf("second = %+v, want the state and no attempt", second)
	}
	if !second.FirstTried.Equal(first.FirstTried) || !second.Stored.Equal(first.Stored) {
		t.Errorf("first tried %s then %s, stored %s then %s: want them to travel", first.FirstTried, second.FirstTried, first.Stored, second.Stored)
	}
	if diff := cmp.Diff(first.Header, second.Header); diff != "" {
		t.Errorf("header changed (-first +second):\n%s", diff)
	}
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
	if len(j.with("parked")) != 1 || len(j.with("retried")) != 0 {
		t.Errorf("log:\n%s", j.messages())
	}
}

func TestParkedForAges(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	consume(t, c, runs(func(context.Context, *Message) error {
		return wait{until: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}
	}))
	put(t, c, Runs, "k1")
	eventually(t, "parked", func() bool { return counts(t, c) == Counts{Parked: 1} })
}

func TestFailureIsTriedAgainAndCounted(t *testing.T) {
	c, j := open(t, streamtest.Server(t))
	var tries []int
	ended := make(chan struct{})
	cons := runs(func(_ context.Context, m *Message) error {
		tries = append(tries, m.Attempts)
		switch len(tries) {
		case 1:
			return errors.New("away")
		case 2:
			panic("a bug")
		}
		close(ended)
		return nil
	})
	cons.Concurrency = 1
	consume(t, c, cons)
	put(t, c, Runs, "k1")
	receive(t, ended, "the third try")
	if diff := cmp.Diff([]int{0, 1, 2}, tries); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	lines := j.with("retried")
	if len(lines) != 2 || lines[0]["reason"] != "away" || lines[0]["event_id"] != "gitlab/k1" || lines[0]["level"] != "warn" {
		t.Errorf("log:\n%s", j.messages())
	}
	if lines[1]["class"] != "panic" || !strings.Contains(fmt.Sprint(lines[1]["stack"]), "consume_test.go") {
		t.Errorf("panic line = %v, want its class and stack", lines[1])
	}
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
}

func TestRetryAfterIsAMinimum(t *testing.T) {
	c, j := open(t, streamtest.Server(t))
	consume(t, c, runs(func(context.Context, *Message) error { return failure{after: time.Minute} }))
	put(t, c, Runs, "k1")
	eventually(t, "parked", func() bool { return counts(t, c).Parked == 1 })
	until, err := time.Parse(time.RFC3339, fmt.Sprint(j.with("retried")[0]["until"]))
	if err != nil || time.Until(until) < 50*time.Second {
		t.Errorf("tried again at %s, want in a minute", until)
	}
}

func TestFinalFailureIsBuried(t *testing.T) {
	c, j := open(t, streamtest.Server(t))
	var buried atomic.Int32
	cons := runs(func(context.Context, *Message) error {
		return fmt.Errorf("line one\nline two: %w", failure{final: true, class: "conf lict."})
	})
	cons.Buried = func(_ context.Context, m *Message, reason, class string) error {
		if m.Header["Millrace-Key"] != "k1" || class != "conf_lict_" || !strings.HasPrefix(reason, "line one line two") {
			t.Errorf("buried(%v, %q, %q)", m, reason, class)
		}
		if counts(t, c).Dead != 0 {
			t.Error("told of the burial after the dead letter was written")
		}
		if buried.Add(1) == 1 {
			return errors.New("cannot put what waited")
		}
		return nil
	}
	consume(t, c, cons)
	put(t, c, Runs, "k1", "Millrace-Rule", "a")
	eventually(t, "a dead letter", func() bool { return counts(t, c).Dead == 1 })
	l := deadLetters(t, c)[0]
	if l.FirstFailure.After(l.LastFailure) || l.FirstFailure.IsZero() || l.Stored.IsZero() || l.FirstStored.IsZero() {
		t.Errorf("failures from %s to %s", l.FirstFailure, l.LastFailure)
	}
	l.FirstFailure, l.LastFailure, l.Stored, l.FirstStored = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	want := &DeadLetter{
		Sequence: 1, Class: "conf_lict_", Consumer: "run", Reason: "line one line two: the service said no",
		Attempts: 2, Subject: Runs, Data: []byte(`{"v":1}`),
		Header: map[string]string{"Millrace-Key": "k1", "ce-id": "gitlab/k1", "Millrace-Rule": "a"},
	}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Errorf("dead letter (-want +got):\n%s", diff)
	}
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{Dead: 1} })
	if lines := j.with("dead-lettered"); len(lines) != 1 || lines[0]["level"] != "error" || lines[0]["class"] != "conf_lict_" {
		t.Errorf("log:\n%s", j.messages())
	}
}

func TestGivenUpAfterTheRetryPolicy(t *testing.T) {
	c, _ := open(t, streamtest.Server(t), func(cfg *Config) { cfg.Retry.GiveUpAfter = time.Nanosecond })
	consume(t, c, runs(func(context.Context, *Message) error { panic("a bug") }))
	put(t, c, Runs, "k1")
	eventually(t, "a dead letter", func() bool { return counts(t, c).Dead == 1 })
	if l := deadLetters(t, c)[0]; l.Class != "exhausted" || l.Reason != "panic: a bug" || l.Attempts != 2 {
		t.Errorf("dead letter = %+v", l)
	}
}

// A consumer with a ladder of its own goes by that one.
func TestConsumerGivesUpByItsOwnLadder(t *testing.T) {
	c, _ := open(t, streamtest.Server(t)) // gives up after an hour
	cons := runs(func(context.Context, *Message) error { return errors.New("away") })
	cons.Retry.GiveUpAfter = time.Nanosecond
	consume(t, c, cons)
	put(t, c, Runs, "k1")
	eventually(t, "a dead letter", func() bool { return counts(t, c).Dead == 1 })
	if l := deadLetters(t, c)[0]; l.Class != "exhausted" || l.Attempts != 2 {
		t.Errorf("dead letter = %+v", l)
	}
}

func TestDeadLetterThatCannotBeWritten(t *testing.T) {
	c, j := open(t, streamtest.Server(t), func(cfg *Config) { cfg.DeadMaxBytes = 600 })
	consume(t, c, runs(func(context.Context, *Message) error { return failure{final: true} }))
	put(t, c, Runs, "k1", "pad", strings.Repeat("x", 1000))
	eventually(t, "parked again and again", func() bool { return len(j.with("not dead-lettered, parked again")) >= 2 })
	if n := counts(t, c); n.Dead != 0 || n.Work+n.Parked == 0 {
		t.Errorf("counts = %+v, want the message still there", n)
	}
	// With room it arrives.
	s, err := c.js.Stream(t.Context(), string(Dead))
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = 1 << 20
	if _, err := c.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the dead letter", func() bool { return counts(t, c) == Counts{Dead: 1} })
}

// What fails because of the broker stays in EVENTS.
func TestEventsAreRetriedInPlace(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	var mu sync.Mutex
	tries := map[string][]int{}
	consume(t, c, Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents, Weights: map[string]int{"gitlab": 1}, Concurrency: 2, Handler: func(_ context.Context, m *Message) error {
		mu.Lock()
		defer mu.Unlock()
		id := m.Header["ce-id"]
		tries[id] = append(tries[id], m.Attempts)
		switch {
		case id == "gitlab/final":
			return failure{final: true, class: "message"}
		case id == "gitlab/parked" && len(tries[id]) < 2:
			return wait{until: time.Now().Add(10 * time.Millisecond)}
		case len(tries[id]) < 3:
			return fmt.Errorf("match: %w", &Error{Op: "create record match.x", Err: errors.New("no answer")})
		}
		return nil
	}})
	for _, id := range []string{"again", "final", "parked"} {
		if _, err := c.PublishEvent(t.Context(), event(id)); err != nil {
			t.Fatal(err)
		}
	}
	acked := func() bool {
		cons, err := c.js.Consumer(t.Context(), string(Events), MatchConsumer+"-gitlab")
		return err == nil && cons.CachedInfo().AckFloor.Stream == 3
	}
	eventually(t, "all acknowledged", acked)
	mu.Lock()
	defer mu.Unlock()
	want := map[string][]int{"gitlab/again": {0, 1, 2}, "gitlab/final": {0}, "gitlab/parked": {0, 1, 2}}
	if diff := cmp.Diff(want, tries); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	if n := counts(t, c); n != (Counts{Events: 3, Dead: 1}) {
		t.Errorf("counts = %+v", n)
	}
	if l := deadLetters(t, c)[0]; l.Subject != "events.gitlab.merge_request.open" || l.Class != "message" || l.Consumer != MatchConsumer+"-gitlab" {
		t.Errorf("dead letter = %+v", l)
	}
}

func TestLongHandlerKeepsItsMessage(t *testing.T) {
	t.Parallel() // it takes its time
	c, _ := open(t, streamtest.Server(t))
	got, release := make(chan *Message, 10), make(chan struct{})
	cons := runs(func(_ context.Context, m *Message) error { got <- m; <-release; return nil })
	cons.AckWait = 6 * time.Second
	// A sign of life comes whenever a third of AckWait has passed. Without them the message would be delivered again before the fourth.
	alive := make(chan string, 100)
	sub, err := c.nc.Subscribe("$JS.ACK.WORK.run.>", func(m *nats.Msg) { alive <- string(m.Data) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	consume(t, c, cons)
	put(t, c, Runs, "k1")
	receive(t, got, "the message")
	for range 4 {
		if sign := receive(t, alive, "a sign of life"); sign != "+WPI" {
			t.Errorf("the broker is told %q while the handler runs", sign)
		}
	}
	close(release)
	eventually(t, "nothing left", func() bool { return counts(t, c).Work == 0 })
	if len(got) > 0 {
		t.Error("delivered again")
	}
}

func TestShutdownHandsBackWithoutCounting(t *testing.T) {
	b := streamtest.Server(t)
	c, _ := open(t, b)
	begun := make(chan struct{})
	cons := runs(func(ctx context.Context, _ *Message) error {
		close(begun)
		<-ctx.Done()
		return fmt.Errorf("fetch: %w", ctx.Err())
	})
	cons.Drain = 20 * time.Millisecond
	stop := consume(t, c, cons)
	put(t, c, Runs, "k1")
	receive(t, begun, "the first delivery")
	stop()

	got := make(chan *Message, 1)
	consume(t, c, runs(func(_ context.Context, m *Message) error { got <- m; return nil }))
	if m := receive(t, got, "the message, handed back"); m.Attempts != 0 || !m.Redelivered {
		t.Errorf("message = %+v, want no attempt counted", m)
	}
}

func TestShutdownLetsHandlersFinish(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	begun, release := make(chan struct{}), make(chan struct{})
	stop := consume(t, c, runs(func(ctx context.Context, _ *Message) error {
		close(begun)
		<-release
		return ctx.Err()
	}))
	put(t, c, Runs, "k1")
	receive(t, begun, "the delivery")
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Error("Consume returned before its handler")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	receive(t, stopped, "the end")
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
}
