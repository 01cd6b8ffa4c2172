package codearts_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// The codes of the vendor's pages ErrorCode (CodeArts) and of the gateway's errors, line by line: for each what it means, whether it is
// worth trying again, and whether a request may have been carried out. again and maybe are what the row says, never what a call allows:
// for that there is Operation.Repeat.
func TestVendorCodes(t *testing.T) {
	for _, row := range []struct {
		status int
		code   string
		class  string
		is     error
		again  bool
		maybe  bool
	}{
		{500, "CB.00060100", "throttled", codearts.ErrThrottled, true, false}, // network busy, try later
		{500, "CB.00060101", "unavailable", nil, true, true},                  // internal error
		{400, "CB.00060200", "invalid", codearts.ErrInvalid, false, false},    // invalid parameter
		{400, "CB.00060201", "invalid", codearts.ErrInvalid, false, false},    // invalid task id
		{400, "CB.00060202", "invalid", codearts.ErrInvalid, false, false},    // invalid service id
		{400, "CB.00060203", "invalid", codearts.ErrInvalid, false, false},    // invalid file name
		{500, "CB.00060211", "throttled", codearts.ErrThrottled, true, false}, // too many requests
		{400, "CB.00060212", "invalid", codearts.ErrInvalid, false, false},    // file empty
		{400, "CB.00060213", "invalid", codearts.ErrInvalid, false, false},    // upload constraint
		{404, "APIGW.0101", "not_found", codearts.ErrNotFound, false, false},  // API or method not published
		{400, "APIGW.0201", "invalid", codearts.ErrInvalid, false, false},     // bad request
		{413, "APIGW.0201", "size", codearts.ErrInvalid, false, false},        // body too large
		{414, "APIGW.0201", "invalid", codearts.ErrInvalid, false, false},     // URI too large
		{494, "APIGW.0201", "invalid", codearts.ErrInvalid, false, false},     // headers too large
		{502, "APIGW.0201", "unavailable", nil, true, true},                   // backend unavailable
		{504, "APIGW.0201", "unavailable", nil, true, true},                   // backend timeout
		{401, "APIGW.0301", "unauthorized", codearts.ErrUnauthorized, false, false},
		{403, "APIGW.0302", "forbidden", codearts.ErrForbidden, false, false},
		{429, "APIGW.0308", "throttled", codearts.ErrThrottled, true, false},
		// A code decides where the status would mislead, a status where the code is unknown.
		{400, "CB.00060211", "throttled", codearts.ErrThrottled, true, false},
		{200, "APIGW.0301", "unauthorized", codearts.ErrUnauthorized, false, false},
		{401, "DEV.CB.0301", "unauthorized", codearts.ErrUnauthorized, false, false},
		{500, "DEV-21-60001", "unavailable", nil, true, true},
		{503, "", "unavailable", nil, true, true},
		{408, "", "timeout", nil, true, false},
		{409, "", "conflict", codearts.ErrConflict, false, false},
		{410, "", "not_found", codearts.ErrNotFound, false, false},
		{412, "", "conflict", codearts.ErrConflict, false, false},
		{425, "", "throttled", nil, true, false},
		{418, "", "invalid", codearts.ErrInvalid, false, false},
		{304, "", "refused", nil, false, false},
		{600, "", "refused", nil, true, false},
		{100, "", "refused", nil, true, false},
	} {
		for _, shape := range []string{
			`{"error_code":%q,"error_msg":"no luck"}`,
			`{"error":{"code":%q,"message":"no luck"},"result":null,"status":"failed"}`,
			`{"status":"fail","error":{"error_code":%q,"error_msg":"no luck"},"result":null}`,
		} {
			client := newCanned(t, canned{status: row.status, body: fmt.Sprintf(shape, row.code)})
			err := second(client.JobConfig(t.Context(), jobID))
			check(t, codearts.OpJobConfig, err, verdict{status: row.status, class: row.class, is: row.is, again: row.again, maybe: row.maybe})
			if api, ok := errors.AsType[*codearts.APIError](err); ok && row.status != 304 && api.Code != row.code {
				t.Errorf("code of %v is %q, want %q", err, api.Code, row.code)
			}
		}
	}
}

// What is JSON is read, whatever it is said to be; what is not is an error that names what came, and quotes nothing of it.
func TestContentTypes(t *testing.T) {
	for _, row := range []struct{ media, body, want string }{
		{"application/json;charset=UTF-8", `{"status":"success","result":{}}`, ""},
		{"text/plain", `{"status":"success","result":{}}`, ""},
		{"", `{"status":"success","result":{}}`, ""},
		{"text/html; charset=gbk", "<html>log in</html>", "OK (text/html, 19 bytes)"},
		{"", "log in", "OK (no content type, 6 bytes)"},
		{"application/json", "log in", "OK (application/json, 6 bytes)"},
		{"application/json", "", "OK (application/json, 0 bytes)"},
		{"application/json", `{"status":"success","result":{}} {}`, "after top-level value"},
		{strings.Repeat("x/y", 1000), "log in", "x/y"},
	} {
		client := newCanned(t, typed{media: row.media, body: row.body})
		err := second(client.JobConfig(t.Context(), jobID))
		if row.want == "" && err != nil {
			t.Errorf("%q %q: %v", row.media, row.body, err)
		}
		if row.want == "" {
			continue
		}
		check(t, codearts.OpJobConfig, err, verdict{status: 200, class: "unreadable", again: true, maybe: true})
		if s := err.Error(); !strings.Contains(s, row.want) || strings.Contains(s, "log in") || len(s) > 400 {
			t.Errorf("%q %q: %v, want one with %q", row.media, row.body, err, row.want)
		}
	}
}

// typed answers with a body of a content type.
type typed struct{ media, body string }

func (r typed) RoundTrip(*http.Request) (*http.Response, error) {
	h := http.Header{}
	if r.media != "" {
		h.Set("Content-Type", r.media)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: h, ContentLength: -1, Body: io.NopCloser(strings.NewReader(r.body))}, nil
}

// A redirect is an answer: nobody is sent to, and nothing shows of, where it leads.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		w := newWorld(t, codeartstest.Options{})
		away := codeartstest.Failure{Status: status, Body: []byte{}, Header: http.Header{"Location": {w.url + "/v1/job/" + jobID + "/config?t=s3cr3t"}}, Times: 1}
		w.Fail(codearts.OpCommit, away)
		err := second(w.Commit(t.Context(), repoID, "main"))
		check(t, codearts.OpCommit, err, verdict{status: status, class: "refused"})
		if w.Calls(codearts.OpJobConfig) != 0 || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%d: followed, or shown: %v", status, err)
		}
	}
}

// bottomless is a body that never ends; read counts what was taken of it.
type bottomless struct{ read int64 }

func (e *bottomless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	return copy(p, bytes.Repeat([]byte(" "), len(p))), nil
}

func (*bottomless) Close() error { return nil }

// streamed answers with a body and a length that may be a lie.
type streamed struct {
	body   io.ReadCloser
	length int64
}

func (s streamed) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, ContentLength: s.length, Body: s.body}, nil
}

// Of an answer without end no more is read than the call's limit, and nothing of one that says beforehand that it is too large.
func TestAnswersAreBounded(t *testing.T) {
	for length, most := range map[int64]int64{-1: 8<<20 + 1, 1 << 40: 0} {
		body := &bottomless{}
		err := second(newCanned(t, streamed{body, length}).JobConfig(t.Context(), jobID))
		check(t, codearts.OpJobConfig, err, verdict{status: 200, class: "size", maybe: true})
		if body.read > most {
			t.Errorf("%d bytes were read", body.read)
		}
	}
}

// What the gateway would not take is not sent.
func TestRequestsAreBounded(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	err := second(w.CreateCommit(t.Context(), create("large.txt", strings.Repeat("x", 12<<20))))
	check(t, codearts.OpCreateCommit, err, verdict{class: "size", is: codearts.ErrInvalid})
	if n := w.Calls(codearts.OpCreateCommit); n != 0 || len(err.Error()) > 300 {
		t.Errorf("sent %d times: %.300v", n, err)
	}
}

// hanging never answers, or never ends its answer.
type hanging struct{ begins bool }

func (h hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.begins {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, ContentLength: -1, Body: held{r}}, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

type held struct{ r *http.Request }

func (h held) Read([]byte) (int, error) {
	<-h.r.Context().Done()
	return 0, h.r.Context().Err()
}

func (held) Close() error { return nil }

// The timeout is for the whole of a request, its answer included.
func TestTimeouts(t *testing.T) {
	for _, begins := range []bool{false, true} {
		client, err := codearts.New(codearts.Config{
			Region: "cn-north-4", Credentials: aksk(), Transport: hanging{begins}, Timeout: 10 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		want := verdict{class: "timeout", again: true, maybe: true}
		if begins {
			want.status = http.StatusOK
		}
		check(t, codearts.OpJobConfig, second(client.JobConfig(t.Context(), jobID)), want)
	}
}
