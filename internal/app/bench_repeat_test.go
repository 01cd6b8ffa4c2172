package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/notify"
	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/rules"
)

// windows measures, for each message, how long after the target's answer its record is stored: who dies in between leaves a message that
// comes once more.
type windows struct {
	effects.Records
	robots http.Handler

	mu       sync.Mutex
	answered map[string]time.Time // by key, which a webhook has as its id
	took     []time.Duration
}

// ServeHTTP lets the robots answer, and writes down when the answer is on its way.
func (w *windows) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.robots.ServeHTTP(rw, r)
	w.mu.Lock()
	w.answered[r.Header.Get("Webhook-Id")] = time.Now()
	w.mu.Unlock()
	_ = http.NewResponseController(rw).Flush()
}

// Update writes a record, and when it is done measures.
func (w *windows) Update(ctx context.Context, subject string, data []byte, rev uint64) (uint64, error) {
	rev, err := w.Records.Update(ctx, subject, data, rev)
	if now := time.Now(); err == nil && bytes.Contains(data, []byte(`"state":"done"`)) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.took = append(w.took, now.Sub(w.answered[strings.TrimPrefix(subject, "action.")]))
	}
	return rev, err
}

// sender is the target of a benchmark.
type sender struct{ to notify.Notifier }

func (s sender) Notify(ctx context.Context, key string, a rules.Action) error {
	return s.to.Notify(ctx, notify.Message{ID: key, Title: a.Notify.Title, Text: a.Notify.Text})
}

// BenchmarkRepeatWindow is the time in which the death of a worker repeats a message: from the target's answer until its record is stored.
func BenchmarkRepeatWindow(b *testing.B) {
	for _, broker := range []struct {
		name string
		nats string
	}{
		{"one server", streamtest.Server(b).URL()},
		{"three servers", strings.Join(streamtest.StartCluster(b, 3).URLs(), ",")},
	} {
		for _, at := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s, %d at once", broker.name, at), func(b *testing.B) { repeatWindow(b, broker.nats, at) })
		}
	}
}

func repeatWindow(b *testing.B, nats string, at int) {
	conn, err := stream.Connect(b.Context(), stream.Config{URLs: strings.Split(nats, ","), Name: "bench", Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	w := &windows{Records: conn, robots: notifytest.New(nil, hookRobot), answered: map[string]time.Time{}}
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	to, err := notify.New(notify.Config{
		Kind: notify.KindWebhook, Name: "hook", URL: hookRobot.URL(serve(b, w)), Secret: hookRobot.Secret, Transport: transport,
	})
	if err != nil {
		b.Fatal(err)
	}
	eff := effects.New(effects.Seams{Records: w, Work: conn, Notifiers: map[string]effects.Notifier{"hook": sender{to}}}, effects.Settings{}, zerolog.Nop())
	var number atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range at {
		all.Go(func() {
			for n := number.Add(1); n <= int64(b.N); n = number.Add(1) {
				data, err := json.Marshal(rules.Action{
					V: 1, Key: rules.Hash(b.Name(), fmt.Sprint(b.N), fmt.Sprint(n)), ID: "notify1", Kind: rules.KindNotify, EventID: "shop/1", RunID: "r",
					Notify: &rules.Notify{To: []string{"hook"}, Title: rules.Text{{Literal: "t"}}, Text: rules.Text{{Literal: "x"}}},
				})
				if err == nil {
					err = eff.Notify(b.Context(), effects.Message{Data: data, Stored: time.Now()})
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	slices.Sort(w.took)
	if len(w.took) != b.N {
		b.Fatalf("%d of %d", len(w.took), b.N)
	}
	for name, share := range map[string]float64{"p50-µs": 0.5, "p99-µs": 0.99, "max-µs": 1} {
		b.ReportMetric(float64(w.took[int(share*float64(len(w.took)-1))].Microseconds()), name)
	}
}

// BenchmarkKilledMessages kills a worker at a random moment while messages are sent, b.N times, and counts those that came more than once: how many of
// a hundred kills repeat one, and of how many messages.
func BenchmarkKilledMessages(b *testing.B) {
	w := newWorld(b, settings{Rules: "shop", AckWait: soon})
	w.startReceiver()
	stop, sent := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { sent <- n }()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				n++
				w.send(probe("demo_probe", fmt.Sprint(n)))
			}
		}
	}()
	b.ResetTimer()
	for range b.N {
		worker := w.startWorker("worker", brake{})
		<-time.After(time.Duration(rand.IntN(400)) * time.Millisecond) // the moment of a kill is by chance
		worker.kill()
	}
	close(stop)
	events := <-sent
	last := w.startWorker("last worker", brake{})
	came := map[string]int{}
	within(b, 2*patience, "all messages", func() error {
		clear(came)
		for _, m := range w.robots.Messages() {
			came[m.ID]++
		}
		if len(came) < events {
			return fmt.Errorf("%d of %d", len(came), events)
		}
		return w.settled()
	})
	last.stop()
	repeats := 0
	for _, n := range came {
		repeats += n - 1
	}
	b.ReportMetric(float64(events), "messages")
	b.ReportMetric(float64(repeats), "repeats")
}
