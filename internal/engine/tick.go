package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// Headers of a tick: the schedule it comes from, as it was given to Schedules.EnsureSchedule.
const (
	headerSchedule        = "Millrace-Schedule"
	headerSchedulePattern = "Millrace-Schedule-Pattern"
	headerScheduleZone    = "Millrace-Schedule-Zone"
)

// Tick handles one tick of a schedule, work.tick: it becomes an event as any other. It was due in
// the second it was stored, which makes the event's id: a tick that comes twice is one event.
func (e *Engine) Tick(ctx context.Context, m Message) error {
	id := m.Header[headerSchedule]
	if id == "" || m.Stored.IsZero() {
		return &FinalError{class: ClassMessage, err: errors.New("message of work.tick: it does not name its schedule, or when it was stored")}
	}
	due := m.Stored.UTC().Truncate(time.Second)
	ev := events.NewTick(id, m.Header[headerSchedulePattern], m.Header[headerScheduleZone], due)
	duplicate, err := e.stores.Events.PublishEvent(ctx, ev)
	if err != nil {
		return fmt.Errorf("publish event %s: %w", ev.ID, err)
	}
	log := eventLogger(e.log, ev)
	if duplicate {
		log.Info().Msg("event duplicate")
		return nil
	}
	log.Info().Msg("event accepted")
	return nil
}
