package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
)

// BenchmarkReceive is a delivery from end to end, over 64 connections: HTTP over the loopback, checked, scanned, synced to a journal or
// not, stored in a real stream, its acknowledgement awaited, answered 202. Sender, receiver and broker share the machine, the disk and the
// process, and the allocations are those of all three.
func BenchmarkReceive(b *testing.B) {
	for _, durability := range []string{"broker", "journal"} {
		b.Run(durability, func(b *testing.B) {
			r := newReceive(b, durability)
			b.SetBytes(int64(len(r.body)))
			b.ReportAllocs()
			b.SetParallelism(max(64/runtime.GOMAXPROCS(0), 1)) // senders for each processor: most of them wait for the acknowledgement
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() && r.next() {
				}
			})
			b.StopTimer()
			r.stored()
		})
	}
}

// receive is a receiver that is sent the same delivery again and again, each time with another id.
type receive struct {
	*world
	body    []byte
	at, end int // of the id in it
	ids     atomic.Int64
}

func newReceive(b *testing.B, durability string) *receive {
	w := newWorld(b, settings{EventsMaxBytes: "4GiB", JournalBytes: "4GiB", Durability: durability})
	w.start("receiver", func(ctx context.Context, cfg *config.Config, _ io.Writer, ready func()) error {
		cfg.Log.Level = "info"
		return app.Receiver(ctx, cfg, io.Discard, func(addr string) {
			w.receiver = "http://" + addr
			ready()
		})
	})
	r := &receive{world: w}
	commit, body := w.push("count totals in cents", 0, "")
	uuid := []byte(`"uuid":"`)
	r.body, r.at = body, bytes.Index(body, uuid)+len(uuid)
	r.end = r.at + bytes.IndexByte(body[r.at:], '"')
	if commit == "" || r.at < len(uuid) {
		b.Fatalf("no uuid in %s", body)
	}
	return r
}

// next sends one, and tells whether it was accepted.
func (r *receive) next() bool {
	own := append(make([]byte, 0, len(r.body)+32), r.body[:r.at]...)
	own = strconv.AppendInt(own, r.ids.Add(1), 10)
	return r.send(append(own, r.body[r.end:]...))
}

// stored waits until all that was sent is in the stream: with a journal the last may still be on their way.
func (r *receive) stored() {
	r.t.Helper()
	eventually(r.t, "all events in the stream", func() error {
		if n := r.counts().Events; n != uint64(r.ids.Load()) {
			return fmt.Errorf("%d are stored of %d", n, r.ids.Load())
		}
		return nil
	})
}

// send posts a delivery and looks at the status alone.
func (w *world) send(body []byte) bool {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.receiver+"/hooks/shop", bytes.NewReader(body))
	if err != nil {
		w.t.Error(err)
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Repo-Token", webhookToken)
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Error(err)
		return false
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusAccepted {
		w.t.Errorf("answered %d, %v", resp.StatusCode, err)
		return false
	}
	return true
}
