package stream

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/pkg/events"
)

// Put stores a message of work and returns when the broker has it. subject is one of work.match, work.run.<source>,
// work.commit, work.build, work.alert and work.notify.<target>. header has Millrace-Key, the name under
// which the message can be parked. Headers of the broker ("Nats-…") and those this package
// manages are dropped, so the header of another message can be handed on.
func (c *Conn) Put(ctx context.Context, subject string, header map[string]string, data []byte) error {
	op := "put " + subject
	if !isWork(subject) {
		return final(op, ClassFailed, "it is no subject of work")
	}
	if !validToken(header[headerKey]) {
		return final(op, ClassFailed, "the header %s is missing or not one plain word", headerKey)
	}
	msg := newMsg(subject, header, data)
	if err := c.fits(op, msg, parkRoom); err != nil {
		return err
	}
	if _, err := c.js.PublishMsg(ctx, msg); err != nil {
		return refuse(op, err)
	}
	return nil
}

// newMsg is a message with those headers that travel.
func newMsg(subject string, header map[string]string, data []byte) *nats.Msg {
	msg := nats.NewMsg(subject)
	msg.Data = data
	for name, value := range header {
		if travels(name) {
			msg.Header.Set(name, value)
		}
	}
	return msg
}

// isWork is true for the subjects that hold work to be done, not for schedules.
func isWork(subject string) bool {
	switch subject {
	case Matches, Runs, Commits, Builds, Alerts:
		return true
	}
	if strings.HasPrefix(subject, runPrefix) {
		return sourceOf(subject) != "" && strings.Count(subject, ".") == 2
	}
	target, ok := strings.CutPrefix(subject, Notifies)
	return ok && validToken(target)
}

// PublishEvent stores an event and returns when the broker has it. duplicate is true when it
// already had an event of that id within the duplicate window. A full store refuses, it drops
// nothing.
func (c *Conn) PublishEvent(ctx context.Context, e *events.Event) (duplicate bool, err error) {
	op := "publish event " + e.ID
	msg, err := c.eventMessage(op, e)
	if err != nil {
		return false, err
	}
	id := msg.Header.Get("ce-id") // as the header says it: any text can be an id, not any a header
	if err := c.fit(); err != nil {
		return false, refuse(op, err)
	}
	future, err := c.js.PublishMsgAsync(msg, jetstream.WithMsgID(id))
	if err != nil {
		return false, refuse(op, err)
	}
	select {
	case ack := <-future.Ok():
		c.past.saw(ack.Sequence)
		return ack.Duplicate, nil
	case err := <-future.Err():
		return false, refuse(op, err)
	case <-ctx.Done():
		return false, refuse(op, fmt.Errorf("the broker has not answered: %w", ctx.Err()))
	}
}

// CheckEvent is the error of [Conn.PublishEvent] for an event that it would never take: it makes no message, or one that is too large.
func (c *Conn) CheckEvent(e *events.Event) error {
	// Most are so small that it does not have to be written down to be sure; no header takes more than three bytes for one.
	const rest = 2 << 10
	if most := len(e.Body) + 3*(len(e.ID)+len(e.Repository)) + rest; publishable(e) && most < int(c.nc.MaxPayload()) {
		return nil
	}
	_, err := c.eventMessage("publish event "+e.ID, e)
	return err
}

func publishable(e *events.Event) bool {
	return e.ID != "" && events.ValidSource(e.Source) && events.ValidType(e.Type)
}

// eventMessage is the message of an event.
func (c *Conn) eventMessage(op string, e *events.Event) (*nats.Msg, error) {
	if !publishable(e) {
		return nil, final(op, ClassFailed, "it has no id, or its source %q and type %q make no subject", e.Source, e.Type)
	}
	msg := nats.NewMsg(eventPrefix + e.Source + "." + e.Type)
	msg.Data = e.Body
	for name, value := range e.Header() {
		msg.Header.Set(name, value)
	}
	return msg, c.fits(op, msg, 0)
}
