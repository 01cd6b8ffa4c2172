package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/notify"
	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/pkg/rules"
)

// Markers stand in everything that must never be seen.
const (
	tokenMarker  = "t0ken-m4rker"
	secretMarker = "s3cret-m4rker"
)

// The three kinds that speak HTTP pass every test of this file.
func kinds() []string { return []string{notify.KindWebhook, notify.KindDingTalk, notify.KindFeishu} }

func start() time.Time { return time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC) }

func message() notify.Message {
	return notify.Message{
		ID:    "k1",
		Title: rules.Text{{Literal: "Build "}, {Value: "42"}, {Literal: " failed"}},
		Text: rules.Text{
			{Literal: "**orders**: "},
			{Value: "fix [it](http://evil.example)\n@all"},
			{Literal: "\n\nRecorded in ["},
			{Value: "abc123"},
			{Literal: "]("},
			{Value: "https://repo.example.com/c/abc123"},
			{Literal: ")"},
		},
		Link: "https://repo.example.com/builds/42", At: start(), EventID: "repo/1", Rule: "record-failed-build",
	}
}

func account(kind string) notifytest.Account {
	return notifytest.Account{Kind: kind, Token: tokenMarker, Secret: secretMarker}
}

// serve runs the fake and returns it with its address.
func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// target makes the notifier of an account at base, with what change alters.
func target(t *testing.T, a notifytest.Account, base string, change func(*notify.Config)) notify.Notifier {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := notify.Config{Kind: a.Kind, Name: "ops", URL: a.URL(base), Secret: a.Secret, Transport: transport, Now: start}
	if change != nil {
		change(&c)
	}
	n, err := notify.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func failure(t *testing.T, err error) *notify.Error {
	t.Helper()
	var e *notify.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T %v, want an *Error", err, err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, *e), "m4rker") {
		t.Errorf("a secret shows in %+v", err)
	}
	return e
}

func TestSent(t *testing.T) {
	for _, kind := range kinds() {
		for _, secret := range []string{secretMarker, ""} {
			a := account(kind)
			a.Secret = secret
			fake := notifytest.New(start, a)
			n := target(t, a, serve(t, fake).URL, nil)
			if err := n.Notify(t.Context(), message()); err != nil {
				t.Errorf("%s, secret %q: %v", kind, secret, err)
				continue
			}
			got := fake.Messages()
			if len(got) != 1 || got[0].Link != "https://repo.example.com/builds/42" || got[0].Title != "Build 42 failed" {
				t.Errorf("%s: the fake took %+v", kind, got)
			}
		}
	}
}

// TestRefused: what only a person can correct is final and says what to do.
func TestRefused(t *testing.T) {
	for _, kind := range kinds() {
		tests := []struct {
			name   string
			change func(*notify.Config)
			remedy string
		}{
			{"secret", func(c *notify.Config) { c.Secret = "other-m4rker" }, "secret"},
			{"clock", func(c *notify.Config) { c.Now = func() time.Time { return start().Add(2 * time.Hour) } }, "clock"},
			{"token", func(c *notify.Config) { c.URL = strings.Replace(c.URL, tokenMarker, "no-m4rker", 1) }, "url"},
		}
		for _, tt := range tests {
			if kind == notify.KindWebhook && tt.name == "clock" {
				continue // 401 is all a receiver says
			}
			fake := notifytest.New(start, account(kind))
			n := target(t, account(kind), serve(t, fake).URL, tt.change)
			e := failure(t, n.Notify(t.Context(), message()))
			if e.Retryable() || e.Class() != notify.ClassConfig || !strings.Contains(e.Reason, tt.remedy) {
				t.Errorf("%s, %s: retryable %v, class %s, %v", kind, tt.name, e.Retryable(), e.Class(), e)
			}
			if len(fake.Messages()) != 0 {
				t.Errorf("%s, %s: the fake took it", kind, tt.name)
			}
		}
	}
}

// TestStatus is the meaning of an HTTP status that comes without a body a robot would send.
func TestStatus(t *testing.T) {
	tests := []struct {
		status int
		header string
		class  string
		retry  bool
		after  time.Duration
	}{
		{301, "", notify.ClassConfig, false, 0},
		{400, "", notify.ClassRefused, false, 0},
		{401, "", notify.ClassConfig, false, 0},
		{403, "", notify.ClassConfig, false, 0},
		{404, "", notify.ClassConfig, false, 0},
		{408, "", notify.ClassUnavailable, true, 0},
		{410, "", notify.ClassConfig, false, 0},
		{413, "", notify.ClassSize, false, 0},
		{425, "", notify.ClassUnavailable, true, 0},
		{429, "", notify.ClassRate, true, time.Minute},
		{429, "Retry-After: 7", notify.ClassRate, true, 7 * time.Second},
		{429, "Retry-After: Sat, 21 Nov 2026 09:32:00 GMT", notify.ClassRate, true, 2 * time.Minute},
		{429, "Retry-After: Sat, 21 Nov 2026 09:00:00 GMT", notify.ClassRate, true, time.Minute},
		{429, "Retry-After: 99999999", notify.ClassRate, true, time.Hour},
		{429, "Retry-After: soon", notify.ClassRate, true, time.Minute},
		{429, "X-Ogw-Ratelimit-Reset: 50", notify.ClassRate, true, 50 * time.Second},
		{500, "", notify.ClassUnavailable, true, 0},
		{503, "Retry-After: 3", notify.ClassUnavailable, true, 3 * time.Second},
	}
	for _, kind := range kinds() {
		for _, tt := range tests {
			fake := notifytest.New(start, account(kind))
			name, value, _ := strings.Cut(tt.header, ": ")
			header := map[string]string{}
			if name != "" {
				header[name] = value
			}
			fake.Answer(kind, notifytest.Answer{Status: tt.status, Header: header, Body: "<html>"})
			e := failure(t, target(t, account(kind), serve(t, fake).URL, nil).Notify(t.Context(), message()))
			if e.Status != tt.status || e.Class() != tt.class || e.Retryable() != tt.retry || e.RetryAfter() != tt.after {
				t.Errorf("%s, %d %s: class %s, retryable %v, after %v: %v", kind, tt.status, tt.header, e.Class(), e.Retryable(), e.RetryAfter(), e)
			}
			if len(fake.Messages()) != 0 {
				t.Errorf("%s: an answer that was told took the message", kind)
			}
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	for _, kind := range kinds() {
		followed := make(chan string, 10)
		other := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { followed <- r.Method }))
		for _, status := range []int{301, 302, 303, 307, 308} {
			s := serve(t, http.RedirectHandler(other.URL+"/"+tokenMarker, status))
			e := failure(t, target(t, account(kind), s.URL, nil).Notify(t.Context(), message()))
			if e.Retryable() || e.Status != status {
				t.Errorf("%s, %d: %v", kind, status, e)
			}
		}
		if len(followed) > 0 {
			t.Errorf("%s followed a redirect with %s", kind, <-followed)
		}
	}
}

// roundTrip is a transport in one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCancel(t *testing.T) {
	for _, kind := range append(kinds(), notify.KindLog) {
		ctx, cancel := context.WithCancel(t.Context())
		n := target(t, account(kind), "https://example.com", func(c *notify.Config) {
			c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				cancel()
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		})
		if kind == notify.KindLog {
			cancel()
		}
		err := n.Notify(ctx, message())
		if e := failure(t, err); !errors.Is(err, context.Canceled) || !e.Retryable() || e.Class() != notify.ClassCanceled {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestTimeout: without a deadline of its own a request ends after ten seconds, in whatever state.
func TestTimeout(t *testing.T) {
	for _, kind := range kinds() {
		synctest.Test(t, func(t *testing.T) {
			n := target(t, account(kind), "https://example.com", func(c *notify.Config) {
				c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				})
			})
			began := time.Now()
			err := n.Notify(t.Context(), message())
			if e := failure(t, err); !e.Retryable() || e.Class() != notify.ClassTimeout || errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", kind, err)
			}
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("%s: took %v", kind, took)
			}
		})
	}
}

// TestLargeAnswer: of an answer only the beginning is read; a robot's is then unreadable, a webhook's status is enough.
func TestLargeAnswer(t *testing.T) {
	for _, kind := range kinds() {
		body := &endless{}
		n := target(t, account(kind), "https://example.com", func(c *notify.Config) {
			c.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, nil
			})
		})
		err := n.Notify(t.Context(), message())
		if body.read > 128<<10 {
			t.Errorf("%s read %d bytes", kind, body.read)
		}
		if kind == notify.KindWebhook {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if e := failure(t, err); !e.Retryable() || e.Class() != notify.ClassAnswer {
			t.Errorf("%s: %v", kind, e)
		}
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

// TestLargeMessage: the text is cut so that the message fits, title and link stay, and an ellipsis shows it.
func TestLargeMessage(t *testing.T) {
	texts := map[string]string{
		"plain":   strings.Repeat("x", 1<<20),
		"wide":    strings.Repeat("界", 100_000),
		"quotes":  strings.Repeat(`"`, 50_000),
		"control": strings.Repeat("\x01", 50_000),
		"broken":  strings.Repeat("x\xff", 50_000),
		"links":   strings.Repeat("[a](https://example.com/a) ", 5000),
	}
	for _, kind := range kinds() {
		for name, text := range texts {
			fake := notifytest.New(start, account(kind))
			n := target(t, account(kind), serve(t, fake).URL, nil)
			m := message()
			m.Text = rules.Text{{Literal: text}}
			if err := n.Notify(t.Context(), m); err != nil {
				t.Errorf("%s, %s: %v", kind, name, err)
				continue
			}
			got := fake.Messages()[0]
			if kind != notify.KindWebhook && (len(got.Body) > 20_000 || len(got.Body) < 15_000) {
				t.Errorf("%s, %s: %d bytes", kind, name, len(got.Body))
			}
			if got.Link != m.Link || got.Title != "Build 42 failed" || (len(text) > 256<<10 || kind != notify.KindWebhook) && !strings.Contains(got.Text, "…") {
				t.Errorf("%s, %s: title %q, link %q", kind, name, got.Title, got.Link)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*notify.Config)
		want   string
	}{
		{"kind", func(c *notify.Config) { c.Kind = "pigeon" }, "kind"},
		{"transport", func(c *notify.Config) { c.Transport = nil }, "transport"},
		{"scheme", func(c *notify.Config) { c.URL = "ftp://m4rker" }, "http"},
		{"empty", func(c *notify.Config) { c.URL = "" }, "http"},
		{"garbage", func(c *notify.Config) { c.URL = "https://m4rker\x00" }, "http"},
		{"user", func(c *notify.Config) { c.URL = "https://m4rker:m4rker@example.com" }, "user"},
		{"secret", func(c *notify.Config) { c.Secret = "whsec_*m4rker*" }, "base64"},
		{"empty secret", func(c *notify.Config) { c.Secret = "whsec_" }, "base64"},
	}
	for _, tt := range tests {
		c := notify.Config{Kind: notify.KindWebhook, Name: "ops", URL: "https://example.com/x", Transport: &http.Transport{}}
		tt.change(&c)
		n, err := notify.New(c)
		if n != nil || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "m4rker") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	n, err := notify.New(notify.Config{Kind: notify.KindLog, Name: "audit", Log: zerolog.New(&out)})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Notify(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	want := `{"level":"info","target":"audit","key":"k1","title":"Build 42 failed",` +
		`"text":"**orders**: fix [it](http://evil.example)\n@all\n\nRecorded in [abc123](https://repo.example.com/c/abc123)",` +
		`"link":"https://repo.example.com/builds/42","event_id":"repo/1","rule":"record-failed-build","message":"message"}` + "\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
}
