package ingest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/events"
)

// sink stores nothing, so that only the receiver is measured.
type sink struct{}

func (sink) PublishEvent(context.Context, *events.Event) (bool, error) { return false, nil }

func benchServer(b *testing.B) *rig {
	b.Helper()
	return newRig(b, func(o *Options) {
		o.Publisher, o.Now, o.Log = sink{}, nil, zerolog.New(io.Discard)
	})
}

// BenchmarkReceive is a push of 2.7 KB over loopback, with kept connections. What it
// reports is the client's work as well as the receiver's; BenchmarkHandler is the latter.
func BenchmarkReceive(b *testing.B) {
	body := pushBody(b)
	for _, senders := range []struct {
		name string
		n    int
	}{{"one", 1}, {"parallel", 8}} {
		b.Run(senders.name, func(b *testing.B) {
			addr := benchServer(b).listen(b, nil)
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute}
			defer client.CloseIdleConnections()
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			if senders.n == 1 {
				for b.Loop() {
					if err := post(b.Context(), client, addr, body); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.SetParallelism(senders.n)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := post(b.Context(), client, addr, body); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// discard is a ResponseWriter that allocates nothing after the first answer.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkHandler is the same delivery without the network.
func BenchmarkHandler(b *testing.B) {
	s := benchServer(b)
	body := []byte(pushBody(b))
	reader := bytes.NewReader(body)
	req := httptest.NewRequest(http.MethodPost, "/hooks/repo", reader)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Repo-Token", testSecret)
	req.Body = io.NopCloser(reader)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	w := &discard{header: http.Header{}}
	for b.Loop() {
		reader.Reset(body)
		clear(w.header)
		s.ServeHTTP(w, req)
		if w.status != http.StatusAccepted {
			b.Fatal(w.status)
		}
	}
}
