package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

const (
	quietSources = 9
	quietRate    = 5 // events a second of each
	factTakes    = 100 * time.Millisecond
	phase        = 6 * time.Second
)

// BenchmarkFairness is how long events of nine quiet sources take from their 202 to the decision, first while the tenth sends as little as
// they, then while it sends ten times as much, in turn. Every decision waits for a fact. The ratio of the two is the figure, once with
// places enough for all, once with so few that what waits of the tenth grows all the time.
func BenchmarkFairness(b *testing.B) {
	for _, c := range []struct {
		name   string
		places int
		grows  bool
	}{{"below capacity", 16, false}, {"above capacity", 2, true}} {
		b.Run(c.name, func(b *testing.B) {
			f := newFairness(b, c.places)
			var equal, loud []time.Duration
			waiting := 0
			for range b.N {
				took, _ := f.measure(b, quietRate)
				equal = append(equal, took...)
				took, left := f.measure(b, 10*quietRate)
				loud = append(loud, took...)
				waiting = max(waiting, left)
			}
			switch grows := waiting > 50; {
			case c.grows && waiting == 0:
				b.Error("no event waited at the end")
			case grows != c.grows:
				b.Logf("this machine is too slow to be %s: %d events waited at the end", c.name, waiting)
			}
			before, after := percentile(equal, 99), percentile(loud, 99)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(before.Microseconds())/1000, "p99-equal-ms")
			b.ReportMetric(float64(after.Microseconds())/1000, "p99-loud-ms")
			b.ReportMetric(float64(after)/float64(before), "ratio")
			b.ReportMetric(float64(waiting), "loud-waiting")
		})
	}
}

func percentile(all []time.Duration, p int) time.Duration {
	slices.Sort(all)
	return all[len(all)*p/100]
}

// fairness is a receiver and a worker with ten sources, and when each event was accepted and decided.
type fairness struct {
	*world
	body       []byte // of a push
	begin, end int    // of its id
	sent       int

	mu       sync.Mutex
	accepted map[string]time.Time
	took     map[string]time.Duration
	early    map[string]time.Time // decided before the sender had its answer
}

func newFairness(b *testing.B, places int) *fairness {
	f := &fairness{
		world: newWorld(b, settings{Rules: "fairness", LogLevel: "info"}), accepted: map[string]time.Time{}, took: map[string]time.Duration{},
		early: map[string]time.Time{},
	}
	f.fake.Fail("job_config", codeartstest.Failure{Delay: factTakes})
	ten := func(cfg *config.Config) {
		for i := range quietSources + 1 {
			cfg.Sources["s"+strconv.Itoa(i)] = cfg.Sources["shop"]
		}
		cfg.Worker.Concurrency.Run = places
	}
	f.start("receiver", func(ctx context.Context, cfg *config.Config, _ io.Writer, ready func()) error {
		ten(cfg)
		return app.Receiver(ctx, cfg, io.Discard, func(addr string) {
			f.receiver = "http://" + addr
			ready()
		})
	})
	f.start("worker", func(ctx context.Context, cfg *config.Config, _ io.Writer, ready func()) error {
		ten(cfg)
		return app.Worker(ctx, cfg, f, ready)
	})
	_, f.body = f.push("count totals in cents", 0, "")
	uuid := []byte(`"uuid":"`)
	f.begin = bytes.Index(f.body, uuid) + len(uuid)
	f.end = f.begin + bytes.IndexByte(f.body[f.begin:], '"')
	return f
}

// Write takes the log of the worker.
func (f *fairness) Write(line []byte) (int, error) {
	if !bytes.Contains(line, []byte(`"run decided"`)) {
		return len(line), nil
	}
	now := time.Now()
	var of struct {
		EventID string `json:"event_id"`
	}
	if err := json.Unmarshal(line, &of); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.accepted[of.EventID]; ok {
		f.took[of.EventID] = now.Sub(at)
	} else {
		f.early[of.EventID] = now
	}
	return len(line), nil
}

// measure sends for a while, source 0 at a rate of its own, and returns how long the events of the others took, and how many of source 0
// were not decided at the end. It ends when all are.
func (f *fairness) measure(b *testing.B, rate int) (took []time.Duration, left int) {
	f.mu.Lock()
	clear(f.accepted)
	clear(f.took)
	f.mu.Unlock()
	first := f.sent
	f.sent += 1_000_000
	var senders sync.WaitGroup
	for source := range quietSources + 1 {
		every := time.Second / quietRate
		if source == 0 {
			every = time.Second / time.Duration(rate)
		}
		senders.Go(func() {
			f.sendEvery(b, "s"+strconv.Itoa(source), every, first+source*100_000)
		})
	}
	senders.Wait()
	f.mu.Lock()
	left = len(f.accepted) - len(f.took)
	f.mu.Unlock()
	within(b, 2*patience, "all decisions", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if n := len(f.accepted) - len(f.took); n > 0 {
			return fmt.Errorf("%d are missing", n)
		}
		return nil
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, d := range f.took {
		if id[:3] != "s0/" {
			took = append(took, d)
		}
	}
	return took, left
}

// sendEvery sends deliveries of a source at a steady rate, whatever becomes of them.
func (f *fairness) sendEvery(b *testing.B, source string, every time.Duration, number int) {
	var under sync.WaitGroup
	defer under.Wait()
	begin, due := time.Now(), time.NewTimer(0)
	defer due.Stop()
	for i := range int(phase / every) {
		<-due.C
		due.Reset(time.Until(begin.Add(time.Duration(i+1) * every)))
		id := strconv.Itoa(number + i + 1)
		under.Go(func() { f.sendOne(b, source, id) })
	}
}

func (f *fairness) sendOne(b *testing.B, source, id string) {
	body := slices.Concat(f.body[:f.begin], []byte(id), f.body[f.end:])
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, f.receiver+"/hooks/"+source, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Repo-Token", webhookToken)
	resp, err := f.client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusAccepted {
		b.Errorf("answered %d, %v", resp.StatusCode, err)
		return
	}
	now, event := time.Now(), source+"/"+id
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted[event] = now
	if at, ok := f.early[event]; ok {
		f.took[event] = at.Sub(now)
		delete(f.early, event)
	}
}
