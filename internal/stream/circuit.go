package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Circuit keeps a consumer from asking for messages while whoever they are for takes none: they stay in the queue, and no try of theirs is
// used up. It is closed to begin with. A number of calls in a row that fail open it; after a pause one message is let through, and when that
// one fails, the next pause is longer. What was called for a message decides, told by [Circuit.Report]; a message that needs no call
// (it is done, or past its deadline) decides nothing, and the next one follows at once.
//
// A target that takes no more for now (an error with RateLimited() true) opens nothing: no message is asked for until RetryAfter has passed.
//
// Each worker has its own. It holds no goroutine and is safe for concurrent use; nil lets everything through.
type Circuit struct {
	target   string
	failures int
	pauses   Retry
	log      zerolog.Logger

	mu     sync.Mutex
	failed int       // calls, in a row, while it was closed
	opened time.Time // zero while it is closed
	tries  int       // messages let through since, in vain
	until  time.Time // nobody asks before
	trial  *pass     // the one message that is let through while it is open
	change chan struct{}
}

// CircuitConfig says when a circuit opens, and for how long. The zero value of every field has a meaning.
type CircuitConfig struct {
	// Failures is how many calls in a row have to fail. 0: 5.
	Failures int
	// First is the first pause, and Max the longest; they double, and half of each is drawn by chance. 0: 5 s and 2 min.
	First, Max time.Duration
}

// NewCircuit makes a circuit, closed. target names whose it is, for the log.
func NewCircuit(target string, cfg CircuitConfig, log zerolog.Logger) *Circuit {
	return &Circuit{
		target: target, failures: or(cfg.Failures, 5), change: make(chan struct{}),
		pauses: Retry{First: cfg.First, Max: or(cfg.Max, 2*time.Minute)}.over(Retry{First: 5 * time.Second}), log: log,
	}
}

// Report tells how a call ended. Nil, and an error with Retryable() false, are answers: whoever was called is there. Any other error is a failure,
// but context.Canceled.
func (c *Circuit) Report(err error) {
	if c == nil || errors.Is(err, context.Canceled) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var retry interface{ Retryable() bool }
	var rate interface{ RateLimited() bool }
	var after interface{ RetryAfter() time.Duration }
	asked := time.Duration(0)
	if errors.As(err, &after) {
		asked = after.RetryAfter()
	}
	switch {
	case err == nil, errors.As(err, &retry) && !retry.Retryable():
		c.answered()
	case errors.As(err, &rate) && rate.RateLimited():
		c.holdUntil(time.Now().Add(asked))
	default:
		c.fail(err, asked)
	}
}

// answered closes it. The caller holds mu, as of the next two.
func (c *Circuit) answered() {
	c.failed = 0
	if c.opened.IsZero() {
		return
	}
	c.log.Info().Str("target", c.target).Dur("took", time.Since(c.opened)).Int("attempts", c.tries+1).Msg("circuit closed")
	c.opened, c.tries, c.trial, c.until = time.Time{}, 0, nil, time.Time{}
	c.wake()
}

// fail counts a failure, and begins the next pause if there is to be one.
func (c *Circuit) fail(err error, asked time.Duration) {
	if c.opened.IsZero() {
		if c.failed++; c.failed < c.failures {
			return
		}
		c.opened, c.failed = time.Now(), 0
	} else {
		if c.trial == nil {
			return // a call that began before it opened
		}
		c.tries++
	}
	pause := c.pauses.delay(c.tries)
	if asked > pause {
		pause = asked + c.pauses.spread(c.tries)
	}
	until := time.Now().Add(pause)
	c.holdUntil(until)
	if c.tries == 0 {
		c.log.Warn().Str("target", c.target).Str("class", class(err)).Str("reason", err.Error()).Time("until", until).Msg("circuit opened")
	}
}

// holdUntil has nobody ask before a time.
func (c *Circuit) holdUntil(until time.Time) {
	if c.trial = nil; until.After(c.until) {
		c.until = until
	}
	c.wake()
}

// wake lets everybody who waits look again.
func (c *Circuit) wake() {
	close(c.change)
	c.change = make(chan struct{})
}

// pass is the leave to ask for one message; of the zero value nobody asks anything.
type pass struct{ circuit *Circuit }

// enter waits until a message may be asked for, or ctx ends. [pass.leave] must be called once.
func (c *Circuit) enter(ctx context.Context) *pass {
	for {
		if ctx.Err() != nil {
			return new(pass)
		}
		p, wait, change := c.admit()
		if p != nil {
			return p
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-change:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// admit gives a pass, or says how long to wait at most for the next look.
func (c *Circuit) admit() (p *pass, wait time.Duration, change <-chan struct{}) {
	if c == nil {
		return new(pass), 0, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p = &pass{circuit: c}
	switch wait = time.Until(c.until); {
	case wait > 0:
		return nil, wait, c.change
	case c.opened.IsZero():
		return p, 0, nil
	case c.trial == nil:
		c.trial = p
		return p, 0, nil
	}
	return nil, time.Hour, c.change // until the one that is let through has ended
}

// holds tells whether the leave still is one, for a message that arrived long after it was given.
func (p *pass) holds() bool {
	c := p.circuit
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trial == p || c.opened.IsZero() && time.Until(c.until) <= 0
}

// leave ends the leave: its message is settled, or none came. When nothing was called for it, the next one may try.
func (p *pass) leave() {
	c := p.circuit
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trial == p {
		c.trial = nil
		c.wake()
	}
}
