package effects

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// HeaderReplayed says when somebody had a message, or what led to it, put again, RFC 3339: deadlines count from then.
const HeaderReplayed = "Millrace-Replayed"

// late is the final error of an action whose deadline has passed, else nil. However long its message has been parked, queued or kept as
// a dead letter counts.
func (e *Effects) late(m Message, a *rules.Action) error {
	within, said := a.Within()
	if !said {
		within = e.settings.Deadline[a.Kind]
	}
	if within <= 0 || a.Accepted.IsZero() {
		return nil
	}
	from, since := a.From().UTC(), "its event was accepted"
	if from.After(a.Accepted) {
		since = "what it waited for was there"
	}
	if t, err := time.Parse(time.RFC3339, m.Header[HeaderReplayed]); err == nil && t.After(from) {
		from, since = t.UTC(), "it was replayed"
	}
	age := e.now().Sub(from)
	if age <= within {
		return nil
	}
	return final(ClassExpired, "%s %s is too late: %s at %s, %s ago, and its deadline is %s after that",
		a.Kind, a.ID, since, from.Format(time.RFC3339), long(age), long(within))
}

// long writes a duration with days, for people.
func long(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 2*day {
		return d.Round(time.Second).String()
	}
	d = d.Round(time.Hour)
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

// untell takes the rung of an alert whose message came too late to be sent out of the alert's memory: with the next reading it is
// due again, if a more urgent one is not. Doing it again does no harm.
func (e *Effects) untell(ctx context.Context, a *rules.Action, key string) error {
	if a.Kind != rules.KindNotify || a.Rung.AlertKey == "" {
		return nil
	}
	if en, err := e.loadAction(ctx, key); err != nil || en.rec.State != stateFailed || en.rec.Class != ClassExpired {
		return err
	}
	for range maxRaces {
		memory, err := load[alertRecord](ctx, e.seams.Records, "alert."+rules.Hash(a.Rung.AlertKey))
		if err != nil || memory.rev == 0 {
			return err
		}
		next, changed := memory.rec, false
		if next.AlertMemory, changed = memory.rec.Untold(a.Rung); !changed {
			return nil
		}
		if err := memory.store(ctx, e.seams.Records, next); !errors.Is(err, errRaced) {
			return err
		}
	}
	return raceLost("alert " + a.Rung.AlertKey)
}
