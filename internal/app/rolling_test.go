package app_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/stream"
)

// load delivers pushes at a steady rate until it is stopped, each with an id of its own.
type load struct {
	w          *world
	restarting atomic.Bool
	end        chan struct{}
	all        sync.WaitGroup

	mu     sync.Mutex
	sent   int
	failed []string
	took   map[bool][]time.Duration // while something is being restarted or not
}

// startLoad starts it with a number of senders, each of which keeps its connection.
func (w *world) startLoad(senders int, perSecond time.Duration) *load {
	l := &load{w: w, end: make(chan struct{}), took: map[bool][]time.Duration{}}
	turns := make(chan int)
	l.all.Go(func() {
		defer close(turns)
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case turns <- i:
			case <-l.end:
				return
			}
			<-tick.C
		}
	})
	for range senders {
		l.all.Go(func() {
			for i := range turns {
				l.deliver(i)
			}
		})
	}
	return l
}

func (l *load) deliver(i int) {
	began, restarting := time.Now(), l.restarting.Load()
	a, err := l.w.post(probe("push", fmt.Sprintf("p%d", i)), webhookToken)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	l.took[restarting] = append(l.took[restarting], took)
	if err != nil || a.code != http.StatusAccepted {
		l.failed = append(l.failed, fmt.Sprintf("p%d: %d %v", i, a.code, err))
	}
}

// more waits until so many more have been sent.
func (l *load) more(n int) {
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.sent
	}
	want := count() + n
	eventually(l.w.t, "more deliveries", func() error {
		if have := count(); have < want {
			return fmt.Errorf("%d of %d", have, want)
		}
		return nil
	})
}

// stop ends it and returns the ids of the events that were sent.
func (l *load) stop() map[string]int {
	close(l.end)
	l.all.Wait()
	ids := make(map[string]int)
	for i := range l.sent {
		ids[fmt.Sprintf("shop/p%d", i)] = 1
	}
	return ids
}

func (l *load) p99(restarting bool) time.Duration {
	took := slices.Sorted(slices.Values(l.took[restarting]))
	if len(took) == 0 {
		return 0
	}
	return took[len(took)*99/100]
}

// restart stops a process as an operator does, and starts it again.
func (w *world) restart(l *load, p *process, environ ...string) *process {
	w.t.Helper()
	l.restarting.Store(true)
	defer l.restarting.Store(false)
	p.stop()
	return w.startChild(p.name, environ...)
}

// TestRollingReceivers restarts two receivers one by one behind a balancer, under load: no sender gets another answer than 202, and every
// event is stored, once. With a delay the balancer looks after them. It prints how many requests had to be sent a second time.
func TestRollingReceivers(t *testing.T) {
	for _, s := range []settings{
		{Durability: "journal", DrainDelay: "0s"}, {Durability: "journal", DrainDelay: "1s"}, {Durability: "broker", DrainDelay: "1s"},
	} {
		t.Run(s.Durability+" "+s.DrainDelay, func(t *testing.T) {
			s.LogLevel = "info"
			w := newWorld(t, s)
			b := newBalancer(t)
			var receivers [2]*process
			environ := func(i int) []string {
				return []string{childRole + "=receiver", fmt.Sprintf("MILLRACE_RECEIVER_JOURNAL_DIR=%s/journal-%d", t.TempDir(), i)}
			}
			environs := [2][]string{environ(0), environ(1)}
			for i := range receivers {
				receivers[i] = w.startChild(fmt.Sprintf("receiver-%d", i), environs[i]...)
				b.lead(i, receivers[i])
			}
			if s.DrainDelay != "0s" {
				b.lookAfter(t)
			}
			w.receiver = serve(t, b)
			l := w.startLoad(64, 200)
			l.more(200)
			for range 2 {
				for i := range receivers {
					receivers[i] = w.restart(l, receivers[i], environs[i]...)
					b.lead(i, receivers[i])
					l.more(100)
				}
			}
			want := l.stop()
			if len(l.failed) > 0 {
				t.Errorf("%d of %d deliveries failed, first %s", len(l.failed), l.sent, l.failed[0])
			}
			eventually(t, "every event, once", func() error { return w.stored(want) })
			t.Logf("%d deliveries, %d of them sent a second time, p99 %s while a receiver is restarted, %s otherwise",
				l.sent, b.retried.Load(), l.p99(true).Round(100*time.Microsecond), l.p99(false).Round(100*time.Microsecond))
		})
	}
}

// stored is an error while the stream does not hold exactly the wanted events.
func (w *world) stored(want map[string]int) error {
	have := make(map[string]int)
	err := w.look().ReadEvents(w.t.Context(), stream.ReadOptions{}, func(e *stream.StoredEvent) error {
		have[e.ID]++
		return nil
	})
	return errors.Join(err, same(want, have))
}

// same is an error if two counts by name differ.
func same(want, have map[string]int) error {
	if maps.Equal(want, have) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] != want[name] {
			return fmt.Errorf("%s is there %d times, and %d of %d others", name, have[name], len(have), len(want))
		}
	}
	return fmt.Errorf("%d are there, %d are wanted", len(have), len(want))
}

// TestRollingWorkers restarts two workers one by one under load: every message is sent, once, and none waits for the broker to find out
// that a worker is gone, which would take ten minutes.
func TestRollingWorkers(t *testing.T) {
	w := newWorld(t, settings{Rules: "rolling", AckWait: "10m", LogLevel: "info"})
	w.startReceiver()
	var workers [2]*process
	for i := range workers {
		workers[i] = w.startChild(fmt.Sprintf("worker-%d", i))
	}
	l := w.startLoad(8, 100)
	for range 3 {
		for i := range workers {
			l.more(50)
			workers[i] = w.restart(l, workers[i])
		}
	}
	ids := l.stop()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d deliveries failed, first %s", len(l.failed), l.sent, l.failed[0])
	}
	want := make(map[string]int)
	for id := range ids {
		want["webhook: "+id] = 1
	}
	eventually(t, "every message, once", func() error { return same(want, w.told()) })
	eventually(t, "the end of all work", w.settled)
	if err := same(want, w.told()); err != nil {
		t.Error(err)
	}
	if n := w.counts(); n.Dead != 0 {
		t.Errorf("%d dead letters", n.Dead)
	}
}
