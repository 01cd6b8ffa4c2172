package effects

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// refusal is an answer of the fake repository.
type refusal struct {
	text         string
	kind         error
	maybe, again bool
	wait         time.Duration
}

func (e *refusal) Error() string             { return e.text }
func (e *refusal) Is(target error) bool      { return e.kind != nil && target == e.kind }
func (e *refusal) MayHaveHappened() bool     { return e.maybe }
func (e *refusal) Retryable() bool           { return e.again }
func (e *refusal) RetryAfter() time.Duration { return e.wait }
func (e *refusal) Class() string             { return "fake" }

type landed struct {
	commit codearts.Commit
	at     time.Time
	files  map[string]bool // path → exists after it
}

// repo is a repository with one branch, in memory: it enforces the file conditions, and fails
// on demand.
type repo struct {
	now    func() time.Time
	gone   bool
	list   []landed // oldest first
	calls  int      // create calls that reached it
	pages  int      // of 100 commits, read so far
	faults []func(r *repo, q codearts.CommitRequest) (made *codearts.Commit, err error)
}

func newRepo(now func() time.Time) *repo { return &repo{now: now} }

// land carries a commit out. Its time is at.
func (r *repo) land(q codearts.CommitRequest, at time.Time) (*codearts.Commit, error) {
	files := map[string]bool{}
	for _, f := range q.Actions {
		last := r.last(f.FilePath)
		switch {
		case f.Action == "create" && last != nil && last.files[f.FilePath]:
			return nil, &refusal{text: "file exists", kind: codearts.ErrConflict}
		case f.Action != "create" && (last == nil || !last.files[f.FilePath]):
			return nil, &refusal{text: "no such file", kind: codearts.ErrNotFound}
		case f.LastCommitID != "" && last.commit.ID != f.LastCommitID:
			return nil, &refusal{text: "the file has changed", kind: codearts.ErrConflict}
		}
		files[f.FilePath] = f.Action != "delete"
	}
	name := q.AuthorName
	id := fmt.Sprintf("%040d", len(r.list)+1)
	l := landed{codearts.Commit{ID: id, ShortID: id[32:], Message: q.Message, AuthorName: &name}, at, files}
	r.list = append(r.list, l)
	return &l.commit, nil
}

func (r *repo) last(path string) *landed {
	for i := len(r.list) - 1; i >= 0; i-- {
		if _, ok := r.list[i].files[path]; ok {
			return &r.list[i]
		}
	}
	return nil
}

// ours counts the commits that carry a trailer.
func (r *repo) ours(key string) (n int) {
	for _, l := range r.list {
		if k, ok := rules.Trailer(l.commit.Message); ok && k == key {
			n++
		}
	}
	return n
}

// mortalRepo is the repository as one worker sees it.
type mortalRepo struct {
	r  *repo
	tw *tripwire
}

func (m mortalRepo) CreateCommit(_ context.Context, q codearts.CommitRequest) (*codearts.Commit, error) {
	return guard(m.tw, func() (*codearts.Commit, error) {
		if err := m.tw.overslept(30 * time.Second); err != nil {
			return nil, err
		}
		m.r.calls++
		if m.r.gone {
			return nil, &refusal{text: "repository does not exist", kind: codearts.ErrNotFound}
		}
		if len(m.r.faults) > 0 {
			f := m.r.faults[0]
			m.r.faults = m.r.faults[1:]
			return f(m.r, q)
		}
		return m.r.land(q, m.r.now())
	})
}

func (m mortalRepo) Commits(_ context.Context, q codearts.CommitsQuery) iter.Seq2[*codearts.Commit, error] {
	return func(yield func(*codearts.Commit, error) bool) {
		n := 0
		for i := len(m.r.list) - 1; ; i-- {
			if n%lookbackPage == 0 {
				m.r.pages++
				if _, err := guard(m.tw, func() (any, error) { return nil, m.r.readable() }); err != nil {
					yield(nil, err)
					return
				}
			}
			if i < 0 {
				return
			}
			l := m.r.list[i]
			if _, touched := l.files[q.Path]; l.at.Before(q.Since) || q.Path != "" && !touched {
				continue
			}
			n++
			if !yield(&l.commit, nil) {
				return
			}
		}
	}
}

func (r *repo) readable() error {
	if r.gone {
		return &refusal{text: "repository does not exist", kind: codearts.ErrNotFound}
	}
	return nil
}

func (m mortalRepo) File(_ context.Context, _, path, _ string) (*codearts.FileContent, error) {
	return guard(m.tw, func() (*codearts.FileContent, error) {
		last := m.r.last(path)
		if last == nil || !last.files[path] {
			return nil, &refusal{text: "no such file", kind: codearts.ErrNotFound}
		}
		return &codearts.FileContent{LastCommitID: &last.commit.ID}, nil
	})
}

type fault = func(r *repo, q codearts.CommitRequest) (*codearts.Commit, error)

// cutAfter carries the commit out and loses the answer.
func cutAfter(r *repo, q codearts.CommitRequest) (*codearts.Commit, error) {
	if _, err := r.land(q, r.now()); err != nil {
		return nil, err
	}
	return nil, &refusal{text: "connection reset", maybe: true, again: true}
}

// cutBefore loses the request.
func cutBefore(*repo, codearts.CommitRequest) (*codearts.Commit, error) {
	return nil, &refusal{text: "connection reset", maybe: true, again: true}
}

// overtaken is an attempt just behind an earlier one that was believed dead: the fence stops it.
func overtaken(r *repo, q codearts.CommitRequest) (*codearts.Commit, error) {
	if _, err := r.land(q, r.now()); err != nil {
		return nil, err
	}
	return r.land(q, r.now())
}

// unknownError has no opinion about what happened.
func unknownError(*repo, codearts.CommitRequest) (*codearts.Commit, error) {
	return nil, errors.New("something went wrong")
}

// throttled refuses for certain, for now.
func throttled(*repo, codearts.CommitRequest) (*codearts.Commit, error) {
	return nil, &refusal{text: "too many requests", kind: codearts.ErrThrottled, again: true, wait: 7 * time.Second}
}

// lands30sLate fails now, and commits half a minute later.
func lands30sLate(w *world) fault {
	return func(r *repo, q codearts.CommitRequest) (*codearts.Commit, error) {
		at := r.now().Add(30 * time.Second)
		before := w.onPause
		w.onPause = func() {
			if before != nil {
				before()
			}
			if !r.now().Before(at) && at != (time.Time{}) {
				_, _ = r.land(q, at)
				at = time.Time{}
			}
		}
		return nil, &refusal{text: "gateway timeout", maybe: true, again: true}
	}
}
