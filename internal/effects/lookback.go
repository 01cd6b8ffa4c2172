package effects

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// lookbackPage is how many commits a page of a look-back has.
const lookbackPage = 100

// lookBack searches the branch for the commit of this action, by its trailer, among the commits
// since the event was accepted; nil: it is not there. A list too long to be searched is an
// error, never "not there".
func (c *commitRun) lookBack(ctx context.Context) (*codearts.Commit, error) {
	q := codearts.CommitsQuery{RepoID: c.a.Commit.RepoID, Ref: c.a.Commit.Branch, PerPage: lookbackPage}
	if !c.a.Accepted.IsZero() {
		q.Since = c.a.Accepted.Add(-c.e.settings.ClockSkew)
	}
	limit, n, newest := c.e.settings.LookbackPages*lookbackPage, 0, ""
	for commit, err := range c.repo.Commits(ctx, q) {
		switch {
		case errors.Is(err, codearts.ErrNotFound) && n == 0 && c.a.Commit.StartBranch != "":
			return nil, c.findBase(ctx, "") // the branch is to be made by this commit
		case errors.Is(err, codearts.ErrNotFound) && c.doubted():
			return nil, c.removed("the repository or the branch is gone since an attempt of unknown outcome")
		case errors.Is(err, codearts.ErrNotFound):
			return nil, final(ClassGone, "commit to %s: the repository or the branch is gone: %w", c.where(), err)
		case err != nil:
			return nil, fmt.Errorf("look for the commit of action %s on %s: %w", c.a.ID, c.where(), err)
		}
		if key, ok := rules.Trailer(commit.Message); ok && key == c.a.Key {
			return commit, nil
		}
		if n == 0 {
			newest = commit.ID
		}
		if n++; n >= limit {
			return nil, final(ClassLookback, "commit to %s: it has more than %d commits since %s: whether this one is among them cannot be told",
				c.where(), limit, q.Since.UTC().Format(time.RFC3339))
		}
	}
	return nil, c.findBase(ctx, newest)
}

// findBase sets the head of the branch the commit is for, and the branch it goes on top of: that one, unless it is to be made or thrown
// away. newest is the first commit of a list of the branch, "" when none was listed.
func (c *commitRun) findBase(ctx context.Context, newest string) error {
	to := c.a.Commit
	c.base, c.head = to.Branch, newest
	found := newest != ""
	if !found {
		for commit, err := range c.repo.Commits(ctx, codearts.CommitsQuery{RepoID: to.RepoID, Ref: to.Branch, PerPage: 1}) {
			switch {
			case err == nil:
				found, c.head = true, commit.ID
			case !errors.Is(err, codearts.ErrNotFound):
				return fmt.Errorf("look for branch %s: %w", c.where(), err)
			}
			break
		}
	}
	if to.StartBranch != "" && (to.Force || !found) {
		c.base = to.StartBranch
	}
	return nil
}

// notRemoved stands between an attempt that is in doubt and the next one. The commit is not on its branch; an error of class rewritten says
// that it may have been there: a push has told us of it, or the branch does not hold any more what it held before the attempt, so that
// somebody has rewritten or deleted it since. What must be made at least once is made again.
//
// One who sets the branch back to exactly what it was before the attempt, or deletes the branch that the attempt has made, is noticed only by
// the push that has told us.
func (c *commitRun) notRemoved(ctx context.Context) error {
	if !c.doubted() {
		return nil
	}
	before := c.ledger.rec.Baseline
	told, err := load[landedRecord](ctx, c.e.seams.Records, landedSubject(c.a.Key))
	switch {
	case err != nil:
		return err
	case told.rev != 0:
		return c.removed("its commit " + told.rec.ID + " was pushed to it and is not there any more: the branch was rewritten or deleted since")
	case before.Head == "" || before.Head == c.head:
		return nil
	case c.head == "":
		return c.removed("the branch is gone; its head was " + before.Head + " before an attempt of unknown outcome")
	}
	limit, n := c.e.settings.LookbackPages*lookbackPage, 0
	for commit, err := range c.repo.Commits(ctx, codearts.CommitsQuery{RepoID: c.a.Commit.RepoID, Ref: c.a.Commit.Branch, PerPage: lookbackPage}) {
		switch {
		case err != nil:
			return fmt.Errorf("look for commit %s on %s: %w", before.Head, c.where(), err)
		case commit.ID == before.Head:
			return nil
		}
		if n++; n >= limit {
			return final(ClassLookback, "commit to %s: %s, its head before an attempt of unknown outcome, is not among its last %d commits: "+
				"whether the branch was rewritten cannot be told", c.where(), before.Head, limit)
		}
	}
	return c.removed("the branch was rewritten: its head was " + before.Head + " before an attempt of unknown outcome, now it is " + c.head +
		", which does not come after it")
}

// doubted tells whether the last attempt may have made the commit, and it must not be made twice.
func (c *commitRun) doubted() bool {
	rec := &c.ledger.rec
	return rec.inDoubt() && rec.Baseline != nil && !c.a.Commit.AtLeastOnce
}

// removed is the end of a commit that may have been made, and removed by somebody.
func (c *commitRun) removed(how string) error {
	return final(ClassRewritten, "commit to %s: %s; the commit may have been in what was removed, so it is not made again. "+
		"Look at the branch; if the commit is wanted, replay it with --force", c.where(), how)
}
