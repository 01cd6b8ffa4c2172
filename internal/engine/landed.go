package engine

import (
	"bytes"
	"context"
	"errors"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// landedRecord says that an event has named a commit with the trailer of an action: JSON under landed.<key of the action>, created once.
// It is for whoever made that commit, got no answer and does not find it on its branch: it was made, and somebody has removed it.
type landedRecord struct {
	V  int    `json:"v"`
	ID string `json:"id"`
}

// noteLanded creates the landed record of an action that was sent and whose own record does not know yet what came of it.
func (e *Engine) noteLanded(ctx context.Context, view *events.View, body []byte) error {
	if !bytes.Contains(body, []byte(rules.TrailerKey)) {
		return nil
	}
	id, message := view.Head()
	key, ok := rules.Trailer(message)
	if !ok || id == "" {
		return nil
	}
	var own ownRecord
	found, err := e.readRecord(ctx, actionSubject(key), &own)
	var unreadable *FinalError
	if errors.As(err, &unreadable) {
		return nil // who sent the commit cannot read it either
	}
	if err != nil || !found || own.Kind != rules.KindCommit || own.Attempt == 0 || own.Result.ID != "" {
		return err
	}
	data, err := encodeRecord(landedSubject(key), landedRecord{V: rules.FormatVersion, ID: id})
	if err != nil {
		return err
	}
	_, err = e.createRecord(ctx, landedSubject(key), data, new(landedRecord))
	return err
}
