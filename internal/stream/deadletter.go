package stream

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of a dead letter, beside the message's own.
const (
	deadPrefix         = "Millrace-Dead-"
	headerDeadReason   = deadPrefix + "Reason"
	headerDeadClass    = deadPrefix + "Class"
	headerDeadAttempts = deadPrefix + "Attempts"
	headerDeadFirst    = deadPrefix + "First-Failure"
	headerDeadLast     = deadPrefix + "Last-Failure"
	headerDeadSubject  = deadPrefix + "Subject"
	headerDeadStored   = deadPrefix + "Stored"
)

// deadHeaders are all of them.
var deadHeaders = [...]string{
	headerDeadReason, headerDeadClass, headerDeadAttempts, headerDeadFirst, headerDeadLast, headerDeadSubject, headerDeadStored,
}

// maxHeader is the most that the headers of a dead letter may have, in bytes; the broker takes 64 KiB.
const maxHeader = 56 << 10

// maxReason is the longest reason that is kept, in bytes.
const maxReason = 2 << 10

// DeadLetter is a message that did not succeed.
type DeadLetter struct {
	Sequence uint64
	Stored   time.Time
	Class    string
	Consumer string
	Reason   string
	// Attempts counts the tries, all of which failed.
	Attempts int
	// FirstFailure is zero for an event that only ever failed because of the broker, which counts its deliveries: nobody
	// wrote down when the first failed.
	FirstFailure, LastFailure time.Time
	// FirstStored is [Message.Stored]; zero in those of versions that did not keep it.
	FirstStored time.Time
	// Subject, Header and Data are the message's own; of one that is too large to be kept with its reason, which then says so, a part.
	Subject string
	Header  map[string]string
	Data    []byte
}

// DeadLetters calls fn for every dead letter there was when it began, oldest first, until fn
// returns an error, which it hands on. It reads as [Conn.ReadEvents] does, in batches.
func (c *Conn) DeadLetters(ctx context.Context, fn func(*DeadLetter) error) error {
	return c.read(ctx, "read dead letters", Dead, "dead.>", ReadOptions{}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		return fn(readDeadLetter(&jetstream.RawStreamMsg{
			Subject: m.Subject(), Sequence: meta.Sequence.Stream, Header: m.Headers(), Data: m.Data(), Time: meta.Timestamp,
		}))
	})
}

func readDeadLetter(m *jetstream.RawStreamMsg) *DeadLetter {
	l := &DeadLetter{
		Sequence: m.Sequence, Stored: m.Time.UTC(), Data: m.Data, Header: make(map[string]string),
		Reason: m.Header.Get(headerDeadReason), Class: m.Header.Get(headerDeadClass), Subject: m.Header.Get(headerDeadSubject),
	}
	if tokens := strings.Split(m.Subject, "."); len(tokens) == 3 {
		l.Consumer = tokens[2]
	}
	l.Attempts, _ = strconv.Atoi(m.Header.Get(headerDeadAttempts))
	readTime(&l.FirstFailure, m.Header.Get(headerDeadFirst))
	readTime(&l.LastFailure, m.Header.Get(headerDeadLast))
	readTime(&l.FirstStored, m.Header.Get(headerDeadStored))
	for name := range m.Header {
		if travels(name) && !strings.HasPrefix(name, deadPrefix) {
			l.Header[name] = m.Header.Get(name)
		}
	}
	return l
}

// bury tells whoever wants to know, writes the dead letter, and only then acknowledges. If
// either fails, a full DEAD above all, the message comes back later.
func (r *consuming) bury(ctx context.Context, d *delivery, rule ruling, now time.Time) {
	reason := oneLine(rule.reason, maxReason)
	class := token(rule.class)
	err := r.tellBuried(d, reason, class)
	if err == nil {
		err = r.writeDead(d, reason, class, now)
	}
	if err != nil && shuttingDown(ctx, err) {
		r.handBack(d, 0)
		return
	}
	if err != nil {
		until := now.Add(r.Retry.delay(d.Attempts))
		r.about(r.log.Error(), d).Err(err).Str("reason", reason).Str("class", class).Time("until", until).Msg("not dead-lettered, parked again")
		next := d.failedAt(now)
		if d.isEvent || r.wake(next, until, d.State) != nil {
			r.handBack(d, max(time.Until(until), time.Millisecond))
			return
		}
		r.ack(d)
		return
	}
	r.about(r.log.Error(), d).Str("reason", reason).Str("class", class).Int("attempts", d.Attempts+1).Msg("dead-lettered")
	r.ack(d)
}

func (r *consuming) tellBuried(d *delivery, reason, class string) (err error) {
	if r.Buried == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return r.Buried(r.handlers, d.Message, reason, class)
}

func (r *consuming) writeDead(d *delivery, reason, class string, now time.Time) error {
	msg := nats.NewMsg("dead." + class + "." + r.Name)
	msg.Data = d.Data
	for name, value := range d.Header {
		msg.Header.Set(name, value)
	}
	msg.Header.Set(headerDeadReason, reason)
	msg.Header.Set(headerDeadClass, class)
	msg.Header.Set(headerDeadAttempts, strconv.Itoa(d.Attempts+1))
	msg.Header.Set(headerDeadLast, writeTime(now))
	msg.Header.Set(headerDeadSubject, d.Subject)
	msg.Header.Set(headerDeadStored, writeTime(d.Stored))
	if failed := d.failedAt(now); !d.isEvent || d.Attempts == 0 {
		msg.Header.Set(headerDeadFirst, writeTime(failed.firstFailure))
	}
	r.cutToFit(msg)
	ctx, cancel := r.storing()
	defer cancel()
	if _, err := r.js.PublishMsg(ctx, msg); err != nil {
		return refuse("write a dead letter", err)
	}
	return nil
}

// cutToFit takes off what is too much for a message, and says so in the reason: headers that say nothing about the dead letter, and bytes of the
// end. Nothing that this package puts is so large; without this, what somebody else put would come back for ever.
func (r *consuming) cutToFit(msg *nats.Msg) {
	most := int(r.nc.MaxPayload())
	if headerSize(msg.Header) > maxHeader {
		whole := msg.Header
		msg.Header = nats.Header{}
		for _, name := range deadHeaders {
			if v := whole.Get(name); v != "" {
				msg.Header.Set(name, v)
			}
		}
		msg.Header.Set(headerDeadReason, whole.Get(headerDeadReason)+"; its headers are too large and not kept")
	}
	if most-headerSize(msg.Header) >= len(msg.Data) {
		return
	}
	reason := msg.Header.Get(headerDeadReason)
	kept := most - headerSize(msg.Header) - 100
	msg.Header.Set(headerDeadReason, fmt.Sprintf("%s; of its %d bytes the first %d are kept", reason, len(msg.Data), kept))
	msg.Data = msg.Data[:kept]
}

// oneLine makes text fit for a header: no line breaks or control characters, at most most
// bytes, cut between characters.
func oneLine(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }), " ")
	if len(text) <= most {
		return text
	}
	const cut = " …"
	end := most - len(cut)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + cut
}

// token makes one token of a subject of a class.
func token(class string) string {
	b := []byte(or(class, ClassFailed))
	for i, c := range b {
		if !validToken(string(c)) {
			b[i] = '_'
		}
	}
	return string(b[:min(len(b), 40)])
}
