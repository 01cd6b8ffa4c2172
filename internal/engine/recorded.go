package engine

import (
	"context"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// RecordReader reads what workers recorded. For an absent record data is nil, rev 0 and err nil.
type RecordReader interface {
	Get(ctx context.Context, subject string) (data []byte, rev uint64, err error)
}

// Recorded is what workers recorded of one event: which rules it was a candidate of, and what they decided.
type Recorded struct {
	Digest     string        // of the ruleset
	Candidates []string      // last those that were paused
	Chain      events.Chain  // whether the event came of a commit of ours
	At         time.Time     // when it was matched
	Forced     *rules.Forced // who had it matched by force; nil for nobody
	// Decisions are those of the candidates that have come to one, by rule. One that has not waits, is being tried, or is a dead letter.
	Decisions map[string]*rules.Decision
}

// ReadRecorded reads the records of an event; nil when there is none: no rule took it, nobody has matched it yet, or the records have
// been forgotten.
func ReadRecorded(ctx context.Context, records RecordReader, eventID string) (*Recorded, error) {
	r, err := ReadMatched(ctx, records, eventID)
	if err != nil || r == nil {
		return nil, err
	}
	r.Decisions = map[string]*rules.Decision{}
	for _, name := range r.Candidates {
		d := new(rules.Decision)
		found, err := readRecord(ctx, records, runSubject(rules.RunID(eventID, name)), d)
		if err != nil {
			return nil, err
		}
		if found {
			r.Decisions[name] = d
		}
	}
	return r, nil
}

// ReadMatched is ReadRecorded without the decisions: one record instead of many.
func ReadMatched(ctx context.Context, records RecordReader, eventID string) (*Recorded, error) {
	var m matchRecord
	found, err := readRecord(ctx, records, matchSubject(eventID), &m)
	if err != nil || !found {
		return nil, err
	}
	for i := range m.Paused {
		m.Candidates = append(m.Candidates, m.Paused[i].Rule)
	}
	return &Recorded{Digest: m.Digest, Candidates: m.Candidates, Chain: m.Chain, At: m.At, Forced: m.Forced}, nil
}

// ReadOwnCommit tells whether a commit is ours: its chain has a depth then.
func ReadOwnCommit(ctx context.Context, records RecordReader, id string) (events.Chain, error) {
	return ownCommit(ctx, records, id)
}
