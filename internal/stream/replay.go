package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/pkg/rules"
)

// RecordsKeep is how long a record is kept after its last write; those of alerts stay.
const RecordsKeep = recordTTL

// DeadLetter reads one dead letter by its sequence in DEAD. For one that is not there, or not any more, it returns nil and no error.
func (c *Conn) DeadLetter(ctx context.Context, seq uint64) (*DeadLetter, error) {
	op := fmt.Sprintf("read dead letter %d", seq)
	if seq == 0 {
		return nil, nil // the broker would take it for a question after the last one
	}
	s, err := c.stream(ctx, Dead)
	if err != nil {
		return nil, refuse(op, err)
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, refuse(op, err)
	}
	return readDeadLetter(m), nil
}

// DropDeadLetter removes a dead letter. dropped is false when it is not there any more.
func (c *Conn) DropDeadLetter(ctx context.Context, seq uint64) (dropped bool, err error) {
	op := fmt.Sprintf("drop dead letter %d", seq)
	s, err := c.stream(ctx, Dead)
	if err != nil {
		return false, refuse(op, err)
	}
	err = s.DeleteMsg(ctx, seq)
	if err == nil {
		return true, nil
	}
	// The client has one error for a message that is gone and for one that could not be deleted.
	if left, lookErr := c.DeadLetter(ctx, seq); lookErr == nil && left == nil {
		return false, nil
	}
	return false, refuse(op, err)
}

// PutAgain puts the message of a dead letter as work again, as if it had never been tried, and returns when the broker has it. The
// dead letter stays where it is. An event becomes work.match, see [Conn.PutMatch]; a tick keeps the second in which it was due, and gets
// a subject of its own, so that the next tick of its schedule does not replace it.
func (c *Conn) PutAgain(ctx context.Context, l *DeadLetter) error {
	op := fmt.Sprintf("put dead letter %d again", l.Sequence)
	subject := l.Subject
	switch {
	case strings.HasPrefix(subject, eventPrefix):
		return c.PutMatch(ctx, l.Header, l.Data)
	case isWork(subject):
		return c.Put(ctx, subject, l.Header, l.Data)
	case strings.HasPrefix(subject, tickPrefix):
		subject = tickPrefix + againToken(l.Sequence)
	case strings.HasPrefix(subject, pollPrefix):
		subject = pollPrefix + againToken(l.Sequence)
	default:
		return final(op, ClassFailed, "nobody takes work from %q", subject)
	}
	if l.FirstStored.IsZero() {
		return final(op, ClassFailed, "it does not say when it was due")
	}
	msg := newMsg(subject, l.Header, l.Data)
	msg.Header.Set(headerStored, writeTime(l.FirstStored))
	if err := c.fits(op, msg, parkRoom); err != nil {
		return err
	}
	if _, err := c.js.PublishMsg(ctx, msg); err != nil {
		return refuse(op, err)
	}
	return nil
}

func againToken(seq uint64) string { return "again-" + strconv.FormatUint(seq, 10) }

// PutMatch puts an event to be matched once more, as work of its own: EVENTS, the archive, holds it once. header and body are those of
// the stored event.
func (c *Conn) PutMatch(ctx context.Context, header map[string]string, body []byte) error {
	h := make(map[string]string, len(header)+1)
	for name, value := range header {
		h[name] = value
	}
	h[headerKey] = matchKey(header["ce-id"])
	return c.Put(ctx, Matches, h, body)
}

// matchKey is the key of an event as work of its own, by the id in its header.
func matchKey(id string) string { return rules.Hash("match", id) }
