package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

const (
	pushedSubject = "ruleset.live"
	// maxPrevious is how many pushes before the last one are remembered, the newest.
	maxPrevious = 50
)

// errNothingPushed says that workers have nothing to work with yet.
var errNothingPushed = errors.New("no ruleset has been pushed yet; millrace rules push PATH…")

// Push is what somebody made the ruleset of all workers that take pushed ones.
type Push struct {
	Digest string    `json:"digest"`
	At     time.Time `json:"at"` // in UTC
	By     string    `json:"by"`
}

// Pushed is the record "ruleset.live": what was pushed last, and before. The ruleset is stored before the record names it, so whenever a
// push is interrupted either the old one or the new one is named.
type Pushed struct {
	Push
	// Generation counts the changes of the record, from 1 on: what is pushed, then something else, then the same again are three.
	Generation uint64 `json:"generation"`
	// Previous are the pushes before, the newest first; at most 50.
	Previous []Push `json:"previous,omitempty"`

	rev uint64 // of the record that was read; 0: there was none
}

// pushedRecord is how it is stored.
type pushedRecord struct {
	V int `json:"v"`
	Pushed
}

// ErrMoved says that somebody else pushed since the record was read.
var ErrMoved = errors.New("somebody else pushed a ruleset at the same moment; look at millrace rules status, and say it again if it is still to be")

// ReadPushed reads what was pushed last. When nothing ever was, its digest is "" and its generation 0.
func ReadPushed(ctx context.Context, records RecordReader) (*Pushed, error) {
	data, rev, err := records.Get(ctx, pushedSubject)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return &Pushed{}, nil
	}
	var rec pushedRecord
	if err := decodeRecord(pushedSubject, data, &rec); err != nil {
		return nil, err
	}
	rec.rev = rev
	return &rec.Pushed, nil
}

// Replace makes next what is pushed, in place of p, which was read from records. The ruleset must be stored. [ErrMoved] says that p is not
// what is pushed any more; nothing is changed then. After any other error it may have been done: reading it again tells. When next is what
// is pushed already nothing is changed, and p is the answer.
func (p *Pushed) Replace(ctx context.Context, records Records, next Push) (*Pushed, error) {
	if p.rev > 0 && p.Digest == next.Digest {
		return p, nil
	}
	next.At = next.At.UTC()
	moved := Pushed{Push: next, Generation: p.Generation + 1}
	if p.rev > 0 {
		moved.Previous = append([]Push{p.Push}, p.Previous...)
		moved.Previous = moved.Previous[:min(len(moved.Previous), maxPrevious)]
	}
	data, err := encodeRecord(pushedSubject, pushedRecord{rules.FormatVersion, moved})
	if err != nil {
		return nil, err
	}
	if p.rev == 0 {
		moved.rev, err = records.Create(ctx, pushedSubject, data)
	} else {
		moved.rev, err = records.Update(ctx, pushedSubject, data, p.rev)
	}
	switch {
	case err == nil:
		return &moved, nil
	case exists(err):
		return nil, ErrMoved
	}
	return nil, err
}

// PushRuleset stores a ruleset and makes it what is pushed, unless it is already. before is what was pushed until now, after what is pushed now.
func PushRuleset(ctx context.Context, records Records, store Rulesets, rs *rules.Ruleset, by string, now time.Time) (before, after *Pushed, err error) {
	if err := StoreRuleset(ctx, store, rs); err != nil {
		return nil, nil, err
	}
	if before, err = ReadPushed(ctx, records); err != nil {
		return nil, nil, err
	}
	after, err = before.Replace(ctx, records, Push{Digest: rs.Digest(), By: by, At: now})
	return before, after, err
}

// pushedSource is what was pushed last.
type pushedSource struct {
	records RecordReader
	live    *Live

	// done and digest are the generation and the ruleset that are in use, or refused for good. A record that was lost and written again
	// counts from 1, so the generation alone does not tell.
	done   uint64
	digest string
}

// next offers what is pushed. While it is compiled something else may be pushed: that is offered at the next poll.
func (s *pushedSource) next(ctx context.Context, _ time.Time) (*offer, error) {
	p, err := ReadPushed(ctx, s.records)
	switch {
	case err != nil:
		return nil, err
	case p.rev == 0:
		return nil, errNothingPushed
	case p.Generation == s.done && p.Digest == s.digest:
		return nil, nil
	}
	return &offer{digest: p.Digest, generation: p.Generation, compile: func(ctx context.Context) (*rules.Ruleset, rules.Problems, error) {
		return s.compile(ctx, p.Digest)
	}}, nil
}

func (s *pushedSource) handled(o *offer) { s.done, s.digest = o.generation, o.digest }

func (s *pushedSource) compile(ctx context.Context, digest string) (*rules.Ruleset, rules.Problems, error) {
	if rs := s.live.compiled(digest); rs != nil {
		return rs, nil, nil
	}
	data, err := s.live.store.Ruleset(ctx, digest)
	if err != nil {
		return nil, nil, fmt.Errorf("read ruleset %s: %w", digest, err)
	}
	if data == nil {
		return nil, nil, fmt.Errorf("ruleset %s was pushed and cannot be found; push it again", digest)
	}
	rs, problems, err := s.live.compile(digest, data)
	if err != nil {
		return nil, nil, &refusedError{err}
	}
	return rs, problems, nil
}
