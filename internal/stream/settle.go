package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// settle carries out the verdict. The next message is stored first, then this one is
// acknowledged.
func (r *consuming) settle(ctx context.Context, d *delivery, err error) {
	now := time.Now().UTC()
	rule := judge(ctx, d, err, r.Retry, now)
	switch rule.verdict {
	case done:
		r.ack(d)
	case returned:
		r.handBack(d, 0)
	case parked:
		r.park(ctx, d, rule, now)
	case retried:
		r.retry(ctx, d, rule, now, err)
	case buried:
		r.bury(ctx, d, rule, now)
	}
}

// storing is the context of what must be stored before a message is acknowledged. It goes on
// when the handlers' context has ended.
func (r *consuming) storing() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.handlers), requestTimeout)
}

func (r *consuming) ack(d *delivery) {
	if err := d.msg.Ack(); err != nil {
		r.about(r.log.Warn(), d).Err(err).Msg("not acknowledged, it will be delivered again")
		return
	}
	r.about(r.log.Debug(), d).Msg("acked")
}

// handBack gives the message to whoever asks next, after a delay. When that fails too it is
// delivered again after AckWait.
func (r *consuming) handBack(d *delivery, delay time.Duration) {
	var err error
	if delay > 0 {
		err = d.msg.NakWithDelay(delay)
	} else {
		err = d.msg.Nak()
	}
	if err != nil {
		r.about(r.log.Warn(), d).Err(err).Msg("not handed back, it will be delivered again")
	}
}

// park stores the wake-up call and acknowledges the message.
func (r *consuming) park(ctx context.Context, d *delivery, rule ruling, now time.Time) {
	if d.isEvent {
		r.handBack(d, max(time.Until(rule.until), time.Millisecond))
		r.about(r.log.Debug(), d).Time("until", rule.until).Msg("parked")
		return
	}
	r.comeBack(ctx, d, d.afterWaiting(now), rule.until, rule.state)
}

// afterWaiting is d as it is parked by its handler: after a clean pass without its failures.
func (d *delivery) afterWaiting(now time.Time) *delivery {
	if d.lastFailure.IsZero() || now.Sub(d.lastFailure) <= cleanPass {
		return d
	}
	next, m := *d, *d.Message
	m.Attempts = 0
	next.Message = &m
	next.firstFailure, next.lastFailure = time.Time{}, time.Time{}
	return &next
}

// retry counts the failure and parks the message.
func (r *consuming) retry(ctx context.Context, d *delivery, rule ruling, now time.Time, cause error) {
	line := r.about(r.log.Warn(), d).Str("reason", rule.reason).Time("until", rule.until)
	if rule.class != "" {
		line.Str("class", rule.class)
	}
	var p *panicError
	if errors.As(cause, &p) {
		line.Bytes("stack", p.stack)
	}
	line.Int("attempts", d.Attempts+1).Msg("retried")
	var broker *Error
	if d.isEvent && errors.As(cause, &broker) {
		// The broker's trouble is every event's: they stay where they are, and are not all copied into WORK.
		r.handBack(d, max(time.Until(rule.until), time.Millisecond))
		return
	}
	next := d.failedAt(now)
	if d.isEvent {
		next = next.asMatch()
	}
	r.comeBack(ctx, d, next, rule.until, d.State)
}

// asMatch is an event as work of its own, which carries its failures with it.
func (d *delivery) asMatch() *delivery {
	next, m := *d, *d.Message
	m.Subject = Matches
	m.Header = maps.Clone(d.Header)
	next.key = fmt.Sprintf("e%d", d.Sequence)
	if id := d.Header["ce-id"]; id != "" {
		next.key = matchKey(id)
	}
	m.Header[headerKey] = next.key
	next.Message, next.isEvent = &m, false
	return &next
}

// comeBack parks next, which is to come back in place of d.
func (r *consuming) comeBack(ctx context.Context, d, next *delivery, until time.Time, state string) {
	err := r.wake(next, until, state)
	switch {
	case err == nil:
		r.ack(d)
	case !err.Retryable():
		r.bury(ctx, d, ruling{class: err.Class(), reason: "it cannot be parked: " + err.Error()}, time.Now().UTC())
	default:
		r.about(r.log.Warn(), d).Err(err).Msg("not parked, handed back")
		r.handBack(d, r.Retry.delay(d.Attempts))
	}
}

// failedAt is d with one failure more.
func (d *delivery) failedAt(now time.Time) *delivery {
	next, m := *d, *d.Message
	m.Attempts++
	next.Message = &m
	next.lastFailure = now
	if next.firstFailure.IsZero() {
		next.firstFailure = now
	}
	return &next
}

// wake stores a one-shot schedule that puts the message back on its own subject.
func (r *consuming) wake(d *delivery, until time.Time, state string) *Error {
	msg := nats.NewMsg(parkPrefix + d.key)
	msg.Data = d.Data
	for name, value := range d.Header {
		msg.Header.Set(name, value)
	}
	set := func(name, value string) {
		if value != "" {
			msg.Header.Set(name, value)
		}
	}
	set(headerSchedule, "@at "+writeTime(schedulable(until, time.Now())))
	set(headerScheduleTarget, d.Subject)
	set(headerFirstTried, writeTime(d.FirstTried))
	set(headerStored, writeTime(d.Stored))
	set(headerState, url.PathEscape(state))
	if d.Attempts > 0 {
		set(headerAttempts, strconv.Itoa(d.Attempts))
	}
	if !d.firstFailure.IsZero() {
		set(headerFirstFailure, writeTime(d.firstFailure))
		set(headerLastFailure, writeTime(d.lastFailure))
	}
	ctx, cancel := r.storing()
	defer cancel()
	if _, err := r.js.PublishMsg(ctx, msg); err != nil {
		return refuse("park "+d.Subject, err)
	}
	r.about(r.log.Debug(), d).Time("until", until).Int("attempts", d.Attempts).Msg("parked")
	return nil
}

// schedulable keeps a time within what the server can schedule: the zero time would be no
// schedule at all, one after the year 2262 overflows.
func schedulable(t, now time.Time) time.Time {
	if latest := now.AddDate(10, 0, 0); t.After(latest) {
		return latest
	}
	if t.Before(now) {
		return now
	}
	return t
}

// about adds what a line says of a message: where it was, and which event and run it is of.
func (r *consuming) about(line *zerolog.Event, d *delivery) *zerolog.Event {
	for _, f := range [...]struct {
		field   string
		headers []string
	}{
		{"event_id", []string{"ce-id", "Millrace-Event"}},
		{"run_id", []string{"Millrace-Run"}},
		{"rule", []string{"Millrace-Rule"}},
		{"target", []string{"Millrace-Target"}},
	} {
		for _, name := range f.headers {
			if v := d.Header[name]; v != "" {
				line.Str(f.field, unescape(v))
				break
			}
		}
	}
	if d.key != "" {
		line.Str("key", d.key)
	}
	kind, _, _ := strings.Cut(strings.TrimPrefix(d.Subject, "work."), ".")
	return line.Str("kind", kind)
}

// unescape undoes the percent-encoding of a header, so that a line shows what others show.
func unescape(v string) string {
	if plain, err := url.PathUnescape(v); err == nil {
		return plain
	}
	return v
}
