package codearts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// verdict is what an error has to say.
type verdict struct {
	status   int
	class    string
	is       error
	again    bool
	maybe    bool
	writesNo bool // again is false for a call that writes
}

// of is the verdict for one operation: what it says of a read, and what is different when something may have been changed.
func (v verdict) of(op codearts.Operation) verdict {
	if op.Writes && v.writesNo || op.Repeat == codearts.RepeatNever && v.maybe {
		v.again = false
	}
	return v
}

// check compares an error with its verdict. name is the operation it names; "" when it may be any.
func check(t *testing.T, name string, err error, want verdict) {
	t.Helper()
	api, ok := errors.AsType[*codearts.APIError](err)
	if !ok {
		t.Errorf("%s: not an APIError: %v", name, err)
		return
	}
	status := api.Status
	if status == http.StatusCreated && want.status == http.StatusOK {
		status = want.status // v4 says so that something was made
	}
	got := verdict{status: status, class: api.Class(), again: api.Retryable(), maybe: api.MayHaveHappened(), is: want.is, writesNo: want.writesNo}
	for _, sentinel := range []error{
		codearts.ErrNotFound, codearts.ErrUnauthorized, codearts.ErrForbidden, codearts.ErrThrottled, codearts.ErrConflict, codearts.ErrInvalid,
	} {
		if errors.Is(err, sentinel) != errors.Is(want.is, sentinel) {
			t.Errorf("%s: errors.Is(%v, %v) is wrong", name, err, sentinel)
		}
	}
	if got != want || name != "" && api.Op != name || api.Path == "" || api.Method == "" {
		t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, got, want)
	}
}

// failureKinds are the ways in which a call can fail, and what the error then says of it.
func failureKinds() map[string]failureKind {
	status := func(s int, code string) codeartstest.Failure {
		return codeartstest.Failure{Status: s, Code: code, Message: "no luck"}
	}
	invalid := func(s int) verdict { return verdict{status: s, class: "invalid", is: codearts.ErrInvalid} }
	throttled := func(s int) verdict {
		return verdict{status: s, class: "throttled", is: codearts.ErrThrottled, again: true}
	}
	unavailable := func(s int) verdict { return verdict{status: s, class: "unavailable", again: true, maybe: true} }
	refused := verdict{status: 200, class: "refused", again: true, writesNo: true}
	unreadable := verdict{status: 200, class: "unreadable", again: true, maybe: true}
	noAnswer := func(class string) verdict { return verdict{class: class, again: true, maybe: true} }
	return map[string]failureKind{
		"400":                   {status(400, "CB.00060200"), invalid(400)},
		"400 without code":      {status(400, ""), invalid(400)},
		"401":                   {status(401, "APIGW.0301"), verdict{status: 401, class: "unauthorized", is: codearts.ErrUnauthorized}},
		"403":                   {status(403, "APIGW.0302"), verdict{status: 403, class: "forbidden", is: codearts.ErrForbidden}},
		"404":                   {status(404, "X.1"), verdict{status: 404, class: "not_found", is: codearts.ErrNotFound}},
		"409":                   {status(409, "X.1"), verdict{status: 409, class: "conflict", is: codearts.ErrConflict}},
		"413":                   {status(413, "APIGW.0201"), verdict{status: 413, class: "size", is: codearts.ErrInvalid}},
		"429":                   {status(429, "APIGW.0308"), throttled(429)},
		"500":                   {status(500, "CB.00060101"), unavailable(500)},
		"throttled as 500":      {codeartstest.Throttled(), throttled(500)},
		"busy as 500":           {status(500, "CB.00060100"), throttled(500)},
		"502":                   {status(502, "APIGW.0201"), unavailable(502)},
		"503":                   {status(503, ""), unavailable(503)},
		"gateway 504":           {codeartstest.Failure{Status: 504, Code: "APIGW.0201", Gateway: true}, unavailable(504)},
		"gateway 429":           {codeartstest.Failure{Status: 429, Code: "APIGW.0308", Gateway: true}, throttled(429)},
		"page with 502":         {codeartstest.Failure{Status: 502, Body: []byte("<html>bad gateway</html>")}, unavailable(502)},
		"redirect":              {codeartstest.Failure{Status: 302, Body: []byte{}, Header: http.Header{"Location": {"https://elsewhere.example/login"}}}, verdict{status: 302, class: "refused"}},
		"200 and fail, unknown": {status(200, "X.2"), refused},
		"200 and fail, known":   {status(200, "CH.010117"), verdict{status: 200, class: "not_found", is: codearts.ErrNotFound}},
		"200 and fail, busy":    {status(200, "CH.10000"), unavailable(200)},
		"200 and fail, text":    {codeartstest.Failure{ErrorText: "out of luck"}, refused},
		"200 from the gateway":  {codeartstest.Failure{Status: 200, Code: "CB.00060211", Gateway: true}, throttled(200)},
		"garbage":               {codeartstest.Garbage(), unreadable},
		"empty":                 {codeartstest.Failure{Body: []byte{}}, unreadable},
		"too large":             {codeartstest.Failure{Body: tooLarge()}, verdict{status: 200, class: "size", maybe: true}},
		"cut":                   {codeartstest.Failure{Cut: true}, verdict{status: 200, class: "network", again: true, maybe: true}},
		"dropped before":        {codeartstest.Failure{Drop: true}, noAnswer("network")},
		"dropped after":         {codeartstest.Failure{Drop: true, Done: true}, noAnswer("network")},
		"slow":                  {codeartstest.Failure{Delay: time.Minute}, noAnswer("timeout")},
	}
}

type failureKind struct {
	failure codeartstest.Failure
	want    verdict
}

// tooLarge is larger than the largest answer any operation takes.
var tooLarge = sync.OnceValue(func() []byte { return bytes.Repeat([]byte(" "), 33<<20) })

// Every operation, in every way, against everything that can go wrong.
func TestFailures(t *testing.T) {
	for name, kind := range failureKinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, way := range ways() {
				t.Run(way.name, func(t *testing.T) { testFailure(t, way, name, kind) })
			}
		})
	}
}

func testFailure(t *testing.T, way way, name string, kind failureKind) {
	var cfg codearts.Config
	w := operated(t, way.change, func(c *codearts.Config) { c.Tokens = new(codearts.TokenCache); cfg = *c })
	if err := second(w.JobConfig(t.Context(), jobID)); err != nil { // there is a token now
		t.Fatal(err)
	}
	if name == "slow" { // from here on only
		cfg.Timeout = time.Second
		client, err := codearts.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.Client = client
	}
	var all sync.WaitGroup
	for _, op := range callable() {
		if op.Method == http.MethodDelete && (kind.failure.Cut || name == "empty") {
			continue // its answer has no body
		}
		fails, errorOf := []string{op.Name}, op.Name
		if op.Method == "" { // whatever it asks first fails
			fails, errorOf = slices.DeleteFunc(codeartstest.Operations(), func(name string) bool { return name == codearts.OpToken }), ""
		}
		try := func() {
			before := w.Calls(op.Name)
			for _, f := range fails {
				w.Fail(f, kind.failure)
			}
			_, err := w.call(t.Context(), op.Name)
			check(t, errorOf, err, kind.want.of(op))
			w.Clear(fails...)
			most := 1
			if kind.failure.Drop && op.Method == http.MethodGet || kind.failure.Status == http.StatusUnauthorized && way.token {
				most = 2 // net/http itself repeats a GET whose kept connection breaks before the answer; a token is replaced once
			}
			if n := w.Calls(op.Name) - before; op.Method != "" && (n < 1 || n > most) {
				t.Errorf("%s: sent %d times", op.Name, n)
			}
			if name == "slow" {
				return // what comes afterwards has to be quick, too, which nobody promises
			}
			if _, err := w.call(t.Context(), op.Name); err != nil && !kind.failure.Done && !kind.failure.Cut {
				t.Errorf("%s: afterwards: %v", op.Name, err)
			}
		}
		if name == "slow" && op.Method != "" {
			all.Go(try)
		} else {
			try()
		}
	}
	all.Wait()
}

// A JSON answer that is not what is documented is not asked for again.
func TestWrongShapes(t *testing.T) {
	for name, body := range map[string]string{
		"no result":        `{"status":"success","error":null}`,
		"null":             `{"status":"success","error":null,"result":null}`,
		"no status":        `{"result":{}}`,
		"another type":     `{"status":"success","error":null,"result":17,"jobs":17}`,
		"not an object":    `[1,2]`,
		"a string":         `"success"`,
		"type inside":      `{"status":"success","result":{"codeci_job_id":{},"id":{},"job_name":[],"content":1,"total_page":[]},"jobs":{}}`,
		"list of nonsense": `{"status":"success","result":[[1]],"jobs":[[1]]}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := operated(t)
			for _, op := range callable() {
				if op.Method == "" {
					continue
				}
				w.Fail(op.Name, codeartstest.Failure{Body: []byte(body), ContentType: "application/json"})
				got, err := w.call(t.Context(), op.Name)
				w.Clear(op.Name)
				api, ok := errors.AsType[*codearts.APIError](err)
				switch {
				case ok && api.Retryable() && name != "no status" && name != "not an object" && name != "a string":
					t.Errorf("%s: it is asked for again: %v", op.Name, err)
				case !ok && !mayRead(t, op, got):
					t.Errorf("%s: %v, %v", op.Name, got, err)
				}
			}
		})
	}
}

// mayRead reports whether an operation may take a wrong shape for an answer: it has no result that could be wrong, has no envelope and
// brings nothing, or its result is a text that looks like a number.
func mayRead(t *testing.T, op codearts.Operation, got any) bool {
	t.Helper()
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if list, ok := parse(t, string(data)).([]any); ok {
		return !slices.ContainsFunc(list, func(v any) bool { return !isNothing(v) })
	}
	return op.Result == nil || op.Name == codearts.OpCopyName || isNothing(parse(t, string(data)))
}

// Signing in fails in the same ways. Only what comes with a 2xx is of one kind, whatever it says: there is no token in it.
func TestFailuresOfSigningIn(t *testing.T) {
	for name, kind := range failureKinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, codeartstest.Options{}, func(cfg *codearts.Config) {
				if name == "slow" {
					cfg.Timeout = time.Second
				}
			})
			want := kind.want
			if want.status == http.StatusOK && want.class != "size" && want.class != "network" {
				want = verdict{status: http.StatusOK, class: "unreadable", again: true, maybe: true}
			}
			w.Fail(codearts.OpToken, kind.failure)
			err := second(w.JobConfig(t.Context(), jobID))
			want.writesNo = false
			check(t, codearts.OpToken, err, want)
			if n := w.Calls(codearts.OpToken); n != 1 || w.Calls(codearts.OpJobConfig) != 0 {
				t.Errorf("%d token requests, want 1", n)
			}
		})
	}
}

func TestOtherRunIsRefused(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	for _, body := range []string{
		`{"status":"success","result":{"codeci_job_id":"` + strings.Repeat("9", 32) + `","build_no":1}}`,
		`{"status":"success","result":{"codeci_job_id":"` + jobID + `","build_no":2}}`,
		`{"status":"success","result":{"codeci_job_id":"` + jobID + `"}}`,
	} {
		w.Fail(codearts.OpBuildRecord, codeartstest.Failure{Body: []byte(body), Times: 1})
		_, err := w.BuildRecord(t.Context(), jobID, 1)
		if other, ok := errors.AsType[*codearts.MismatchError](err); !ok || other.Retryable() {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestCommitWithoutID(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	w.Fail(codearts.OpCreateCommit, codeartstest.Failure{Body: []byte(`{"status":"success","result":{}}`)})
	_, err := w.CreateCommit(t.Context(), create("a", "b"))
	check(t, codearts.OpCreateCommit, err, verdict{class: "unreadable", maybe: true})
}

func TestRequestIDAndRetryAfter(t *testing.T) {
	w, clock := newClockWorld(t, codeartstest.Options{})
	now := clock.now()
	for header, want := range map[string]time.Duration{
		"7": 7 * time.Second, "-1": 0, "soon": 0, "99999999": time.Hour, "": 0,
		now.Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second,
	} {
		failure := codeartstest.Throttled()
		failure.Header, failure.Times = http.Header{"Retry-After": {header}}, 1
		w.Fail(codearts.OpCommit, failure)
		_, err := w.Commit(t.Context(), repoID, "main")
		api, ok := errors.AsType[*codearts.APIError](err)
		if !ok || api.RetryAfter() != want {
			t.Errorf("%q: wait %v, want %v (%v)", header, api.RetryAfter(), want, err)
		}
		if !strings.HasPrefix(api.RequestID, "fake0") || !strings.Contains(err.Error(), api.RequestID) {
			t.Errorf("request id %q is not in %v", api.RequestID, err)
		}
	}
}

func TestNotReached(t *testing.T) {
	const address = "http://127.0.0.1:1" // a port that no system gives away
	w := newWorld(t, codeartstest.Options{}, func(cfg *codearts.Config) { cfg.RepoEndpoint = address })
	for _, op := range []string{codearts.OpCreateCommit, codearts.OpCommit} {
		check(t, op, calls(w)[op](t.Context()), verdict{class: "network", again: true})
	}
}

func TestCanceled(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for op, call := range calls(w) {
		err := call(ctx)
		api, ok := errors.AsType[*codearts.APIError](err)
		if !ok || !errors.Is(err, context.Canceled) || api.MayHaveHappened() && op == codearts.OpCreateCommit {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	w.Fail(codearts.OpCommit, codeartstest.Failure{Body: append(bytes.Repeat([]byte(" "), 9<<20), '1')})
	_, err := w.Commit(t.Context(), repoID, "main")
	check(t, codearts.OpCommit, err, verdict{status: 200, class: "size", maybe: true})
}

// What the other side sends is cut, put on one line and never becomes a template.
func TestMessageIsCleaned(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	w.Fail(codearts.OpCommit, codeartstest.Failure{Status: 400, Code: "X\n1", Message: "%s\x1b[31m\nüber " + strings.Repeat("ä", 1000)})
	_, err := w.Commit(t.Context(), repoID, "main")
	if s := err.Error(); len(s) > 600 || strings.ContainsAny(s, "\n\x1b") || !strings.Contains(s, "X 1") || !strings.Contains(s, "%s") {
		t.Errorf("error is %q", s)
	}
}

// A 2xx that says neither that the commit was made nor that it was not may be a success in another form: that of v4, a new word.
func TestAnswerWithoutVerdict(t *testing.T) {
	for body, maybe := range map[string]bool{
		`{}`: true, `null`: true, `[]`: true, ``: true,
		`{"id":"1f2e","short_id":"1f","status":"running"}`: true,
		`{"id":"1f2e","short_id":"1f"}`:                    true,
		`{"result":{"id":"1f2e"},"error":null}`:            true,
		`{"status":"success","result":null}`:               true,
		`{"status":"failed"}`:                              false,
		`{"status":"error","result":null}`:                 false,
		`{"status":"Fail","error":null}`:                   false,
		`{"error":{"code":"CH.1","message":"no"}}`:         false,
		`{"error_code":"X.1","status":"running"}`:          false,
	} {
		err := second(newCanned(t, canned{status: 200, body: body}).CreateCommit(t.Context(), create("new.md", "x")))
		var api *codearts.APIError
		if !errors.As(err, &api) || api.MayHaveHappened() != maybe {
			t.Errorf("%s: it may have happened is not %v: %v", body, maybe, err)
		}
		if maybe != (api.Class() == "unreadable") || !strings.Contains(api.Error(), " 200: ") && !strings.Contains(api.Error(), " 200 ") {
			t.Errorf("%s: class %s: %v", body, api.Class(), err)
		}
	}
}
