package effects

import (
	"errors"
	"fmt"
	"time"
)

// Classes of the final errors of effects, as they appear in dead letters.
const (
	ClassMessage  = "message"  // the message itself cannot be read
	ClassRecord   = "record"   // a record that is needed is corrupt or gone
	ClassBreaker  = "breaker"  // this rule commits to this branch, or starts this build task, too often
	ClassConflict = "conflict" // a file was changed since, or exists already
	ClassGone     = "gone"     // the repository, the branch or the build task is not there
	// ClassRewritten: the branch was rewritten or deleted after an attempt of unknown outcome, and the commit may have been in what is gone.
	ClassRewritten = "rewritten"
	ClassRefused   = "refused"  // the service refuses the commit, or it must not be sent
	ClassSize      = "size"     // the commit message is too long for its trailer
	ClassLookback  = "lookback" // too many commits or runs to tell whether ours is among them
	ClassTarget    = "target"   // there is no such target
	ClassExpired   = "expired"  // its deadline has passed
	// ClassEvaluation: an action that waited for a result cannot be rendered with it.
	ClassEvaluation = "evaluation"
)

// FinalError is a failure that no later try can mend.
type FinalError struct {
	class string
	err   error
}

func final(class, format string, args ...any) *FinalError {
	return &FinalError{class: class, err: fmt.Errorf(format, args...)}
}

func (e *FinalError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *FinalError) Unwrap() error { return e.err }

// Retryable is false: trying again leads to the same end.
func (e *FinalError) Retryable() bool { return false }

// Class is one of the Class constants.
func (e *FinalError) Class() string { return e.class }

// ParkError asks for the message to be handed out again at a time. It is a verdict, not a
// failure: it does not count as an attempt.
type ParkError struct {
	until  time.Time
	reason string
}

func (e *ParkError) Error() string {
	return fmt.Sprintf("wait until %s for %s", e.until.UTC().Format(time.RFC3339), e.reason)
}

// Park returns when the message is to come back. Effects keep no state in a message.
func (e *ParkError) Park() (until time.Time, state string) { return e.until, "" }

// RetryError is a failed attempt that may be tried again, not before After has passed. It
// hides the verdict of its cause.
type RetryError struct {
	after time.Duration
	err   error
}

func (e *RetryError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *RetryError) Unwrap() error { return e.err }

// Retryable is true.
func (e *RetryError) Retryable() bool { return true }

// RetryAfter is the shortest time until the next attempt makes sense; 0 leaves it to the stream.
func (e *RetryError) RetryAfter() time.Duration { return e.after }

// errRaced says that another worker wrote a record between our reading and our writing it.
var errRaced = errors.New("another worker wrote the record first")

// maxRaces is how often a lost race is decided anew before the message is handed back.
const maxRaces = 16

func raceLost(what string) error {
	return &RetryError{err: fmt.Errorf("%s: %w, %d times", what, errRaced, maxRaces)}
}
