package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Records is the store of match, run, throttle, latest, action and commit records. Subjects are written without
// the stream's own prefix, as in "run.<run id>".
type Records interface {
	// Create stores data under a subject that has none yet. When it has one the error
	// has a method Exists() bool that returns true.
	Create(ctx context.Context, subject string, data []byte) (rev uint64, err error)
	// Get reads a record. For an absent one data is nil, rev 0 and err nil.
	Get(ctx context.Context, subject string) (data []byte, rev uint64, err error)
	// Update replaces the revision rev of a record. When there is another by now the error
	// has a method Exists() bool that returns true.
	Update(ctx context.Context, subject string, data []byte, rev uint64) (newRev uint64, err error)
}

// Work takes the messages of work.*.
type Work interface {
	// Put returns when the message is stored.
	Put(ctx context.Context, subject string, header map[string]string, data []byte) error
}

// Rulesets keeps rulesets by digest, for as long as a run may name one.
type Rulesets interface {
	PutRuleset(ctx context.Context, digest string, data []byte) error
	// Ruleset reads one back. For an absent one data is nil and err nil.
	Ruleset(ctx context.Context, digest string) (data []byte, err error)
}

// Schedules starts the schedules rules ask for. One that is there already is left as it is.
type Schedules interface {
	EnsureSchedule(ctx context.Context, id, pattern, timeZone string) error
}

// LastEvent tells where in the archive of events the next one will come.
type LastEvent interface {
	// LastEvent is the sequence of the newest event, 0 when there never was one.
	LastEvent(ctx context.Context) (sequence uint64, err error)
}

// Events takes the events Millrace makes itself.
type Events interface {
	PublishEvent(ctx context.Context, e *events.Event) (duplicate bool, err error)
}

// Fetcher fetches one fact. It is implemented by [Facts].
type Fetcher interface {
	// Fetch returns the fact as JSON. since is the earliest time at which what is looked
	// for can have begun. An error with a method NotReady() bool that returns true says that
	// there is none yet; any other error is handed on as it is.
	Fetch(ctx context.Context, call rules.Call, since time.Time) (json.RawMessage, error)
}

// Fence tells which commit changed a file last. It is implemented by [Facts].
type Fence interface {
	// LastCommit is the id of that commit for path at ref (a branch), in the repository
	// repoID of the connection ("" is the default one). found is false when there is no
	// such file; id is "" when the service did not name the commit.
	LastCommit(ctx context.Context, connection, repoID, ref, path string) (id string, found bool, err error)
}
