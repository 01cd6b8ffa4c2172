package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	recordPrefix = "records."
	// recordsFull is the part of RECORDS, in percent, above which nothing new is started.
	recordsFull = 90
	fillEvery   = 3 * time.Second
	// workerKind is the kind of the records in which workers say that they are there.
	workerKind = "worker"
)

// Create stores a record under a subject that has none, as in "run.<run id>". When it has
// one the error's Exists is true. Above 90 % of the store's cap it refuses, retryably,
// the records that start something (match and run); what was begun can be finished.
//
// A lost answer leaves it open whether the record was stored. The caller tries again, and finds
// it. Records are forgotten 21 days after their last write, those of workers after 90 seconds, those of alerts and
// of rulesets never.
func (c *Conn) Create(ctx context.Context, subject string, data []byte) (rev uint64, err error) {
	op := "create record " + subject
	if startsSomething(subject) {
		if percent, full := c.fill.full(); full {
			return 0, &Error{Op: op, Err: fmt.Errorf("RECORDS is %d %% full, so nothing new is started until records expire or its max_bytes is raised", percent)}
		}
	}
	return c.writeRecord(ctx, op, subject, data, 0)
}

// Update replaces a record that is still at revision rev. When somebody else wrote it since,
// or it has expired, the error's Exists is true.
func (c *Conn) Update(ctx context.Context, subject string, data []byte, rev uint64) (newRev uint64, err error) {
	return c.writeRecord(ctx, "update record "+subject, subject, data, rev)
}

// Get reads a record. For an absent one data is nil, rev 0 and err nil.
//
// It asks the leader of RECORDS. With one replica that is the only copy, and it applies writes in order,
// so a record is found as soon as its writer was answered. With more, a leader that was
// replaced and does not know it yet can answer with an older state for a moment; what is then
// written on top of it is refused by its revision.
func (c *Conn) Get(ctx context.Context, subject string) (data []byte, rev uint64, err error) {
	op := "read record " + subject
	if !validRecord(subject) {
		return nil, 0, final(op, ClassFailed, "it is no name of a record")
	}
	s, err := c.stream(ctx, Records)
	if err != nil {
		return nil, 0, refuse(op, err)
	}
	m, err := s.GetLastMsgForSubject(ctx, recordPrefix+subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, refuse(op, err)
	}
	if m.Data == nil {
		m.Data = []byte{}
	}
	return m.Data, m.Sequence, nil
}

// RecordNames are the subjects of the records of a kind, sorted, as in "worker.abc" for "worker".
func (c *Conn) RecordNames(ctx context.Context, kind string) ([]string, error) {
	if !validToken(kind) {
		return nil, final("list records "+kind, ClassFailed, "it is no kind of records")
	}
	info, err := c.info(ctx, Records, jetstream.WithSubjectFilter(recordPrefix+kind+".*"))
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		names = append(names, subject[len(recordPrefix):])
	}
	slices.Sort(names)
	return names, nil
}

// Forget removes the record of a worker; that there is none is no error. Other records are never removed, their time removes them.
func (c *Conn) Forget(ctx context.Context, subject string) error {
	op := "forget record " + subject
	if !validRecord(subject) || !strings.HasPrefix(subject, workerKind+".") {
		return final(op, ClassFailed, "it is no record of a worker")
	}
	s, err := c.stream(ctx, Records)
	if err != nil {
		return refuse(op, err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(recordPrefix+subject)); err != nil {
		return refuse(op, err)
	}
	return nil
}

func (c *Conn) writeRecord(ctx context.Context, op, subject string, data []byte, rev uint64) (uint64, error) {
	if !validRecord(subject) {
		return 0, final(op, ClassFailed, "it is no name of a record")
	}
	msg := nats.NewMsg(recordPrefix + subject)
	msg.Data = data
	opts := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(rev)}
	if ttl := timeOfRecord(subject); ttl > 0 {
		opts = append(opts, jetstream.WithMsgTTL(ttl))
	}
	if err := c.fits(op, msg, 0); err != nil {
		return 0, err
	}
	ack, err := c.js.PublishMsg(ctx, msg, opts...)
	if err != nil {
		return 0, refuse(op, err)
	}
	c.fill.add(len(data))
	return ack.Sequence, nil
}

// fits refuses a message over the broker's limit, naming both sizes. room is kept free.
func (c *Conn) fits(op string, msg *nats.Msg, room int) error {
	if most, size := int(c.nc.MaxPayload()), len(msg.Data)+headerSize(msg.Header); size > most-room {
		return final(op, ClassSize, "its %d bytes are over the %d a message may have", size, most-room)
	}
	return nil
}

func headerSize(h nats.Header) int {
	n := 512 // what the client and the broker add
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return n
}

// timeOfRecord is after how long a record is forgotten that nobody writes again; 0: never.
func timeOfRecord(subject string) time.Duration {
	switch kind, _, _ := strings.Cut(subject, "."); kind {
	case "alert", "ruleset":
		return 0
	case workerKind:
		return workerTTL
	}
	return recordTTL
}

func startsSomething(subject string) bool {
	return strings.HasPrefix(subject, "match.") || strings.HasPrefix(subject, "run.")
}

// validRecord is true for <kind>.<name>, both made of plain characters.
func validRecord(subject string) bool {
	kind, name, ok := strings.Cut(subject, ".")
	return ok && validToken(kind) && validToken(name)
}

// validToken is true for one token of a subject: 1 to 128 of A-Z a-z 0-9 _ -.
func validToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 128
}

// fill is how full RECORDS is: what the server said last, and what was written here since.
type fill struct {
	limit, used atomic.Int64 // bytes; limit 0: not known, or without limit
}

func (f *fill) add(body int) {
	const overhead = 256 // headers, subject and index of a small record
	f.used.Add(int64(body + overhead))
}

func (f *fill) full() (percent int64, full bool) {
	limit := f.limit.Load()
	if limit <= 0 {
		return 0, false
	}
	percent = f.used.Load() * 100 / limit
	return percent, percent >= recordsFull
}

// watchFill keeps the fill fresh until ctx ends.
func (c *Conn) watchFill(ctx context.Context) {
	tick := time.NewTicker(fillEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.refreshFill(ctx)
		}
	}
}

// refreshFill asks the server. When it does not answer, what was known stays.
func (c *Conn) refreshFill(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	info, err := c.info(ctx, Records)
	if err != nil {
		return
	}
	c.fill.limit.Store(info.Config.MaxBytes)
	c.fill.used.Store(int64(info.State.Bytes))
}
