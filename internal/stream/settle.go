package stream

import (
	"context"
	"errors"
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
		r.park(d, rule, now)
	case retried:
		r.retry(d, rule, now, err)
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
func (r *consuming) park(d *delivery, rule ruling, now time.Time) {
	if d.isEvent {
		r.handBack(d, max(time.Until(rule.until), time.Millisecond))
		r.about(r.log.Debug(), d).Time("until", rule.until).Msg("parked")
		return
	}
	if r.wake(d.afterWaiting(now), rule.until, rule.state) {
		r.ack(d)
	}
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

// retry counts the failure and parks the message; an event is handed back with a delay.
func (r *consuming) retry(d *delivery, rule ruling, now time.Time, cause error) {
	line := r.about(r.log.Warn(), d).Str("reason", rule.reason).Time("until", rule.until)
	if rule.class != "" {
		line.Str("class", rule.class)
	}
	var p *panicError
	if errors.As(cause, &p) {
		line.Bytes("stack", p.stack)
	}
	line.Int("attempts", d.Attempts+1).Msg("retried")
	r.again(d, rule.until, now)
}

// again brings the message back at a time, with one failure more.
func (r *consuming) again(d *delivery, until, now time.Time) {
	if d.isEvent {
		r.handBack(d, max(time.Until(until), time.Millisecond))
		return
	}
	next := d.failedAt(now)
	if r.wake(next, until, d.State) {
		r.ack(d)
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

// wake stores a one-shot schedule that puts the message back on its own subject. It reports
// whether it is stored; if not, the message has been handed back and must not be acknowledged.
func (r *consuming) wake(d *delivery, until time.Time, state string) bool {
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
		r.about(r.log.Warn(), d).Err(err).Msg("not parked, handed back")
		r.handBack(d, r.Retry.delay(d.Attempts))
		return false
	}
	r.about(r.log.Debug(), d).Time("until", until).Int("attempts", d.Attempts).Msg("parked")
	return true
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
