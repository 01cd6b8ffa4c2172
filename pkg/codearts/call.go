package codearts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// answerLimit bounds the body of an answer, in bytes.
const answerLimit = 8 << 20

// requestLimit is the size of the largest body the gateway takes, in bytes.
const requestLimit = 12 << 20

// question is what one call asks.
type question struct {
	path  []string // the values of the {…} in the path, in order
	query url.Values
	body  any // encoded as JSON; nil: none
}

// answer is a complete answer of any status.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends one call, reads the failure shapes of its service and decodes the result into out. Every error is an *APIError.
func (c *Client) do(ctx context.Context, name string, q question, out any) error {
	op := c.op(name)
	u, err := c.address(op, q)
	if err != nil {
		return err
	}
	var body []byte
	if q.body != nil {
		if body, err = json.Marshal(q.body); err != nil {
			return invalid(op, "the request cannot be encoded: %v", err)
		}
		if len(body) > requestLimit {
			e := invalid(op, "the request has %d bytes, and the gateway takes %d", len(body), requestLimit)
			e.class = classSize
			return e
		}
	}
	for renewed := false; ; renewed = true {
		proof, err := c.signer.proof(ctx)
		if err != nil {
			return err
		}
		got, err := c.send(ctx, op, u, proof, body)
		if err != nil {
			return err
		}
		failure := c.read(op, &got, out)
		if failure == nil {
			return nil
		}
		// A refused token is replaced once. Nothing was carried out, so this is safe for calls that write, too.
		if renewed || !errors.Is(failure.kind, ErrUnauthorized) || !c.signer.refused(proof) {
			failure.Hint = c.signer.hint(op, failure, serverTime(got.header))
			return failure
		}
	}
}

// send carries one request, when the limiter lets it, and reads the whole answer. Every error is an *APIError.
func (c *Client) send(ctx context.Context, op *Operation, u *url.URL, proof string, body []byte) (answer, error) {
	if c.limiter == nil {
		return c.observed(ctx, op, u, proof, body)
	}
	if e := c.admit(ctx, op, u.Host); e != nil {
		return answer{}, e
	}
	got, err := c.observed(ctx, op, u, proof, body)
	c.limiter.note(u.Host, endingOf(got, err), c.now())
	return got, err
}

// observed is exchange, and tells who observes.
func (c *Client) observed(ctx context.Context, op *Operation, u *url.URL, proof string, body []byte) (answer, error) {
	if c.observe == nil {
		return c.exchange(ctx, op, u, proof, body)
	}
	began := c.now()
	got, err := c.exchange(ctx, op, u, proof, body)
	c.observe(op.Name, got.status, c.now().Sub(began))
	return got, err
}

// admit waits until the limiter lets a request to host through. A wait that would be too long is not begun.
func (c *Client) admit(ctx context.Context, op *Operation, host string) *APIError {
	if wait, times := c.limiter.down(host, c.now()); wait > 0 {
		return downError(op, host, times, wait)
	}
	late, closed, err := c.limiter.pass(ctx, host, c.now, c.timeout)
	if err == nil && late <= 0 {
		return nil
	}
	c.limiter.note(host, unasked, c.now())
	if err != nil {
		return unanswered(op, err, false)
	}
	e := newError(op)
	e.class, e.kind, e.again, e.waitFor = classThrottled, ErrThrottled, true, min(late, time.Hour)
	e.Message = "not sent: this process has used up its share of requests to " + host
	if closed {
		e.Message = "not sent: " + host + " has asked for a pause"
	}
	e.Message += ", the next one may be sent in " + e.waitFor.Round(time.Millisecond).String()
	return e
}

// exchange is send, unobserved and unlimited.
func (c *Client) exchange(ctx context.Context, op *Operation, u *url.URL, proof string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	header, room := headers(body != nil)
	req := (&http.Request{
		Method: op.Method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	var out *outgoing
	if body != nil {
		out = &outgoing{}
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return &outgoingBody{Reader: bytes.NewReader(body), out: out}, nil }
		req.Body, _ = req.GetBody()
	}
	if op.shape == shapeText {
		req.Header.Set("Accept", "*/*") // it may be refused as JSON
	}
	if op.Service != ServiceIAM {
		c.signer.sign(req, body, proof, room)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return answer{}, c.hide(unanswered(op, orCause(ctx, err), wasSent(out, err)))
	}
	defer func() { _ = resp.Body.Close() }()
	limit := op.limit
	if limit == 0 {
		limit = answerLimit
	}
	read, err := readAll(resp, limit)
	if err != nil {
		e := unanswered(op, err, true)
		e.Status, e.Message, e.RequestID = resp.StatusCode, "the answer broke off", requestID(resp.Header)
		if errors.Is(err, errTooLarge) {
			e.Message, e.class, e.again = "", classSize, false
		}
		if e.Status >= 400 && e.Status < 500 {
			e.maybe = false
		}
		return answer{}, c.hide(e)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: read}, nil
}

// headers are the headers of every request, and room for the values of those that the signer adds, in one piece of memory.
func headers(hasBody bool) (h http.Header, room []string) {
	values := [7]string{"application/json", "millrace-codearts", "application/json;charset=utf8"}
	h = make(http.Header, 8)
	h["Accept"], h["User-Agent"] = values[0:1:1], values[1:2:2]
	if hasBody {
		h["Content-Type"] = values[2:3:3]
	}
	return h, values[3:]
}

// orCause returns the end of the context as the reason, when that is why the transport failed, whatever words it used.
func orCause(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil && !errors.Is(err, end) {
		return fmt.Errorf("%w: %w", end, withoutURL(err))
	}
	return err
}

// errTooLarge is the reason an answer was not read.
var errTooLarge = errors.New("the answer is larger than allowed")

// readAll reads a body to its end, so that its connection can be used again.
func readAll(resp *http.Response, limit int64) ([]byte, error) {
	if resp.ContentLength > limit {
		return nil, errTooLarge
	}
	if size := int(resp.ContentLength); size >= 0 {
		body := make([]byte, size+1) // the byte too many finds the end
		n, err := io.ReadFull(resp.Body, body)
		if n == size && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
			err = nil
		}
		return body[:n], err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		return nil, errTooLarge
	}
	return body, err
}

// outgoing notes whether anybody began to send a body. A request whose body was never touched was not carried out.
type outgoing struct{ begun atomic.Bool }

type outgoingBody struct {
	*bytes.Reader
	out *outgoing
}

func (b *outgoingBody) Read(p []byte) (int, error) {
	b.out.begun.Store(true)
	return b.Reader.Read(p)
}

func (b *outgoingBody) WriteTo(w io.Writer) (int64, error) {
	b.out.begun.Store(true)
	return b.Reader.WriteTo(w)
}

func (b *outgoingBody) Close() error { return nil }

// wasSent reports whether a request that failed with err may have reached the other side.
func wasSent(out *outgoing, err error) bool {
	if out != nil {
		return out.begun.Load()
	}
	var op *net.OpError
	return !errors.As(err, &op) || op.Op != "dial"
}

// address builds the URL of a call and guards what is put into its path.
func (c *Client) address(op *Operation, q question) (*url.URL, error) {
	at, ok := c.endpoints[op.Service]
	if !ok {
		return nil, invalid(op, "no %s endpoint is known for region %q: set %s_endpoint", op.Service, c.region, op.Service)
	}
	size := len(at.prefix) + len(op.Path)
	for _, value := range q.path {
		size += len(value)
	}
	var plain strings.Builder
	var escaped []byte // only when it differs
	plain.Grow(size)
	plain.WriteString(at.prefix)
	rest, values := op.Path, q.path
	for {
		before, after, found := strings.Cut(rest, "{")
		plain.WriteString(before)
		if escaped != nil {
			escaped = append(escaped, before...)
		}
		if !found {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		value := values[0]
		rest, values = tail, values[1:]
		if reason := unfit(name, value); reason != "" {
			return nil, invalid(op, "%s %s", name, reason)
		}
		safe := url.PathEscape(value)
		if escaped == nil && safe != value {
			escaped = append(make([]byte, 0, size+2*len(safe)), plain.String()...)
		}
		if escaped != nil {
			escaped = append(escaped, safe...)
		}
		plain.WriteString(value)
	}
	u := &url.URL{Scheme: at.scheme, Host: at.host, Path: plain.String(), RawPath: string(escaped)}
	if q.query != nil {
		u.RawQuery = strings.ReplaceAll(q.query.Encode(), "+", "%20") // as it is signed
	}
	return u, nil
}

// unfit says why a value must not stand in a path, "" when it may. Slashes are for files and refs only, and escaped there.
func unfit(name, value string) string {
	switch {
	case value == "":
		return "is empty"
	case len(value) > 1024:
		return "is longer than 1024 bytes"
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == '\uFFFD' }):
		return "has characters that do not belong there"
	case name != "file_path" && name != "sha" && strings.Contains(value, "/"):
		return "has a slash"
	}
	for part := range strings.SplitSeq(value, "/") {
		if part == "" || part == "." || part == ".." {
			return `has an empty part, "." or ".."`
		}
	}
	return ""
}

// withoutURL takes the address, whose query may hold more than an error should, off err.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
