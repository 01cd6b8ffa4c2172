package codearts_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

func TestBuildRecord(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	head := w.Head(repoID, "main")
	no := w.StartBuild(jobID, head, "main", "FAILED", time.Hour)
	for _, step := range []struct {
		advance  time.Duration
		status   string
		outcome  codearts.Outcome
		finished bool
	}{
		{0, "QUEUED", codearts.OutcomeQueued, false},
		{20 * time.Minute, "RUNNING", codearts.OutcomeRunning, false},
		{time.Hour, "FAILED", codearts.OutcomeFailed, true},
	} {
		w.Advance(step.advance)
		r, err := w.BuildRecord(t.Context(), jobID, no)
		if err != nil {
			t.Fatal(err)
		}
		if *r.Status != step.status || r.Outcome != step.outcome || r.Finished != step.finished {
			t.Errorf("status %s, outcome %s, finished %t; want %+v", *r.Status, r.Outcome, r.Finished, step)
		}
		if (r.FinishTime != nil) != step.finished || *r.Commit != head || *r.RepoID != repoID || *r.BuildNo != 1 {
			t.Errorf("record is wrong: %+v", r)
		}
	}
	if _, err := w.BuildRecord(t.Context(), jobID, 2); !errors.Is(err, codearts.ErrNotFound) {
		t.Errorf("a run that is not there: %v", err)
	}
	if _, err := w.BuildRecord(t.Context(), strings.Repeat("0", 32), 1); !errors.Is(err, codearts.ErrInvalid) {
		t.Errorf("a task that is not there: %v", err)
	}
}

func TestOutcomeOf(t *testing.T) {
	for status, want := range map[string]codearts.Outcome{
		"SUCCESS": codearts.OutcomeSucceeded, "success": codearts.OutcomeSucceeded, "FAILED": codearts.OutcomeFailed, "Error": codearts.OutcomeFailed,
		"CANCELED": codearts.OutcomeCanceled, "aborted": codearts.OutcomeCanceled, "QUEUED": codearts.OutcomeQueued, "INITIALIZING": codearts.OutcomeQueued,
		"RUNNING": codearts.OutcomeRunning, "COMPLETED": codearts.OutcomeUnknown, "": codearts.OutcomeUnknown,
	} {
		if got := codearts.OutcomeOf(status); got != want {
			t.Errorf("%q is %s, want %s", status, got, want)
		}
	}
}

func TestJobConfig(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	cfg, err := w.JobConfig(t.Context(), jobID)
	if err != nil {
		t.Fatal(err)
	}
	if *cfg.JobName != "orders-ci" || *cfg.SCMs[0].RepoID != repoID || cfg.Steps[0].Properties["command"] != "mvn -B package" {
		t.Errorf("config is wrong: %+v", cfg)
	}
}

func TestPackages(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	list, err := w.PackageStatus(t.Context(), projectID, "normal")
	if err != nil || len(list) != 1 || *list[0].ResourceID != packageID {
		t.Fatalf("packages: %+v, %v", list, err)
	}
	ask := func(reminder int) *codearts.PackageTips {
		t.Helper()
		down, err := w.PackageCountdown(t.Context(), codearts.PackageCountdownQuery{ServiceType: *list[0].ServiceType, ResourceID: packageID, ReminderDay: reminder})
		if err != nil || len(down) != 1 {
			t.Fatalf("countdown: %+v, %v", down, err)
		}
		return down[0].Tips
	}
	if tips := ask(15); tips != nil {
		t.Errorf("40 days left, tips are %+v", tips.Summary)
	}
	if tips := ask(-1); tips == nil || *tips.Summary.NextActionRemainDay != 40 || *tips.Summary.Status != 2 {
		t.Errorf("tips are %+v", tips)
	}
	w.SetPackageDays(packageID, 7)
	if tips := ask(0); *tips.Summary.NextActionRemainDay != 7 {
		t.Errorf("tips are %+v", tips.Summary)
	}
	w.Advance(8 * 24 * time.Hour)
	if tips := ask(-1); *tips.Summary.Status != 5 || *tips.Summary.NextAction != 99 {
		t.Errorf("tips in grace are %+v", tips.Summary)
	}
	if list, err = w.PackageStatus(t.Context(), projectID, "normal"); err != nil || list == nil || len(list) != 0 {
		t.Errorf("packages in effect: %#v, %v", list, err)
	}
	if _, err = w.PackageStatus(t.Context(), projectID, "brandnew"); !errors.Is(err, codearts.ErrInvalid) {
		t.Errorf("unknown status: %v", err)
	}
}

func TestRunsAndJobs(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	head := w.Head(repoID, "main")
	for range 120 {
		w.StartBuild(jobID, head, "main", "SUCCESS", 0)
	}
	from, to := w.Now().Add(-24*time.Hour), w.Now().Add(24*time.Hour)
	seen := map[codearts.Int]bool{}
	for run, err := range w.JobRuns(t.Context(), jobID, from, to) {
		if err != nil {
			t.Fatal(err)
		}
		seen[*run.Number] = true
		if *run.CommitID != head || w.Now().Sub(run.Started()).Abs() > time.Minute {
			t.Fatalf("run is wrong: %+v", run)
		}
	}
	if len(seen) != 120 {
		t.Errorf("%d runs, want 120", len(seen))
	}
	for run, err := range w.JobRuns(t.Context(), jobID, from, to) {
		if err != nil || run == nil {
			t.Fatal(err)
		}
		break // a caller that has enough
	}
	for i := range 150 {
		w.AddJob(codeartstest.Job{ID: fmt.Sprintf("%032d", i), ProjectID: projectID})
	}
	jobs := 0
	for _, err := range w.ProjectJobs(t.Context(), projectID) {
		if err != nil {
			t.Fatal(err)
		}
		jobs++
	}
	if jobs != 151 {
		t.Errorf("%d jobs, want 151", jobs)
	}
	w.Fail(codearts.OpJobRuns, codeartstest.Throttled())
	for _, err := range w.JobRuns(t.Context(), jobID, from, to) {
		if !errors.Is(err, codearts.ErrThrottled) {
			t.Errorf("error is %v", err)
		}
	}
}

func TestBuildOfCommit(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	since := w.Now()
	commit := w.Push(repoID, codeartstest.Push{Message: "fix"})
	byJob := codearts.BuildOfCommitQuery{JobID: jobID, Commit: commit, Since: since}
	byRepo := codearts.BuildOfCommitQuery{ProjectID: projectID, Repository: repoID, Commit: commit, Since: since}
	for _, q := range []codearts.BuildOfCommitQuery{byJob, byRepo} {
		_, err := w.BuildOfCommit(t.Context(), q)
		var wait interface{ NotReady() bool }
		if !errors.As(err, &wait) || !wait.NotReady() {
			t.Errorf("no run yet: %v", err)
		}
	}
	w.StartBuild(jobID, strings.Repeat("1", 40), "main", "SUCCESS", 0)
	want := w.StartBuild(jobID, commit, "main", "FAILED", time.Minute)
	w.StartBuild(jobID, commit, "main", "SUCCESS", time.Minute)
	for _, q := range []codearts.BuildOfCommitQuery{byJob, byRepo, {JobID: jobID, Commit: strings.ToUpper(commit)}} {
		r, err := w.BuildOfCommit(t.Context(), q)
		if err != nil || int(*r.BuildNo) != want || r.Outcome != codearts.OutcomeQueued {
			t.Errorf("build of commit: %+v, %v", r, err)
		}
	}
	late := byJob
	late.Since = since.Add(26 * time.Hour)
	if _, err := w.BuildOfCommit(t.Context(), late); !errors.As(err, new(*codearts.NotReadyError)) {
		t.Errorf("a run from before the push: %v", err)
	}
	byRepo.Repository = "999"
	if _, err := w.BuildOfCommit(t.Context(), byRepo); !errors.Is(err, codearts.ErrNotFound) || !strings.Contains(err.Error(), "999") {
		t.Errorf("a repository nobody builds: %v", err)
	}
	if _, err := w.BuildOfCommit(t.Context(), codearts.BuildOfCommitQuery{Commit: commit}); !errors.Is(err, codearts.ErrInvalid) {
		t.Errorf("neither task nor repository: %v", err)
	}
}

// The zone in which CodeArts reads the times of a list is not documented: the run has to be found in any of them.
func TestBuildOfCommitInAnyZone(t *testing.T) {
	for _, hours := range []int{-11, 0, 8, 13} {
		w := newWorld(t, codeartstest.Options{RunZone: time.FixedZone("", hours*3600)})
		commit := w.Head(repoID, "main")
		w.StartBuild(jobID, commit, "main", "SUCCESS", 0)
		if _, err := w.BuildOfCommit(t.Context(), codearts.BuildOfCommitQuery{JobID: jobID, Commit: commit, Since: w.Now()}); err != nil {
			t.Errorf("zone %d: %v", hours, err)
		}
	}
}

// create is a commit that makes one file.
func create(path, content string) codearts.CommitRequest {
	return codearts.CommitRequest{
		RepoID: repoID, Branch: "main", Message: "add " + path, AuthorName: "Bot", AuthorEmail: "bot@example.com",
		Actions: []codearts.FileAction{{Action: "create", FilePath: path, Content: &content}},
	}
}

func second[T any](_ T, err error) error { return err }

func TestInvalidIsNotSent(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	ctx := t.Context()
	commit := func(change func(*codearts.CommitRequest)) error {
		r := create("a", "b")
		change(&r)
		return second(w.CreateCommit(ctx, r))
	}
	for name, err := range map[string]error{
		"job with dots":     second(w.JobConfig(ctx, "..")),
		"job with slash":    second(w.JobConfig(ctx, "a/b")),
		"empty job":         second(w.JobConfig(ctx, "")),
		"control character": second(w.JobConfig(ctx, "a\nb")),
		"build number":      second(w.BuildRecord(ctx, jobID, 0)),
		"ref with dots":     second(w.Commit(ctx, repoID, "a/../../b")),
		"file with dots":    second(w.File(ctx, repoID, "../x", "main")),
		"absolute file":     second(w.File(ctx, repoID, "/x", "main")),
		"no ref":            second(w.File(ctx, repoID, "x", "")),
		"repository":        second(w.Commit(ctx, "12x", "main")),
		"no branch":         commit(func(r *codearts.CommitRequest) { r.Branch = "" }),
		"long branch":       commit(func(r *codearts.CommitRequest) { r.StartBranch = strings.Repeat("b", 201) }),
		"long message":      commit(func(r *codearts.CommitRequest) { r.Message = strings.Repeat("ä", 2001) }),
		"no actions":        commit(func(r *codearts.CommitRequest) { r.Actions = nil }),
		"many actions":      commit(func(r *codearts.CommitRequest) { r.Actions = make([]codearts.FileAction, 101) }),
		"no content":        commit(func(r *codearts.CommitRequest) { r.Actions[0].Content = nil }),
		"unknown action":    commit(func(r *codearts.CommitRequest) { r.Actions[0].Action = "touch" }),
		"path with dots":    commit(func(r *codearts.CommitRequest) { r.Actions[0].FilePath = "a/../b" }),
		"move from nowhere": commit(func(r *codearts.CommitRequest) { r.Actions[0].Action = "move" }),
		"chmod to nothing":  commit(func(r *codearts.CommitRequest) { r.Actions[0].Action = "chmod" }),
		"no task to check":  w.CheckWebhookURL(ctx, "", codearts.NoticeFeishu, "https://open.feishu.cn/open-apis/bot/v2/hook/x"),
		"no address":        w.CheckWebhookURL(ctx, jobID, codearts.NoticeFeishu, ""),
		"not a robot":       w.CheckWebhookURL(ctx, jobID, codearts.NoticeMail, "https://open.feishu.cn/open-apis/bot/v2/hook/x"),
		"no service type":   second(w.PackageCountdown(ctx, codearts.PackageCountdownQuery{})),
		"no project":        second(w.PackageStatus(ctx, "", "normal")),
	} {
		var api *codearts.APIError
		if !errors.As(err, &api) || !errors.Is(err, codearts.ErrInvalid) || api.Retryable() || api.MayHaveHappened() || api.Status != 0 || api.Class() != "invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, op := range codearts.Operations() {
		if n := w.Calls(op.Name); n != 0 {
			t.Errorf("%s was sent %d times", op.Name, n)
		}
	}
}

func TestNoEndpoint(t *testing.T) {
	client, err := codearts.New(codearts.Config{Region: "me-east-1", Credentials: codearts.StaticToken{Token: codearts.NewSecret("t0ken")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = client.JobConfig(context.Background(), jobID); !errors.Is(err, codearts.ErrInvalid) || !strings.Contains(err.Error(), "build_endpoint") {
		t.Errorf("error is %v", err)
	}
}
