package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Error is a request the broker refused, or did not answer.
type Error struct {
	// Op is what was asked for, with its subject: "create record run.abc".
	Op  string
	Err error

	exists bool
	final  bool
	class  string
}

func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Exists tells whether the record is there already (Create) or was written by somebody else
// since it was read (Update).
func (e *Error) Exists() bool { return e.exists }

// Refused tells that the broker has answered and does not take the request now, as when a store is full. False when it did not
// answer, when its cluster has no leader, and when it never will take it.
func (e *Error) Refused() bool {
	code := apiCode(e.Err)
	return code != 0 && code != codeNoLeader && !e.final && !e.exists
}

// Retryable is false when the same request can never succeed.
func (e *Error) Retryable() bool { return !e.final }

// Class is the class of a dead letter made of this error, "" when it has none of its own.
func (e *Error) Class() string { return e.class }

const (
	// codeWrongLastSequence of the server, and the one it uses for replicated streams.
	codeWrongLastSequence           jetstream.ErrorCode = 10071
	codeWrongLastSequenceReplicated jetstream.ErrorCode = 10164
	codeMessageTooLarge             jetstream.ErrorCode = 10054
	codeHeaderTooLarge              jetstream.ErrorCode = 10097
	codeSubjectOverlap              jetstream.ErrorCode = 10065
	codeNoPeers                     jetstream.ErrorCode = 10005
	codeNoLeader                    jetstream.ErrorCode = 10008
	codeNoResources                 jetstream.ErrorCode = 10023
	codeNoStorage                   jetstream.ErrorCode = 10047
	codeAccountResources            jetstream.ErrorCode = 10002
	codeNoTier                      jetstream.ErrorCode = 10120
	codeNotClustered                jetstream.ErrorCode = 10074
	codeTimeZoneInvalid             jetstream.ErrorCode = 10223
)

// refuse makes an Error of what the client returned. It knows which failures are final.
func refuse(op string, err error) *Error {
	e := &Error{Op: op, Err: err}
	switch code := apiCode(err); {
	case code == codeWrongLastSequence || code == codeWrongLastSequenceReplicated:
		e.exists = true
	case errors.Is(err, jetstream.ErrStreamNotFound):
		e.Err = fmt.Errorf("there is no such store yet, the first receiver or worker makes it: %w", err)
	case errors.Is(err, nats.ErrMaxPayload), code == codeMessageTooLarge, code == codeHeaderTooLarge:
		e.final, e.class = true, ClassSize
	case code == jetstream.JSErrCodeSchedulePatternInvalid, code == codeTimeZoneInvalid:
		e.final, e.class = true, ClassSchedule
	}
	return e
}

func apiCode(err error) jetstream.ErrorCode {
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil {
		return js.APIError().ErrorCode
	}
	return 0
}

// final is an Error that no repetition can mend.
func final(op, class, format string, args ...any) *Error {
	return &Error{Op: op, Err: fmt.Errorf(format, args...), final: true, class: class}
}

// Classes of dead letters that this package gives by itself.
const (
	ClassExhausted = "exhausted" // it failed for longer than the retry policy allows
	ClassFailed    = "failed"    // not retryable, and the error names no class
	ClassPanic     = "panic"     // only on log lines: a panic is tried again until it is exhausted
	ClassSize      = "size"      // it does not fit into a message
	ClassSchedule  = "schedule"  // the server does not understand the schedule
)

// Complaint is one setting of the broker that Millrace cannot work with.
type Complaint struct {
	// Where is the stream, consumer or server.
	Where string
	// Found and Remedy are sentences without a full stop.
	Found, Remedy string
}

func (c Complaint) String() string { return c.Where + ": " + c.Found + "; " + c.Remedy }

// Complaints are all settings that were found wrong, at once.
type Complaints []Complaint

func (cs Complaints) Error() string {
	lines := make([]string, len(cs))
	for i, c := range cs {
		lines[i] = c.String()
	}
	return strings.Join(lines, "\n")
}

// Retryable is false: a person has to change the settings first.
func (Complaints) Retryable() bool { return false }

func shuttingDown(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}
