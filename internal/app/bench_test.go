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
			receive(b, settings{EventsMaxBytes: "4GiB", JournalBytes: "4GiB", Durability: durability})
		})
	}
}

func receive(b *testing.B, s settings) {
	w := newWorld(b, s)
	w.start("receiver", func(ctx context.Context, cfg *config.Config, _ io.Writer, ready func()) error {
		cfg.Log.Level = "info"
		return app.Receiver(ctx, cfg, io.Discard, func(addr string) {
			w.receiver = "http://" + addr
			ready()
		})
	})
	commit, body := w.push("count totals in cents", 0, "")
	uuid := []byte(`"uuid":"`)
	at := bytes.Index(body, uuid) + len(uuid)
	end := at + bytes.IndexByte(body[at:], '"')
	if commit == "" || at < len(uuid) {
		b.Fatalf("no uuid in %s", body)
	}
	var ids atomic.Int64
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	b.SetParallelism(max(64/runtime.GOMAXPROCS(0), 1)) // senders for each processor: most of them wait for the acknowledgement
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		own := make([]byte, 0, len(body)+32)
		for pb.Next() {
			own = append(own[:0], body[:at]...)
			own = strconv.AppendInt(own, ids.Add(1), 10)
			own = append(own, body[end:]...)
			if !w.send(own) {
				return
			}
		}
	})
	b.StopTimer()
	eventually(b, "all events in the stream", func() error { // with a journal the last may still be on their way
		if n := w.counts().Events; n != uint64(ids.Load()) {
			return fmt.Errorf("%d are stored of %d", n, ids.Load())
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
