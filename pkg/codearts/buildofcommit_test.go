package codearts_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

const secondJobID = "a1a1a1a1b2b2b2b2c3c3c3c3d4d4d4d4"

// TestWhichBuildOfCommit: the first or the last of the runs of a commit, in one task or in all tasks of the repository.
func TestWhichBuildOfCommit(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	w.AddJob(codeartstest.Job{ID: secondJobID, ProjectID: projectID, RepoID: repoID})
	since, head := w.Now(), w.Head(repoID, "main")
	other := strings.Repeat("1", 40)
	for _, run := range []struct{ job, commit string }{
		{secondJobID, other}, {secondJobID, other}, {jobID, other}, {secondJobID, head}, {jobID, head}, {jobID, head}, {secondJobID, head}, {jobID, other},
	} {
		w.Advance(time.Minute)
		w.StartBuild(run.job, run.commit, "main", "SUCCESS", 0)
	}
	for _, c := range []struct {
		query codearts.BuildOfCommitQuery
		job   string
		no    codearts.Int
	}{
		{codearts.BuildOfCommitQuery{JobID: jobID}, jobID, 2},
		{codearts.BuildOfCommitQuery{JobID: jobID, Which: codearts.WhichFirst}, jobID, 2},
		{codearts.BuildOfCommitQuery{JobID: jobID, Which: codearts.WhichLast}, jobID, 3},
		{codearts.BuildOfCommitQuery{ProjectID: projectID, Repository: repoID}, secondJobID, 3},
		{codearts.BuildOfCommitQuery{ProjectID: projectID, Repository: repoID, Which: codearts.WhichLast}, secondJobID, 4},
		{codearts.BuildOfCommitQuery{JobID: jobID, Which: codearts.WhichLast, Branch: "main"}, jobID, 3}, // run 4 is later, and not of the commit
	} {
		c.query.Commit, c.query.Since = head, since
		r, err := w.BuildOfCommit(t.Context(), c.query)
		if err != nil || *r.CodeciJobID != c.job || *r.BuildNo != c.no {
			t.Errorf("%+v: %+v, %v", c.query, r, err)
		}
	}
	if _, err := w.BuildOfCommit(t.Context(), codearts.BuildOfCommitQuery{JobID: jobID, Commit: head, Which: "newest"}); !errors.Is(err, codearts.ErrInvalid) {
		t.Errorf("which: %v", err)
	}
}

// TestSharedBuild: of two quick pushes only the second one is built. Its run stands for the first push when the branch is named, the
// run has ended, and began after the first push.
func TestSharedBuild(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	w.AddJob(codeartstest.Job{ID: secondJobID, ProjectID: projectID, RepoID: repoID})
	lost := w.Push(repoID, codeartstest.Push{Message: "first"})
	w.StartBuild(jobID, w.Head(repoID, "main"), "main", "SUCCESS", 0)
	w.forget(jobID)
	w.StartBuild(jobID, strings.Repeat("0", 39)+"1", "main", "SUCCESS", 0) // before the push
	w.Advance(time.Minute)
	pushed := w.Now()
	w.Advance(time.Minute)
	ask := func(change func(q *codearts.BuildOfCommitQuery)) (int, error) {
		q := codearts.BuildOfCommitQuery{JobID: jobID, Commit: lost, Branch: "main", Since: pushed}
		if change != nil {
			change(&q)
		}
		r, err := w.BuildOfCommit(t.Context(), q)
		if err != nil {
			return 0, err
		}
		return int(*r.BuildNo), nil
	}
	waits := func(what string, later int, change func(q *codearts.BuildOfCommitQuery)) {
		t.Helper()
		no, err := ask(change)
		wait, ok := errors.AsType[*codearts.NotReadyError](err)
		if !ok || wait.Later != later {
			t.Errorf("%s: run %d, %v", what, no, err)
		}
	}
	is := func(what string, want int, change func(q *codearts.BuildOfCommitQuery)) {
		t.Helper()
		if no, err := ask(change); err != nil || no != want {
			t.Errorf("%s: run %d, %v; want %d", what, no, err, want)
		}
	}
	waits("nothing was built since", 0, nil)
	w.StartBuild(jobID, strings.Repeat("2", 40), "feature/x", "SUCCESS", 0)
	waits("another branch was built", 0, nil)
	w.StartBuild(jobID, strings.Repeat("3", 40), "main", "FAILED", time.Minute)
	waits("the shared run is under way", 3, nil)
	w.StartBuild(jobID, strings.Repeat("4", 40), "main", "SUCCESS", 0)
	waits("the first one counts, though a later one has ended", 3, nil)
	w.Advance(2 * time.Minute)
	is("the shared run has ended", 3, nil)
	is("the last one", 4, func(q *codearts.BuildOfCommitQuery) { q.Which = codearts.WhichLast })
	waits("without the branch", 0, func(q *codearts.BuildOfCommitQuery) { q.Branch = "" })
	waits("pushed later than that", 0, func(q *codearts.BuildOfCommitQuery) { q.Pushed = w.Now() })
	is("looked for from before the push", 1, func(q *codearts.BuildOfCommitQuery) { q.Since = pushed.Add(-time.Hour) })
	is("the same, and pushed since", 3, func(q *codearts.BuildOfCommitQuery) { q.Since, q.Pushed = pushed.Add(-time.Hour), pushed })

	w.Advance(time.Minute)
	exact := w.StartBuild(jobID, lost, "main", "SUCCESS", time.Hour)
	is("the commit's own run, though it is under way", exact, nil)

	w.StartBuild(secondJobID, strings.Repeat("5", 40), "main", "SUCCESS", 0)
	is("in all tasks of the repository", exact, func(q *codearts.BuildOfCommitQuery) { q.JobID, q.ProjectID, q.Repository = "", projectID, repoID })
}

// forget leaves a task without runs.
func (w *world) forget(job string) {
	w.AddJob(codeartstest.Job{ID: job, ProjectID: projectID, Name: "orders-ci", RepoID: repoID})
}

// TestBuildOfCommitByName has the arguments as rules give them.
func TestBuildOfCommitByName(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	pushed := w.Now().Format(time.RFC3339Nano)
	w.Advance(time.Second)
	w.StartBuild(jobID, strings.Repeat("3", 40), "main", "SUCCESS", 0)
	args := map[string]any{"job_id": jobID, "commit": w.Head(repoID, "main"), "branch": "main", "which": "last", codearts.ArgPushed: pushed}
	got, err := w.Call(t.Context(), codearts.OpBuildOfCommit, args)
	if r, ok := got.(*codearts.BuildRecord); err != nil || !ok || *r.BuildNo != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestSharedBuildOfAnotherBranch: what the list says of the branch, the record has to say, too.
func TestSharedBuildOfAnotherBranch(t *testing.T) {
	client := newCanned(t, &inOrder{bodies: []string{
		strings.Replace(exampleOf(t, codearts.OpJobRuns).body(), `"code_branch":"main"`, `"code_branch":"release/1"`, 1),
		exampleOf(t, codearts.OpBuildRecord).body(),
	}})
	_, err := client.BuildOfCommit(t.Context(), codearts.BuildOfCommitQuery{
		JobID: jobID, Commit: strings.Repeat("9", 40), Branch: "release/1", Since: time.UnixMilli(1775032122000).Add(-time.Hour),
	})
	if wrong, ok := errors.AsType[*codearts.MismatchError](err); !ok || wrong.Field != "branch" || wrong.Got != "main" {
		t.Errorf("error is %v", err)
	}
}

// inOrder answers one body after the other.
type inOrder struct{ bodies []string }

func (o *inOrder) RoundTrip(r *http.Request) (*http.Response, error) {
	body := o.bodies[0]
	o.bodies = o.bodies[1:]
	return canned{body: body}.RoundTrip(r)
}
