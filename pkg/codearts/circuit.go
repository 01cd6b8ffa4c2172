package codearts

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Circuit says when a limiter takes a host for down: nobody waits for its answers then, which would keep callers for a whole timeout each. A call of it
// fails at once, retryable, with the time to wait, but for one after each pause, whose answer decides.
type Circuit struct {
	// Failures is how many requests in a row have to end without an answer, or with 502, 503 or 504 without a time to wait. 0: never.
	Failures int
	// First is the first pause. It doubles up to Max, and half of each is drawn by chance.
	First, Max time.Duration
}

// hostCircuit is what a limiter knows of the answers of one host.
type hostCircuit struct {
	failed int       // requests in a row
	tries  int       // requests let through since it is open, in vain
	until  time.Time // nobody asks before
	trial  bool      // one request is let through
}

// SetCircuit has the limiter look at answers. It must be called before the limiter is used.
func (l *Limiter) SetCircuit(c Circuit) { l.circuit = c }

// down is how long nobody should ask a host for want of answers; 0 lets the caller ask, who then must call answered.
func (l *Limiter) down(name string, now time.Time) (wait time.Duration, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.host(name).circuit
	switch {
	case l.circuit.Failures <= 0 || h.failed < l.circuit.Failures:
		return 0, 0
	case h.until.After(now):
		return h.until.Sub(now), h.failed + h.tries
	case h.trial:
		return l.circuit.First, h.failed + h.tries
	}
	h.trial = true
	return 0, 0
}

// The ends of a request, for a circuit.
type ending uint8

const (
	unasked  ending = iota // it was not sent, or the caller gave it up: nothing is known
	answered               // the host is there
	failed                 // it gave no answer, or its gateway said that it is not there
)

// endingOf judges an exchange.
func endingOf(got answer, err error) ending {
	switch {
	case errors.Is(err, context.Canceled):
		return unasked
	case err != nil && got.status == 0:
		var e *APIError
		if errors.As(err, &e) && e.Status != 0 && e.class == classSize {
			return answered
		}
		return failed
	case got.status == http.StatusBadGateway, got.status == http.StatusGatewayTimeout,
		got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") == "":
		return failed
	}
	return answered
}

// note takes in how a request ended.
func (l *Limiter) note(name string, how ending, now time.Time) {
	if l.circuit.Failures <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.host(name).circuit
	open, trial := h.failed >= l.circuit.Failures, h.trial
	h.trial = false
	switch {
	case how == answered:
		*h = hostCircuit{}
	case how == unasked, open && !trial: // one that was asked before it opened
	case open:
		h.tries++
		h.until = now.Add(l.circuit.pause(h.tries))
	default:
		if h.failed++; h.failed == l.circuit.Failures {
			h.until = now.Add(l.circuit.pause(0))
		}
	}
}

// pause is the pause after so many tries in vain.
func (c Circuit) pause(tries int) time.Duration {
	full := c.First
	for range tries {
		if full *= 2; full >= c.Max {
			full = c.Max
			break
		}
	}
	return full - rand.N(full/2+1)
}

// downError is the error of a request that is not sent to a host that is down.
func downError(op *Operation, host string, failed int, wait time.Duration) *APIError {
	e := newError(op)
	e.class, e.again, e.waitFor = classUnavailable, true, wait
	e.Message = "not sent: " + host + " gave no answer " + strconv.Itoa(failed) + " times in a row, it is asked again in " + wait.Round(time.Millisecond).String()
	return e
}
