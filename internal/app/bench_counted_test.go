package app_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/ingest"
	"github.com/millrace/millrace/internal/telemetry"
	"github.com/millrace/millrace/pkg/events"
)

// sink stores nothing, so that only the receiver is measured.
type sink struct{}

func (sink) PublishEvent(context.Context, *events.Event) (bool, error) { return false, nil }

// silent is a ResponseWriter that allocates nothing after the first answer.
type silent struct {
	header http.Header
	status int
}

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) Write(p []byte) (int, error) { return len(p), nil }
func (s *silent) WriteHeader(status int)      { s.status = status }

// BenchmarkReceiveCounted is what counting the log adds to a delivery: the receiver without network and broker, its lines counted and
// not. The ratio of the two is the figure.
func BenchmarkReceiveCounted(b *testing.B) {
	w := newWorld(b, settings{})
	_, body := w.push("count totals in cents", 0, "")
	for _, c := range []struct {
		name string
		log  zerolog.Logger
	}{
		{"plain", telemetry.Logger(io.Discard, telemetry.FormatJSON, "info")},
		{"counted", telemetry.NewMetrics(telemetry.Names{Sources: []string{"shop"}}).Logger(io.Discard, telemetry.FormatJSON, "info")},
	} {
		b.Run(c.name, func(b *testing.B) {
			server, err := ingest.New(ingest.Options{
				Sources:   []ingest.Source{{Name: "shop", Verify: ingest.Verify{Scheme: ingest.SchemeToken, Secrets: []ingest.Secret{ingest.Secret(webhookToken)}}}},
				Publisher: sink{}, Log: c.log,
			})
			if err != nil {
				b.Fatal(err)
			}
			reader := bytes.NewReader(body)
			req := httptest.NewRequest(http.MethodPost, "/hooks/shop", reader)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("X-Repo-Token", webhookToken)
			req.Body = io.NopCloser(reader)
			answer := &silent{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				reader.Reset(body)
				clear(answer.header)
				server.ServeHTTP(answer, req)
				if answer.status != http.StatusAccepted {
					b.Fatal(answer.status)
				}
			}
		})
	}
}
