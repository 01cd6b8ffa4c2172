package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// dial connects to the first server that can be worked with. A server that is up but cannot be used, as one whose JetStream is not ready,
// is no reason not to ask the next.
func (c *Conn) dial(ctx context.Context) error {
	order := rand.Perm(len(c.cfg.URLs)) // so that not all go to the same one
	urls := make([]string, len(order))
	for i, n := range order {
		urls[i] = c.cfg.URLs[n]
	}
	why := make(unusable, len(order)) // as they are configured: the same causes make the same text
	for _, n := range order {
		err := c.try(ctx, c.cfg.URLs[n])
		if err == nil && len(urls) > 1 {
			if err = c.nc.SetServerPool(urls); err != nil { // where to look when the connection is lost
				c.nc.Close()
			}
		}
		if err == nil {
			// The options hold them from here on. A print of a struct does not ask the types of unexported fields how.
			c.cfg.Password, c.cfg.Token = "", ""
			return nil
		}
		why[n] = err
	}
	if len(why) == 1 {
		return why[0]
	}
	return why
}

// try connects to one server and checks it.
func (c *Conn) try(ctx context.Context, url string) error {
	where := withoutCredentials(url)
	timeout := connectTimeout
	if d, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(d))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("connect to the broker at %s: %w", where, ctx.Err())
	}
	nc, err := nats.Connect(url, c.dialOptions(timeout)...)
	if err != nil {
		return withRemedy(fmt.Errorf("cannot connect to the broker at %s: %w", where, err))
	}
	c.nc = nc
	c.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(requestTimeout), jetstream.WithPublishAsyncTimeout(requestTimeout))
	if err == nil {
		err = c.checkServer(ctx, where)
	}
	if err != nil {
		nc.Close()
	}
	return err
}

// checkServer refuses a server that is too old, or one without JetStream. One of a cluster may have it a moment later, or from another.
func (c *Conn) checkServer(ctx context.Context, where string) error {
	if wrong := c.judge(c.nc); wrong != nil {
		return wrong
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := c.js.AccountInfo(ctx)
	if err == nil {
		return nil
	}
	off := errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, nats.ErrNoResponders)
	if off && c.nc.ConnectedClusterName() == "" || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return Complaints{{
			Where:  "broker " + where,
			Found:  "JetStream is not enabled for this account, and Millrace stores everything there",
			Remedy: "start the server with --jetstream and a store directory, and enable it for the account",
		}}
	}
	return fmt.Errorf("ask the broker at %s about JetStream: %w", where, err)
}

// withRemedy adds a remedy to an error of connecting that no time will mend, and makes it final.
func withRemedy(err error) error {
	var file *fs.PathError
	var certificate *tls.CertificateVerificationError
	remedy := ""
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired), strings.Contains(strings.ToLower(err.Error()), "authorization violation"):
		remedy = "give it the credentials file or the token of a user who may connect"
	case errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		remedy = "write the address as tls:// if the server speaks TLS, and as nats:// if it does not"
	case errors.As(err, &certificate):
		remedy = "give the certificates of those who signed the server's, and write its address as its certificate names it"
	case errors.As(err, &file):
		remedy = "see that the file is there and may be read"
	default:
		return err
	}
	return &refusedError{err: err, remedy: remedy}
}

// refusedError is an error that a person has to mend.
type refusedError struct {
	err    error
	remedy string
}

func (e *refusedError) Error() string { return e.err.Error() + "; " + e.remedy }
func (e *refusedError) Unwrap() error { return e.err }

// Remedy is the end of the error's text, by itself.
func (e *refusedError) Remedy() string { return e.remedy }

// Retryable is false: it would fail again.
func (*refusedError) Retryable() bool { return false }

// unusable is what is wrong with each of several servers.
type unusable []error

func (u unusable) Error() string {
	all := make([]string, len(u))
	for i, err := range u {
		all[i] = err.Error()
	}
	return strings.Join(all, "; ")
}

func (u unusable) Unwrap() []error { return u }

// Retryable is true while one of them may come to be usable.
func (u unusable) Retryable() bool {
	for _, err := range u {
		var e interface{ Retryable() bool }
		if !errors.As(err, &e) || e.Retryable() {
			return true
		}
	}
	return false
}
