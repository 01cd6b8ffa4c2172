package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

const (
	timelineSubject = "ruleset.timeline"
	// maxTimeline is how many entries the timeline keeps, the newest.
	maxTimeline = 500
)

// LiveEntry says that a worker took a ruleset into use.
type LiveEntry struct {
	// Sequence is that of the newest event stored when the ruleset was in use already: the worker matches those after it with this
	// ruleset.
	Sequence uint64    `json:"sequence"`
	Digest   string    `json:"digest"`
	At       time.Time `json:"at"` // in UTC
	By       string    `json:"by"` // the worker
}

// timelineRecord is the record "ruleset.timeline": which ruleset was in use from when on, the oldest entry first. Two entries in a row
// have different digests, and no entry has a smaller sequence than the one before it.
type timelineRecord struct {
	V       int         `json:"v"`
	Entries []LiveEntry `json:"entries"`
}

// ReadTimeline is which rulesets were in use from when on, the oldest first; empty when no worker has ever loaded one.
func ReadTimeline(ctx context.Context, records RecordReader) ([]LiveEntry, error) {
	var rec timelineRecord
	_, err := readRecord(ctx, records, timelineSubject, &rec)
	return rec.Entries, err
}

// LiveAt is the digest of the ruleset that was live when the event with that sequence in EVENTS was stored, and since when it was; "" when
// the timeline does not reach back so far.
//
// It is the answer for an event that was matched as soon as it was stored, by workers that agreed. It cannot know which worker matched an
// event while they went over to other rules one after the other, or had different rule files; and an event that waited in a backlog was
// matched with what was live when its turn came. Where there is a match record its digest is the truth; this is for events without one.
func LiveAt(ctx context.Context, records RecordReader, sequence uint64) (digest string, since time.Time, err error) {
	entries, err := ReadTimeline(ctx, records)
	if err != nil {
		return "", time.Time{}, err
	}
	for i := len(entries) - 1; i >= 0; i-- {
		if e := entries[i]; e.Sequence < sequence {
			return e.Digest, e.At, nil
		}
	}
	return "", time.Time{}, nil
}

// LiveNow is the digest of the ruleset that a worker took into use last, "" when none ever did. While workers go over to other rules, or
// have different ones, it is that of the newest only.
func LiveNow(ctx context.Context, records RecordReader) (digest string, err error) {
	entries, err := ReadTimeline(ctx, records)
	if err != nil || len(entries) == 0 {
		return "", err
	}
	return entries[len(entries)-1].Digest, nil
}

// Timeline writes down which ruleset this worker uses from when on, unless another one has written the same. It never keeps a worker from
// its work: what could not be written is tried again. It is used by one goroutine at a time.
type Timeline struct {
	records Records
	events  LastEvent
	by      string
	log     zerolog.Logger

	due     *LiveEntry // not written yet
	placed  bool       // due has its sequence
	failure string     // the last failure logged, so that each is logged once
}

// NewTimeline makes a timeline in records. by is the name of this worker.
func NewTimeline(records Records, events LastEvent, by string, log zerolog.Logger) *Timeline {
	return &Timeline{records: records, events: events, by: by, log: log}
}

// swapped says that a ruleset is in use since now.
func (t *Timeline) swapped(ctx context.Context, digest string, now time.Time) {
	t.due, t.placed = &LiveEntry{Digest: digest, At: now.UTC(), By: t.by}, false
	t.keep(ctx)
}

// keep writes what is not written yet.
func (t *Timeline) keep(ctx context.Context) {
	if t.due == nil {
		return
	}
	if err := t.write(ctx); err != nil {
		if text := err.Error(); text != t.failure && ctx.Err() == nil {
			t.failure = text
			t.log.Warn().Err(err).Str("digest", t.due.Digest).Msg("timeline not written")
		}
		return
	}
	t.due, t.failure = nil, ""
}

func (t *Timeline) write(ctx context.Context) (err error) {
	if !t.placed {
		if t.due.Sequence, err = t.events.LastEvent(ctx); err != nil {
			return fmt.Errorf("look for the newest event: %w", err)
		}
		t.placed = true
	}
	return changeRecord(ctx, t.records, maxRecord, timelineSubject, func(rec timelineRecord) (timelineRecord, bool) {
		entry := *t.due
		if n := len(rec.Entries); n > 0 {
			last := rec.Entries[n-1]
			if last.Digest == entry.Digest {
				return rec, false
			}
			entry.Sequence = max(entry.Sequence, last.Sequence) // another worker was faster
		}
		rec.V, rec.Entries = rules.FormatVersion, append(rec.Entries, entry)
		rec.Entries = rec.Entries[max(0, len(rec.Entries)-maxTimeline):]
		return rec, true
	})
}
