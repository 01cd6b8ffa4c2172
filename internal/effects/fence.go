package effects

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// Kinds of file action.
const (
	fileCreate = "create"
	fileUpdate = "update"
	fileDelete = "delete"
	fileMove   = "move"
)

// maxExplained is how many files of a refused commit are looked at to say why.
const maxExplained = 10

// request is the commit as it is sent.
func (c *commitRun) request() codearts.CommitRequest {
	from := c.a.Commit
	r := codearts.CommitRequest{
		RepoID: from.RepoID, Branch: from.Branch, StartBranch: from.StartBranch, Message: c.message,
		AuthorName: from.AuthorName, AuthorEmail: from.AuthorEmail, Force: from.Force,
		Actions: make([]codearts.FileAction, len(from.Actions)),
	}
	if c.base == from.Branch && !from.Force {
		r.StartBranch = "" // the branch is there already, and goes on from where it is
	}
	for i, f := range from.Actions {
		r.Actions[i] = codearts.FileAction{
			Action: f.Action, FilePath: f.FilePath, PreviousPath: f.PreviousPath, Encoding: f.Encoding,
			LastCommitID: f.LastCommitID, ExecuteFilemode: f.Executable,
		}
		if f.Action == fileCreate || f.Action == fileUpdate || f.Content != "" {
			r.Actions[i].Content = &f.Content
		}
	}
	return r
}

// fencedPath is the path whose state a file action depends on.
func fencedPath(f *rules.FileAction) string {
	if f.Action == fileMove {
		return f.PreviousPath
	}
	return f.FilePath
}

// unfenced lists the file actions that need a last commit id and have none. A file made earlier
// by the same commit has no last commit.
func unfenced(c *rules.Commit) []*rules.FileAction {
	var open []*rules.FileAction
	made := map[string]bool{}
	for i := range c.Actions {
		f := &c.Actions[i]
		switch f.Action {
		case fileUpdate, fileDelete, fileMove:
			if f.LastCommitID == "" && !made[fencedPath(f)] {
				open = append(open, f)
			}
		}
		if f.Action == fileCreate || f.Action == fileMove {
			made[f.FilePath] = true
		}
	}
	return open
}

// checkFences refuses a commit that the service would carry out twice if it were asked twice:
// nothing but its file conditions can stop a request that was believed dead and is not.
func checkFences(c *rules.Commit) error {
	if c.AtLeastOnce {
		return nil
	}
	if open := unfenced(c); len(open) > 0 {
		return final(ClassRefused, "commit to %s@%s: %s of %s has no last_commit_id and the commit does not say at_least_once: true",
			c.RepoID, c.Branch, open[0].Action, open[0].FilePath)
	}
	fenced := false
	for i := range c.Actions {
		f := &c.Actions[i]
		fenced = fenced || f.Action == fileCreate || f.LastCommitID != ""
	}
	if c.Force || !fenced {
		return final(ClassRefused, "commit to %s@%s: nothing in it fails if it is made a second time, and it does not say at_least_once: true", c.RepoID, c.Branch)
	}
	return nil
}

// fillFences reads the last commit of each file that a commit rendered just now changes; for one
// that did not wait, that was done when it was decided. missing says what cannot be changed.
func (e *Effects) fillFences(ctx context.Context, c *rules.Commit) (missing string, err error) {
	open := unfenced(c)
	if len(open) == 0 {
		return "", nil
	}
	repo, err := e.seams.Repos(c.Connection)
	if err != nil {
		return err.Error(), nil //nolint:nilerr // there is no such connection: the action fails, not this one
	}
	ref, otherwise := c.Branch, c.StartBranch
	if c.Force && otherwise != "" { // the branch is thrown away
		ref, otherwise = otherwise, ""
	}
	for _, f := range open {
		path := fencedPath(f)
		file, err := repo.File(ctx, c.RepoID, path, ref)
		if errors.Is(err, codearts.ErrNotFound) && otherwise != "" {
			file, err = repo.File(ctx, c.RepoID, path, otherwise)
		}
		switch {
		case errors.Is(err, codearts.ErrNotFound):
			return fmt.Sprintf("cannot %s %s in %s@%s: there is no such file", f.Action, path, c.RepoID, ref), nil
		case err != nil && !retryable(err):
			return fmt.Sprintf("cannot %s %s in %s@%s: %v", f.Action, path, c.RepoID, ref, err), nil
		case err != nil:
			return "", fmt.Errorf("read the last commit of %s in %s@%s: %w", path, c.RepoID, ref, err)
		case file.LastCommitID != nil:
			f.LastCommitID = *file.LastCommitID
		}
	}
	return "", nil
}

// conflicts says which files are not as the commit expects, and who changed them if that is
// known; "" when none is found to be so.
func (c *commitRun) conflicts(ctx context.Context) string {
	var found []string
	made := map[string]bool{}
	for i := range c.a.Commit.Actions[:min(len(c.a.Commit.Actions), maxExplained)] {
		f := &c.a.Commit.Actions[i]
		path := fencedPath(f)
		if !made[path] {
			if s := c.conflict(ctx, f, path); s != "" {
				found = append(found, s)
			}
		}
		if f.Action == fileCreate || f.Action == fileMove {
			made[f.FilePath] = true
		}
	}
	return strings.Join(found, "; ")
}

func (c *commitRun) conflict(ctx context.Context, f *rules.FileAction, path string) string {
	if f.Action != fileCreate && f.LastCommitID == "" {
		return ""
	}
	file, err := c.repo.File(ctx, c.a.Commit.RepoID, path, c.base)
	switch {
	case errors.Is(err, codearts.ErrNotFound) && f.Action != fileCreate:
		return path + " is not there any more" + c.lastChange(ctx, path)
	case err != nil:
		return ""
	case f.Action == fileCreate:
		return path + " exists already" + c.lastChange(ctx, path)
	case file.LastCommitID != nil && *file.LastCommitID != f.LastCommitID:
		return path + " was changed since" + c.lastChange(ctx, path)
	}
	return ""
}

// lastChange names the last commit that touched a path, "" if that is not known.
func (c *commitRun) lastChange(ctx context.Context, path string) string {
	for commit, err := range c.repo.Commits(ctx, codearts.CommitsQuery{
		RepoID: c.a.Commit.RepoID, Ref: c.base, Path: path, PerPage: 1,
	}) {
		if err != nil {
			return ""
		}
		by := ""
		if commit.AuthorName != nil && *commit.AuthorName != "" {
			by = " by " + *commit.AuthorName
		}
		return fmt.Sprintf(" (last changed%s in %s)", by, commit.ID)
	}
	return ""
}
