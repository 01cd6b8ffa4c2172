package engine

import (
	"errors"
	"fmt"
	"time"
)

// Classes of the engine's final errors, as they appear in dead letters.
const (
	ClassEvaluation = "evaluation" // the rule cannot be evaluated on this event and these facts
	ClassTimeout    = "timeout"    // a fact was awaited in vain and on_timeout is fail
	ClassSize       = "size"       // the decision does not fit into a message
	ClassRuleset    = "ruleset"    // the ruleset of the run is gone or cannot be read any more
	ClassMessage    = "message"    // the message itself cannot be read
)

// FinalError is a failure that no later try can mend.
type FinalError struct {
	class string
	err   error
}

func (e *FinalError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *FinalError) Unwrap() error { return e.err }

// Retryable is false: trying again leads to the same end.
func (e *FinalError) Retryable() bool { return false }

// Class is one of the Class constants.
func (e *FinalError) Class() string { return e.class }

// RulesetError says that this worker cannot run the ruleset of a run, and that another one may.
type RulesetError struct{ err error }

func (e *RulesetError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *RulesetError) Unwrap() error { return e.err }

// Retryable is true: the run is parked, and whoever gets it next may know more.
func (e *RulesetError) Retryable() bool { return true }

// Class is ClassRuleset.
func (e *RulesetError) Class() string { return ClassRuleset }

// evaluationError says that the rule of a run cannot be evaluated, which is never "no match".
func evaluationError(err error) error { return &FinalError{class: ClassEvaluation, err: err} }

// ParkError asks for the message to be handed out again at a time. It is a verdict, not a
// failure: it does not count as an attempt.
type ParkError struct {
	until  time.Time
	state  string
	reason string
}

func (e *ParkError) Error() string {
	return fmt.Sprintf("wait until %s for %s", e.until.UTC().Format(time.RFC3339), e.reason)
}

// Park returns when the message is to come back and the state it is to carry then.
func (e *ParkError) Park() (until time.Time, state string) { return e.until, e.state }

// exists tells whether a record could not be created because there is one.
func exists(err error) bool {
	var e interface{ Exists() bool }
	return errors.As(err, &e) && e.Exists()
}

// notReady tells whether a fetcher said that there is no such thing yet.
func notReady(err error) bool {
	var e interface{ NotReady() bool }
	return errors.As(err, &e) && e.NotReady()
}

// sizeError says that something does not fit; nothing is ever cut to make it fit.
func sizeError(what string, size, limit int) error {
	return &FinalError{class: ClassSize, err: fmt.Errorf("the %s has %d bytes, the limit is %d", what, size, limit)}
}
