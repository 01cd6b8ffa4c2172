package effects

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/pkg/rules"
)

// ReadResult reads what became of a commit or a build from its record, by the action's key, as a rule sees it. ended is false while it
// has no end, and when the record is gone.
func ReadResult(ctx context.Context, records interface {
	Get(ctx context.Context, subject string) (data []byte, rev uint64, err error)
}, key string,
) (result rules.Result, ended bool, err error) {
	subject := actionSubject(key)
	data, rev, err := records.Get(ctx, subject)
	if err != nil {
		return rules.Result{}, false, fmt.Errorf("read record %s: %w", subject, err)
	}
	if rev == 0 {
		return rules.Result{}, false, nil
	}
	rec, err := decodeRecord[actionRecord](subject, data)
	if err != nil || !rec.final() {
		return rules.Result{}, false, err
	}
	return rec.result(), true, nil
}
