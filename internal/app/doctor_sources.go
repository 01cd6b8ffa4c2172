package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/codearts"
)

// mostTasks is how many build tasks of a project are looked at: those of one call.
const mostTasks = 100

// builds asks for the build tasks of the sources that the connection asks for builds. The connection itself is in order; scope is
// what its token is for.
func (c *connection) builds(ctx context.Context, client *codearts.Client, cfg *config.Config, scope scope) {
	for _, name := range polled(cfg) {
		if b := cfg.Sources[name].CodeArtsBuilds; b.Connection == c.name {
			tasks, err := tasksOf(ctx, client, b)
			c.source(codeSource+"."+name, b, tasks, scope, err)
		}
	}
}

// tasksOf counts the tasks that would be polled: of a whole project as far as one call tells, of a repository all.
func tasksOf(ctx context.Context, client *codearts.Client, b config.CodeArtsBuilds) (n int, err error) {
	seen := 0
	for job, err := range client.ProjectJobs(ctx, codearts.ProjectID(b.ProjectID)) {
		if err != nil {
			return 0, err
		}
		if b.Repository == "" || job.RepoID != nil && string(*job.RepoID) == b.Repository {
			n++
		}
		if seen++; seen == mostTasks && b.Repository == "" {
			break
		}
	}
	return n, nil
}

// source judges what came of asking for the tasks of a source.
func (c *connection) source(code string, b config.CodeArtsBuilds, tasks int, scope scope, err error) {
	const projectRemedy = "project_id is the CodeArts project's id, the 32 characters in the address of its pages after /project/ or projectId="
	switch {
	case scope.id != "" && scope.id == b.ProjectID:
		c.d.add(VerdictFail, code, projectRemedy, "%s is the id of the IAM project, not of a CodeArts project", b.ProjectID)
	case errors.Is(err, codearts.ErrThrottled):
		c.d.add(VerdictWarn, code, "try again later; if it stays, set a longer every", "the build tasks of project %s could not be listed: %v", b.ProjectID, err)
	case err != nil:
		c.d.add(VerdictFail, code, projectRemedy+"; the user of "+codeCodeArts+"."+c.name+" has to be a member of the project",
			"the build tasks of project %s cannot be listed: %v", b.ProjectID, err)
	case tasks == 0 && b.Repository != "":
		c.d.add(VerdictWarn, code, "correct repository, or leave it out", "no build task of project %s builds repository %s", b.ProjectID, b.Repository)
	case tasks == 0:
		c.d.add(VerdictWarn, code, projectRemedy, "project %s has no build task", b.ProjectID)
	default:
		what := counted(tasks, "build task")
		if tasks == mostTasks && b.Repository == "" {
			what = fmt.Sprintf("%d or more build tasks", tasks)
		}
		c.d.ok(code, "%s of project %s, asked for what has finished every %s", what, b.ProjectID, b.Every)
	}
}
