package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

func pushBody(t testing.TB) string {
	t.Helper()
	body, err := os.ReadFile("testdata/push.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestAccepted(t *testing.T) {
	r := newRig(t, nil)
	body := pushBody(t)
	got := r.send(t, delivery(body))
	const id = "repo/7b1f2c64-4a8e-4f43-9d61-0c4f5d3f9a10"
	if got.Status != http.StatusAccepted || got.EventID != id || got.State != "accepted" {
		t.Errorf("got %+v", got)
	}
	want := []*events.Event{{ID: id, Source: "repo", Type: "push", Time: testTime, Repository: "shop/orders", Body: []byte(body)}}
	if diff := cmp.Diff(want, r.store.all()); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	wantLog := map[string]any{
		"level": "info", "message": "event accepted", "event_id": id, "source": "repo", "type": "push",
		"repository": "shop/orders", "took": 0.0,
	}
	if diff := cmp.Diff(wantLog, r.last(t)); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}

	got = r.send(t, delivery(body))
	if got.Status != http.StatusAccepted || got.EventID != id || got.State != "duplicate" {
		t.Errorf("again: got %+v", got)
	}
	if n := len(r.store.all()); n != 1 {
		t.Errorf("%d events stored", n)
	}
	if m := r.last(t)["message"]; m != "event duplicate" {
		t.Errorf("logged %q", m)
	}
}

// flaw is one thing wrong with a delivery, and what the sender is told.
type flaw struct {
	name   string
	apply  func(*http.Request)
	status int
	reason string
}

// flaws are in the order in which they must be noticed.
func flaws(limit int64) []flaw {
	return []flaw{
		{"source", func(r *http.Request) { r.URL.Path = "/hooks/nobody" }, 404, "unknown_source"},
		{"method", func(r *http.Request) { r.Method = http.MethodPut }, 405, "method"},
		{"media type", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "media_type"},
		{"encoding", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415, "content_encoding"},
		{"size", func(r *http.Request) { setBody(r, strings.Repeat("x", int(limit)+1)) }, 413, "too_large"},
		{"sender", func(r *http.Request) { r.Header.Set("X-Repo-Token", "wrong") }, 401, "unverified"},
		{"syntax", func(r *http.Request) { setBody(r, "{") }, 400, "not_json"},
		{"publisher", func(*http.Request) {}, 503, "not_stored"},
	}
}

func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

// A delivery with several flaws is refused for the first of them, whatever the others.
func TestOrderOfRefusals(t *testing.T) {
	const limit = 1000
	r := newRig(t, func(o *Options) { o.MaxBody = limit })
	r.store.fail = func(context.Context, *events.Event) error { return errors.New("inner detail") }
	all := flaws(limit)
	for with := range 1 << len(all) {
		if with&(1<<(len(all)-1)) == 0 {
			continue // the publisher always fails here
		}
		req := delivery(`{"object_kind":"push"}`)
		var first *flaw
		for i, f := range slices.Backward(all) { // so that the body too large replaces the broken one
			if with&(1<<i) != 0 {
				f.apply(req)
				first = &all[i]
			}
		}
		got := r.send(t, req)
		line := r.last(t)
		if got.Status != first.status || line["reason"] != first.reason || line["status"] != float64(first.status) {
			t.Fatalf("flaws %08b: got %d (%v), want %d (%s)", with, got.Status, line["reason"], first.status, first.reason)
		}
		if line["message"] != "event refused" || got.Error == "" || strings.Contains(got.Error, "inner") {
			t.Fatalf("flaws %08b: told %q, logged %v", with, got.Error, line)
		}
		if got.Status == 405 && got.Header.Get("Allow") != "POST" {
			t.Fatal("405 without Allow")
		}
	}
	if n := len(r.store.all()); n != 0 {
		t.Errorf("%d events stored", n)
	}
}

func TestRefusedIsNeverPublished(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxBody = 1000 })
	r.store.fail = func(_ context.Context, e *events.Event) error { t.Errorf("published %s", e.ID); return nil }
	for _, f := range flaws(1000) {
		if f.status == 503 {
			continue
		}
		req := delivery(`{"object_kind":"push"}`)
		f.apply(req)
		if got := r.send(t, req); got.Status != f.status {
			t.Errorf("%s: %d, want %d", f.name, got.Status, f.status)
		}
	}
}

func TestRoutes(t *testing.T) {
	r := newRig(t, nil)
	rows := []struct {
		method, path string
		status       int
		reason       string
	}{
		{"GET", "/", 404, "unknown_path"},
		{"POST", "/", 404, "unknown_path"},
		{"POST", "/hooks", 404, "unknown_path"},
		{"POST", "/hooks/", 404, "unknown_path"},
		{"POST", "/hooks/repo/", 404, "unknown_source"},
		{"POST", "/hooks/repo/more", 404, "unknown_source"},
		{"POST", "/hooks/REPO", 404, "unknown_source"},
		{"POST", "/hooks/%72epo", 404, "unknown_source"},
		{"GET", "/hooks/%72epo", 404, "unknown_source"},
		{"POST", "/hooks/repo%2f", 404, "unknown_source"},
		{"POST", "/hooks/../hooks/repo", 404, "unknown_source"},
		{"POST", "//hooks/repo", 404, "unknown_path"},
		{"GET", "/hooks/nobody", 404, "unknown_source"},
		{"BREW", "/hooks/nobody", 404, "unknown_source"},
		{"BREW", "/hooks/repo", 405, "method"},
		{"GET", "/hooks/repo", 405, "method"},
		{"HEAD", "/hooks/repo", 405, "method"},
		{"OPTIONS", "/hooks/nobody", 404, "unknown_source"},
		{"OPTIONS", "/hooks/repo", 405, "method"},
		{"POST", "/hooks/repo?a=b", 202, ""},
		{"POST", "/v1/hooks/repo", 404, "unknown_path"},
	}
	for _, row := range rows {
		req := delivery(`{}`)
		u := httptest.NewRequest(row.method, row.path, nil)
		req.Method, req.URL, req.RequestURI = row.method, u.URL, u.RequestURI
		got := r.send(t, req)
		if got.Status != row.status {
			t.Errorf("%s %s: %d, want %d", row.method, row.path, got.Status, row.status)
		}
		if reason, _ := r.last(t)["reason"].(string); reason != row.reason {
			t.Errorf("%s %s: reason %q, want %q", row.method, row.path, reason, row.reason)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	r := newRig(t, nil)
	for contentType, want := range map[string]int{
		"application/json":                              202,
		"application/json; charset=utf-8":               202,
		"application/json;charset=UTF-8":                202,
		"Application/JSON":                              202,
		"application/vnd.forge.push+json":               202,
		"application/json; charset=gbk":                 415,
		"application/json; charset":                     415,
		"application/jsonp":                             415,
		"text/json":                                     415,
		"text/x+json":                                   415,
		"application/x-www-form-urlencoded":             415,
		"multipart/form-data; boundary=x":               415,
		"":                                              415,
		"application/json, text/plain":                  415,
		"application/json; charset=utf-8; charset=utf8": 415,
	} {
		req := delivery(`{}`)
		req.Header.Set("Content-Type", contentType)
		if got := r.send(t, req); got.Status != want {
			t.Errorf("%q: %d, want %d", contentType, got.Status, want)
		}
	}
	req := delivery(`{}`)
	req.Header.Del("Content-Type")
	if got := r.send(t, req); got.Status != 415 {
		t.Errorf("none: %d", got.Status)
	}
	req = delivery(`{}`)
	req.Header.Add("Content-Type", "application/json")
	if got := r.send(t, req); got.Status != 415 {
		t.Errorf("two: %d", got.Status)
	}
	for encoding, want := range map[string]int{"identity": 202, "": 202, "gzip": 415, "br": 415, "identity, gzip": 415} {
		req := delivery(`{}`)
		req.Header.Set("Content-Encoding", encoding)
		if got := r.send(t, req); got.Status != want {
			t.Errorf("encoding %q: %d, want %d", encoding, got.Status, want)
		}
	}
}

func TestBodyAtTheCap(t *testing.T) {
	for _, limit := range []int64{2, 100, firstRead, firstRead + 1, events.MaxBody} {
		r := newRig(t, func(o *Options) { o.MaxBody = limit })
		for extra, want := range map[int]int{0: 202, 1: 413} {
			body := "{" + strings.Repeat(" ", int(limit)-2+extra) + "}"
			for _, length := range []int64{int64(len(body)), -1, 1} { // known, chunked, lying
				req := delivery(body)
				req.ContentLength = length
				if got := r.send(t, req); got.Status != want {
					t.Errorf("limit %d, %d bytes announced as %d: %d, want %d", limit, len(body), length, got.Status, want)
				}
			}
		}
		for _, e := range r.store.all() {
			if int64(len(e.Body)) != limit {
				t.Errorf("stored %d bytes of %d", len(e.Body), limit)
			}
		}
	}
}

func TestBrokenBody(t *testing.T) {
	r := newRig(t, nil)
	for cause, want := range map[error]int{
		io.ErrUnexpectedEOF:                            400,
		errors.New("malformed chunk"):                  400,
		fmt.Errorf("read: %w", os.ErrDeadlineExceeded): 408,
	} {
		req := delivery("")
		req.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"a":`), errReader{cause}))
		req.ContentLength = -1
		if got := r.send(t, req); got.Status != want {
			t.Errorf("%v: %d, want %d", cause, got.Status, want)
		}
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func TestSyntaxIsExplained(t *testing.T) {
	r := newRig(t, nil)
	got := r.send(t, delivery(`{"a":1,}`))
	if got.Status != 400 || got.Error != "the body is not one JSON object: a name in quotes is missing (byte 7)" {
		t.Errorf("got %+v", got)
	}
}

func TestUnknownKindIsAccepted(t *testing.T) {
	r := newRig(t, nil)
	for body, want := range map[string]string{
		`{"object_kind":"Pipe line"}`: "unknown.pipe_line",
		`{"hello":"world"}`:           "unknown.none",
		// Only Millrace's own schedules tick.
		`{"object_kind":"schedule","schedule":{"id":"x"}}`: "unknown.schedule",
	} {
		if got := r.send(t, delivery(body)); got.Status != 202 {
			t.Errorf("%s: %d", body, got.Status)
		}
		all := r.store.all()
		if got := all[len(all)-1].Type; got != want {
			t.Errorf("%s: type %q, want %q", body, got, want)
		}
	}
	req := delivery(`{}`)
	req.Header.Set("X-Devcloud-Event", "Tag Push Hook")
	r.send(t, req)
	if all := r.store.all(); all[len(all)-1].Type != "tag_push" {
		t.Error("the kind header is not used as a hint")
	}
}

func TestPublisherFails(t *testing.T) {
	r := newRig(t, func(o *Options) { o.RetryAfter = 1500 * time.Millisecond })
	r.store.fail = func(context.Context, *events.Event) error { return errors.New("nats: stream EVENTS is full") }
	got := r.send(t, delivery(`{}`))
	if got.Status != 503 || got.Header.Get("Retry-After") != "2" {
		t.Errorf("got %+v", got)
	}
	if got.Error != "the event could not be stored, please send it again later" {
		t.Errorf("told %q", got.Error)
	}
	line := r.last(t)
	if line["level"] != "warn" || line["error"] != "nats: stream EVENTS is full" || line["source"] != "repo" {
		t.Errorf("logged %v", line)
	}
}

func TestPublishTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.PublishTimeout = 3 * time.Second })
		r.store.fail = func(ctx context.Context, _ *events.Event) error { <-ctx.Done(); return ctx.Err() }
		began := time.Now()
		if got := r.send(t, delivery(`{}`)); got.Status != 503 || time.Since(began) != 3*time.Second {
			t.Errorf("got %+v after %s", got, time.Since(began))
		}
	})
}

// A sender that hangs up may never send again, so what it sent is stored all the same.
func TestSenderHangsUpWhilePublishing(t *testing.T) {
	r := newRig(t, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	r.store.fail = func(ctx context.Context, _ *events.Event) error { hangUp(); return ctx.Err() }
	if got := r.send(t, delivery(`{}`).WithContext(ctx)); got.Status != 202 || len(r.store.all()) != 1 {
		t.Errorf("got %+v, %d stored", got, len(r.store.all()))
	}
}

func TestPanic(t *testing.T) {
	r := newRig(t, nil)
	for _, value := range []any{testSecret, fmt.Errorf("with %s", testSecret)} {
		r.store.fail = func(context.Context, *events.Event) error { panic(value) }
		if got := r.send(t, delivery(`{}`)); got.Status != 500 || got.Error != "something went wrong here" {
			t.Errorf("got %+v", got)
		}
		if line := r.last(t); line["level"] != "error" || line["reason"] != "panic" || !strings.Contains(line["error"].(string), "receive_test.go") {
			t.Errorf("logged %v", line)
		}
	}
	r.store.fail = func(context.Context, *events.Event) error { none := []int{}; none[len(r.lines(t))]++; return nil }
	r.send(t, delivery(`{}`))
	if line := r.last(t); !strings.Contains(line["error"].(string), "index out of range") {
		t.Errorf("logged %v", line)
	}
	if strings.Contains(r.log.String(), testSecret) {
		t.Error("the value of a panic was logged")
	}
	r.store.fail = nil
	if got := r.send(t, delivery(`{}`)); got.Status != 202 {
		t.Errorf("after a panic: %d", got.Status)
	}
	r.store.fail = func(context.Context, *events.Event) error { panic(http.ErrAbortHandler) }
	defer func() {
		if p := recover(); p != http.ErrAbortHandler { //nolint:errorlint // the value itself must pass
			t.Errorf("recovered %v", p)
		}
	}()
	r.send(t, delivery(`{}`))
}

// The publisher may keep what it got, so no buffer may be used twice.
func TestPublisherMayKeepTheBody(t *testing.T) {
	r := newRig(t, nil)
	var want [][]byte
	for i := range 50 {
		body := fmt.Sprintf(`{"uuid":"%d","pad":"%s"}`, i, strings.Repeat(string(rune('a'+i%26)), i*100))
		want = append(want, []byte(body))
		r.send(t, delivery(body))
	}
	for i, e := range r.store.all() {
		if !bytes.Equal(e.Body, want[i]) {
			t.Fatalf("body %d changed after it was published", i)
		}
	}
}
