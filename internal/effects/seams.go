package effects

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// Message is one message of the stream WORK, as the handlers need it.
type Message struct {
	Header map[string]string
	Data   []byte
	// Attempts counts the failed tries so far, FirstTried is the time of the first.
	Attempts   int
	FirstTried time.Time
	// State is what a handler asked to be kept when it parked the message. Effects keep none.
	State string
	// Stored is when the stream stored this message.
	Stored time.Time
}

// Records is the store of the ledger. Subjects are written without the stream's own prefix, as
// in "action.<key>". What one worker has been told is stored, every worker's next Get sees: a
// read from a replica that may lag behind is not enough.
type Records interface {
	// Create stores data under a subject that has none yet. When it has one the error
	// has a method Exists() bool that returns true.
	Create(ctx context.Context, subject string, data []byte) (rev uint64, err error)
	// Get reads a record. For an absent one data is nil, rev 0 and err nil.
	Get(ctx context.Context, subject string) (data []byte, rev uint64, err error)
	// Update replaces the revision rev of a record. When there is another by now the
	// error has a method Exists() bool that returns true.
	Update(ctx context.Context, subject string, data []byte, rev uint64) (newRev uint64, err error)
}

// Work takes the messages of work.*.
type Work interface {
	// Put returns when the message is stored.
	Put(ctx context.Context, subject string, header map[string]string, data []byte) error
}

// Repos finds the account a connection names; "" is the default one. Its error: this worker knows no
// such connection; another one may, as in the middle of a deployment.
type Repos func(connection string) (Repo, error)

// Repo is what a commit needs of CodeArts Repo. *codearts.Client is one. Of an error these
// behaviours are asked: MayHaveHappened, Retryable, RetryAfter, Class, and Is for
// codearts.ErrNotFound and codearts.ErrConflict.
type Repo interface {
	// CreateCommit makes one call and never repeats it. An error without a method
	// MayHaveHappened() bool that returns false leaves the outcome open.
	CreateCommit(ctx context.Context, r codearts.CommitRequest) (*codearts.Commit, error)
	// Commits lists newest first; a list that could not be read to its end ends with an error.
	Commits(ctx context.Context, q codearts.CommitsQuery) iter.Seq2[*codearts.Commit, error]
	// File reads a file at a branch.
	File(ctx context.Context, repoID, path, ref string) (*codearts.FileContent, error)
}

// Builders finds the account a connection names, as Repos does.
type Builders func(connection string) (Builder, error)

// Builder is what a build needs of CodeArts Build. *codearts.Client is one. Of an error the same
// behaviours are asked as of a Repo's.
type Builder interface {
	// StartBuild makes one call and never repeats it. An error without a method
	// MayHaveHappened() bool that returns false leaves the outcome open.
	StartBuild(ctx context.Context, r codearts.BuildRequest) (*codearts.StartedBuild, error)
	// RunningStatus names the last run of a task.
	RunningStatus(ctx context.Context, jobID string) (*codearts.RunningStatus, error)
	// JobRuns lists runs in any order; a list that could not be read to its end ends with an error.
	JobRuns(ctx context.Context, jobID string, from, to time.Time) iter.Seq2[*codearts.JobRun, error]
}

// Notifier sends to one target. The key is the same each time the same message is sent, for
// targets that can tell a repetition. The action is of kind notify and names the rule and the
// event too. An error's Retryable, RetryAfter and Class are handed on to the stream.
type Notifier interface {
	Notify(ctx context.Context, key string, a rules.Action) error
}

// exists tells whether a record could not be written because there is one, or another one.
func exists(err error) bool {
	var e interface{ Exists() bool }
	return errors.As(err, &e) && e.Exists()
}
