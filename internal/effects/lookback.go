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
	limit, n := c.e.settings.LookbackPages*lookbackPage, 0
	for commit, err := range c.repo.Commits(ctx, q) {
		switch {
		case errors.Is(err, codearts.ErrNotFound) && n == 0 && c.a.Commit.StartBranch != "":
			return nil, c.findBase(ctx, false) // the branch is to be made by this commit
		case errors.Is(err, codearts.ErrNotFound):
			return nil, final(ClassGone, "commit to %s: the repository or the branch is gone: %w", c.where(), err)
		case err != nil:
			return nil, fmt.Errorf("look for the commit of action %s on %s: %w", c.a.ID, c.where(), err)
		}
		if key, ok := rules.Trailer(commit.Message); ok && key == c.a.Key {
			return commit, nil
		}
		if n++; n >= limit {
			return nil, final(ClassLookback, "commit to %s: it has more than %d commits since %s: whether this one is among them cannot be told",
				c.where(), limit, q.Since.UTC().Format(time.RFC3339))
		}
	}
	return nil, c.findBase(ctx, n > 0)
}

// findBase sets the branch the commit goes on top of: the one it is for, unless it is to be made or thrown
// away. listed: that one is there for certain.
func (c *commitRun) findBase(ctx context.Context, listed bool) error {
	to := c.a.Commit
	if c.base = to.Branch; to.StartBranch == "" || listed && !to.Force {
		return nil
	}
	if c.base = to.StartBranch; to.Force {
		return nil
	}
	for _, err := range c.repo.Commits(ctx, codearts.CommitsQuery{RepoID: to.RepoID, Ref: to.Branch, PerPage: 1}) {
		switch {
		case err == nil:
			c.base = to.Branch
		case !errors.Is(err, codearts.ErrNotFound):
			return fmt.Errorf("look for branch %s: %w", c.where(), err)
		}
		break
	}
	return nil
}
