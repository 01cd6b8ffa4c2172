package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

func ticks(handler func(ctx context.Context, m *Message) error) Consumer {
	return Consumer{Name: "tick", Stream: Work, Filter: Ticks, Handler: handler}
}

func TestTickArrives(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	got := make(chan *Message, 100)
	consume(t, c, ticks(func(_ context.Context, m *Message) error { got <- m; return nil }))
	if err := c.EnsureSchedule(t.Context(), "often", "@every 1s", ""); err != nil {
		t.Fatal(err)
	}
	first, second := receive(t, got, "a tick"), receive(t, got, "the next tick")
	if first.Header[HeaderScheduleID] != "often" || first.Header[HeaderSchedulePattern] != "@every 1s" || string(first.Data) != `{"v":1}` {
		t.Errorf("tick = %+v", first)
	}
	if first.Stored.Nanosecond() != 0 || !second.Stored.After(first.Stored) {
		t.Errorf("due at %s and %s, want whole seconds that differ", first.Stored, second.Stored)
	}
}

// A poll arrives at its own consumer, and at no other.
func TestPollArrives(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	polled, ticked := make(chan *Message, 100), make(chan *Message, 100)
	consume(t, c, ticks(func(_ context.Context, m *Message) error { ticked <- m; return nil }))
	if err := c.EnsurePoll(t.Context(), "builds", "@every 1s"); err != nil {
		t.Fatal(err)
	}
	// Nobody asks for polls yet, and of those that come only the last waits.
	s, err := c.js.Stream(t.Context(), string(Work))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "two polls", func() bool {
		info, err := s.Info(t.Context())
		return err == nil && info.State.LastSeq >= 3
	})
	eventually(t, "one poll to wait", func() bool { return counts(t, c) == Counts{Work: 1, Crons: 1} })
	waiting, err := c.Waiting(t.Context())
	if diff := cmp.Diff(map[string]uint64{"poll": 1}, waiting); diff != "" || err != nil {
		t.Errorf("waiting: %v\n%s", err, diff)
	}
	consume(t, c, Consumer{Name: "poll", Stream: Work, Filter: Polls, Handler: func(_ context.Context, m *Message) error { polled <- m; return nil }})
	m := receive(t, polled, "a poll")
	if m.Subject != "work.poll.builds" || m.Header[HeaderScheduleID] != "builds" {
		t.Errorf("poll = %+v", m)
	}
	if len(ticked) != 0 {
		t.Errorf("a tick came: %+v", <-ticked)
	}
	// An id is one schedule's, whatever it is of.
	if err := c.EnsureSchedule(t.Context(), "builds", "@every 1s", ""); err != nil {
		t.Fatal(err)
	}
	if ids, err := c.Schedules(t.Context()); len(ids) != 1 || err != nil {
		t.Errorf("schedules %q, %v", ids, err)
	}
}

// A tick that fails is parked under a key of its own and stays the tick it was.
func TestFailedTickKeepsItsTime(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	got := make(chan *Message, 100)
	consume(t, c, ticks(func(_ context.Context, m *Message) error {
		got <- m
		if m.Attempts == 0 {
			return errors.New("events are full")
		}
		return nil
	}))
	due := time.Now().Add(5 * time.Second).Truncate(time.Second).UTC() // not past by the time it is stored
	if err := c.EnsureSchedule(t.Context(), "once", "@at "+due.Format(time.RFC3339), ""); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"the tick", "the tick again"} {
		m := receive(t, got, what)
		if !m.Stored.Equal(due) || m.Header[HeaderScheduleID] != "once" {
			t.Errorf("%s: stored %s, header %v, want due at %s", what, m.Stored, m.Header, due)
		}
	}
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
	// A one-shot whose time is over is not started again.
	if err := c.EnsureSchedule(t.Context(), "once", "@at "+due.Format(time.RFC3339), ""); err != nil {
		t.Fatal(err)
	}
	if n := counts(t, c); n != (Counts{}) {
		t.Errorf("counts = %+v", n)
	}
}

func TestEnsureScheduleLeavesWhatIsThere(t *testing.T) {
	b := streamtest.Server(t)
	b.Front()
	c, _ := open(t, b)
	place := func() string {
		s, err := c.js.Stream(t.Context(), string(Work))
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.GetLastMsgForSubject(t.Context(), "work.at.cron.daily")
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(m.Sequence, m.Header)
	}
	ensure := func() {
		t.Helper()
		if err := c.EnsureSchedule(t.Context(), "daily", "0 0 9 * * *", "Asia/Shanghai"); err != nil {
			t.Fatal(err)
		}
	}
	ensure()
	before := place()
	ensure()
	b.Restart()
	eventually(t, "connected again", func() bool { _, err := c.Counts(t.Context()); return err == nil })
	ensure()
	if after := place(); after != before {
		t.Errorf("the schedule changed:\n%s\n%s", before, after)
	}
	if n := counts(t, c); n != (Counts{Crons: 1}) {
		t.Errorf("counts = %+v", n)
	}
	ids, err := c.Schedules(t.Context())
	if diff := cmp.Diff([]string{"daily"}, ids); diff != "" || err != nil {
		t.Errorf("schedules: %v\n%s", err, diff)
	}
	if !strings.Contains(before, "Asia/Shanghai") {
		t.Errorf("no time zone in %s", before)
	}
}

func TestScheduleThatMakesNoSense(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	for _, s := range [][3]string{
		{"a", "0 9 * * *", ""}, {"a", "0 0 9 * * *", "Asia/Nowhere"}, {"a", "@every 10ms", ""}, {"a", "@at soon", ""}, {"a.b", "@every 1h", ""},
	} {
		var e *Error
		err := c.EnsureSchedule(t.Context(), s[0], s[1], s[2])
		if !errors.As(err, &e) || e.Retryable() || e.Class() != ClassSchedule {
			t.Errorf("schedule %q: %v, want a final error", s, err)
		}
	}
}

// While no worker is there only the last tick of each schedule is kept.
func TestTicksDoNotPileUp(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	for _, id := range []string{"a", "b"} {
		if err := c.EnsureSchedule(t.Context(), id, "@every 1s", ""); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.js.Stream(t.Context(), string(Work))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "three ticks of each", func() bool {
		info, err := s.Info(t.Context())
		return err == nil && info.State.LastSeq >= 8
	})
	eventually(t, "the last of each to wait", func() bool { return counts(t, c).Work == 2 })
}
