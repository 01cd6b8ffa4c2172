package stream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

// limited is a target's word that it takes no more for now.
type limited struct{ failure }

func (limited) RateLimited() bool { return true }

var errDown = fmt.Errorf("post: %w", failure{class: "unreachable"})

// admitted enters at once, or not at all.
func admitted(t *testing.T, c *Circuit) *pass {
	t.Helper()
	p, _, _ := c.admit()
	return p
}

// elapse lets time of synctest go by.
func elapse(d time.Duration) { <-time.After(d) }

func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(journal)
		c := NewCircuit("team", CircuitConfig{Failures: 3, First: 10 * time.Second, Max: 40 * time.Second}, zerolog.New(j))
		c.Report(errDown)
		c.Report(errDown)
		c.Report(failure{final: true}) // it answers: the next failure is the first in a row
		c.Report(errDown)
		c.Report(fmt.Errorf("stopped: %w", context.Canceled))
		c.Report(errDown)
		early := admitted(t, c)
		if early == nil || !early.holds() {
			t.Fatal("open after two failures in a row")
		}
		c.Report(errDown)
		if early.holds() || admitted(t, c) != nil {
			t.Fatal("closed after three failures in a row")
		}
		c.Report(errDown) // it began before the circuit opened
		early.leave()

		for _, full := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 40 * time.Second} {
			_, wait, _ := c.admit()
			if wait < full/2 || wait > full {
				t.Fatalf("a pause of %s, want between half of %s and all of it", wait, full)
			}
			elapse(wait - 1)
			if admitted(t, c) != nil {
				t.Fatal("let through within the pause")
			}
			elapse(1)
			done := admitted(t, c)
			if done == nil || !done.holds() || admitted(t, c) != nil {
				t.Fatal("want one let through after the pause, and no other")
			}
			done.leave() // nothing was called for it
			trial := admitted(t, c)
			if trial == nil {
				t.Fatal("no other let through after one that needed no call")
			}
			c.Report(errDown)
			if trial.holds() {
				t.Fatal("the leave of a failed call goes on")
			}
			trial.leave()
		}
		elapse(40 * time.Second)
		trial := admitted(t, c)
		c.Report(nil)
		trial.leave()
		for range 3 {
			if p := admitted(t, c); p == nil || !p.holds() {
				t.Fatal("not closed after a success")
			}
		}
		opened, closed := j.with("circuit opened"), j.with("circuit closed")
		if len(opened) != 1 || opened[0]["level"] != "warn" || opened[0]["target"] != "team" || opened[0]["class"] != "unreachable" || opened[0]["reason"] == nil {
			t.Errorf("log:\n%s", j.messages())
		}
		if len(closed) != 1 || closed[0]["level"] != "info" || closed[0]["attempts"] != 5.0 {
			t.Errorf("log:\n%s", j.messages())
		}
	})
}

func TestCircuitWaitsAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCircuit("team", CircuitConfig{Failures: 1, First: 10 * time.Second}, zerolog.Nop())
		c.Report(failure{after: time.Minute})
		if _, wait, _ := c.admit(); wait < time.Minute || wait > 65*time.Second {
			t.Errorf("a pause of %s, want the minute that was asked for and up to 5s", wait)
		}
	})
}

// Who takes no more for now is not down: it is asked when it said, by everybody.
func TestRateLimitHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(journal)
		c := NewCircuit("team", CircuitConfig{Failures: 1}, zerolog.New(j))
		before := admitted(t, c)
		c.Report(limited{failure{class: "rate", after: time.Minute}})
		c.Report(limited{failure{class: "rate", after: time.Second}})
		if before.holds() {
			t.Error("a message that arrives now is handled")
		}
		if _, wait, _ := c.admit(); wait != time.Minute {
			t.Errorf("a pause of %s, want a minute", wait)
		}
		elapse(time.Minute)
		for range 2 {
			if admitted(t, c) == nil {
				t.Error("not everybody is let through after it")
			}
		}
		if len(j.lines) > 0 {
			t.Errorf("log:\n%s", j.messages())
		}
	})
}

func TestCircuitLetsWaitersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCircuit("team", CircuitConfig{Failures: 1, First: time.Hour, Max: time.Hour}, zerolog.Nop())
		c.Report(errDown)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var through atomic.Int32
		for range 3 {
			wg.Go(func() { c.enter(ctx); through.Add(1) })
		}
		synctest.Wait()
		if through.Load() != 0 {
			t.Error("let through while open")
		}
		elapse(time.Hour)
		synctest.Wait()
		if through.Load() != 1 {
			t.Errorf("%d let through after the pause, want one", through.Load())
		}
		c.Report(nil)
		synctest.Wait()
		if through.Load() != 3 {
			t.Errorf("%d let through after a success, want all", through.Load())
		}
		c.Report(errDown)
		wg.Go(func() { c.enter(ctx) })
		synctest.Wait()
		stop()
		wg.Wait() // the end of the context lets everybody go
	})
}

func TestNoCircuit(t *testing.T) {
	var c *Circuit
	c.Report(errDown)
	p := c.enter(t.Context())
	if !p.holds() {
		t.Error("no leave without a circuit")
	}
	p.leave()
}

// robot is a target over HTTP that can be dead: it takes every request and answers none.
type robot struct {
	*httptest.Server
	dead   atomic.Bool
	calls  atomic.Int32 // of its consumer, whether they came here or not
	failed atomic.Int32 // of those
	mu     sync.Mutex
	took   map[string]int
}

func newRobot(t *testing.T) *robot {
	r := &robot{took: map[string]int{}}
	ended := make(chan struct{})
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if r.dead.Load() {
			select {
			case <-req.Context().Done():
			case <-ended:
			}
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.took[req.URL.Path]++
	}))
	t.Cleanup(func() { close(ended); r.Close() })
	return r
}

func (r *robot) taken() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.took)
}

// consumer sends each message to the robot, as a worker does.
func (r *robot) consumer(target string, circuit *Circuit) Consumer {
	client := &http.Client{Timeout: 500 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	return Consumer{
		Name: "notify-" + target, Stream: Work, Filter: Notifies + target, Concurrency: 2, Circuit: circuit,
		Handler: func(ctx context.Context, m *Message) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+"/"+m.Header[headerKey], strings.NewReader("{}"))
			if err != nil {
				return err
			}
			r.calls.Add(1)
			resp, err := client.Do(req)
			if err == nil {
				err = resp.Body.Close()
			}
			if err != nil {
				r.failed.Add(1)
			}
			circuit.Report(err)
			return err
		},
	}
}

// A robot that takes requests and never answers gets a bounded number of them, costs the one beside it nothing, and has every message when it
// is well again.
func TestDeadTargetEatsNobody(t *testing.T) {
	t.Parallel() // it takes its time
	const messages = 1000
	c, j := open(t, streamtest.Server(t))
	dead, well := newRobot(t), newRobot(t)
	dead.dead.Store(true)
	pauses := CircuitConfig{Failures: 5, First: 2 * time.Second, Max: 2 * time.Second}
	for i := range messages {
		put(t, c, Notifies+"dead", fmt.Sprintf("d%d", i))
	}
	began := time.Now()
	consume(t, c, dead.consumer("dead", NewCircuit("dead", pauses, c.cfg.Log)))
	consume(t, c, well.consumer("well", NewCircuit("well", pauses, c.cfg.Log)))
	eventually(t, "the circuit is open", func() bool { return len(j.with("circuit opened")) > 0 })
	for i := range messages {
		put(t, c, Notifies+"well", fmt.Sprintf("w%d", i))
	}
	eventually(t, "the one that is well has all", func() bool { return well.taken() == messages })
	// Five that fail and one in the other slot; then one after each pause, none of which is shorter than a second.
	most := 6 + int(time.Since(began)/time.Second)
	calls, retried := int(dead.calls.Load()), len(j.with("retried"))
	t.Logf("%d calls to the dead robot in %s", calls, time.Since(began).Round(time.Millisecond))
	if calls > most {
		t.Errorf("%d calls to the dead robot, want %d at most", calls, most)
	}
	if failed := int(dead.failed.Load() + well.failed.Load()); retried > failed { // on a slow machine one that is well may fail, too
		t.Errorf("%d tries used up by %d calls that failed", retried, failed)
	}
	eventually(t, "all messages to the dead robot are kept", func() bool { n := counts(t, c); return n.Dead == 0 && n.Work+n.Parked == messages })
	dead.dead.Store(false)
	eventually(t, "nothing left", func() bool { return counts(t, c) == Counts{} })
	if n := dead.taken(); n != messages {
		t.Errorf("the robot has %d messages, want %d", n, messages)
	}
	if len(j.with("circuit closed")) == 0 {
		t.Error("the circuit was never closed")
	}
}

// Without a call for it a message decides nothing: what is done already, or too late, is cleared away while the circuit is open.
func TestOpenCircuitClearsWhatNeedsNoCall(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	circuit := NewCircuit("team", CircuitConfig{Failures: 1, First: time.Second, Max: time.Second}, c.cfg.Log)
	circuit.Report(errDown)
	var calls atomic.Int32
	consume(t, c, Consumer{
		Name: "notify-team", Stream: Work, Filter: Notifies + "team", Concurrency: 4, Circuit: circuit,
		Handler: func(_ context.Context, m *Message) error {
			if strings.HasPrefix(m.Header[headerKey], "late") {
				return failure{final: true, class: "expired"}
			}
			calls.Add(1)
			err := errors.New("down")
			circuit.Report(err)
			return err
		},
	})
	put(t, c, Notifies+"team", "k1")
	for i := range 50 {
		put(t, c, Notifies+"team", fmt.Sprintf("late%d", i))
	}
	eventually(t, "all that is late is a dead letter", func() bool { return counts(t, c).Dead == 50 })
	if calls.Load() == 0 {
		t.Error("no call was tried")
	}
}
