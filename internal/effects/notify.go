package effects

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

const (
	// messageQueue is how many copies of one message wait for each other in this process.
	messageQueue = 4
	// messagePause is after how long a copy that is parked because of another one looks again.
	messagePause = 2 * time.Second
)

// Notify carries out a message of work.notify.<target>. The message is sent at least once; it
// can be sent again only if this worker dies, or the record cannot be written, between the
// target's answer and the record that follows it.
//
// There may be several copies of it at once: whoever finds a run record puts its actions again,
// and does not know which of them are under way. So an attempt is recorded before it is made, and
// a copy that finds another worker's attempt is parked until that one has ended for certain.
func (e *Effects) Notify(ctx context.Context, m Message) error {
	a, err := readAction(m, rules.KindNotify)
	if err != nil {
		return err
	}
	key, name := workKey(m, a), target(m, a)
	release, err := e.messages.acquire(ctx, key)
	if errors.Is(err, errBusy) {
		return &ParkError{until: e.now().Add(messagePause), reason: "other copies of the same message"}
	}
	if err != nil {
		return fmt.Errorf("wait for another copy of the message to %s: %w", name, err)
	}
	defer release()
	for range maxRaces {
		if err := e.notify(ctx, m, a, key, name); !errors.Is(err, errRaced) {
			return err
		}
	}
	return raceLost("notify " + name)
}

// notify makes at most one attempt. errRaced: another worker wrote the record; look again.
func (e *Effects) notify(ctx context.Context, m Message, a *rules.Action, key, name string) error {
	ledger, err := e.loadAction(ctx, key)
	if err != nil {
		return err
	}
	before, late := ledger.rec, e.late(m, a)
	switch {
	case before.State == stateDone, before.State == stateSkipped:
		return nil
	case before.State == stateFailed && before.Class == ClassExpired && late == nil:
		// A rung that was too late is due again, with a newer reading.
	case before.State == stateFailed:
		return before.failure(key)
	}
	n := e.seams.Notifiers[name]
	if n == nil {
		return final(ClassTarget, "there is no target named %q", name)
	}
	// An attempt of our own that is in doubt has ended: nobody else here holds the message.
	if until := before.SentAt.Add(e.settings.MessageTimeout); before.inDoubt() && before.Owner != e.settings.Owner && e.now().Before(until) {
		if soon := e.now().Add(messagePause); soon.Before(until) {
			until = soon // it is most likely over by then
		}
		return &ParkError{until: until, reason: fmt.Sprintf("attempt %d of another worker to notify %s", before.Attempt, name)}
	}
	if late != nil {
		return late
	}
	// The time for the call runs from before the attempt is recorded: see commitRun.send.
	call, cancel := context.WithTimeout(ctx, e.settings.MessageTimeout)
	defer cancel()
	rec := newActionRecord(a, stateStarted, e.now())
	rec.Owner, rec.Attempt, rec.SentAt, rec.OutcomeKnown, rec.Forced = e.settings.Owner, before.Attempt+1, rec.At, false, before.Forced
	if err := ledger.store(ctx, e.seams.Records, rec); err != nil {
		return err
	}
	if err := n.Notify(call, key, *a); err != nil {
		return e.notNotified(ctx, ledger, fmt.Errorf("notify %s: %w", name, err))
	}
	log := e.actionLog(a, key)
	log.Info().Str("target", name).Msg("message sent")
	done := newActionRecord(a, stateDone, e.now())
	done.Owner, done.Attempt, done.SentAt, done.Forced = rec.Owner, rec.Attempt, rec.SentAt, rec.Forced
	if err := ledger.store(ctx, e.seams.Records, done); !errors.Is(err, errRaced) {
		return err
	}
	return e.done(ctx, key, a) // we were slow, and another worker has begun
}

// notNotified ends a failed attempt in the record, so that nobody waits for it, and returns why.
// It may have reached the target all the same: the next attempt then repeats it.
func (e *Effects) notNotified(ctx context.Context, ledger entry[actionRecord], why error) error {
	rec := ledger.rec
	rec.SentAt, rec.OutcomeKnown, rec.Error, rec.At = time.Time{}, true, why.Error(), e.now()
	// Also when we are being stopped: others would wait in vain.
	if err := ledger.store(context.WithoutCancel(ctx), e.seams.Records, rec); err != nil {
		return err
	}
	return why
}
