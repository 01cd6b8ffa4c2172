package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	maxAnswer = 64 << 10
	// restAfter is the pause when a target says it had too much and not for how long.
	restAfter = time.Minute
	maxAfter  = time.Hour
)

// poster sends a body to one target and reads the answer.
type poster struct {
	target, kind string
	address      concealed[*url.URL]
	scrub        scrubber
	client       *http.Client
	timeout      time.Duration
	now          func() time.Time
}

// answer is what a target said.
type answer struct {
	status int
	header http.Header
	body   []byte
	whole  bool // the body ended within maxAnswer
}

// post sends body to the target's address, with query added to it. Its error is an *Error.
func (p *poster) post(ctx context.Context, query url.Values, header http.Header, body []byte) (*answer, error) {
	u := *p.address()
	if len(query) > 0 {
		q := u.Query()
		for name := range query {
			q.Set(name, query.Get(name))
		}
		u.RawQuery = q.Encode()
	}
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, p.fail(nil, final(ClassConfig, "the url cannot be used"))
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Millrace")
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, p.broken(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, p.broken(ctx, err)
	}
	a := &answer{status: resp.StatusCode, header: resp.Header, body: data, whole: true}
	if len(data) > maxAnswer {
		a.body, a.whole = data[:maxAnswer], false
	}
	return a, nil
}

// fail makes the error of an answer, nil for none.
func (p *poster) fail(a *answer, v verdict) *Error {
	e := &Error{Target: p.target, Kind: p.kind, Reason: v.reason, class: v.class, retry: v.retry, after: v.after}
	if a != nil {
		e.Status = a.status
	}
	return e
}

// broken is a request without an answer. The error of the HTTP client holds the address, so nothing of it is kept.
func (p *poster) broken(ctx context.Context, err error) *Error {
	var timeout net.Error
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var refusal interface{ Retryable() bool }
	isTimeout := errors.As(err, &timeout) && timeout.Timeout()
	switch {
	case ctx.Err() != nil:
		e := p.fail(nil, later(ClassCanceled, "given up: "+ctx.Err().Error(), 0))
		e.cause = ctx.Err()
		return e
	case errors.As(err, &name):
		return p.fail(nil, later(ClassUnreachable, "the name of the host cannot be resolved", 0))
	case isTimeout, errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return p.fail(nil, later(ClassTimeout, "no answer within "+p.timeout.String(), 0))
	case errors.As(err, &certificate):
		return p.fail(nil, later(ClassUnreachable, "the certificate of the host is not trusted", 0))
	case errors.As(err, &refusal) && !refusal.Retryable():
		return p.fail(nil, final(ClassAddress, "address not permitted: set another url, or permit it under egress"))
	case errors.Is(err, syscall.ECONNREFUSED):
		return p.fail(nil, later(ClassUnreachable, "connection refused", 0))
	default:
		return p.fail(nil, later(ClassUnreachable, "the connection failed or broke", 0))
	}
}

// judge is the meaning of an HTTP status other than success, when nothing more is known.
func (p *poster) judge(a *answer) verdict {
	after := p.retryAfter(a.header)
	switch s := a.status; {
	case s == http.StatusTooManyRequests:
		if after == 0 {
			after = restAfter
		}
		return later(ClassRate, "too many messages", after)
	case s >= 300 && s < 400:
		return final(ClassConfig, "the address leads to another, which is not followed: set the url to the final address")
	case s == http.StatusRequestEntityTooLarge:
		return final(ClassSize, "the message is too large for the target")
	case s == http.StatusRequestTimeout || s == http.StatusTooEarly || s >= 500:
		return later(ClassUnavailable, "the target has a problem", after)
	case s == http.StatusUnauthorized || s == http.StatusForbidden || s == http.StatusNotFound ||
		s == http.StatusMethodNotAllowed || s == http.StatusGone:
		return final(ClassConfig, "the target does not take messages at this address: check url and secret")
	case s >= 400:
		return final(ClassRefused, "the target refused the message")
	default:
		return later(ClassAnswer, "an answer that means nothing", after)
	}
}

// retryAfter reads Retry-After (RFC 9110, seconds or a date) and the seconds of x-ogw-ratelimit-reset, which Feishu's platform sends.
func (p *poster) retryAfter(h http.Header) time.Duration {
	for _, text := range []string{h.Get("Retry-After"), h.Get("X-Ogw-Ratelimit-Reset")} {
		var after time.Duration
		if seconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32); err == nil {
			after = time.Duration(seconds) * time.Second
		} else if date, err := http.ParseTime(text); err == nil {
			after = date.Sub(p.now())
		}
		if after > 0 {
			return min(after, maxAfter)
		}
	}
	return 0
}
