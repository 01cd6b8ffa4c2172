package codearts_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

const (
	markedPassword = "MARKER-<password>-81723"
	markedKey      = "MARKER-secret-key-81723"
	markedSeed     = "MFZWGZLSEBWWC4TLMVSCA43F"
	markedToken    = "MARKER-token-81723"
)

func TestSecret(t *testing.T) {
	s := codearts.NewSecret(markedPassword)
	type inside struct {
		Public  codearts.Secret
		private codearts.Secret
		pointer *codearts.Secret
	}
	for _, v := range []any{s, &s, []codearts.Secret{s}, map[string]codearts.Secret{"k": s}, inside{s, s, &s}, &inside{s, s, &s}} {
		for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			if got := fmt.Sprintf(form, v); strings.Contains(got, "MARKER") || strings.Contains(got, fmt.Sprintf("%x", "MARKER")) {
				t.Errorf("%s of %T shows it: %s", form, v, got)
			}
		}
		got, err := json.Marshal(v)
		if err != nil || strings.Contains(string(got), "MARKER") {
			t.Errorf("JSON of %T: %s, %v", v, got, err)
		}
	}
	if s.Reveal() != markedPassword || s.Empty() || !codearts.NewSecret("").Empty() || (codearts.Secret{}).Reveal() != "" {
		t.Error("the value itself is wrong")
	}
}

// blabber is a transport that puts the whole request into its error.
type blabber struct{}

func (blabber) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body = make([]byte, 1<<16)
		n, _ := r.Body.Read(body)
		body = body[:n]
	}
	return nil, fmt.Errorf("cannot send %s %v: %s", r.URL, r.Header, body)
}

// parrot answers every request with the whole of it, as the reason why it failed. Those that sign in are let in, unless all is set.
type parrot struct {
	all   bool
	heard *[]string // what was sent as proof: tokens, signatures, passcodes
}

func (p parrot) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"X-Auth-Token", "X-Security-Token", "Authorization"} {
		if sent := r.Header.Get(name); sent != "" {
			_, signature, _ := strings.Cut(sent, "Signature=")
			*p.heard = append(*p.heard, sent, cmp.Or(signature, sent))
		}
	}
	if passcode := regexp.MustCompile(`"passcode":"([0-9]+)"`).FindSubmatch(body); passcode != nil {
		*p.heard = append(*p.heard, string(passcode[1]))
	}
	if r.URL.Path == "/v3/auth/tokens" && !p.all {
		return inMemory{}.RoundTrip(r)
	}
	status := map[bool]int{true: 400, false: 401}[len(*p.heard)%2 == 0]
	text, err := json.Marshal(map[string]string{"error_code": "X.1", "error_msg": fmt.Sprintf("not this: %v %s", r.Header, body)})
	if err != nil {
		return nil, err
	}
	return canned{status: status, body: string(text)}.RoundTrip(r)
}

// Every operation, every way to sign in, every way to fail, and the other side or the transport repeats our secrets: none may be seen.
func TestNoSecretIsShown(t *testing.T) {
	users := []codeartstest.IAMUser{{
		Domain: codeartstest.Domain, Name: codeartstest.User, Password: markedPassword, ProjectName: codeartstest.ProjectName, ID: "u1", Seed: markedSeed,
	}}
	withCode := password(markedPassword)
	withCode.MFA = codearts.MFA{UserID: "u1", Seed: codearts.NewSecret(markedSeed)}
	key := codearts.AKSK{AccessKey: "AK81723", SecretKey: codearts.NewSecret(markedKey), SecurityToken: codearts.NewSecret(markedToken)}
	for name, row := range map[string]struct {
		who     codearts.Credentials
		secrets []string
	}{
		"password": {withCode, []string{markedPassword, strings.Trim(jsonText(markedPassword), `"`), markedSeed}},
		"token":    {codearts.StaticToken{Token: codearts.NewSecret(markedToken)}, []string{markedToken}},
		"key":      {key, []string{markedKey, markedToken}},
	} {
		echo := "you sent " + strings.Join(row.secrets, " and ")
		failures := []codeartstest.Failure{
			{Status: 400, Code: row.secrets[0], Message: echo},
			{Status: 401, Code: "APIGW.0301", Message: echo, Gateway: true},
			{Status: 403, Code: "APIGW.0302", Message: echo, Gateway: true},
			{Status: 500, Message: echo, Header: http.Header{"X-Request-Id": {row.secrets[0]}}},
			{ErrorText: echo},
			{Body: []byte(echo), ContentType: row.secrets[0]},
			{Body: []byte(`{"` + row.secrets[0]), ContentType: "application/json"},
			{Status: 302, Body: []byte(echo), Header: http.Header{"Location": {"https://x.example/?token=" + row.secrets[0]}}},
			{Drop: true},
			{Cut: true, Done: true},
		}
		var heard []string
		for way, transport := range map[string]http.RoundTripper{
			"": nil, " over a blabbing transport": blabber{}, " and a parrot": parrot{heard: &heard}, " and a parrot at IAM": parrot{all: true, heard: &heard},
		} {
			t.Run(name+way, func(t *testing.T) {
				var cfg codearts.Config
				var steps atomic.Int64 // each look of the client at its clock is a passcode later
				w := newWorld(t, codeartstest.Options{
					Now: func() time.Time { return start.Add(time.Duration(steps.Load()) * 31 * time.Second) }, Users: users, Tokens: []string{markedToken},
					Keys: []codeartstest.AccessKey{{AccessKey: key.AccessKey, SecretKey: markedKey, SecurityToken: markedToken}},
				}, func(c *codearts.Config) {
					c.Credentials = row.who
					c.Now = func() time.Time { return start.Add(time.Duration(steps.Add(1)) * 31 * time.Second) }
					if transport != nil {
						c.Transport = transport
					}
					cfg = *c
				})
				seen := looker{t, row.secrets}
				for op, call := range calls(w) {
					for _, failure := range failures {
						w.Fail(op, failure)
						err := call(t.Context())
						w.Clear()
						seen.secrets = slices.Concat(row.secrets, heard)
						heard = nil
						seen.look(op, err)
						for ; err != nil; err = errors.Unwrap(err) {
							seen.look(op+" unwrapped", err)
						}
						if transport != nil && way != " over a blabbing transport" {
							break // it does not ask the fake, so all failures are the same
						}
					}
				}
				seen.secrets = row.secrets
				seen.look("client", w.Client)
				seen.look("configuration", cfg)
				seen.look("credentials", row.who)
			})
		}
	}
}

// jsonText is a text as it stands in a request.
func jsonText(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

type looker struct {
	t       *testing.T
	secrets []string
}

func (l looker) look(what string, v any) {
	l.t.Helper()
	for _, form := range []string{"%v", "%+v", "%#v"} {
		got := fmt.Sprintf(form, v)
		for _, secret := range l.secrets {
			if strings.Contains(got, secret) {
				l.t.Errorf("%s: %s of it shows the secret %.20s: %s", what, form, secret, got)
			}
		}
	}
}
