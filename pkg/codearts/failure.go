package codearts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What an *APIError may be, for errors.Is. An error is at most one of them.
var (
	ErrNotFound     = errors.New("not found")
	ErrUnauthorized = errors.New("not signed in")
	ErrForbidden    = errors.New("not allowed")
	ErrThrottled    = errors.New("too many requests")
	ErrConflict     = errors.New("conflict")
	ErrInvalid      = errors.New("invalid request")
)

// APIError is every failure of a call: refused, failed at the other side, or never answered.
type APIError struct {
	Op        string // name of the operation; "iam_token" when signing in failed
	Method    string
	Path      string // template, without values
	Status    int    // HTTP status; 0 without an answer, or when the request was not sent
	Code      string // as CodeArts sent it, "" when it sent none
	Message   string // cleaned, cut, free of secrets
	RequestID string
	Hint      string // what to change when the identity is not accepted, in one sentence; "" when there is nothing to say
	Err       error  // cause at our side; nil when CodeArts answered

	class   string
	kind    error // one of the sentinels, or nil
	again   bool
	maybe   bool
	waitFor time.Duration
}

// The classes of failures, see APIError.Class.
const (
	classNotFound     = "not_found"
	classUnauthorized = "unauthorized"
	classForbidden    = "forbidden"
	classThrottled    = "throttled"
	classConflict     = "conflict"
	classInvalid      = "invalid"
	classRefused      = "refused"
	classUnavailable  = "unavailable"
	classNetwork      = "network"
	classTimeout      = "timeout"
	classCanceled     = "canceled"
	classSize         = "size"
	classUnreadable   = "unreadable"
)

// Error names the call, what came back, the request id and the hint.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "codearts: %s: ", e.Op)
	if e.Method != "" { // a question made of several calls has none
		fmt.Fprintf(&b, "%s %s: ", e.Method, e.Path)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, "%d", e.Status)
		if e.Code != "" {
			b.WriteString(" " + e.Code)
		}
		if e.Message != "" || e.Err != nil {
			b.WriteString(": ")
		}
	}
	b.WriteString(e.Message)
	if e.Err != nil {
		if e.Message != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause at our side (a network error, the context's error), nil when CodeArts answered.
func (e *APIError) Unwrap() error { return e.Err }

// Is reports whether target is the sentinel this failure stands for.
func (e *APIError) Is(target error) bool { return e.kind != nil && target == e.kind }

// Retryable reports whether the same call may succeed later. It says nothing about whether sending it again is safe: for a call
// that writes, see MayHaveHappened and Operation.Repeat.
func (e *APIError) Retryable() bool { return e.again }

// RetryAfter is how long CodeArts asked to wait, or until the limiter has a place again; at most an hour, 0 when nobody said.
func (e *APIError) RetryAfter() time.Duration { return e.waitFor }

// Class is the failure in one word: not_found, unauthorized, forbidden, throttled, conflict, invalid, refused (answered "fail"
// without a reason we know), unavailable, network, timeout, canceled, size, unreadable.
func (e *APIError) Class() string { return e.class }

// MayHaveHappened reports whether the request may have been carried out in spite of the error: there was no answer although the
// request was sent, the answer could not be read, or the other side failed while it worked. False means it was certainly not.
func (e *APIError) MayHaveHappened() bool { return e.maybe }

// newError starts the error of op.
func newError(op *Operation) *APIError {
	return &APIError{Op: op.Name, Method: op.Method, Path: op.Path}
}

// invalid is the error for a question that was not sent because it cannot be right.
func invalid(op *Operation, format string, args ...any) *APIError {
	e := newError(op)
	e.Message, e.class, e.kind = fmt.Sprintf(format, args...), classInvalid, ErrInvalid
	return e
}

// unanswered is the error for a request without a complete answer. sent: at least part of the request left this process.
func unanswered(op *Operation, err error, sent bool) *APIError {
	e := newError(op)
	e.Message, e.Err = "no answer", withoutURL(err)
	e.again, e.maybe = true, sent
	switch {
	case errors.Is(err, context.Canceled):
		e.class = classCanceled
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		e.class = classTimeout
	default:
		e.class = classNetwork
	}
	return e
}

// verdict fills in what a failure means, from its status and code.
func (e *APIError) verdict(op *Operation) *APIError {
	e.class, e.kind, e.again, e.maybe = classRefused, nil, !op.Writes, false
	for _, row := range codeVerdicts {
		if strings.HasPrefix(e.Code, row.prefix) && (row.status == 0 || row.status == e.Status) {
			e.class, e.kind, e.again, e.maybe = row.class, row.kind, row.again, row.maybe
			return e
		}
	}
	for _, row := range statusVerdicts {
		if e.Status >= row.from && e.Status <= row.to {
			e.class, e.kind, e.again, e.maybe = row.class, row.kind, row.again, row.maybe
			return e
		}
	}
	return e
}

// kindClasses are the classes of the sentinels.
var kindClasses = []struct {
	kind  error
	class string
}{
	{ErrNotFound, classNotFound},
	{ErrUnauthorized, classUnauthorized},
	{ErrForbidden, classForbidden},
	{ErrThrottled, classThrottled},
	{ErrConflict, classConflict},
	{ErrInvalid, classInvalid},
}

// means fills in what a failure of a kind means. It was refused, so nothing has happened.
func (e *APIError) means(kind error) *APIError {
	e.kind, e.again, e.maybe, e.class = kind, errors.Is(kind, ErrThrottled), false, classRefused
	for _, row := range kindClasses {
		if errors.Is(kind, row.kind) {
			e.class = row.class
		}
	}
	return e
}

// codeVerdicts says what the codes mean whose HTTP status alone would mislead (CodeArts page ErrorCode, and the pages about
// commits); the first row that fits counts.
var codeVerdicts = []struct {
	prefix string
	status int // 0: any
	class  string
	kind   error
	again  bool
	maybe  bool
}{
	{"CB.00060211", 0, classThrottled, ErrThrottled, true, false},
	{"CB.00060100", 0, classThrottled, ErrThrottled, true, false},
	{"APIGW.0308", 0, classThrottled, ErrThrottled, true, false},
	{"APIGW.0301", 0, classUnauthorized, ErrUnauthorized, false, false},
	{"APIGW.0302", 0, classForbidden, ErrForbidden, false, false},
	{"APIGW.0101", 0, classNotFound, ErrNotFound, false, false},
	{"CB.00060101", 0, classUnavailable, nil, true, true},
	{"CB.0006020", 0, classInvalid, ErrInvalid, false, false},
	{"CB.00060212", 0, classInvalid, ErrInvalid, false, false},
	{"CB.00060213", 0, classInvalid, ErrInvalid, false, false},
	{"CH.010117", 0, classNotFound, ErrNotFound, false, false},
	{"CH.10000", 0, classUnavailable, nil, true, true},
}

// statusVerdicts says what an HTTP status means when the code says nothing; the first row that fits counts.
var statusVerdicts = []struct {
	from, to int
	class    string
	kind     error
	again    bool
	maybe    bool
}{
	{300, 399, classRefused, nil, false, false}, // redirects are not followed
	{http.StatusUnauthorized, http.StatusUnauthorized, classUnauthorized, ErrUnauthorized, false, false},
	{http.StatusForbidden, http.StatusForbidden, classForbidden, ErrForbidden, false, false},
	{http.StatusNotFound, http.StatusNotFound, classNotFound, ErrNotFound, false, false},
	{http.StatusGone, http.StatusGone, classNotFound, ErrNotFound, false, false},
	{http.StatusRequestTimeout, http.StatusRequestTimeout, classTimeout, nil, true, false},
	{http.StatusConflict, http.StatusConflict, classConflict, ErrConflict, false, false},
	{http.StatusPreconditionFailed, http.StatusPreconditionFailed, classConflict, ErrConflict, false, false},
	{http.StatusRequestEntityTooLarge, http.StatusRequestEntityTooLarge, classSize, ErrInvalid, false, false},
	{http.StatusTooEarly, http.StatusTooEarly, classThrottled, nil, true, false},
	{http.StatusTooManyRequests, http.StatusTooManyRequests, classThrottled, ErrThrottled, true, false},
	{400, 499, classInvalid, ErrInvalid, false, false},
	{500, 599, classUnavailable, nil, true, true},
}
