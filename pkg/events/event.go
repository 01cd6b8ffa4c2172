package events

import "time"

// MaxBody is the largest body of an event, in bytes. It leaves room for headers below
// the default message limit of a nats-server (1 MiB).
const MaxBody = 768 << 10

// Event is one stored event: CloudEvents attributes and the body exactly as it came.
type Event struct {
	// ID names the event everywhere: "<source>/<delivery id>". Two deliveries with
	// the same ID are the same event.
	ID string
	// Source is the configured name of the sender, [a-z0-9-]{1,40}.
	Source string
	// Type is one of [Types] or "unknown.<kind>".
	Type string
	// Time is when the receiver accepted the event, in UTC.
	Time time.Time
	// Repository is the path with namespace of the repository, the CloudEvents
	// subject. Empty when the body names none.
	Repository string
	// Body is the delivery's body, application/json, never changed.
	Body []byte
}
