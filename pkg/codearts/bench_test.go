package codearts_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
)

// inMemory is an IAM and a service without a network.
type inMemory struct{ body string }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/v3/auth/tokens" {
		return &http.Response{
			StatusCode: http.StatusCreated, Header: http.Header{"X-Subject-Token": {"t0ken"}}, Body: io.NopCloser(strings.NewReader(`{}`)), ContentLength: 2,
		}, nil
	}
	return canned{body: m.body}.RoundTrip(r)
}

// A call with a token that is there, or signed, with and without a limiter: at most 25 µs and 60 allocations.
func BenchmarkCall(b *testing.B) {
	for _, row := range []struct {
		name, body string
		call       func(ctx context.Context, c *codearts.Client) error
	}{
		{"commit", exampleOf(b, codearts.OpCommit).body(), func(ctx context.Context, c *codearts.Client) error { return second(c.Commit(ctx, repoID, "main")) }},
		{"build_record", exampleOf(b, codearts.OpBuildRecord).body(), func(ctx context.Context, c *codearts.Client) error { return second(c.BuildRecord(ctx, jobID, 1)) }},
	} {
		for way, cfg := range map[string]codearts.Config{
			"":                {Credentials: password("x")},
			"/signed":         {Credentials: aksk()},
			"/signed_limited": {Credentials: aksk(), Limiter: codearts.NewLimiter(1e9, 1e6)},
		} {
			b.Run(row.name+way, func(b *testing.B) {
				cfg.Region, cfg.Transport = "cn-north-4", inMemory{row.body}
				client, err := codearts.New(cfg)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if err := row.call(b.Context(), client); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// A thousand callers whose token has ended: one request to IAM for all of them.
func BenchmarkExpiredToken(b *testing.B) {
	var hours, requests atomic.Int64
	client, err := codearts.New(codearts.Config{
		Region: "cn-north-4", Transport: inMemory{exampleOf(b, codearts.OpCommit).body()}, Credentials: password("x"),
		Now: func() time.Time { return start.Add(time.Duration(hours.Load()) * time.Hour) },
		Observe: func(operation string, _ int, _ time.Duration) {
			if operation == codearts.OpToken {
				requests.Add(1)
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	rounds := int64(0)
	for b.Loop() {
		hours.Add(25)
		rounds++
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if err := second(client.Commit(b.Context(), repoID, "main")); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if requests.Load() != rounds {
		b.Fatalf("%d token requests in %d rounds", requests.Load(), rounds)
	}
}
