package effects

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

// Alert carries out a message of work.alert: one reading of a countdown. The memory of the alert
// takes what is to be said by compare-and-set, then it is put as messages to its targets, then
// it is marked. Whoever finds something unmarked puts it first, under the same keys, so that
// each rung is sent once in each generation whatever dies in between.
func (e *Effects) Alert(ctx context.Context, m Message) error {
	a, err := readAction(m, rules.KindAlert)
	if err != nil {
		return err
	}
	if over, err := e.settled(ctx, a.Key); over || err != nil {
		return err
	}
	if err := e.late(m, a); err != nil {
		return err // the memory is as it was: the next reading says what is due
	}
	log := e.actionLog(a, a.Key)
	subject := "alert." + rules.Hash(a.Alert.AlertKey)
	for range maxRaces {
		memory, err := load[alertRecord](ctx, e.seams.Records, subject)
		if err != nil {
			return err
		}
		settled, err := e.climb(ctx, m, a, &memory, log)
		switch {
		case errors.Is(err, errRaced):
			continue
		case err != nil:
			return err
		case settled:
			if err := e.done(ctx, a.Key, a); err != nil {
				return err
			}
			log.Info().Msg("action done")
			return nil
		}
	}
	return raceLost("alert " + a.Alert.AlertKey)
}

// climb takes one step: what is pending is put and marked; else the reading is taken in. settled
// tells that nothing is left to say about this reading.
func (e *Effects) climb(ctx context.Context, m Message, a *rules.Action, memory *entry[alertRecord], log zerolog.Logger) (settled bool, err error) {
	if memory.rec.Pending == nil {
		next, changed := memory.rec.next(a)
		if !changed {
			if memory.rec.Older(a) {
				log.Debug().Str("reason", "a newer reading is known").Msg("action skipped")
			}
			return true, nil
		}
		if err := memory.store(ctx, e.seams.Records, next); err != nil {
			return false, err
		}
		if next.Pending == nil {
			return true, nil
		}
		e.logIntent(a, &next, "alert recorded")
	}
	rec := memory.rec
	if err := e.put(ctx, m, &rec.Pending.Action); err != nil {
		return false, err
	}
	e.logIntent(a, &rec, "alert put")
	marked := rec
	marked.Pending = nil
	if err := memory.store(ctx, e.seams.Records, marked); err != nil {
		return false, err
	}
	e.logIntent(a, &rec, "alert marked")
	return false, nil
}

// logIntent writes one line about a step of an alert; its key is that of the message it leads to.
func (e *Effects) logIntent(a *rules.Action, r *alertRecord, message string) {
	p := r.Pending
	outcome := "rung " + strconv.Itoa(p.Rung)
	if p.Renewed {
		outcome = "renewed"
	}
	log := e.actionLog(a, p.Action.Key)
	log.Info().Str("outcome", outcome).
		Str("reason", fmt.Sprintf("phase %q, countdown %d, generation %d", r.Phase, r.Countdown, r.Generation)).
		Msg(message)
}
