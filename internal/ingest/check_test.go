package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	checkToken = "marker-check-2f60"
	checkURL   = "https://oapi.dingtalk.com/robot/send?access_token=marker-url-77d1"
)

// desk is a Checker.
type desk struct {
	err   error
	asked []string
}

func (d *desk) CheckWebhook(_ context.Context, q Question) ([]byte, error) {
	d.asked = append(d.asked, string(q.URL)+" "+q.JobID+" "+q.NoticeType)
	if fmt.Sprintf("%v %+v %#v", q, q, q) == "" || strings.Contains(fmt.Sprintf("%v %+v %#v", q, q, q), "marker") {
		panic("a question shows its address")
	}
	return []byte(`{"status":"a report"}`), d.err
}

// checkRig is a receiver that checks addresses, and its clock.
func checkRig(t *testing.T, change func(*Options)) (r *rig, d *desk, now *time.Time) {
	t.Helper()
	d, now = &desk{}, new(time.Time)
	*now = testTime
	r = newRig(t, func(o *Options) {
		o.Check = Check{Checker: d, Token: Secret(checkToken)}
		o.Now = func() time.Time { return *now }
		if change != nil {
			change(o)
		}
	})
	return r, d, now
}

// question is a good request, to be made worse.
func question(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/webhooks/check", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+checkToken)
	return r
}

func TestCheck(t *testing.T) {
	r, d, _ := checkRig(t, nil)
	for _, body := range []string{`{"url":"` + checkURL + `"}`, `{"url":"` + checkURL + `","job_id":"j","notice_type":"FEISHU"}`} {
		if got := r.send(t, question(body)); got.Status != 200 || got.State != "a report" {
			t.Errorf("%+v", got)
		}
	}
	if len(d.asked) != 2 || d.asked[0] != checkURL+"  " || d.asked[1] != checkURL+" j FEISHU" {
		t.Errorf("asked %q", d.asked)
	}
	if line := r.last(t); line["message"] != "address checked" {
		t.Errorf("logged %v", line)
	}
	if got := r.send(t, delivery(`{"uuid":"1"}`)); got.Status != 202 {
		t.Errorf("a delivery: %+v", got)
	}
	d.err = errors.New("away")
	if got := r.send(t, question(`{"url":"x"}`)); got.Status != 500 || strings.Contains(got.Error, "away") {
		t.Errorf("a check that fails: %+v", got)
	}
	wantNoMarker(t, r)
}

func wantNoMarker(t *testing.T, r *rig) {
	t.Helper()
	if strings.Contains(r.log.String(), "marker") {
		t.Errorf("a secret is logged: %s", r.log)
	}
}

func TestCheckRefusals(t *testing.T) {
	const good = `{"url":"` + checkURL + `"}`
	for _, row := range []struct {
		name   string
		req    func() *http.Request
		status int
		reason string
	}{
		{"method", func() *http.Request {
			r := question(good)
			r.Method = http.MethodGet
			return r
		}, 405, "method"},
		{"no token", func() *http.Request {
			r := question(good)
			r.Header.Del("Authorization")
			return r
		}, 401, "unverified"},
		{"wrong token", func() *http.Request {
			r := question(good)
			r.Header.Set("Authorization", "Bearer "+checkToken+"x")
			return r
		}, 401, "unverified"},
		{"empty token", func() *http.Request {
			r := question(good)
			r.Header.Set("Authorization", "Bearer ")
			return r
		}, 401, "unverified"},
		{"another scheme", func() *http.Request {
			r := question(good)
			r.Header.Set("Authorization", "Basic "+checkToken)
			return r
		}, 401, "unverified"},
		{"two tokens", func() *http.Request {
			r := question(good)
			r.Header.Add("Authorization", "Bearer "+checkToken)
			return r
		}, 401, "unverified"},
		{"the token of a source", func() *http.Request {
			r := question(good)
			r.Header.Set("Authorization", "Bearer "+testSecret)
			return r
		}, 401, "unverified"},
		{"media type", func() *http.Request {
			r := question(good)
			r.Header.Set("Content-Type", "text/plain")
			return r
		}, 415, "media_type"},
		{"size", func() *http.Request {
			return question(`{"url":"` + strings.Repeat("x", maxQuestion) + `"}`)
		}, 413, "too_large"},
		{"no JSON", func() *http.Request { return question(checkURL) }, 400, "not_json"},
		{"no url", func() *http.Request { return question(`{}`) }, 400, "not_json"},
		{"null", func() *http.Request { return question(`null`) }, 400, "not_json"},
		{"a number", func() *http.Request { return question(`{"url":17}`) }, 400, "not_json"},
		{"unknown", func() *http.Request { return question(`{"url":"x","token":"marker"}`) }, 400, "not_json"},
		{"two", func() *http.Request { return question(good + good) }, 400, "not_json"},
		{"list", func() *http.Request { return question(`[` + good + `]`) }, 400, "not_json"},
		{"beside", func() *http.Request {
			r := question(good)
			r.URL.Path += "/"
			return r
		}, 404, "unknown_path"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, d, _ := checkRig(t, nil)
			got := r.send(t, row.req())
			if got.Status != row.status || got.Error == "" || r.last(t)["reason"] != row.reason || len(d.asked) != 0 {
				t.Errorf("%+v, logged %v, asked %q", got, r.last(t), d.asked)
			}
			if (row.status == 401) != (got.Header.Get("WWW-Authenticate") == "Bearer") || (row.status == 405) != (got.Header.Get("Allow") == "POST") {
				t.Errorf("header %v", got.Header)
			}
			if strings.Contains(got.Error, "marker") {
				t.Errorf("told: %s", got.Error)
			}
			wantNoMarker(t, r)
		})
	}
}

// TestCheckRate: so many in any minute; who has no token uses up nothing.
func TestCheckRate(t *testing.T) {
	r, d, now := checkRig(t, func(o *Options) { o.Check.PerMinute = 3 })
	ask := func() answered { return r.send(t, question(`{"url":"x"}`)) }
	for range 5 {
		stranger := question(`{"url":"x"}`)
		stranger.Header.Set("Authorization", "Bearer x")
		r.send(t, stranger)
	}
	for i := range 3 {
		if got := ask(); got.Status != 200 {
			t.Fatalf("check %d: %+v", i, got)
		}
		*now = now.Add(time.Second)
	}
	got := ask()
	if got.Status != 429 || got.Header.Get("Retry-After") != "57" || r.last(t)["reason"] != "rate" {
		t.Fatalf("the fourth: %+v", got)
	}
	*now = now.Add(56*time.Second + 900*time.Millisecond)
	if got := ask(); got.Status != 429 || got.Header.Get("Retry-After") != "1" {
		t.Errorf("too soon: %+v", got)
	}
	*now = now.Add(100 * time.Millisecond)
	if got := ask(); got.Status != 200 {
		t.Errorf("after a minute: %+v", got)
	}
	if got := ask(); got.Status != 429 {
		t.Errorf("one more: %+v", got)
	}
	if len(d.asked) != 4 {
		t.Errorf("%d asked", len(d.asked))
	}
}

// TestNoCheck: without a Checker or a token there is no such address, and nothing tells it from any other.
func TestNoCheck(t *testing.T) {
	for name, check := range map[string]Check{
		"nothing": {}, "no token": {Checker: &desk{}}, "no checker": {Token: Secret(checkToken)}, "empty token": {Checker: &desk{}, Token: Secret{}},
	} {
		r := newRig(t, func(o *Options) { o.Check = check })
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			req := question(`{"url":"x"}`)
			req.Method = method
			if got := r.send(t, req); got.Status != 404 || r.last(t)["reason"] != "unknown_path" {
				t.Errorf("%s, %s: %+v", name, method, got)
			}
		}
	}
	for _, check := range []Check{{Token: Secret("a\n")}, {Token: Secret(" a")}, {PerMinute: -1}} {
		if _, err := New(Options{Sources: []Source{tokenSource("repo")}, Publisher: &store{}, Check: check}); err == nil {
			t.Errorf("%+v is taken", check)
		}
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add([]byte(`{"url":"https://x","job_id":"j","notice_type":"FEISHU"}`))
	f.Add([]byte(`{"URL":null}`))
	f.Add([]byte(`{"url":"\ud800"} {`))
	f.Fuzz(func(t *testing.T, body []byte) {
		q, ok := parseQuestion(body)
		if !ok && (q.URL != nil || q.JobID != "" || q.NoticeType != "") {
			t.Fatalf("%q is refused and read", body)
		}
	})
}
