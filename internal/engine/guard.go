package engine

import (
	"context"
	"strings"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// ownRecord is what the loop guard reads of the two records a commit action leaves: action.<key>,
// from before the commit is sent, and commit.<h>, from after. Both hold the chain of an event
// the commit causes.
type ownRecord struct {
	Key    string `json:"key"`    // of commit.<h> only
	Kind   string `json:"kind"`   // of action.<key> only
	State  string `json:"state"`  // of action.<key> only
	Depth  int    `json:"depth"`  // 1 for a commit made for an event that was not ours
	Origin string `json:"origin"` // id of the first event of the chain
	// Attempt and Result are of action.<key> only: how often the commit was sent, and once that
	// is known what came of it.
	Attempt int `json:"attempt"`
	Result  struct {
		ID string `json:"id"`
	} `json:"result"`
}

// made tells whether the action may have made that commit. Sent once, it made the one its record
// names, and whoever has copied the trailer of that one made another: nobody hides a commit from
// the rules in this way.
func (r ownRecord) made(id string) bool {
	switch {
	case r.Kind != rules.KindCommit || r.State == stateSkipped:
		return false
	case r.Result.ID == "" || id == "" || r.Attempt > 1:
		return true
	}
	return r.Result.ID == id
}

// stateSkipped is the state of an action that was never tried.
const stateSkipped = "skipped"

func (r ownRecord) chain(key string) events.Chain {
	return events.Chain{Depth: max(r.Depth, 1), Origin: r.Origin, Action: key}
}

// ownHead tells whether the head commit of an event is one of ours: the chain has a depth then.
// The trailer is for the time between the commit and its record, when the event may be faster;
// a trailer that names a commit nobody started, or that is somebody's copy, means nothing.
func (e *Engine) ownHead(ctx context.Context, view *events.View) (events.Chain, error) {
	id, message := view.Head()
	chain, err := e.ownCommit(ctx, id)
	if err != nil || chain.Depth > 0 {
		return chain, err
	}
	key, ok := rules.Trailer(message)
	if !ok {
		return events.Chain{}, nil
	}
	var rec ownRecord
	found, err := e.readRecord(ctx, actionSubject(key), &rec)
	if err != nil || !found || !rec.made(id) {
		return events.Chain{}, err
	}
	return rec.chain(key), nil
}

// ownCommit tells the same of a commit by its id.
func (e *Engine) ownCommit(ctx context.Context, id string) (events.Chain, error) {
	return ownCommit(ctx, e.stores.Records, id)
}

func ownCommit(ctx context.Context, records RecordReader, id string) (events.Chain, error) {
	if strings.Trim(id, "0") == "" {
		return events.Chain{}, nil // absent, or the zero hash of something deleted
	}
	var rec ownRecord
	found, err := readRecord(ctx, records, commitSubject(id), &rec)
	if err != nil || !found {
		return events.Chain{}, err
	}
	return rec.chain(rec.Key), nil
}
