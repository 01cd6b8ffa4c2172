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

// limited has a client share a limiter, and sign, so that every call is one request.
func limited(l *codearts.Limiter) func(*codearts.Config) {
	return func(cfg *codearts.Config) { cfg.Limiter, cfg.Credentials = l, aksk() }
}

// All clients together get the burst at once and the rate after that, for each host.
func TestLimiterIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, connect := bubble(t, codeartstest.Options{})
		limiter := codearts.NewLimiter(10, 5)
		one, two := connect(limited(limiter)), connect(limited(limiter))
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 25 {
			client := []*codearts.Client{one, two}[i%2]
			wg.Go(func() {
				if err := second(client.JobConfig(t.Context(), jobID)); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if err := second(client.Commit(t.Context(), repoID, "main")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n, m := fake.Calls(codearts.OpJobConfig), fake.Calls(codearts.OpCommit); n != 5 || m != 5 {
			t.Errorf("at once %d and %d requests, want the burst, for each host", n, m)
		}
		pass(time.Second)
		synctest.Wait()
		if n := fake.Calls(codearts.OpJobConfig); n != 15 {
			t.Errorf("%d requests after a second, want 15", n)
		}
		wg.Wait()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("20 requests beyond the burst took %v, want 2s", took)
		}
	})
}

// A wait that does not fit is not begun: the caller is told at once, nothing is sent, and its place is free again.
func TestLimiterDoesNotWaitInVain(t *testing.T) {
	for _, row := range []struct{ timeout, deadline time.Duration }{
		{8 * time.Second, time.Hour},
		{time.Minute, time.Second},
		{time.Minute, 19 * time.Second}, // half of it is for the request
	} {
		synctest.Test(t, func(t *testing.T) { testVainWait(t, row.timeout, row.deadline) })
	}
}

func testVainWait(t *testing.T, timeout, deadline time.Duration) {
	fake, connect := bubble(t, codeartstest.Options{})
	client := connect(limited(codearts.NewLimiter(0.1, 1)), func(cfg *codearts.Config) { cfg.Timeout = timeout })
	if err := second(client.JobConfig(t.Context(), jobID)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for op, call := range map[string]func() error{
		codearts.OpJobConfig: func() error { return second(client.JobConfig(ctx, jobID)) },
		codearts.OpCheckWebhookURL: func() error {
			return client.CheckWebhookURL(ctx, jobID, codearts.NoticeDingTalk, "https://example.com")
		},
	} {
		err := call()
		api, ok := errors.AsType[*codearts.APIError](err)
		if !ok || !errors.Is(err, codearts.ErrThrottled) || !api.Retryable() || api.MayHaveHappened() || api.Status != 0 || api.Class() != "throttled" ||
			api.RetryAfter() != 10*time.Second || api.Op != op || !strings.Contains(err.Error(), "not sent") || !strings.Contains(err.Error(), "10s") {
			t.Errorf("%s: %v", op, err)
		}
	}
	if n := fake.Calls(codearts.OpJobConfig); n != 1 || time.Since(began) != 0 {
		t.Errorf("%d requests were sent, after %v", n, time.Since(began))
	}
	pass(3 * time.Second) // 7s remain, which fit
	if err := second(client.JobConfig(t.Context(), jobID)); err != nil || time.Since(began).Round(time.Millisecond) != 10*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func TestLimiterCallerGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, connect := bubble(t, codeartstest.Options{})
		client := connect(limited(codearts.NewLimiter(1, 1)))
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		if err := second(client.JobConfig(t.Context(), jobID)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		go func() { errs <- second(client.JobConfig(ctx, jobID)) }()
		synctest.Wait()
		cancel()
		check(t, codearts.OpJobConfig, <-errs, verdict{class: "canceled", again: true})
		if err := second(client.JobConfig(t.Context(), jobID)); err != nil || time.Since(began) != time.Second {
			t.Errorf("the place of who went away: after %v: %v", time.Since(began), err)
		}
		if n := fake.Calls(codearts.OpJobConfig); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
	})
}

// A host that asks for a pause gets it from everybody; the other hosts go on.
func TestLimiterKeepsAPause(t *testing.T) {
	for name, row := range map[string]struct {
		header string
		left   time.Duration // of the pause, a second later
	}{
		"seconds": {"30", 29 * time.Second},
		"a year":  {"31536000", time.Hour - time.Second},
		"none":    {"", 0},
		"zero":    {"0", 0},
		"past":    {"-5", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake, connect := bubble(t, codeartstest.Options{})
				limiter := codearts.NewLimiter(0, 0)
				one, two := connect(limited(limiter)), connect(limited(limiter))
				throttled := codeartstest.Throttled()
				throttled.Times, throttled.Header = 1, http.Header{"Retry-After": {row.header}}
				fake.Fail(codearts.OpJobConfig, throttled)
				if err := second(one.JobConfig(t.Context(), jobID)); !errors.Is(err, codearts.ErrThrottled) {
					t.Fatal(err)
				}
				pass(time.Second)
				err := second(two.JobConfig(t.Context(), jobID))
				api, refused := errors.AsType[*codearts.APIError](err)
				if refused != (row.left > 0) || refused && (api.RetryAfter() != row.left || !strings.Contains(err.Error(), "asked for a pause")) {
					t.Errorf("during the pause: %v", err)
				}
				if err := second(two.Commit(t.Context(), repoID, "main")); err != nil {
					t.Errorf("another host: %v", err)
				}
				before := fake.Calls(codearts.OpJobConfig)
				pass(max(row.left-5*time.Second, 0)) // the rest of it fits into the client's timeout
				began := time.Now()
				if err := second(two.JobConfig(t.Context(), jobID)); err != nil || time.Since(began) != min(row.left, 5*time.Second) {
					t.Errorf("at its end, after %v: %v", time.Since(began), err)
				}
				if n := fake.Calls(codearts.OpJobConfig); n != before+1 {
					t.Errorf("%d requests, want %d", n, before+1)
				}
			})
		})
	}
}

// Those who wait for the end of a pause come at the limiter's rate, and a pause that begins while they wait is kept, too.
func TestLimiterOpensSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, connect := bubble(t, codeartstest.Options{})
		client := connect(limited(codearts.NewLimiter(10, 2)))
		throttled := codeartstest.Throttled()
		throttled.Times, throttled.Header = 1, http.Header{"Retry-After": {"5"}}
		fake.Fail(codearts.OpJobConfig, throttled)
		if err := second(client.JobConfig(t.Context(), jobID)); !errors.Is(err, codearts.ErrThrottled) {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		errs := make(chan error, 12)
		for range cap(errs) {
			wg.Go(func() { errs <- second(client.JobConfig(t.Context(), jobID)) })
		}
		expect := func(after time.Duration, requests int) {
			t.Helper()
			pass(after)
			synctest.Wait()
			if n := fake.Calls(codearts.OpJobConfig) - 1; n != requests {
				t.Errorf("%d requests, want %d", n, requests)
			}
		}
		expect(4999*time.Millisecond, 0)
		expect(time.Millisecond, 2) // the burst
		expect(200*time.Millisecond, 4)
		throttled.Times, throttled.Header = 1, http.Header{"Retry-After": {"3"}}
		fake.Fail(codearts.OpJobConfig, throttled)
		expect(100*time.Millisecond, 5) // this one is told to wait
		expect(2900*time.Millisecond, 5)
		expect(100*time.Millisecond, 7)
		wg.Wait()
		close(errs)
		failed := 0
		for err := range errs {
			if err != nil && (!errors.Is(err, codearts.ErrThrottled) || strings.Contains(err.Error(), "not sent")) {
				t.Error(err)
			}
			if err != nil {
				failed++
			}
		}
		if n := fake.Calls(codearts.OpJobConfig); failed != 1 || n != 13 {
			t.Errorf("%d failed of %d requests, want 1 of 13", failed, n)
		}
	})
}
