package effects

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/pkg/rules"
)

// entry is a record as it was read, with the revision a write must replace; rev 0: there is none.
type entry[T any] struct {
	subject string
	rec     T
	rev     uint64
}

// load reads a record. An absent one is the zero value with rev 0.
func load[T any, P interface {
	*T
	check() error
}](ctx context.Context, records Records, subject string,
) (entry[T], error) {
	data, rev, err := records.Get(ctx, subject)
	if err != nil {
		return entry[T]{}, fmt.Errorf("read record %s: %w", subject, err)
	}
	en := entry[T]{subject: subject, rev: rev}
	if rev == 0 {
		return en, nil
	}
	en.rec, err = decodeRecord[T, P](subject, data)
	return en, err
}

// store creates the record or replaces the revision that was read. A lost race is errRaced.
func (en *entry[T]) store(ctx context.Context, records Records, rec T) error {
	data, err := encodeRecord(rec)
	if err != nil {
		return err
	}
	rev := en.rev
	if rev == 0 {
		rev, err = records.Create(ctx, en.subject, data)
	} else {
		rev, err = records.Update(ctx, en.subject, data, rev)
	}
	switch {
	case exists(err):
		return errRaced
	case err != nil:
		return fmt.Errorf("write record %s: %w", en.subject, err)
	}
	en.rec, en.rev = rec, rev
	return nil
}

func actionSubject(key string) string { return "action." + key }

func landedSubject(key string) string { return "landed." + key }

func (e *Effects) loadAction(ctx context.Context, key string) (entry[actionRecord], error) {
	return loadAction(ctx, e.seams.Records, key)
}

func loadAction(ctx context.Context, records Records, key string) (entry[actionRecord], error) {
	return load[actionRecord](ctx, records, actionSubject(key))
}

// settle writes how an action without a call in doubt ended, unless its record says so already;
// wrote tells which.
func (e *Effects) settle(ctx context.Context, key string, rec actionRecord) (wrote bool, err error) {
	en := entry[actionRecord]{subject: actionSubject(key)}
	for range maxRaces {
		if err := en.store(ctx, e.seams.Records, rec); !errors.Is(err, errRaced) {
			return err == nil, err
		}
		if en, err = e.loadAction(ctx, key); err != nil || en.rev != 0 && en.rec.final() {
			return false, err
		}
		rec.Forced = en.rec.Forced
	}
	return false, raceLost("settle action " + key)
}

// settled looks at the record of an action before anything is done for it: over tells that
// nothing is left to do, err that it failed before.
//
// A failed action fails again, for the stream may have died between marking it and writing its
// dead letter.
func (e *Effects) settled(ctx context.Context, key string) (over bool, err error) {
	en, err := e.loadAction(ctx, key)
	if err != nil {
		return false, err
	}
	switch en.rec.State {
	case stateDone, stateSkipped:
		return true, nil
	case stateFailed:
		return true, en.rec.failure(key)
	}
	return false, nil
}

// done writes the done record of an action that needs no more than that.
func (e *Effects) done(ctx context.Context, key string, a *rules.Action) error {
	_, err := e.settle(ctx, key, newActionRecord(a, stateDone, e.now()))
	return err
}
