package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// matchRecord is what matching decided for an event: JSON under match.<hash of the event id>,
// created before any work is put and never changed.
type matchRecord struct {
	V          int          `json:"v"`
	EventID    string       `json:"event_id"`
	Digest     string       `json:"digest"`
	Candidates []string     `json:"candidates"`
	Chain      events.Chain `json:"chain"`
	At         time.Time    `json:"at"`
	// Paused are rules that fitted too and were paused: what is decided about them is no more than that.
	Paused []rules.RulePause `json:"paused,omitempty"`
	// Forced is who had the event matched once more by force, when this record came of it.
	Forced *rules.Forced `json:"forced,omitempty"`
}

func matchSubject(eventID string) string   { return "match." + rules.Hash(eventID) }
func runSubject(runID string) string       { return "run." + runID }
func commitSubject(commitID string) string { return "commit." + rules.Hash(commitID) }
func actionSubject(key string) string      { return "action." + key }
func landedSubject(key string) string      { return "landed." + key }

// readRecord reads the record under subject into rec and tells whether there is one.
func (e *Engine) readRecord(ctx context.Context, subject string, rec any) (found bool, err error) {
	return readRecord(ctx, e.stores.Records, subject, rec)
}

func readRecord(ctx context.Context, records RecordReader, subject string, rec any) (found bool, err error) {
	data, _, err := records.Get(ctx, subject)
	if err != nil {
		return false, fmt.Errorf("read record %s: %w", subject, err)
	}
	if data == nil {
		return false, nil
	}
	return true, decodeRecord(subject, data, rec)
}

// decodeRecord reads what is stored under subject into rec.
func decodeRecord(subject string, data []byte, rec any) error {
	var version struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return &FinalError{class: ClassMessage, err: fmt.Errorf("read record %s: %w", subject, err)}
	}
	if version.V > rules.FormatVersion {
		// Another worker, newer than this one, can read it.
		return fmt.Errorf("read record %s: format version %d is newer than this program", subject, version.V)
	}
	if err := json.Unmarshal(data, rec); err != nil {
		return &FinalError{class: ClassMessage, err: fmt.Errorf("read record %s: %w", subject, err)}
	}
	return nil
}

func encodeRecord(subject string, rec any) ([]byte, error) {
	data, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("encode record %s: %w", subject, err)
	}
	return data, nil
}

// createRecord creates the record under subject. When another one was first, which may be an
// earlier try of ours whose answer was lost, that one is read into rec.
func (e *Engine) createRecord(ctx context.Context, subject string, data []byte, rec any) (created bool, err error) {
	_, err = e.stores.Records.Create(ctx, subject, data)
	if err == nil {
		return true, nil
	}
	if !exists(err) {
		return false, fmt.Errorf("create record %s: %w", subject, err)
	}
	found, err := e.readRecord(ctx, subject, rec)
	if err == nil && !found {
		err = fmt.Errorf("read record %s: it exists and cannot be found", subject)
	}
	return false, err
}
