package codearts_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millrace/millrace/pkg/codearts"
)

// Whatever the other side answers, of whatever status: each decoder returns something that can be encoded, or an error of ours on one line,
// after a bounded number of requests. index is the place of an example, and so of an operation.
func FuzzAnswers(f *testing.F) {
	all := examples(f)
	for i, e := range all {
		if e.body() != "" {
			f.Add(uint(i), 200, e.body())
		}
		for _, body := range []string{
			`{"error":{"code":"CH.010117","message":"repository does not exist"},"result":null,"status":"failed"}`,
			`{"error":{"code":401,"message":"wrong","title":"Unauthorized"}}`, `{"error_code":"CB.00060211","error_msg":"too many requests"}`,
			`{"status":"fail","error":"no","result":null}`, `{"status":"success","result":[{},null]}`, `{"status":"success","result":{}}`,
			`[]`, `null`, `{`, "<html>", "", "\xff",
		} {
			f.Add(uint(i), 200, body)
		}
		for _, status := range []int{201, 302, 401, 500} {
			f.Add(uint(i), status, `{"error_code":"CB.00060211","error_msg":"too many requests"}`)
		}
	}
	f.Fuzz(func(t *testing.T, index uint, status int, body string) {
		e := all[index%uint(len(all))]
		asked := 0
		got, err := answered(t, e, canned{status: 100 + max(status, -status)%500, body: body, contentType: e.ContentType}, &asked)
		if asked > 2100 { // a listing ends after 1000 pages, and build_of_commit may have two
			t.Errorf("%s: %d requests", e.name, asked)
		}
		if err == nil {
			if _, err = json.Marshal(got); err != nil {
				t.Errorf("%s cannot be encoded: %v", e.name, err)
			}
			if numbered, ok := got.(interface{ Number() int }); ok && numbered.Number() < 0 {
				t.Errorf("%s: number %d", e.name, numbered.Number())
			}
			return
		}
		if !isOurs(err) {
			t.Errorf("%s: an error of another kind: %v", e.name, err)
		}
		if class, ok := err.(interface{ Class() string }); !ok || class.Class() == "" {
			t.Errorf("%s: no class: %v", e.name, err)
		}
		if text := err.Error(); len(text) > 1500 || strings.ContainsAny(text, "\n\r\x1b") || !utf8.ValidString(text) {
			t.Errorf("%s: error is %q", e.name, text)
		}
	})
}

// answered carries out the call of an example and counts its requests. Signing in is tried with any call.
func answered(t *testing.T, e example, answer canned, asked *int) (any, error) {
	transport := counting{signingIn{answer, answer}, asked}
	if e.op != codearts.OpToken {
		return newCanned(t, transport, func(cfg *codearts.Config) {
			if e.V4 {
				cfg.RepoAPI = codearts.RepoV4
			}
		}).Call(t.Context(), e.op, e.Args)
	}
	return newCanned(t, transport, func(cfg *codearts.Config) { cfg.Credentials = password("x") }).JobConfig(t.Context(), jobID)
}

// counting counts requests.
type counting struct {
	http.RoundTripper
	asked *int
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	*c.asked++
	return c.RoundTripper.RoundTrip(r)
}

func FuzzText(f *testing.F) {
	for _, s := range []string{`"a"`, `1`, `1e400`, `true`, `null`, `{}`, `"\ud800"`, `-0.0`, `""`, `"12"`, `9223372036854775807`, `1e3`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var v struct {
			Text *codearts.Text
			Int  *codearts.Int
		}
		for _, field := range []string{"Text", "Int"} {
			if json.Unmarshal([]byte(`{"`+field+`":`+s+`}`), &v) != nil {
				continue
			}
			if _, err := json.Marshal(v); err != nil {
				t.Errorf("%s of %s cannot be encoded: %v", field, s, err)
			}
		}
	})
}
