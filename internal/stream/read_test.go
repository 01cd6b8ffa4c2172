package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/events"
)

// read is the ids that ReadEvents hands over, or the error of one.
func read(t *testing.T, c *Conn, o ReadOptions) []string {
	t.Helper()
	var got []string
	err := c.ReadEvents(t.Context(), o, func(e *StoredEvent) error {
		if e.Event == nil {
			got = append(got, e.Err.Error())
		} else {
			got = append(got, e.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("read %+v: %v", o, err)
	}
	return got
}

// publishMany stores events of the ids gitlab/0 and on, and waits for the broker only at the end.
func publishMany(t testing.TB, c *Conn, n int) {
	t.Helper()
	var futures []jetstream.PubAckFuture
	for i := range n {
		e := event(fmt.Sprint(i))
		f, err := c.js.PublishAsync("events."+e.Source+"."+e.Type, e.Body)
		if err != nil {
			t.Fatal(err)
		}
		futures = append(futures, f)
		if len(futures) < 1000 && i < n-1 {
			continue
		}
		for _, f := range futures {
			select {
			case <-f.Ok():
			case err := <-f.Err():
				t.Fatal(err)
			}
		}
		futures = futures[:0]
	}
}

// sequences is the places of what ReadEvents hands over; each runs after it.
func sequences(t *testing.T, c *Conn, o ReadOptions, each func(seq uint64)) []uint64 {
	t.Helper()
	var got []uint64
	err := c.ReadEvents(t.Context(), o, func(e *StoredEvent) error {
		got = append(got, e.Sequence)
		each(e.Sequence)
		return nil
	})
	if err != nil {
		t.Fatalf("read %+v: %v", o, err)
	}
	return got
}

func span(first, last uint64) []uint64 {
	var all []uint64
	for s := first; s <= last; s++ {
		all = append(all, s)
	}
	return all
}

func TestReadEventsSelects(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	if got := read(t, c, ReadOptions{}); len(got) > 0 {
		t.Errorf("an empty store has %v", got)
	}
	var stored [7]time.Time
	for i, e := range []*events.Event{
		{Source: "gitlab", Type: "push"},
		{Source: "gitlab", Type: "merge_request.open"},
		{Source: "other", Type: "push"},
		nil,
		{Source: "gitlab", Type: "merge_request.close"},
		{Source: "other", Type: "merge_request.open"},
	} {
		if e == nil {
			if _, err := c.js.Publish(t.Context(), "events.gitlab.push", []byte("{}")); err != nil {
				t.Fatal(err)
			}
			continue
		}
		e.ID, e.Time, e.Body = fmt.Sprint(i+1), time.Unix(1, 0), []byte(`{"n":1}`)
		if _, err := c.PublishEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	err := c.ReadEvents(t.Context(), ReadOptions{}, func(e *StoredEvent) error {
		stored[e.Sequence] = e.Stored
		if e.Sequence == 1 && (string(e.Body) != `{"n":1}` || e.Type != "push" || !e.Time.Equal(time.Unix(1, 0))) {
			t.Errorf("the first is %+v", e.Event)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const bad = `not an event: ce-specversion is "", not "1.0"`
	tests := map[string]struct {
		o    ReadOptions
		want []string
	}{
		"all":                     {ReadOptions{}, []string{"1", "2", "3", bad, "5", "6"}},
		"a source":                {ReadOptions{Source: "other"}, []string{"3", "6"}},
		"a type":                  {ReadOptions{Type: "push"}, []string{"1", "3", bad}},
		"a type of two words":     {ReadOptions{Type: "merge_request.open"}, []string{"2", "6"}},
		"types":                   {ReadOptions{Type: "merge_request.*", Source: "gitlab"}, []string{"2", "5"}},
		"from a place":            {ReadOptions{FromSequence: 5}, []string{"5", "6"}},
		"from a place without it": {ReadOptions{FromSequence: 4, Source: "other"}, []string{"6"}},
		"to a place":              {ReadOptions{To: 2}, []string{"1", "2"}},
		"to a place without it":   {ReadOptions{To: 4, Source: "other"}, []string{"3"}},
		"from a time":             {ReadOptions{From: stored[5]}, []string{"5", "6"}},
		"until a time":            {ReadOptions{Until: stored[3]}, []string{"1", "2"}},
		"none":                    {ReadOptions{Type: "tag_push"}, nil},
		"after the end":           {ReadOptions{FromSequence: 100}, nil},
		"after the last":          {ReadOptions{From: stored[6].Add(time.Hour)}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, read(t, c, tt.o)); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, o := range []ReadOptions{{Source: "*"}, {Source: "a.b"}, {Type: ">"}, {Type: "*"}, {Type: "a.b.*"}, {From: stored[1], FromSequence: 1}} {
		if err := c.ReadEvents(t.Context(), o, func(*StoredEvent) error { return nil }); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if first, last, err := c.EventsSpan(t.Context()); first != 1 || last != 6 || err != nil {
		t.Errorf("span %d to %d, %v", first, last, err)
	}
}

// TestReadEventsOnce: whatever happens while it reads, every event that stays there comes once and in its order.
func TestReadEventsOnce(t *testing.T) {
	const n = readAhead + 1000
	consumers := func(t *testing.T, c *Conn) (names []string) {
		s, err := c.js.Stream(t.Context(), string(Events))
		if err != nil {
			t.Fatal(err)
		}
		for name := range s.ConsumerNames(t.Context()).Name() {
			names = append(names, name)
		}
		return names
	}
	tests := map[string]struct {
		at   uint64
		then func(t *testing.T, b *streamtest.Broker, c *Conn)
	}{
		"the broker restarts": {10, func(_ *testing.T, b *streamtest.Broker, _ *Conn) { b.Restart() }},
		"its consumer is removed": {10, func(t *testing.T, _ *streamtest.Broker, c *Conn) {
			for _, name := range consumers(t, c) {
				if err := c.js.DeleteConsumer(t.Context(), string(Events), name); err != nil {
					t.Error(err)
				}
			}
		}},
		"the connection is lost": {10, func(t *testing.T, _ *streamtest.Broker, c *Conn) {
			if err := c.nc.ForceReconnect(); err != nil {
				t.Error(err)
			}
		}},
		"more is stored": {100, func(t *testing.T, _ *streamtest.Broker, c *Conn) { publishMany(t, c, 10) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := streamtest.Server(t)
			b.Front()
			c, _ := open(t, b)
			publishMany(t, c, n)
			got := sequences(t, c, ReadOptions{}, func(seq uint64) {
				if seq == tt.at {
					tt.then(t, b, c)
				}
			})
			if !slices.Equal(got, span(1, n)) {
				t.Errorf("%d events came, not the %d there are in their order", len(got), n)
			}
			if left := consumers(t, c); len(left) > 0 {
				t.Errorf("consumers %v are left behind", left)
			}
		})
	}
}

// TestReadEventsDisturbsNobody: what workers have still to match, and have matched, stays as it is.
func TestReadEventsDisturbsNobody(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	publishMany(t, c, 10)
	match, err := c.js.CreateConsumer(t.Context(), string(Events), jetstream.ConsumerConfig{Durable: MatchConsumer, AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	m, err := match.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := sequences(t, c, ReadOptions{}, func(uint64) {}); !slices.Equal(got, span(1, 10)) {
		t.Errorf("read %v", got)
	}
	info, err := match.Info(t.Context())
	if err != nil || info.NumPending != 9 || info.AckFloor.Stream != 1 || info.NumAckPending != 0 {
		t.Errorf("the worker's consumer has %+v, %v", info, err)
	}
}

func TestReadEventsEnds(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	publishMany(t, c, readAhead+1000)
	t.Run("when told to", func(t *testing.T) {
		enough := errors.New("enough")
		calls := 0
		err := c.ReadEvents(t.Context(), ReadOptions{}, func(*StoredEvent) error {
			calls++
			if calls == 3 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || err.Error() != "enough" || calls != 3 {
			t.Errorf("%v after %d", err, calls)
		}
	})
	t.Run("with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := c.ReadEvents(ctx, ReadOptions{}, func(e *StoredEvent) error {
			if e.Sequence == 10 {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "read events") {
			t.Errorf("%v", err)
		}
	})
	t.Run("when the rest is purged", func(t *testing.T) {
		s, err := c.js.Stream(t.Context(), string(Events))
		if err != nil {
			t.Fatal(err)
		}
		got := sequences(t, c, ReadOptions{}, func(seq uint64) {
			if seq == 5 {
				if err := s.Purge(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		if len(got) < 5 || !slices.Equal(got, span(1, got[len(got)-1])) {
			t.Errorf("%d came", len(got))
		}
		if first, last, err := c.EventsSpan(t.Context()); err != nil || first != last+1 {
			t.Errorf("span %d to %d, %v", first, last, err)
		}
	})
}

func BenchmarkReadEvents(b *testing.B) {
	c, err := Connect(b.Context(), Config{URLs: []string{streamtest.Server(b).URL()}})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if err := c.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	const n = 100_000
	for i := range n {
		e := event(fmt.Sprint(i))
		h := e.Header()
		m := nats.NewMsg("events." + e.Source + "." + e.Type)
		m.Data = e.Body
		for name, value := range h {
			m.Header.Set(name, value)
		}
		if _, err := c.js.PublishMsgAsync(m); err != nil {
			b.Fatal(err)
		}
	}
	<-c.js.PublishAsyncComplete()
	for b.Loop() {
		got := 0
		if err := c.ReadEvents(b.Context(), ReadOptions{}, func(e *StoredEvent) error {
			if e.Err != nil {
				return e.Err
			}
			got++
			return nil
		}); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
