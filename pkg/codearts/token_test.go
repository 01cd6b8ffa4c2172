package codearts_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// clock is the time of client and fake.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

var start = time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)

// newClockWorld is a world whose client and fake share a clock that stands still.
func newClockWorld(t *testing.T, opts codeartstest.Options, change ...func(*codearts.Config)) (*world, *clock) {
	t.Helper()
	c := &clock{}
	opts.Now = c.now
	return newWorld(t, opts, append(change, func(cfg *codearts.Config) { cfg.Now = c.now })...), c
}

// eventually waits for a condition, and fails when it does not come true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never came true: %s", what)
		}
	}
}

func TestManyCallersOneTokenRequest(t *testing.T) {
	w, clock := newClockWorld(t, codeartstest.Options{})
	ask := func() {
		t.Helper()
		w.Fail(codearts.OpToken, codeartstest.Failure{Delay: 200 * time.Millisecond, Times: 1})
		var wg sync.WaitGroup
		errs := make(chan error, 200)
		for range cap(errs) {
			wg.Go(func() { errs <- second(w.Commit(t.Context(), repoID, "main")) })
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	ask()
	if n := w.Calls(codearts.OpToken); n != 1 {
		t.Errorf("%d token requests, want 1", n)
	}
	clock.advance(25 * time.Hour)
	ask()
	if n := w.Calls(codearts.OpToken); n != 2 {
		t.Errorf("%d token requests after it expired, want 2", n)
	}
	w.ExpireTokens() // all of them meet a 401 at once
	ask()
	if n := w.Calls(codearts.OpToken); n != 3 {
		t.Errorf("%d token requests after it was taken back, want 3", n)
	}
}

func TestCallerThatGoesAwayFailsNobody(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	w.Fail(codearts.OpToken, codeartstest.Failure{Delay: time.Minute, Times: 1})
	ctx, cancel := context.WithCancel(t.Context())
	first, others := make(chan error, 1), make(chan error, 5)
	var wg sync.WaitGroup
	wg.Go(func() { first <- second(w.Commit(ctx, repoID, "main")) })
	eventually(t, "the first caller asks IAM", func() bool { return w.Calls(codearts.OpToken) == 1 })
	for range cap(others) {
		wg.Go(func() { others <- second(w.Commit(t.Context(), repoID, "main")) })
	}
	impatient, stop := context.WithCancel(t.Context())
	stop()
	if err := second(w.Commit(impatient, repoID, "main")); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that does not wait: %v", err)
	}
	cancel()
	wg.Wait()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first caller: %v", err)
	}
	for range cap(others) {
		if err := <-others; err != nil {
			t.Errorf("another caller: %v", err)
		}
	}
	if n := w.Calls(codearts.OpToken); n != 2 {
		t.Errorf("%d token requests, want 2", n)
	}
}

func TestTokenIsRenewedEarly(t *testing.T) {
	for _, row := range []struct{ life, before, after time.Duration }{
		{24 * time.Hour, 22*time.Hour + 59*time.Minute, 2 * time.Minute}, // an hour before its end
		{time.Hour, 53 * time.Minute, 2 * time.Minute},                   // a tenth of its life before its end
	} {
		w, clock := newClockWorld(t, codeartstest.Options{TokenLife: row.life}, func(cfg *codearts.Config) {
			cfg.Tokens = &codearts.TokenCache{Random: func() float64 { return 0 }}
		})
		call := func(requests int) {
			t.Helper()
			if err := second(w.Commit(t.Context(), repoID, "main")); err != nil {
				t.Fatal(err)
			}
			if n := w.Calls(codearts.OpToken); n != requests {
				t.Errorf("%v: %d token requests, want %d", row.life, n, requests)
			}
		}
		call(1)
		clock.advance(row.before)
		call(1)
		// IAM is away: the token that is left serves, and IAM is asked once a minute.
		w.Fail(codearts.OpToken, codeartstest.Failure{Status: 503})
		clock.advance(row.after)
		call(2)
		call(2)
		w.Clear()
		clock.advance(2 * time.Minute)
		call(3)
		call(3)
		if n := w.Calls(codearts.OpCommit); n != 6 {
			t.Errorf("%d calls, want 6: none was refused", n)
		}
	}
}

// The life of a token is counted on the client's clock, whatever that clock says.
func TestTokenWithClockThatIsOff(t *testing.T) {
	for _, off := range []time.Duration{-48 * time.Hour, 48 * time.Hour} {
		w := newWorld(t, codeartstest.Options{}, func(cfg *codearts.Config) {
			cfg.Now = func() time.Time { return time.Now().Add(off) }
		})
		for range 3 {
			if err := second(w.Commit(t.Context(), repoID, "main")); err != nil {
				t.Fatal(err)
			}
		}
		if n := w.Calls(codearts.OpToken); n != 1 {
			t.Errorf("%v off: %d token requests, want 1", off, n)
		}
	}
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	w, clock := newClockWorld(t, codeartstest.Options{})
	for op, call := range calls(w) {
		if op == codearts.OpToken {
			continue
		}
		w.StartBuild(jobID, w.Head(repoID, "main"), "main", "SUCCESS", 0)
		before := w.Calls(codearts.OpToken)
		w.ExpireTokens()
		if err := call(t.Context()); err != nil {
			t.Errorf("%s: with a token taken back: %v", op, err)
		}
		if n := w.Calls(codearts.OpToken) - before; n != 1 {
			t.Errorf("%s: %d token requests, want 1", op, n)
		}
		clock.advance(time.Minute)
		before, sent := w.Calls(codearts.OpToken), w.Calls(op)
		w.Fail(op, codeartstest.Failure{Status: 401, Code: "APIGW.0301", Message: "Incorrect IAM authentication information", Gateway: true})
		check(t, op, call(t.Context()), verdict{status: 401, class: "unauthorized", is: codearts.ErrUnauthorized})
		if n, s := w.Calls(codearts.OpToken)-before, w.Calls(op)-sent; n != 1 || s != 2 {
			t.Errorf("%s: never accepted: %d token requests, %d calls, want 1 and 2", op, n, s)
		}
		for range 5 {
			check(t, op, call(t.Context()), verdict{status: 401, class: "unauthorized", is: codearts.ErrUnauthorized})
		}
		if n := w.Calls(codearts.OpToken) - before; n != 1 {
			t.Errorf("%s: asked again and again: %d token requests, want 1", op, n)
		}
		w.Clear()
		clock.advance(time.Minute)
	}
}

func TestWrongPasswordIsNotHammered(t *testing.T) {
	w, clock := newClockWorld(t, codeartstest.Options{}, func(cfg *codearts.Config) { cfg.Credentials = password("wrong-password") })
	for range 5 {
		err := second(w.BuildRecord(t.Context(), jobID, 1))
		check(t, codearts.OpToken, err, verdict{status: 401, class: "unauthorized", is: codearts.ErrUnauthorized})
	}
	if n := w.Calls(codearts.OpToken); n != 1 {
		t.Errorf("%d token requests, want 1", n)
	}
	// Five wrong passwords in a quarter of an hour are a lock-out. A day of calls makes one an hour, and a right answer ends it.
	for minute := range 24 * 60 {
		clock.advance(time.Minute)
		if err := second(w.BuildRecord(t.Context(), jobID, 1)); !errors.Is(err, codearts.ErrUnauthorized) {
			t.Fatalf("error is %v", err)
		}
		if n, most := w.Calls(codearts.OpToken), 3+minute/55; n > most || minute == 5 && n != 2 {
			t.Fatalf("%d token requests in the first %d minutes", n, minute+1)
		}
	}
	if n := w.Calls(codearts.OpToken); n < 24 {
		t.Errorf("%d token requests in a day, want one an hour", n)
	}
	if n := w.Calls(codearts.OpBuildRecord); n != 0 {
		t.Errorf("%d calls without a token", n)
	}
}

func TestTokenRequestFails(t *testing.T) {
	for name, row := range map[string]struct {
		failure codeartstest.Failure
		want    verdict
	}{
		"429":      {codeartstest.Failure{Status: 429, Code: "APIGW.0308"}, verdict{status: 429, class: "throttled", is: codearts.ErrThrottled, again: true}},
		"503":      {codeartstest.Failure{Status: 503}, verdict{status: 503, class: "unavailable", again: true, maybe: true}},
		"dropped":  {codeartstest.Failure{Drop: true}, verdict{class: "network", again: true, maybe: true}},
		"no token": {codeartstest.Failure{Status: 201, Body: []byte(`{"token":{}}`)}, verdict{status: 201, class: "unreadable", again: true, maybe: true}},
		"garbage":  {codeartstest.Garbage(), verdict{status: 200, class: "unreadable", again: true, maybe: true}},
		"bad token": {
			codeartstest.Failure{Status: 201, Body: []byte(`{}`), Header: http.Header{"X-Subject-Token": {"has space"}}},
			verdict{status: 201, class: "unreadable", again: true, maybe: true},
		},
		"huge token": {
			codeartstest.Failure{Status: 201, Body: []byte(`{}`), Header: http.Header{"X-Subject-Token": {strings.Repeat("x", 100_001)}}},
			verdict{status: 201, class: "unreadable", again: true, maybe: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, codeartstest.Options{})
			row.failure.Times = 1
			w.Fail(codearts.OpToken, row.failure)
			check(t, codearts.OpToken, second(w.JobConfig(t.Context(), jobID)), row.want)
			if err := second(w.JobConfig(t.Context(), jobID)); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// A token without a life in the answer is taken to live a day.
func TestTokenWithoutLife(t *testing.T) {
	w, clock := newClockWorld(t, codeartstest.Options{Tokens: []string{"t0ken-without-life"}})
	w.Fail(codearts.OpToken, codeartstest.Failure{Status: 201, Body: []byte(`[]`), Header: http.Header{"X-Subject-Token": {"t0ken-without-life"}}})
	for i, want := range []int{1, 1, 2} {
		if err := second(w.JobConfig(t.Context(), jobID)); err != nil || w.Calls(codearts.OpToken) != want {
			t.Errorf("call %d: %d token requests, want %d: %v", i, w.Calls(codearts.OpToken), want, err)
		}
		clock.advance(12 * time.Hour)
	}
}

func TestStaticToken(t *testing.T) {
	for token, want := range map[string]error{"g00d-token": nil, "bad-token": codearts.ErrUnauthorized} {
		w := newWorld(t, codeartstest.Options{Tokens: []string{"g00d-token"}}, func(cfg *codearts.Config) {
			cfg.Credentials = codearts.StaticToken{Token: codearts.NewSecret(token)}
			cfg.IAMEndpoint = ""
		})
		if err := second(w.JobConfig(t.Context(), jobID)); !errors.Is(err, want) {
			t.Errorf("%s: %v", token, err)
		}
		if n := w.Calls(codearts.OpJobConfig); n != 1 {
			t.Errorf("%s: %d calls, want 1", token, n)
		}
	}
}

func TestProjectByID(t *testing.T) {
	for id, want := range map[codearts.IAMProjectID]error{codeartstest.ProjectID: nil, "ffff": codearts.ErrForbidden} {
		w := newWorld(t, codeartstest.Options{}, func(cfg *codearts.Config) {
			p := password(codeartstest.Password)
			p.ProjectName, p.ProjectID = "", id
			cfg.Credentials = p
		})
		if err := second(w.JobConfig(t.Context(), jobID)); !errors.Is(err, want) {
			t.Errorf("%s: %v", id, err)
		}
	}
}
