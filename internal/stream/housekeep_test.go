package stream

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

// fillEvents stores events 1 to n and, if upTo is not 0, lets the match consumer acknowledge all
// but one from the first to upTo.
func fillEvents(t *testing.T, c *Conn, n int, upTo, but uint64) {
	t.Helper()
	for i := range n {
		e := event(strconv.Itoa(i + 1))
		e.Body = []byte(`{"pad":"` + strings.Repeat("x", 500) + `"}`)
		if _, err := c.PublishEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if upTo == 0 {
		return
	}
	stop := consume(t, c, Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents, Weights: map[string]int{}, Concurrency: 1, Handler: func(_ context.Context, m *Message) error {
		if m.Sequence > upTo || m.Sequence == but {
			return wait{until: time.Now().Add(time.Hour)}
		}
		return nil
	}})
	eventually(t, "handled", func() bool {
		cons, err := c.js.Consumer(t.Context(), string(Events), MatchConsumer+"-gitlab")
		if err != nil {
			return false
		}
		info := cons.CachedInfo() // of a consumer that is just being made it says that nothing is pending
		return info.Delivered.Stream == uint64(n) && info.NumAckPending == n-int(upTo)+btoi(but > 0)
	})
	stop()
}

// setCap makes EVENTS as good as full, or removes its cap.
func setCap(t *testing.T, c *Conn, to string) {
	t.Helper()
	s, err := c.js.Stream(t.Context(), string(Events))
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	switch to {
	case "full":
		cfg.MaxBytes = int64(s.CachedInfo().State.Bytes) * 100 / 95
	case "none":
		cfg.MaxBytes = -1
	}
	if _, err := c.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func firstLast(t *testing.T, c *Conn) (first, last uint64) {
	t.Helper()
	s, err := c.js.Stream(t.Context(), string(Events))
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.FirstSeq, s.CachedInfo().State.LastSeq
}

func TestHousekeeping(t *testing.T) {
	later := time.Now().Add(15 * 24 * time.Hour)
	tests := map[string]struct {
		cap       string
		upTo, but uint64
		now       time.Time
		wantFirst uint64
	}{
		"nothing matched":               {cap: "roomy", now: later, wantFirst: 1},
		"young":                         {cap: "roomy", upTo: 10, now: time.Now(), wantFirst: 1},
		"old":                           {cap: "roomy", upTo: 10, now: later, wantFirst: 11},
		"old, one not acknowledged":     {cap: "roomy", upTo: 10, but: 4, now: later, wantFirst: 4},
		"full":                          {cap: "full", upTo: 7, now: time.Now(), wantFirst: 8},
		"full, nothing matched":         {cap: "full", now: later, wantFirst: 1},
		"full, the first not handled":   {cap: "full", upTo: 10, but: 1, now: later, wantFirst: 1},
		"no cap, old":                   {cap: "none", upTo: 3, now: later, wantFirst: 4},
		"no cap, young, all handled":    {cap: "none", upTo: 10, now: time.Now(), wantFirst: 1},
		"roomy, old, only some handled": {cap: "roomy", upTo: 2, now: later, wantFirst: 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, _ := open(t, streamtest.Server(t))
			fillEvents(t, c, 10, tt.upTo, tt.but)
			setCap(t, c, tt.cap)
			purged, err := c.purgeEvents(t.Context(), tt.now)
			if err != nil {
				t.Fatal(err)
			}
			first, last := firstLast(t, c)
			if first != tt.wantFirst || last != 10 || purged != tt.wantFirst-1 {
				t.Errorf("%d purged, events %d to %d are left, want %d to 10", purged, first, last, tt.wantFirst)
			}
		})
	}
}

// The boundary of age is found between any two events, also across gaps.
func TestFirstSince(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	fillEvents(t, c, 20, 0, 0)
	s, err := c.js.Stream(t.Context(), string(Events))
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []uint64{5, 6, 7, 11} {
		if err := s.DeleteMsg(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	for seq := uint64(1); seq <= 20; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			continue
		}
		got, err := firstSince(t.Context(), s, 1, 18, m.Time)
		if want := min(seq, 19); err != nil || between(s, t, got) != want {
			t.Errorf("firstSince(time of %d) = %d, %v, want %d", seq, got, err, want)
		}
	}
}

// between is the first existing sequence at or after seq.
func between(s jetstream.Stream, t *testing.T, seq uint64) uint64 {
	m, err := s.GetMsg(t.Context(), seq, jetstream.WithGetMsgSubject(AllEvents))
	if err != nil {
		return 0
	}
	return m.Sequence
}

func TestHousekeepEndsWithItsContext(t *testing.T) {
	c, j := open(t, streamtest.Server(t), func(cfg *Config) { cfg.EventsKeep = time.Nanosecond })
	fillEvents(t, c, 3, 3, 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Housekeep(ctx) }()
	eventually(t, "purged", func() bool { return len(j.with("events purged")) == 1 })
	cancel()
	if err := receive(t, ended, "the end"); err != nil {
		t.Error(err)
	}
	if n := counts(t, c).Events; n != 0 || len(j.with("events purged")) != 1 {
		t.Errorf("%d events are left; log:\n%s", n, j.messages())
	}
}
