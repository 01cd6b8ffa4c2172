package app

import (
	"context"

	"github.com/millrace/millrace/internal/engine"
)

// LiveAt is the digest of the ruleset that was live when the event with that sequence in EVENTS was stored, "" when that is not known. What
// it cannot know is said at [engine.LiveAt]: where there is a match record (see Recorded) its digest is the truth.
func (a *Archive) LiveAt(ctx context.Context, sequence uint64) (digest string, err error) {
	digest, _, err = engine.LiveAt(ctx, a.stores, sequence)
	return digest, err
}

// LiveNow is the digest of the ruleset that a worker took into use last, "" when none ever did.
func (a *Archive) LiveNow(ctx context.Context) (digest string, err error) {
	return engine.LiveNow(ctx, a.stores)
}
