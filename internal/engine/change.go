package engine

import (
	"context"
	"fmt"
)

// maxRaces is how often a record is read again because somebody else wrote it since. Whoever loses finds what the
// winner wrote, which mostly settles it.
const maxRaces = 20

// changeRecord replaces a record by what next makes of it, unless next says that nothing changes. An absent record is rec
// as it was handed in. next is asked again each time somebody else was faster, and must not keep what it was given before.
func changeRecord[T any](ctx context.Context, records Records, limit int, subject string, next func(rec T) (changed T, write bool)) error {
	for range maxRaces {
		var rec T
		data, rev, err := records.Get(ctx, subject)
		if err != nil {
			return fmt.Errorf("read record %s: %w", subject, err)
		}
		if data != nil {
			if err := decodeRecord(subject, data, &rec); err != nil {
				return err
			}
		}
		changed, write := next(rec)
		if !write {
			return nil
		}
		if data, err = encodeRecord(subject, changed); err != nil {
			return err
		}
		if len(data) > limit {
			return sizeError("record "+subject, len(data), limit)
		}
		if rev == 0 {
			_, err = records.Create(ctx, subject, data)
		} else {
			_, err = records.Update(ctx, subject, data, rev)
		}
		switch {
		case err == nil:
			return nil
		case !exists(err):
			return fmt.Errorf("write record %s: %w", subject, err)
		}
	}
	return fmt.Errorf("write record %s: others wrote it %d times meanwhile", subject, maxRaces)
}
