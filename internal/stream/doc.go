// Package stream is Millrace's only door to NATS JetStream. It owns the five stores (the
// streams EVENTS, WORK, RECORDS and DEAD and the object store "rulesets"), and it alone
// decides what becomes of a message: acknowledged, parked until a time, tried again with a
// growing delay, or kept as a dead letter with its reason.
//
// It never looks into the body of a message or a record, never decides whether an event
// matches, and never hands a type of the NATS client to another package.
//
// Start with [Connect], then [Conn.Ensure], then [Conn.PublishEvent] on the receiving side
// and [Conn.Consume] on the working side.
//
// # Order of writes
//
// Whatever follows from a message is stored before the message is acknowledged: the next
// message, the schedule of a parked one, the dead letter. A process that dies in between
// leaves the original where it was, it is delivered again, and the records
// ([Conn.Create]) make the repetition harmless. So a plain acknowledgement, not confirmed by
// the server, is enough: one that gets lost costs a repetition.
//
// # Parking
//
// A message that waits holds no worker and no place in a consumer. It is stored as a one-shot
// schedule on work.at.<key> whose target is the message's own subject, and the server puts
// it back at its time. Parking the same key again replaces the earlier schedule, so two copies
// of one message become one again.
//
// An event in EVENTS stays there, for that is the archive too. One that failed by itself is parked as
// work.match, a copy that knows how often and since when it failed. One that failed because of the broker, as all others do
// then, is tried again by a delayed negative acknowledgement, with the same growing delay.
package stream
