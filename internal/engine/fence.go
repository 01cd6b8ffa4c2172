package engine

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/pkg/rules"
)

// fencedFile is a file whose last commit a commit action is fenced with: that at ref, or at otherwise
// when there is none at ref, which may be a branch that is to be made.
type fencedFile struct{ connection, repoID, ref, otherwise, path string }

func (f fencedFile) String() string { return fmt.Sprintf("%s in %s@%s", f.path, f.repoID, f.ref) }

// fenceUse is a file action that needs the last commit of a file.
type fenceUse struct {
	file   fencedFile
	commit *rules.Commit
	action *rules.FileAction
	id     string // of the rule's action
}

// setFences fills in which commit each file to be updated, moved or deleted is expected to have
// been changed by last, so that a commit made by anyone since is a conflict and never lost.
func (e *Engine) setFences(ctx context.Context, d *rules.Decision) error {
	uses := fenceUses(d)
	index := make(map[fencedFile]int)
	var files []fencedFile
	for _, u := range uses {
		if _, ok := index[u.file]; !ok {
			index[u.file] = len(files)
			files = append(files, u.file)
		}
	}
	type last struct {
		id    string
		found bool
	}
	seen := make([]last, len(files))
	err := parallel(ctx, len(files), e.limits.Parallel, func(ctx context.Context, i int) error {
		f := files[i]
		id, found, err := e.fence.LastCommit(ctx, f.connection, f.repoID, f.ref, f.path)
		if err == nil && !found && f.otherwise != "" {
			id, found, err = e.fence.LastCommit(ctx, f.connection, f.repoID, f.otherwise, f.path)
		}
		if err != nil {
			return fmt.Errorf("read the last commit of %s: %w", f, err)
		}
		seen[i] = last{id, found}
		return nil
	})
	if err != nil {
		return err
	}
	for _, u := range uses {
		switch l := seen[index[u.file]]; {
		case !l.found:
			return evaluationError(fmt.Errorf("action %s: cannot %s %s: there is no such file; use create for a new one", u.id, u.action.Action, u.file))
		case l.id == "" && !u.commit.AtLeastOnce:
			return evaluationError(fmt.Errorf("action %s: cannot %s %s safely: CodeArts names no last commit of it; at_least_once: true would go without", u.id, u.action.Action, u.file))
		default:
			u.action.LastCommitID = l.id
		}
	}
	return nil
}

// fenceUses lists the file actions that need a fence. A file made earlier by the same commit
// has no last commit; one whose commit the rule named itself is fenced already.
func fenceUses(d *rules.Decision) []fenceUse {
	var uses []fenceUse
	for i := range d.Items {
		for j := range d.Items[i].Actions {
			a := &d.Items[i].Actions[j]
			c := a.Commit
			if c == nil {
				continue
			}
			ref, otherwise := c.Branch, c.StartBranch
			if c.Force && otherwise != "" { // the branch is thrown away
				ref, otherwise = otherwise, ""
			}
			made := make(map[string]bool)
			for k := range c.Actions {
				f := &c.Actions[k]
				path := f.FilePath
				switch f.Action {
				case "create":
					made[f.FilePath] = true
					continue
				case "move":
					path = f.PreviousPath
				case "update", "delete":
				default:
					continue
				}
				if f.LastCommitID == "" && !made[path] {
					uses = append(uses, fenceUse{fencedFile{c.Connection, c.RepoID, ref, otherwise, path}, c, f, a.ID})
				}
				if f.Action == "move" {
					made[f.FilePath] = true
				}
			}
		}
	}
	return uses
}
