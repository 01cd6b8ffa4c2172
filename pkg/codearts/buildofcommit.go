package codearts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// runWindow is added on either side of the time asked for: in which zone CodeArts reads it is not documented.
	runWindow = 24 * time.Hour
	// runSlack is how much earlier than the time asked for the run may have begun: clocks differ, and a delivery may come, or come
	// again, long after the build began. It is the run of exactly that commit either way.
	runSlack = 24 * time.Hour
)

// Arguments of build_of_commit that who calls for an event fills in: from when runs are looked at, and by when the commit had been
// pushed for certain.
const (
	ArgSince  = "since"
	ArgPushed = "pushed"
)

// Which run of several is meant.
const (
	WhichFirst = "first"
	WhichLast  = "last"
)

// BuildOfCommitQuery says whose build is looked for: the task by its id, or by project and repository.
type BuildOfCommitQuery struct {
	JobID      string    // task; or
	ProjectID  ProjectID // CodeArts project and
	Repository string    // repository id: all tasks of that repository are looked at
	Commit     string    // full id
	Which      string    // WhichFirst or WhichLast of all runs of the commit; "": the first
	// Branch lets a later run of that branch stand for one of the commit, which has none: two quick pushes may share a build.
	Branch string
	Since  time.Time // when it was pushed; runs that began more than a day before are others. Zero: the last day
	// Pushed is by when it had been pushed for certain: a run of Branch that began later has it. Zero: Since.
	Pushed time.Time
}

// NotReadyError says that there is no run of the commit yet. Asking again later may find it.
type NotReadyError struct {
	Commit string
	Later  int // number of the later run of its branch that may stand for it, and has not ended; 0: there is none
}

// Error names the commit.
func (e *NotReadyError) Error() string {
	if e.Later > 0 {
		return fmt.Sprintf("codearts: no run of commit %s yet, and the later run %d of its branch has not ended", e.Commit, e.Later)
	}
	return fmt.Sprintf("codearts: no run of commit %s yet", e.Commit)
}

// NotReady is true.
func (*NotReadyError) NotReady() bool { return true }

// Retryable is true.
func (*NotReadyError) Retryable() bool { return true }

// Class is "not_ready".
func (*NotReadyError) Class() string { return "not_ready" }

// BuildOfCommit returns the run of exactly that commit, the first or the last of all tasks if there are several. When there is none and
// the query has a branch, it is the first or the last run of that branch that began after Pushed, once that one has ended.
//
// Without either it fails with a *NotReadyError; when the project has no task for the repository, with an error that is ErrNotFound.
func (c *Client) BuildOfCommit(ctx context.Context, q BuildOfCommitQuery) (*BuildRecord, error) {
	switch {
	case q.Commit == "":
		return nil, invalid(c.op(OpBuildOfCommit), "the commit is missing")
	case q.Which != "" && q.Which != WhichFirst && q.Which != WhichLast:
		return nil, invalid(c.op(OpBuildOfCommit), "which is neither %s nor %s", WhichFirst, WhichLast)
	}
	jobs, err := c.jobsOf(ctx, q)
	if err != nil {
		return nil, err
	}
	if q.Since.IsZero() {
		q.Since = c.now().Add(-runWindow)
	}
	if q.Pushed.IsZero() {
		q.Pushed = q.Since
	}
	exact, later := choice{last: q.Which == WhichLast}, choice{last: q.Which == WhichLast}
	for _, job := range jobs {
		if err := c.choose(ctx, job, q, &exact, &later); err != nil {
			return nil, err
		}
	}
	if exact.run != nil {
		record, err := c.BuildRecord(ctx, exact.job, int(*exact.run.Number))
		if err == nil && record.Commit != nil && *record.Commit != "" && !strings.EqualFold(*record.Commit, q.Commit) {
			return nil, &MismatchError{Op: OpBuildRecord, Field: "commit", Asked: q.Commit, Got: clean(*record.Commit, 100)}
		}
		return record, err
	}
	if later.run == nil {
		return nil, &NotReadyError{Commit: q.Commit}
	}
	record, err := c.BuildRecord(ctx, later.job, int(*later.run.Number))
	switch {
	case err != nil:
		return nil, err
	case record.Branch != nil && *record.Branch != q.Branch:
		return nil, &MismatchError{Op: OpBuildRecord, Field: "branch", Asked: q.Branch, Got: clean(*record.Branch, 200)}
	case !record.Finished:
		return nil, &NotReadyError{Commit: q.Commit, Later: int(*later.run.Number)}
	}
	return record, nil
}

// choice is the first or the last of the runs it is offered.
type choice struct {
	last bool
	job  string
	run  *JobRun
}

func (c *choice) offer(job string, run *JobRun) {
	if c.run != nil {
		before := *run.Number < *c.run.Number
		if job != c.job { // numbers are a task's own
			before = run.Started().Before(c.run.Started())
		}
		if before == c.last {
			return
		}
	}
	c.job, c.run = job, run
}

// jobsOf returns the ids of the tasks to look at.
func (c *Client) jobsOf(ctx context.Context, q BuildOfCommitQuery) ([]string, error) {
	op := c.op(OpBuildOfCommit)
	switch {
	case q.JobID != "":
		return []string{q.JobID}, nil
	case q.ProjectID == "" || q.Repository == "":
		return nil, invalid(op, "give job_id, or project_id and repository")
	}
	var jobs []string
	for job, err := range c.ProjectJobs(ctx, q.ProjectID) {
		if err != nil {
			return nil, err
		}
		if job.ID != nil && *job.ID != "" && job.RepoID != nil && string(*job.RepoID) == q.Repository {
			jobs = append(jobs, *job.ID)
		}
	}
	if len(jobs) == 0 {
		e := newError(op)
		e.Err = errors.New("no build task of the project builds repository " + clean(q.Repository, 100))
		e.class, e.kind = classNotFound, ErrNotFound
		return nil, e
	}
	return jobs, nil
}

// choose offers the runs of a task: those of the commit, and those of its branch that have it for certain.
func (c *Client) choose(ctx context.Context, job string, q BuildOfCommitQuery, exact, later *choice) error {
	for run, err := range c.JobRuns(ctx, job, q.Since.Add(-runSlack-runWindow), c.now().Add(runWindow)) {
		if err != nil {
			return err
		}
		at := run.Started()
		switch {
		case run.Number == nil || *run.Number < 1 || !at.IsZero() && at.Before(q.Since.Add(-runSlack)):
		case strings.EqualFold(run.Commit(), q.Commit):
			exact.offer(job, run)
		case q.Branch != "" && run.CodeBranch != nil && *run.CodeBranch == q.Branch && at.After(q.Pushed):
			later.offer(job, run)
		}
	}
	return nil
}
