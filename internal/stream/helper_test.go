package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/events"
)

// putsOfObjects are goroutines that nats.go 1.55.0 leaves behind now and then: one that a put into an object store starts, and that finds
// the channel it should listen to gone when it gets to run. A connection that was not closed leaves others besides.
var putsOfObjects = goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect")

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(putsOfObjects); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// journal records log lines and lets a test act when one is written.
type journal struct {
	mu    sync.Mutex
	lines []map[string]any
	hook  func(line map[string]any)
}

func (j *journal) Write(p []byte) (int, error) {
	var line map[string]any
	if err := json.NewDecoder(bytes.NewReader(p)).Decode(&line); err != nil {
		return 0, err
	}
	j.mu.Lock()
	j.lines = append(j.lines, line)
	hook := j.hook
	j.mu.Unlock()
	if hook != nil {
		hook(line)
	}
	return len(p), nil
}

func (j *journal) with(message string) []map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []map[string]any
	for _, l := range j.lines {
		if l["message"] == message {
			found = append(found, l)
		}
	}
	return found
}

func (j *journal) messages() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var b strings.Builder
	for _, l := range j.lines {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// quick tries again without chance and almost at once.
var quick = Retry{First: time.Millisecond, Max: 20 * time.Millisecond, Jitter: -1, GiveUpAfter: time.Hour}

func dial(t *testing.T, b *streamtest.Broker, change ...func(*Config)) (*Conn, *journal) {
	t.Helper()
	j := new(journal)
	cfg := Config{
		URLs: []string{b.URL()}, Retry: quick, Log: zerolog.New(j), heartbeat: 500 * time.Millisecond,
		EventsMaxBytes: 64 << 20, RecordsMaxBytes: 64 << 20, DeadMaxBytes: 64 << 20,
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := Connect(t.Context(), cfg)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(c.Close)
	return c, j
}

func open(t *testing.T, b *streamtest.Broker, change ...func(*Config)) (*Conn, *journal) {
	t.Helper()
	c, j := dial(t, b, change...)
	if err := c.Ensure(t.Context()); err != nil {
		t.Fatalf("ensure: %v", err)
	}
	return c, j
}

// consume runs a consumer until the returned function is called, at the latest until the end
// of the test.
func consume(t *testing.T, c *Conn, cons Consumer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Consume(ctx, cons) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("consume %s: %v", cons.Name, err)
			}
		case <-time.After(2 * time.Minute):
			t.Errorf("consumer %s does not end", cons.Name)
		}
	})
	t.Cleanup(stop)
	return stop
}

func runs(handler func(ctx context.Context, m *Message) error) Consumer {
	return Consumer{Name: "run", Stream: Work, Filter: Runs, Concurrency: 4, Handler: handler}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within 2 minutes: %s", what)
		case <-tick.C:
		}
	}
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(2 * time.Minute):
		t.Fatalf("not within 2 minutes: %s", what)
		panic("unreachable")
	}
}

func put(t *testing.T, c *Conn, subject, key string, more ...string) {
	t.Helper()
	h := map[string]string{"Millrace-Key": key, "ce-id": "gitlab/" + key}
	for i := 0; i+1 < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	if err := c.Put(t.Context(), subject, h, []byte(`{"v":1}`)); err != nil {
		t.Fatalf("put %s: %v", subject, err)
	}
}

func event(id string) *events.Event {
	return &events.Event{
		ID: "gitlab/" + id, Source: "gitlab", Type: "merge_request.open", Repository: "shop/orders",
		Time: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Body: []byte(`{"object_kind":"merge_request"}`),
	}
}

func counts(t *testing.T, c *Conn) Counts {
	t.Helper()
	n, err := c.Counts(t.Context())
	if err != nil {
		t.Fatalf("counts: %v", err)
	}
	return n
}

func deadLetters(t *testing.T, c *Conn) []*DeadLetter {
	t.Helper()
	var all []*DeadLetter
	err := c.DeadLetters(t.Context(), func(l *DeadLetter) error { all = append(all, l); return nil })
	if err != nil {
		t.Fatalf("dead letters: %v", err)
	}
	return all
}

// failure is an error with every behaviour a verdict asks for.
type failure struct {
	final bool
	class string
	after time.Duration
}

func (f failure) Error() string             { return "the service said no" }
func (f failure) Retryable() bool           { return !f.final }
func (f failure) Class() string             { return f.class }
func (f failure) RetryAfter() time.Duration { return f.after }

// wait is the verdict "parked".
type wait struct {
	until time.Time
	state string
}

func (w wait) Error() string             { return "not yet" }
func (w wait) Park() (time.Time, string) { return w.until, w.state }
