package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/events"
)

// often looks for sources as often as a test can wait for.
func often(cfg *Config) { cfg.sourcesEvery = 50 * time.Millisecond }

func eventOf(source, id string) *events.Event {
	e := event(id)
	e.ID, e.Source = source+"/"+id, source
	return e
}

func publish(t *testing.T, c *Conn, all ...*events.Event) {
	t.Helper()
	for _, e := range all {
		if _, err := c.PublishEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func matching(weights map[string]int, concurrency int, handler func(ctx context.Context, m *Message) error) Consumer {
	return Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents, Weights: weights, Concurrency: concurrency, Handler: handler}
}

// A source that has taken every place keeps none of the others waiting, known before or not.
func TestSourceWaitsBehindItselfOnly(t *testing.T) {
	c, _ := open(t, streamtest.Server(t), often)
	got, release := make(chan string, 100), make(chan struct{})
	consume(t, c, matching(map[string]int{"loud": 1, "quiet": 1}, 3, func(_ context.Context, m *Message) error {
		got <- m.Header["ce-id"]
		if sourceOf(m.Subject) == "loud" {
			<-release
		}
		return nil
	}))
	for i := range 20 {
		publish(t, c, eventOf("loud", fmt.Sprint(i)))
	}
	for range 3 {
		receive(t, got, "an event of the loud source in each place")
	}
	publish(t, c, eventOf("quiet", "1"))
	if id := receive(t, got, "the quiet one's"); id != "quiet/1" {
		t.Errorf("got %s while all places are taken", id)
	}
	publish(t, c, eventOf("new", "1"))
	if id := receive(t, got, "the new one's"); id != "new/1" {
		t.Errorf("got %s while all places are taken", id)
	}
	close(release)
	for range 17 {
		receive(t, got, "the others of the loud source")
	}
}

// Runs are shared in the same way, and those that versions before put are served.
func TestRunsOfSources(t *testing.T) {
	c, _ := open(t, streamtest.Server(t), often)
	got := make(chan string, 10)
	put(t, c, Runs, "before")
	put(t, c, RunsOf("elsewhere"), "k1")
	consume(t, c, Consumer{Name: "run", Stream: Work, Filter: AllRuns, Weights: map[string]int{"shop": 1}, Handler: func(_ context.Context, m *Message) error {
		got <- m.Header["Millrace-Key"]
		if m.Header["Millrace-Key"] == "k2" && m.State == "" {
			return wait{until: time.Now(), state: "again"}
		}
		return nil
	}})
	put(t, c, RunsOf("shop"), "k2")
	seen := map[string]int{}
	for range 4 {
		seen[receive(t, got, "a run")]++
	}
	if seen["before"] != 1 || seen["k1"] != 1 || seen["k2"] != 2 {
		t.Errorf("got %v", seen)
	}
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
	for _, subject := range []string{"work.run.", "work.run.a.b", "work.run.>", "work.run.*"} {
		if err := c.Put(t.Context(), subject, map[string]string{headerKey: "k"}, nil); err == nil {
			t.Errorf("%s takes work", subject)
		}
	}
}

// The consumer that versions before had for all sources is replaced: what it had acknowledged is not matched again, what it had not is
// not forgotten, and afterwards it is gone.
func TestOneConsumerForAllIsReplaced(t *testing.T) {
	c, j := open(t, streamtest.Server(t), often)
	publish(t, c, eventOf("a", "1"), eventOf("b", "1"), eventOf("a", "2"), eventOf("b", "2"))
	old, err := c.js.CreateConsumer(t.Context(), string(Events), jetstream.ConsumerConfig{
		Durable: MatchConsumer, AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: AllEvents,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m, err := old.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := old.Next(); err != nil { // delivered to a worker that will never say what became of it
		t.Fatal(err)
	}
	got := make(chan string, 10)
	consume(t, c, matching(map[string]int{"a": 1, "idle": 1}, 4, func(_ context.Context, m *Message) error { got <- m.Header["ce-id"]; return nil }))
	seen := map[string]int{}
	for range 2 {
		seen[receive(t, got, "what was not acknowledged")]++
	}
	if seen["a/2"] != 1 || seen["b/2"] != 1 {
		t.Errorf("got %v", seen)
	}
	eventually(t, "the old consumer to be gone", func() bool {
		_, err := c.js.Consumer(t.Context(), string(Events), MatchConsumer)
		return errors.Is(err, jetstream.ErrConsumerNotFound)
	})
	publish(t, c, eventOf("idle", "1"))
	if id := receive(t, got, "the next"); id != "idle/1" {
		t.Errorf("got %s", id)
	}
	eventually(t, "the line", func() bool { return len(j.with("consumer replaced")) == 1 })
}

// How far the consumer of each source has come is remembered, so that one that is deleted goes on from there.
func TestDeletedConsumerOfASourceGoesOn(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	publish(t, c, eventOf("a", "1"), eventOf("b", "1"), eventOf("a", "2"))
	cons, err := matching(map[string]int{}, 2, func(context.Context, *Message) error { return nil }).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	g := &bySource{Conn: c, Consumer: cons, places: &places{limit: 1}, lanes: make(map[string]*consuming), group: new(errgroup.Group)}
	ctx, cancel := context.WithCancel(t.Context())
	g.add(ctx, "a")
	eventually(t, "remembered", func() bool {
		if _, err := g.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		a := g.lanes["a"]
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.floor.seq == 3
	})
	cancel()
	if err := g.group.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.js.DeleteConsumer(t.Context(), string(Events), MatchConsumer+"-a"); err != nil {
		t.Fatal(err)
	}
	publish(t, c, eventOf("a", "3"))
	again, err := g.lanes["a"].consumer(t.Context(), g.lanes["a"].current)
	if err != nil {
		t.Fatal(err)
	}
	if n := again.CachedInfo().NumPending; n != 1 {
		t.Errorf("%d events to deliver, want only the one after what was acknowledged", n)
	}
}

// An event is kept until its own source's consumer has it, however far the others are, and however long ago the last one of a quiet
// source was.
func TestPurgeKeepsWhatASourceHasNotMatched(t *testing.T) {
	c, _ := open(t, streamtest.Server(t), often)
	publish(t, c, eventOf("quiet", "1"), eventOf("loud", "1"), eventOf("loud", "2"), eventOf("stuck", "1"), eventOf("loud", "3"), eventOf("quiet", "2"))
	handled := make(chan string, 20)
	stop := consume(t, c, matching(map[string]int{"loud": 1}, 2, func(_ context.Context, m *Message) error {
		handled <- m.Header["ce-id"]
		if sourceOf(m.Subject) == "stuck" {
			return wait{until: time.Now().Add(time.Hour)}
		}
		return nil
	}))
	for range 6 {
		receive(t, handled, "an event")
	}
	eventually(t, "all but one to be acknowledged", func() bool {
		s, err := c.Stats(t.Context())
		return err == nil && s.Unmatched == 1 && s.Sources["stuck"].Unmatched == 1
	})
	stop()
	later := time.Now().Add(15 * 24 * time.Hour)
	if purged, err := c.purgeEvents(t.Context(), later); err != nil || purged != 3 {
		t.Errorf("%d purged, %v; want the 3 before the one that is not matched", purged, err)
	}
	publish(t, c, eventOf("nobody", "1"))
	if err := c.js.DeleteConsumer(t.Context(), string(Events), MatchConsumer+"-stuck"); err != nil {
		t.Fatal(err)
	}
	if purged, err := c.purgeEvents(t.Context(), later); err != nil || purged != 0 {
		t.Errorf("%d purged, %v; want none, for a source without a consumer", purged, err)
	}
	s, err := c.stream(t.Context(), Events)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	if _, err := c.purgeEvents(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if first, last := firstLast(t, c); first != 7 || last != 7 {
		t.Errorf("events %d to %d are left, want the one that nobody has matched", first, last)
	}
}

// What waits is fetched in one go, and never more than there are places for.
func TestNeverMoreHandlersThanPlaces(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	var mu sync.Mutex
	running, most, done := 0, 0, 0
	full := make(chan struct{})
	const n, limit = 200, 5
	for i := range n {
		put(t, c, Runs, fmt.Sprintf("k%d", i))
	}
	cons := runs(func(context.Context, *Message) error {
		mu.Lock()
		running++
		if most = max(most, running); running == limit && done == 0 {
			close(full)
		}
		mu.Unlock()
		<-full
		mu.Lock()
		defer mu.Unlock()
		running--
		done++
		return nil
	})
	cons.Concurrency = limit
	consume(t, c, cons)
	eventually(t, "all handled", func() bool { mu.Lock(); defer mu.Unlock(); return done == n })
	if most != limit {
		t.Errorf("%d handlers ran at once, want %d", most, limit)
	}
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
}
