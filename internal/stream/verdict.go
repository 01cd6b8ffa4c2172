package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// verdict is what becomes of a message.
type verdict uint8

const (
	done     verdict = iota // acknowledged
	parked                  // it comes back at a time; not a failure
	retried                 // it failed and comes back after a delay
	buried                  // it becomes a dead letter
	returned                // handed back at once: this process is about to end
)

// ruling is a verdict with its particulars.
type ruling struct {
	verdict verdict
	until   time.Time // parked, retried
	state   string    // parked
	class   string    // buried, retried (for the log)
	reason  string    // buried, retried
}

// maxState is the longest state a handler may keep, in bytes.
const maxState = 1 << 10

// cleanPass is how long ago the last failure of a message must be for its failures to be
// forgotten when its handler parks it. Without it a message that waits for days would be given
// up at its first failure after the first day.
const cleanPass = time.Hour

// judge reads the verdict from what an error can do. It is the only place that does.
func judge(ctx context.Context, d *delivery, err error, policy Retry, now time.Time) ruling {
	if err == nil {
		return ruling{verdict: done}
	}
	if shuttingDown(ctx, err) {
		return ruling{verdict: returned}
	}
	var park interface{ Park() (time.Time, string) }
	if errors.As(err, &park) {
		until, state := park.Park()
		if len(state) > maxState {
			return ruling{verdict: buried, class: ClassSize, reason: fmt.Sprintf("the state to be kept has %d bytes, over the %d allowed", len(state), maxState)}
		}
		return ruling{verdict: parked, until: until.UTC(), state: state}
	}
	r := ruling{verdict: retried, reason: err.Error(), class: class(err)}
	var retry interface{ Retryable() bool }
	if errors.As(err, &retry) && !retry.Retryable() {
		r.verdict, r.class = buried, or(r.class, ClassFailed)
		return r
	}
	if policy.exhausted(d, now) {
		r.verdict, r.class = buried, ClassExhausted
		return r
	}
	delay := policy.delay(d.Attempts)
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) {
		if least := min(after.RetryAfter(), policy.GiveUpAfter); least > delay {
			delay = least + policy.spread(d.Attempts)
		}
	}
	r.until = now.Add(delay)
	return r
}

func class(err error) string {
	var c interface{ Class() string }
	if errors.As(err, &c) {
		return c.Class()
	}
	return ""
}

// full is the delay after a number of earlier failures, before chance is applied.
func (r Retry) full(failures int) time.Duration {
	d := float64(r.First) * math.Pow(r.Factor, float64(failures))
	if d >= float64(r.Max) { // +Inf too
		return r.Max
	}
	return time.Duration(d)
}

// delay is how long to wait after one more failure.
func (r Retry) delay(failures int) time.Duration {
	d := r.full(failures)
	return d - time.Duration(float64(d)*max(r.Jitter, 0)) + r.spread(failures)
}

// spread is the part of a delay that is drawn by chance. It is added to a pause that somebody asked for, so that those who
// were asked at the same moment do not all come back at once.
func (r Retry) spread(failures int) time.Duration {
	if r.Jitter <= 0 {
		return 0
	}
	return rand.N(time.Duration(float64(r.full(failures))*r.Jitter) + 1)
}

// exhausted tells whether a message that failed now is to be given up. Work carries the time of
// its first failure. An event cannot carry anything, the broker only counts its
// deliveries: it is given up after as many as would, each at its full delay, take as long.
func (r Retry) exhausted(d *delivery, now time.Time) bool {
	if !d.isEvent {
		return !d.firstFailure.IsZero() && now.Sub(d.firstFailure) > r.GiveUpAfter
	}
	var took time.Duration
	for i := range d.Attempts {
		full := r.full(i)
		if full == r.Max {
			return took+time.Duration(d.Attempts-i)*r.Max > r.GiveUpAfter
		}
		took += full
	}
	return took > r.GiveUpAfter
}

// panicError is a handler that panicked. A panic is tried again like any failure: the next
// version of the program may know better.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// Class marks the log lines of a panic.
func (e *panicError) Class() string { return ClassPanic }
