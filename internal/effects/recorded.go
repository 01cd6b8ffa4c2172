package effects

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/pkg/rules"
)

// RecordReader reads what workers recorded. For an absent record data is nil, rev 0 and err nil.
type RecordReader interface {
	Get(ctx context.Context, subject string) (data []byte, rev uint64, err error)
}

// ReadResult reads what became of a commit or a build from its record, by the action's key, as a rule sees it. ended is false while it
// has no end, and when the record is gone.
func ReadResult(ctx context.Context, records RecordReader, key string) (result rules.Result, ended bool, err error) {
	rec, err := readFinal(ctx, records, key)
	if err != nil || rec == nil {
		return rules.Result{}, false, err
	}
	return rec.result(), true, nil
}

// End is how an action ended.
type End struct {
	Done   bool
	Error  string       // why it was not done: it failed, or was skipped
	Result rules.Result // of a commit or a build that was done
}

// ReadEnd reads how an action of any kind ended, by its key: of a notify by that of its message to one target. nil when it has no end, or
// its record is gone.
func ReadEnd(ctx context.Context, records RecordReader, key string) (*End, error) {
	rec, err := readFinal(ctx, records, key)
	switch {
	case err != nil || rec == nil:
		return nil, err
	case rec.State != stateDone:
		return &End{Error: rec.Error}, nil
	case rec.Result == nil:
		return &End{Done: true}, nil
	}
	return &End{Done: true, Result: rec.result()}, nil
}

// readFinal reads the record of an action that has ended, nil for none.
func readFinal(ctx context.Context, records RecordReader, key string) (*actionRecord, error) {
	subject := actionSubject(key)
	data, rev, err := records.Get(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("read record %s: %w", subject, err)
	}
	if rev == 0 {
		return nil, nil
	}
	rec, err := decodeRecord[actionRecord](subject, data)
	if err != nil || !rec.final() {
		return nil, err
	}
	return &rec, nil
}
