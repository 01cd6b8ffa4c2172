package effects

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

// once is one delivery of an action that must not be carried out twice, a commit or a build: what
// its record in the ledger goes through.
type once struct {
	e      *Effects
	m      Message
	a      *rules.Action
	what   string // "commit to 2111@main", for errors
	log    zerolog.Logger
	ledger entry[actionRecord]
	kept   *baseline // what the record goes back to when an attempt is withdrawn
}

// begin reads the action record, or creates it. over tells that the action has ended.
//
// A record of another worker whose last attempt is not in doubt is ours to use as it is: the
// compare-and-set before sending takes it over, and that worker's own would then fail.
func (o *once) begin(ctx context.Context) (over bool, err error) {
	if o.ledger, err = o.e.loadAction(ctx, o.a.Key); err != nil {
		return false, err
	}
	switch o.ledger.rec.State {
	case stateDone:
		return true, o.e.advance(ctx, o.m, o.a)
	case stateFailed:
		return true, o.ledger.rec.failure(o.a.Key)
	case stateSkipped:
		return true, nil
	case stateStarted:
		if rec := &o.ledger.rec; rec.inDoubt() || rec.carriedOut() {
			return false, nil // what was sent comes first
		}
		return false, o.e.late(o.m, o.a)
	}
	if err := o.e.late(o.m, o.a); err != nil {
		return false, err
	}
	rec := newActionRecord(o.a, stateStarted, o.e.now())
	rec.Owner = o.e.settings.Owner
	if err := o.ledger.store(ctx, o.e.seams.Records, rec); err != nil {
		return false, err
	}
	o.log.Info().Msg("action started")
	return false, nil
}

// landedBy is when the last attempt can no longer land.
func (e *Effects) landedBy(rec *actionRecord) time.Time {
	return rec.SentAt.Add(e.settings.ClientTimeout + e.settings.Settle)
}

// waitToLand parks the message until the last attempt has landed, or can no longer.
func (o *once) waitToLand() error {
	rec := &o.ledger.rec
	return &ParkError{
		until:  o.e.landedBy(rec),
		reason: fmt.Sprintf("attempt %d of the %s, whose outcome is unknown, to land or not", rec.Attempt, o.what),
	}
}

// attempt records that a call is about to be made. call is the context of that call: its deadline
// runs from before the attempt is recorded, so that a worker that is paused in between cannot send
// after others have stopped waiting for it.
func (o *once) attempt(ctx, call context.Context, before *baseline) error {
	rec := o.ledger.rec
	rec.Owner, rec.Attempt, rec.OutcomeKnown = o.e.settings.Owner, rec.Attempt+1, false
	o.kept, rec.Baseline = rec.Baseline, before
	rec.SentAt = o.e.now()
	rec.At = rec.SentAt
	if err := o.ledger.store(ctx, o.e.seams.Records, rec); err != nil {
		return err
	}
	if late := o.e.now().Sub(rec.SentAt); late > o.e.settings.ClientTimeout/2 || call.Err() != nil {
		return o.withdraw(ctx, &RetryError{err: fmt.Errorf("%s: not sent, recording the attempt took %s", o.what, late)})
	}
	return nil
}

// withdraw clears the attempt from the record: it was not carried out, for certain. It returns
// why, unless the record says something else by now.
func (o *once) withdraw(ctx context.Context, why error) error {
	rec := o.ledger.rec
	rec.SentAt, rec.OutcomeKnown, rec.Error, rec.At = time.Time{}, true, why.Error(), o.e.now()
	rec.Baseline = o.kept
	if err := o.ledger.store(ctx, o.e.seams.Records, rec); err != nil {
		return err
	}
	return why
}

// unknown is the verdict on an attempt of unknown outcome: the next one comes when this one can no
// longer land.
func (o *once) unknown(cause error) error {
	wait := max(o.e.landedBy(&o.ledger.rec).Sub(o.e.now()), time.Second)
	return &RetryError{after: wait, err: fmt.Errorf("%s: outcome unknown: %w", o.what, cause)}
}

// recordDone writes done over whatever the record says: what came of it is there, that is a fact.
// made adds to the line of the log.
func (o *once) recordDone(ctx context.Context, result *actionResult, made func(*zerolog.Event) *zerolog.Event) error {
	for range maxRaces {
		rec := o.ledger.rec
		if rec.State == stateDone {
			return nil
		}
		done := newActionRecord(o.a, stateDone, o.e.now())
		done.Owner, done.Attempt, done.SentAt = rec.Owner, rec.Attempt, rec.SentAt
		done.Result, done.Forced = result, rec.Forced
		err := o.ledger.store(ctx, o.e.seams.Records, done)
		if err == nil {
			made(o.log.Info()).Int("attempts", rec.Attempt).Msg("action done")
			return nil
		}
		if !errors.Is(err, errRaced) {
			return err
		}
		if o.ledger, err = o.e.loadAction(ctx, o.a.Key); err != nil {
			return err
		}
	}
	return raceLost("record the " + o.what)
}

// mayHaveHappened tells whether a failed call may have had its effect: yes, unless the error
// says no.
func mayHaveHappened(err error) bool {
	var h interface{ MayHaveHappened() bool }
	return !errors.As(err, &h) || h.MayHaveHappened()
}
