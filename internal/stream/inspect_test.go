package stream

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

// TestStats: what is where, by store, kind of work and class.
func TestStats(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	for _, id := range []string{"shop/1", "shop/2", "shop/3"} {
		if _, err := c.PublishEvent(t.Context(), event(id)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, c, Commits, "c1")
	put(t, c, Notifies+"team", "n1")
	put(t, c, Notifies+"team", "n2")
	put(t, c, RunsOf("gitlab"), "waiting")
	put(t, c, Runs, "parked")
	put(t, c, Runs, "dead")
	if err := c.EnsureSchedule(t.Context(), "daily", "0 0 9 * * *", ""); err != nil {
		t.Fatal(err)
	}
	stop := consume(t, c, runs(func(_ context.Context, m *Message) error {
		if m.Header[headerKey] == "parked" {
			return wait{until: time.Now().Add(time.Hour)}
		}
		return failure{final: true, class: "evaluation"}
	}))
	want := &Stats{
		Unmatched: 3, Sources: map[string]SourceStats{"gitlab": {Unmatched: 3, Runs: 1}}, Waiting: map[string]uint64{"commit": 1, "notify.team": 2, "run": 1}, Parked: 1, Crons: 1, Dead: map[string]uint64{"evaluation": 1},
	}
	var got *Stats
	eventually(t, "the runs to be settled", func() bool {
		var err error
		if got, err = c.Stats(t.Context()); err != nil {
			t.Fatal(err)
		}
		return got.Waiting["run"] == 1 && got.Parked == 1 && got.Stores[1].Messages == 6 && got.Dead["evaluation"] == 1
	})
	stop()
	messages := map[Store]uint64{}
	for _, s := range got.Stores {
		messages[s.Store] = s.Messages
		if limited := s.MaxBytes > 0; limited != (s.Store != Work) || (s.Messages > 0) != (s.Bytes > 0) {
			t.Errorf("%+v", s)
		}
	}
	if diff := cmp.Diff(map[Store]uint64{Events: 3, Work: 6, Records: 0, Dead: 1}, messages); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	got.Stores = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	waiting, err := c.Waiting(t.Context())
	if diff := cmp.Diff(want.Waiting, waiting); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestUnmatched: what a worker has matched is not counted any more.
func TestUnmatched(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	for _, id := range []string{"shop/1", "shop/2"} {
		if _, err := c.PublishEvent(t.Context(), event(id)); err != nil {
			t.Fatal(err)
		}
	}
	held := make(chan struct{})
	stop := consume(t, c, Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents, Weights: map[string]int{}, Concurrency: 2, Handler: func(ctx context.Context, m *Message) error {
		if m.Sequence == 2 {
			select {
			case <-held:
			case <-ctx.Done():
			}
		}
		return nil
	}})
	unmatched := func() uint64 {
		s, err := c.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Unmatched
	}
	eventually(t, "the first to be matched", func() bool { return unmatched() == 1 })
	close(held)
	eventually(t, "both to be matched", func() bool { return unmatched() == 0 })
	stop()
}

// TestInspectMakesNothing: on a new server an inspection finds the stores missing, and leaves them so.
func TestInspectMakesNothing(t *testing.T) {
	b := streamtest.Server(t)
	c, _ := dial(t, b)
	for range 2 {
		i, err := c.Inspect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Store{Events, Work, Records, Dead}, i.Missing); diff != "" || len(i.Wrong) != 0 || len(i.Risks) != 0 || i.SkewKnown {
			t.Errorf("%+v\n%s", i, diff)
		}
		if i.Server != b.URL() || !strings.HasPrefix(i.Version, "2.") {
			t.Errorf("server %s %s", i.Server, i.Version)
		}
	}
	if err := c.Reachable(t.Context()); err == nil {
		t.Error("a broker without stores is reachable")
	}
	if err := c.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	i, err := c.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(i.Missing) != 0 || len(i.Wrong) != 0 || len(i.Risks) != 0 || len(i.Unsafe) != 0 || len(i.Replicas) != 4 || i.Replicas[Events] != 1 || i.Wanted != 1 {
		t.Errorf("after Ensure: %+v", i)
	}
	if !i.SkewKnown || i.Skew.Abs() > time.Minute {
		t.Errorf("skew %s, %v", i.Skew, i.SkewKnown)
	}
	if err := c.Reachable(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestInspectFindsWhatIsUnsafe: what Ensure would refuse, and what it would accept with a risk.
func TestInspectFindsWhatIsUnsafe(t *testing.T) {
	b := streamtest.Server(t)
	b.AddStream("EVENTS", `{"name":"EVENTS","subjects":["events.>"],"retention":"limits","storage":"file","num_replicas":1,"discard":"old","max_age":3600000000000,"duplicate_window":1000000000}`)
	b.AddStream("DEAD", `{"name":"DEAD","subjects":["dead.>"],"retention":"limits","storage":"file","num_replicas":1,"discard":"new","max_bytes":1000}`)
	c, _ := dial(t, b)
	if _, err := c.js.Publish(t.Context(), "dead.x.y", make([]byte, 850), jetstream.WithMsgID("1")); err != nil {
		t.Fatal(err)
	}
	i, err := c.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"it discards the oldest messages", "max_age is set"} {
		if !strings.Contains(i.Wrong.Error(), want) {
			t.Errorf("wrong does not say %q: %s", want, i.Wrong)
		}
	}
	for _, want := range []string{
		"stream EVENTS: duplicate_window is 1s", "stream EVENTS: max_bytes is not set", "stream DEAD: it holds 9",
	} {
		if !strings.Contains(i.Risks.Error(), want) {
			t.Errorf("risks do not say %q: %s", want, i.Risks)
		}
	}
}

// TestInspectFindsFullEvents: EVENTS that is as good as full loses what comes.
func TestInspectFindsFullEvents(t *testing.T) {
	b := streamtest.Server(t)
	b.AddStream("EVENTS", `{"name":"EVENTS","subjects":["events.>"],"retention":"limits","storage":"file","num_replicas":1,"discard":"new","max_bytes":10000,"duplicate_window":1200000000000}`)
	c, _ := dial(t, b)
	if _, err := c.js.Publish(t.Context(), "events.shop.push", make([]byte, 9700)); err != nil {
		t.Fatal(err)
	}
	i, err := c.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(i.Unsafe) != 1 || !strings.Contains(i.Unsafe.Error(), "has not been matched yet: the receiver answers 503") || strings.Contains(i.Risks.Error(), "it holds") {
		t.Errorf("unsafe: %s; risks: %s", i.Unsafe, i.Risks)
	}
}

// TestInspectFindsNarrowRoom: an account that is nearly used up leaves nothing for WORK.
func TestInspectFindsNarrowRoom(t *testing.T) {
	b := streamtest.Server(t)
	c, _ := open(t, b)
	b.Limit(200 << 20)
	i, err := c.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(i.Risks.Error(), "left for WORK, which has no cap") {
		t.Errorf("risks: %s", i.Risks)
	}
}
