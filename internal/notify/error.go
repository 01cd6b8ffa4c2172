package notify

import (
	"fmt"
	"strings"
	"time"
)

// Classes of failure, for the dead letter.
const (
	ClassConfig      = "config"      // a person must correct the target or the robot; the reason says what
	ClassAddress     = "address"     // the address may not be dialled: a person must change it, or permit it
	ClassRefused     = "refused"     // the target will not take this message
	ClassSize        = "size"        // too large for the target
	ClassRate        = "rate"        // too many messages; later it will be taken
	ClassUnavailable = "unavailable" // the target has a problem of its own
	ClassUnreachable = "unreachable" // no connection, or it broke
	ClassTimeout     = "timeout"     // no answer in time; the message may have arrived
	ClassAnswer      = "answer"      // the answer cannot be understood; the message may have arrived
	ClassCanceled    = "canceled"    // the caller gave up
)

// Error is a message that was not sent, or not known to be. Nothing in it is secret.
type Error struct {
	Target string // name
	Kind   string // kind of the target
	Status int    // HTTP status, 0 when there was no answer
	Code   string // the product's own code, "" when there was none
	Reason string // what happened, and for ClassConfig what to do

	class string
	retry bool
	after time.Duration
	cause error // the context's error or nil: whatever else failed may hold an address
}

// Error is `dingtalk target ops: reason (HTTP 200, code 310000)`.
func (e *Error) Error() string {
	var seen []string
	if e.Status != 0 {
		seen = append(seen, fmt.Sprintf("HTTP %d", e.Status))
	}
	if e.Code != "" {
		seen = append(seen, "code "+e.Code)
	}
	text := fmt.Sprintf("%s target %s: %s", e.Kind, e.Target, e.Reason)
	if len(seen) > 0 {
		text += " (" + strings.Join(seen, ", ") + ")"
	}
	return text
}

// Unwrap returns the context's error when that was the cause, else nil.
func (e *Error) Unwrap() error { return e.cause }

// Retryable reports whether the same message may be taken later. What is not known to be final is retryable.
func (e *Error) Retryable() bool { return e.retry }

// RetryAfter is how long to wait at least, 0 when the target did not say.
func (e *Error) RetryAfter() time.Duration { return e.after }

// RateLimited reports whether the target only takes no more for now: until RetryAfter has passed.
func (e *Error) RateLimited() bool { return e.class == ClassRate }

// Class is one of the Class constants.
func (e *Error) Class() string { return e.class }

// verdict is what an answer means.
type verdict struct {
	class  string
	reason string
	retry  bool
	after  time.Duration
}

func final(class, reason string) verdict { return verdict{class: class, reason: reason} }

func later(class, reason string, after time.Duration) verdict {
	return verdict{class: class, reason: reason, retry: true, after: after}
}
