package events

import (
	"encoding/json"
	"time"
)

// SourceSchedule is the source of the events that schedules make. No configured source
// may have this name.
const SourceSchedule = "schedule"

// NewTick is the event of a schedule: of the one with that id, due at that time. Both
// make the event's id, so a tick that comes twice is one event. pattern and timeZone are
// the schedule's own, for rules to read. The event's time is due.
func NewTick(scheduleID, pattern, timeZone string, due time.Time) *Event {
	at := due.UTC().Format(time.RFC3339)
	body := struct {
		ObjectKind string   `json:"object_kind"`
		Schedule   Schedule `json:"schedule"`
	}{
		ObjectKind: "schedule",
		Schedule:   Schedule{ID: &scheduleID, Pattern: &pattern, TimeZone: &timeZone, Due: &at},
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic("events: a struct of strings did not marshal: " + err.Error())
	}
	return &Event{
		ID:     SourceSchedule + "/" + scheduleID + "/" + at,
		Source: SourceSchedule,
		Type:   TypeTick,
		Time:   due.UTC(),
		Body:   data,
	}
}
