package codearts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// envelope is the union of what surrounds results and failures on both services, the gateway and IAM.
type envelope struct {
	Status    Text    `json:"status"`
	Error     problem `json:"error"`
	ErrorCode Text    `json:"error_code"`
	ErrorMsg  Text    `json:"error_msg"`
	RequestID Text    `json:"request_id"`
	Result    any     `json:"result"` // a pointer: decoded in place
}

// problem is an error member that says something, as it was sent: documented as null, a string, or an object.
type problem []byte

// UnmarshalJSON keeps what is not one of the ways to say nothing.
func (p *problem) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "null", `""`, "{}", "[]", "false":
		*p = nil
	default:
		*p = bytes.Clone(b)
	}
	return nil
}

// read decodes an answer into out, or says how it failed.
func (c *Client) read(op *Operation, got *answer, out any) *APIError {
	if got.status < 200 || got.status > 299 {
		return c.failure(op, got)
	}
	if l, ok := out.(listener); ok {
		l.heard(got.header)
	}
	switch op.shape {
	case shapeBare:
		return c.readBare(op, got, out)
	case shapeText:
		return c.readText(op, got, out)
	}
	env := envelope{Result: out}
	err := json.Unmarshal(got.body, &env)
	if err != nil && !isMismatch(err) {
		return c.unreadable(op, got, err)
	}
	if env.failed(true) {
		e := c.failure(op, got)
		if op.Writes && !env.saysFailed() {
			e.class, e.again, e.maybe = classUnreadable, true, true
		}
		return e
	}
	if err != nil {
		return c.mistyped(op, got, err)
	}
	if missing(out) && (env.Result != nil || reflect.ValueOf(out).Elem().Kind() != reflect.Slice) {
		return c.mistyped(op, got, errors.New("result is missing"))
	}
	return nil // a list that is null is an empty one
}

// missing reports whether nothing was decoded into out, which points to a pointer or a slice.
func missing(out any) bool {
	v := reflect.ValueOf(out).Elem()
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice) && v.IsNil()
}

// listener is a result that also wants the headers of a success.
type listener interface{ heard(header http.Header) }

func (c *Client) readBare(op *Operation, got *answer, out any) *APIError {
	if _, none := out.(*noResult); none && len(got.body) == 0 {
		return nil
	}
	var env envelope
	if err := json.Unmarshal(got.body, &env); err != nil && !isMismatch(err) {
		return c.unreadable(op, got, err)
	}
	if env.failed(false) {
		return c.failure(op, got)
	}
	if err := json.Unmarshal(got.body, out); err != nil {
		return c.mistyped(op, got, err)
	}
	if missing(out) {
		return c.mistyped(op, got, errors.New("the answer is empty"))
	}
	return nil
}

// failed reports whether a 2xx answer is a failure all the same. enveloped: a status must be there, and be success.
func (e *envelope) failed(enveloped bool) bool {
	if e.ErrorCode != "" || e.ErrorMsg != "" || len(e.Error) > 0 {
		return true
	}
	return enveloped && !strings.EqualFold(string(e.Status), "success")
}

// saysFailed reports whether a 2xx answer says that it failed, and not only fails to say that it did not. What a call that writes did
// is not known then: the answer may be that of a success in a form we do not know.
func (e *envelope) saysFailed() bool {
	switch strings.ToLower(string(e.Status)) {
	case "fail", "failed", "failure", "error":
		return true
	}
	return e.failed(false)
}

// failure is the error of an answer that says it failed, whatever the shape it says it in.
func (c *Client) failure(op *Operation, got *answer) *APIError {
	e := newError(op)
	e.Status, e.RequestID = got.status, requestID(got.header)
	e.waitFor = retryAfter(got.header, c.now())
	if got.status >= 300 && got.status <= 399 {
		e.Message = "redirects are not followed"
		return c.hide(e.verdict(op))
	}
	var env envelope
	if err := json.Unmarshal(got.body, &env); err != nil && !isMismatch(err) {
		e.Message = describe(got)
		return c.hide(e.verdict(op))
	}
	e.Code, e.Message = string(env.ErrorCode), string(env.ErrorMsg)
	e.readErrorMember(env.Error)
	if e.RequestID == "" {
		e.RequestID = string(env.RequestID)
	}
	if e.Message == "" && env.Status != "" {
		e.Message = "status " + string(env.Status)
	}
	if e.Message == "" {
		e.Message = describe(got)
	}
	if kind := c.codes[e.Code]; kind != nil && e.Code != "" {
		e = e.means(kind)
	} else {
		e = e.verdict(op)
	}
	if c.limiter != nil && errors.Is(e, ErrThrottled) && e.waitFor > 0 {
		c.limiter.pause(c.endpoints[op.Service].host, c.now(), e.waitFor)
	}
	return c.hide(e)
}

// readErrorMember takes code and message out of "error": a string, or an object in one of several spellings.
func (e *APIError) readErrorMember(raw problem) {
	if len(raw) == 0 {
		return
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		e.Message = orElse(e.Message, text)
		return
	}
	var object struct {
		Code      Text `json:"code"`
		Message   Text `json:"message"`
		ErrorCode Text `json:"error_code"`
		ErrorMsg  Text `json:"error_msg"`
		Title     Text `json:"title"`
	}
	if err := json.Unmarshal(raw, &object); err != nil && !isMismatch(err) {
		return
	}
	e.Code = orElse(e.Code, string(object.Code), string(object.ErrorCode))
	e.Message = orElse(e.Message, string(object.Message), string(object.ErrorMsg), string(object.Title))
}

// unreadable is the error of a 2xx answer that is not JSON, or not all of it.
func (c *Client) unreadable(op *Operation, got *answer, err error) *APIError {
	e := newError(op)
	e.Status, e.RequestID = got.status, requestID(got.header)
	e.Message, e.Err = describe(got), fmt.Errorf("not the JSON that was expected: %w", err)
	e.class, e.again, e.maybe = classUnreadable, true, true
	return c.hide(e)
}

// mistyped is the error of a 2xx answer that is JSON, but not of the type that is documented. Asking again will not change it.
func (c *Client) mistyped(op *Operation, got *answer, err error) *APIError {
	e := c.unreadable(op, got, err)
	e.Message, e.again = "", false
	return e
}

// isMismatch reports whether err is about the type of a value in well-formed JSON; decoding went on after it.
func isMismatch(err error) bool {
	var syntax *json.SyntaxError
	return !errors.As(err, &syntax)
}

// describe says what came instead of JSON, without quoting it.
func describe(got *answer) string {
	media, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
	if media == "" {
		media = "no content type"
	}
	return fmt.Sprintf("%s (%s, %d bytes)", orElse(http.StatusText(got.status), "unknown status"), clip(media, 60), len(got.body))
}

func requestID(h http.Header) string { return clean(h.Get("X-Request-Id"), 100) }

// retryAfter reads the Retry-After header: seconds or a date; at most an hour.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if value == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), time.Hour)
}

// hide takes secrets, control characters and length off what the other side sent.
func (c *Client) hide(e *APIError) *APIError {
	e.Code = clean(c.signer.hide(e.Code), 100)
	e.Message = clean(c.signer.hide(e.Message), 300)
	e.RequestID = clean(c.signer.hide(e.RequestID), 100)
	if e.Err != nil {
		// A transport may have put the request into its error.
		if text := e.Err.Error(); c.signer.hide(text) != text {
			e.Err = &hiddenError{text: c.signer.hide(text), err: e.Err}
		}
	}
	return e
}

// hiddenError is err with the secrets taken out of its text.
type hiddenError struct {
	text string
	err  error
}

func (e *hiddenError) Error() string { return e.text }

// Is reaches what is behind; there is no Unwrap, so nobody gets hold of its text.
func (e *hiddenError) Is(target error) bool { return errors.Is(e.err, target) }

// clean makes text from outside fit for one line of an error, at most limit bytes.
func clean(s string, limit int) string {
	return clip(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?")), limit)
}

// clip cuts s to at most limit bytes, between two characters.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

func orElse(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
