package codearts_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// A host that answers nothing keeps callers for a timeout each, until it is taken for down: then they are told at once, and one request after each
// pause looks whether it is back.
func TestHostThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, connect := bubble(t, codeartstest.Options{})
		limiter := codearts.NewLimiter(1000, 1000)
		limiter.SetCircuit(codearts.Circuit{Failures: 3, First: 10 * time.Second, Max: 20 * time.Second})
		client := connect(limited(limiter), func(cfg *codearts.Config) { cfg.Timeout = 30 * time.Second })
		ask := func() error { return second(client.JobConfig(t.Context(), jobID)) }
		fake.Fail(codearts.OpJobConfig, codeartstest.Failure{Delay: time.Hour})
		for range 3 {
			began := time.Now()
			if ask() == nil || time.Since(began) != 30*time.Second {
				t.Fatalf("took %s, want the timeout", time.Since(began))
			}
		}
		for _, longest := range []time.Duration{10 * time.Second, 20 * time.Second, 20 * time.Second} {
			sent := fake.Calls(codearts.OpJobConfig)
			began := time.Now()
			err := ask()
			var e *codearts.APIError
			if !errors.As(err, &e) || !e.Retryable() || e.MayHaveHappened() || e.Class() != "unavailable" || !strings.Contains(e.Error(), "gave no answer") {
				t.Fatalf("got %v", err)
			}
			if time.Since(began) != 0 || e.RetryAfter() < longest/2 || e.RetryAfter() > longest {
				t.Fatalf("after %s: told to wait %s, want between half of %s and all of it, at once", time.Since(began), e.RetryAfter(), longest)
			}
			if err := second(client.Commit(t.Context(), repoID, "main")); err != nil {
				t.Fatalf("the other host: %v", err)
			}
			pass(e.RetryAfter())
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { _ = ask() })
			}
			wg.Wait()
			if n := fake.Calls(codearts.OpJobConfig) - sent; n != 1 {
				t.Fatalf("%d requests after the pause, want one", n)
			}
		}
	})
}

// What a host answers, good or bad, shows that it is there, and a caller that gives up shows nothing.
func TestHostThatAnswersIsNotDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, connect := bubble(t, codeartstest.Options{})
		limiter := codearts.NewLimiter(1000, 1000)
		limiter.SetCircuit(codearts.Circuit{Failures: 2, First: time.Hour, Max: time.Hour})
		client := connect(limited(limiter))
		ask := func(ctx context.Context) error { return second(client.JobConfig(ctx, jobID)) }
		for _, f := range []codeartstest.Failure{
			{Status: 500},
			{Status: 404},
			{Status: 503, Header: http.Header{"Retry-After": {"1"}}},
		} {
			f.Times = 5
			fake.Fail(codearts.OpJobConfig, f)
			for range 5 {
				_ = ask(t.Context())
			}
		}
		fake.Fail(codearts.OpJobConfig, codeartstest.Failure{Delay: time.Minute, Times: 5})
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			_ = ask(ctx)
		}
		pass(time.Minute)
		if err := ask(t.Context()); err != nil {
			t.Errorf("taken for down: %v", err)
		}
		// A gateway that has nobody behind it is.
		fake.Fail(codearts.OpJobConfig, codeartstest.Failure{Status: 502, Times: 2})
		_, _ = ask(t.Context()), ask(t.Context())
		err := ask(t.Context())
		if err == nil || !strings.Contains(err.Error(), "gave no answer 2 times in a row") {
			t.Errorf("got %v", err)
		}
		pass(time.Hour)
		for range 3 {
			if err := ask(t.Context()); err != nil {
				t.Errorf("it is back: %v", err)
			}
		}
	})
}
