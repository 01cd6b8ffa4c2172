package stream

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of the server's message schedules: nats-server, server/stream.go, JSSchedule….
const (
	headerSchedule         = "Nats-Schedule"
	headerScheduleTarget   = "Nats-Schedule-Target"
	headerScheduleTimeZone = "Nats-Schedule-Time-Zone"
	headerScheduleRollup   = "Nats-Schedule-Rollup"
)

const (
	parkPrefix = "work.at."
	cronPrefix = "work.at.cron."
	tickPrefix = "work.tick."
	pollPrefix = "work.poll."
)

// Headers of a tick: the schedule it comes from, as given to [Conn.EnsureSchedule] or [Conn.EnsurePoll]. Its body
// is {"v":1}.
const (
	HeaderScheduleID       = "Millrace-Schedule"
	HeaderSchedulePattern  = "Millrace-Schedule-Pattern"
	HeaderScheduleTimeZone = "Millrace-Schedule-Zone"
)

// EnsureSchedule stores a schedule unless there is one of that id, so that workers do not
// disturb each other and "@every" keeps its phase. pattern is a cron expression of six fields,
// "@every <duration>" or "@at <RFC 3339>"; timeZone is for cron only, "" is UTC.
//
// It ticks on work.tick.<id>. Of ticks that nobody took only the last is kept, so after a
// downtime of the workers, as after one of the server, one tick comes, not all. An "@at" in the
// past is not stored: it has ticked already, or nobody asked in time.
func (c *Conn) EnsureSchedule(ctx context.Context, id, pattern, timeZone string) error {
	return c.ensureSchedule(ctx, id, pattern, timeZone, tickPrefix)
}

// EnsurePoll is EnsureSchedule for a schedule that ticks on work.poll.<id>, so that what takes long at those ticks keeps
// no other waiting. No two schedules share an id, whichever of the two they are of.
func (c *Conn) EnsurePoll(ctx context.Context, id, pattern string) error {
	return c.ensureSchedule(ctx, id, pattern, "", pollPrefix)
}

// ensureSchedule stores a schedule that ticks on prefix and id.
func (c *Conn) ensureSchedule(ctx context.Context, id, pattern, timeZone, prefix string) error {
	op := "store schedule " + id
	if !validToken(id) {
		return final(op, ClassSchedule, "its id is not one plain word")
	}
	if at, ok := atTime(pattern); ok && at.Before(time.Now()) {
		return nil
	}
	msg := nats.NewMsg(cronPrefix + id)
	msg.Data = []byte(`{"v":1}`)
	msg.Header.Set(headerSchedule, pattern)
	msg.Header.Set(headerScheduleTarget, prefix+id)
	msg.Header.Set(headerScheduleRollup, jetstream.MsgRollupSubject)
	msg.Header.Set(HeaderScheduleID, id)
	msg.Header.Set(HeaderSchedulePattern, pattern)
	if timeZone != "" {
		msg.Header.Set(HeaderScheduleTimeZone, timeZone)
		if !strings.HasPrefix(pattern, "@every ") && !strings.HasPrefix(pattern, "@at ") {
			msg.Header.Set(headerScheduleTimeZone, timeZone)
		}
	}
	err := c.fit()
	if err == nil {
		_, err = c.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(0))
	}
	if err == nil {
		return nil
	}
	if refused := refuse(op, err); !refused.exists {
		return refused
	}
	return nil
}

// atTime is the time of a one-shot pattern.
func atTime(pattern string) (time.Time, bool) {
	text, ok := strings.CutPrefix(pattern, "@at ")
	if !ok {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil
}
