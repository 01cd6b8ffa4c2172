package stream

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/events"
)

func TestPublishedEventIsStoredWhole(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	e := event("1")
	for i, want := range []bool{false, true} {
		if duplicate, err := c.PublishEvent(t.Context(), e); duplicate != want || err != nil {
			t.Errorf("publish number %d: duplicate %t, %v", i+1, duplicate, err)
		}
	}
	s, err := c.js.Stream(t.Context(), string(Events))
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if m.Subject != "events.gitlab.merge_request.open" {
		t.Errorf("subject %s", m.Subject)
	}
	got, err := events.FromHeader(m.Header.Get, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

// With the shortest window the server forgets an id almost at once, and stores the event again.
func TestDuplicateWindowAtItsMinimum(t *testing.T) {
	c, _ := open(t, streamtest.Server(t), func(cfg *Config) { cfg.DuplicateWindow = 100 * time.Millisecond })
	eventually(t, "the id is forgotten", func() bool {
		duplicate, err := c.PublishEvent(t.Context(), event("1"))
		if err != nil {
			t.Fatal(err)
		}
		return !duplicate && counts(t, c).Events == 2
	})
}

func TestFullEventsRefuseAndDropNothing(t *testing.T) {
	c, _ := open(t, streamtest.Server(t), func(cfg *Config) { cfg.EventsMaxBytes = 10_000 })
	stored := 0
	var err error
	for ; stored < 100; stored++ {
		e := event(strings.Repeat("x", stored+1))
		e.Body = []byte(`{"pad":"` + strings.Repeat("x", 1000) + `"}`)
		if _, err = c.PublishEvent(t.Context(), e); err != nil {
			break
		}
	}
	if err == nil || !retryable(err) || !strings.Contains(err.Error(), "maximum bytes exceeded") {
		t.Errorf("error = %v, want that it is full", err)
	}
	if n := counts(t, c).Events; int(n) != stored || stored < 5 {
		t.Errorf("%d events stored, %d accepted", n, stored)
	}
	s, err := c.js.Stream(t.Context(), string(Events))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetMsg(t.Context(), 1); err != nil || m.Header.Get("ce-id") != "gitlab/x" {
		t.Errorf("the first event: %v, %v", m, err)
	}
}

func TestPutRefuses(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	key := map[string]string{"Millrace-Key": "k"}
	for _, subject := range []string{"work.at.k", "work.tick.a", "work.notify.", "work.notify.a.b", "work.*", "events.a.push", ""} {
		var e *Error
		if err := c.Put(t.Context(), subject, key, nil); !errors.As(err, &e) || e.Retryable() {
			t.Errorf("put %q: %v, want a final error", subject, err)
		}
	}
	for _, header := range []map[string]string{nil, {"Millrace-Key": "a.b"}, {"Millrace-Key": "*"}} {
		if err := c.Put(t.Context(), Runs, header, nil); err == nil || !strings.Contains(err.Error(), "Millrace-Key") {
			t.Errorf("put with header %v: %v", header, err)
		}
	}
	for _, e := range []*events.Event{
		{ID: "a", Source: "a.b", Type: "push"},
		{ID: "a", Source: "a", Type: "a.b.c"},
		{ID: "a", Source: "a", Type: "push.*"},
		{Source: "a", Type: "push"},
	} {
		if _, err := c.PublishEvent(t.Context(), e); err == nil || retryable(err) {
			t.Errorf("publish %+v: %v, want a final error", e, err)
		}
	}
	if n := counts(t, c); n != (Counts{}) {
		t.Errorf("counts = %+v", n)
	}
}

func TestRulesets(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	if data, err := c.Ruleset(t.Context(), "d1"); data != nil || err != nil {
		t.Errorf("absent ruleset: %q, %v", data, err)
	}
	large := []byte(strings.Repeat("rules:\n", 100_000))
	for range 2 {
		if err := c.PutRuleset(t.Context(), "d1", large); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.PutRuleset(t.Context(), "d1", []byte("other")); err != nil {
		t.Fatal(err)
	}
	if data, err := c.Ruleset(t.Context(), "d1"); string(data) != string(large) || err != nil {
		t.Errorf("read back %d bytes, %v, want what was stored first", len(data), err)
	}
	// A chunk that changed is noticed.
	s, err := c.js.Stream(t.Context(), rulesetStream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.js.Publish(t.Context(), m.Subject, append([]byte("X"), m.Data[1:]...)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ruleset(t.Context(), "d1"); err == nil || !strings.HasPrefix(err.Error(), "read ruleset d1: ") {
		t.Errorf("a ruleset that was changed: %v", err)
	}
}

// TestRefused: an answer that says no is told apart from none.
func TestRefused(t *testing.T) {
	b := streamtest.Server(t)
	b.Front()
	c, _ := open(t, b, func(cfg *Config) { cfg.EventsMaxBytes = 1000 })
	refused := func(e *events.Event) bool {
		t.Helper()
		_, err := c.PublishEvent(t.Context(), e)
		var said *Error
		if !errors.As(err, &said) {
			t.Fatalf("%s: %v", e.ID, err)
		}
		return said.Refused()
	}
	full := event("1")
	full.Body = []byte(`{"pad":"` + strings.Repeat("x", 2000) + `"}`)
	if !refused(full) {
		t.Error("a full stream does not refuse")
	}
	if refused(&events.Event{}) {
		t.Error("what no broker has seen is refused by one")
	}
	b.Stop()
	if refused(event("2")) {
		t.Error("a broker that is away refuses")
	}
}

func TestCheckEvent(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	sized := func(body, id int) *events.Event {
		e := event(strings.Repeat("ü", id))
		e.Body = make([]byte, body)
		return e
	}
	for name, e := range map[string]*events.Event{
		"small": sized(10, 1), "near the limit": sized(1<<20-2000, 1), "over it": sized(1<<20-500, 1), "by its id": sized(1<<20-2000, 1000),
		"no source": {ID: "x", Type: "push"}, "no id": {Source: "x", Type: "push"},
	} {
		_, published := c.PublishEvent(t.Context(), e)
		if err := c.CheckEvent(e); (err == nil) != (published == nil) || (err != nil && retryable(err)) {
			t.Errorf("%s: check %v, publish %v", name, err, published)
		}
	}
}

// TestReconnectedIsTold each time the broker is found again, and not at the first; and before, that it is lost.
func TestReconnectedIsTold(t *testing.T) {
	b := streamtest.Server(t)
	b.Front()
	told := make(chan bool, 10)
	var lost atomic.Bool
	c, _ := open(t, b, func(cfg *Config) {
		cfg.Disconnected = func() { lost.Store(true) }
		cfg.Reconnected = func() { told <- lost.Swap(false) }
	})
	for range 2 {
		if len(told) != 0 {
			t.Error("it is told before")
		}
		b.Restart()
		select {
		case before := <-told:
			if !before {
				t.Error("it is found, and nothing said that it was lost")
			}
		case <-time.After(2 * time.Minute):
			t.Fatal("it is not told")
		}
		eventually(t, "the broker to answer", func() bool { return c.Reachable(t.Context()) == nil })
	}
}
