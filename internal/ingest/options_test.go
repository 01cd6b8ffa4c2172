package ingest

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

func TestNewRefuses(t *testing.T) {
	with := func(change func(*Source)) func(*Options) {
		return func(o *Options) { change(&o.Sources[0]) }
	}
	rows := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no publisher", func(o *Options) { o.Publisher = nil }, "no publisher"},
		{"no sources", func(o *Options) { o.Sources = nil }, "at least one"},
		{"cap", func(o *Options) { o.MaxBody = events.MaxBody + 1 }, "between 1 and 786432"},
		{"negative cap", func(o *Options) { o.MaxBody = -1 }, "the largest body is -1 bytes"},
		{"publish timeout", func(o *Options) { o.PublishTimeout = time.Minute }, "the publish timeout is 1m0s"},
		{"retry after", func(o *Options) { o.RetryAfter = -1 }, "retry after"},
		{"twice", func(o *Options) { o.Sources = append(o.Sources, tokenSource("repo")) }, `source "repo" is there twice`},
		{"name", with(func(s *Source) { s.Name = "Repo" }), `source "Repo": the name must be`},
		{"our name", with(func(s *Source) { s.Name = "schedule" }), "taken by Millrace's own schedules"},
		{"no scheme", with(func(s *Source) { s.Verify.Scheme = "" }), "no scheme to verify the sender with: use token, hmac_sha256 or standard_webhooks"},
		{"scheme", with(func(s *Source) { s.Verify.Scheme = "none" }), `unknown scheme "none"`},
		{"no secrets", with(func(s *Source) { s.Verify.Secrets = nil }), "no secret: every source needs one"},
		{"empty secret", with(func(s *Source) { s.Verify.Secrets = []Secret{Secret("a"), nil} }), "secret 2 is empty"},
		{"line break", with(func(s *Source) { s.Verify.Secrets = []Secret{Secret(testSecret + "\n")} }), "secret 1 has white space around it"},
		{"header", with(func(s *Source) { s.Verify.Headers = []string{"X Token"} }), `"X Token" is no name of a header`},
		{"standard headers", with(func(s *Source) {
			s.Verify = Verify{Scheme: SchemeStandardWebhooks, Headers: []string{"X-A"}, Secrets: []Secret{Secret("whsec_AAAA")}}
		}), "are fixed"},
		{"standard secret", with(func(s *Source) {
			s.Verify = Verify{Scheme: SchemeStandardWebhooks, Secrets: []Secret{Secret("whsec_" + testSecret)}}
		}), "secret 1 is not base64"},
		{"standard empty key", with(func(s *Source) {
			s.Verify = Verify{Scheme: SchemeStandardWebhooks, Secrets: []Secret{Secret("whsec_")}}
		}), "secret 1 is not base64"},
		{"id from both", with(func(s *Source) { s.IDFrom = IDFrom{Body: true, Fields: []string{"a"}} }), "either the body or fields"},
		{"id from nothing", with(func(s *Source) { s.IDFrom = IDFrom{Fields: []string{""}} }), "an empty field"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			opts := Options{Sources: []Source{tokenSource("repo")}, Publisher: &store{}}
			row.change(&opts)
			_, err := New(opts)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q in it", err, row.want)
			}
			if err != nil && strings.Contains(err.Error(), testSecret) {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := New(Options{MaxBody: -1, Sources: []Source{{Name: "A"}, {Name: "b", IDFrom: IDFrom{Body: true, Fields: []string{"x"}}}}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"no publisher", "-1 bytes", `source "A": the name must be 1 to 40 of a-z, 0-9 and -; no secret`, `source "b": no secret`, "not both"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}

// What the caller does with its options afterwards changes nothing.
func TestNewCopiesSecrets(t *testing.T) {
	secret := Secret(testSecret)
	key := Secret(testSecret)
	r := newRig(t, func(o *Options) {
		o.Sources = []Source{
			{Name: "repo", Verify: Verify{Scheme: SchemeToken, Secrets: []Secret{secret}}},
			{Name: "hub", Verify: Verify{Scheme: SchemeHMAC, Secrets: []Secret{key}}},
		}
	})
	clear(secret)
	clear(key)
	if got := r.send(t, delivery(`{}`)); got.Status != 202 {
		t.Errorf("token: %d", got.Status)
	}
	req := delivery(`{}`)
	req.URL.Path = "/hooks/hub"
	req.Header.Set("X-Hub-Signature-256", "sha256="+hexHMAC(testSecret, `{}`))
	if got := r.send(t, req); got.Status != 202 {
		t.Errorf("hmac: %d", got.Status)
	}
}
