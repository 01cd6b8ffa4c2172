package codearts_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// StartBuild is the Fake's own: a run that somebody else started.
func (w *world) StartBuild(jobID, commit, branch, status string, after time.Duration) int {
	return w.Fake.StartBuild(jobID, commit, branch, status, after)
}

// A run that is started is queued, runs, and ends; each start makes another one.
func TestStartBuild(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	head := w.Head(repoID, "main")
	w.StartBuild(jobID, head, "main", "SUCCESS", 0)
	r := codearts.BuildRequest{JobID: jobID, Commit: head, Parameters: []codearts.BuildParameter{{Name: "AREA", Value: "a \"b\""}, {Name: "EMPTY"}}}
	for want := 2; want <= 3; want++ {
		started, err := w.Client.StartBuild(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if started.Number() != want || started.DailyBuildNumber == nil || !strings.HasSuffix(string(*started.DailyBuildNumber), ".2") == (want == 2) {
			t.Errorf("started %+v, want number %d", started, want)
		}
	}
	tagged, err := w.Client.StartBuild(t.Context(), codearts.BuildRequest{JobID: jobID, Tag: "v2.4"})
	if err != nil {
		t.Fatal(err)
	}
	builds := w.Builds(jobID)
	want := codeartstest.BuildInfo{
		Number: 2, Commit: head, Branch: "main", Trigger: "MANUAL", Status: "QUEUED",
		Parameters: []codeartstest.Parameter{{Name: "AREA", Value: "a \"b\""}, {Name: "EMPTY"}},
	}
	if diff := cmp.Diff(want, builds[1]); diff != "" {
		t.Error(diff)
	}
	if builds[3].Tag != "v2.4" || tagged.Number() != 4 {
		t.Errorf("by tag: %+v", builds[3])
	}
	for _, step := range []struct {
		advance time.Duration
		outcome codearts.Outcome
	}{{0, codearts.OutcomeQueued}, {30 * time.Second, codearts.OutcomeRunning}, {time.Minute, codearts.OutcomeSucceeded}} {
		w.Advance(step.advance)
		if record, err := w.BuildRecord(t.Context(), jobID, 2); err != nil || record.Outcome != step.outcome || *record.Commit != head {
			t.Errorf("record %+v, %v; want %s", record, err, step.outcome)
		}
	}
	if record, err := w.BuildRecord(t.Context(), jobID, 4); err != nil || *record.Tag != "v2.4" {
		t.Errorf("record of a tag: %+v, %v", record, err)
	}
}

// The answer is read as the page has it and as programs of others read it.
func TestStartedNumber(t *testing.T) {
	example := exampleOf(t, codearts.OpStartBuild).body()
	for body, want := range map[string]int{
		example:                                          18,
		`{"result":` + example + `}`:                     18,
		`{"actual_build_number":18}`:                     18,
		`{"actual_build_number":"20260401.4"}`:           0,
		`{"actual_build_number":"-1"}`:                   0,
		`{"actual_build_number":null}`:                   0,
		`{"octopus_job_name":"j"}`:                       0,
		`{"actual_build_number":"99999999999999999999"}`: 0,
	} {
		got, err := newCanned(t, canned{body: body}).StartBuild(t.Context(), codearts.BuildRequest{JobID: jobID})
		if err != nil || got.Number() != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

// What a start did is not known when its answer is lost, and known when it was refused.
func TestStartMayHaveHappened(t *testing.T) {
	for name, row := range map[string]struct {
		failure codeartstest.Failure
		maybe   bool
		started int
	}{
		"dropped":      {codeartstest.Failure{Drop: true}, true, 0},
		"done, cut":    {codeartstest.Failure{Done: true, Cut: true}, true, 1},
		"done, 500":    {codeartstest.Failure{Done: true, Status: 500, Code: "CB.00060101"}, true, 1},
		"late":         {codeartstest.Failure{Late: time.Minute}, true, 0},
		"throttled":    {codeartstest.Throttled(), false, 0},
		"invalid":      {codeartstest.Failure{Status: 400, Code: "CB.00060201"}, false, 0},
		"not our page": {codeartstest.Garbage(), true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, codeartstest.Options{})
			w.Fail(codearts.OpStartBuild, row.failure)
			_, err := w.Client.StartBuild(t.Context(), codearts.BuildRequest{JobID: jobID})
			api, ok := errors.AsType[*codearts.APIError](err)
			if !ok || api.MayHaveHappened() != row.maybe {
				t.Errorf("error is %v", err)
			}
			if n := len(w.Builds(jobID)); n != row.started {
				t.Errorf("%d runs, want %d", n, row.started)
			}
			if name == "late" {
				w.Advance(time.Minute)
				if n := len(w.Builds(jobID)); n != 1 {
					t.Errorf("%d runs later", n)
				}
			}
			if n := w.Calls(codearts.OpStartBuild); n != 1 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

func TestStartBuildRefused(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	w.AddJob(codeartstest.Job{ID: strings.Repeat("d", 32), ProjectID: projectID, RepoID: repoID, Disabled: true})
	for name, r := range map[string]codearts.BuildRequest{
		"no task":            {},
		"commit and tag":     {JobID: jobID, Commit: "c", Tag: "t"},
		"nameless parameter": {JobID: jobID, Parameters: []codearts.BuildParameter{{Value: "x"}}},
		"many parameters":    {JobID: jobID, Parameters: make([]codearts.BuildParameter, 1001)},
		"task not there":     {JobID: strings.Repeat("0", 32)},
		"task disabled":      {JobID: strings.Repeat("d", 32)},
		"commit not there":   {JobID: jobID, Commit: strings.Repeat("1", 40)},
	} {
		if _, err := w.Client.StartBuild(t.Context(), r); !errors.Is(err, codearts.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(w.Builds(jobID)); n != 0 {
		t.Errorf("%d runs", n)
	}
	if _, err := w.Call(t.Context(), codearts.OpStartBuild, map[string]any{"job_id": jobID, "parameter": `{"a":1}`}); !errors.Is(err, codearts.ErrInvalid) {
		t.Errorf("parameters that are no list: %v", err)
	}
	got, err := w.Call(t.Context(), codearts.OpStartBuild, map[string]any{"job_id": jobID, "parameter": `[{"name":"A","value":"1"}]`})
	if started, ok := got.(*codearts.StartedBuild); err != nil || !ok || started.Number() != 1 || w.Builds(jobID)[0].Parameters[0].Value != "1" {
		t.Errorf("by name: %+v, %v", got, err)
	}
}

func TestStopBuild(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	if _, err := w.Client.StartBuild(t.Context(), codearts.BuildRequest{JobID: jobID}); err != nil {
		t.Fatal(err)
	}
	if s, err := w.RunningStatus(t.Context(), jobID); err != nil || !*s.IsRunning || s.LastNumber() != 1 {
		t.Errorf("running status %+v, %v", s, err)
	}
	if err := w.StopBuild(t.Context(), jobID, 1); err != nil {
		t.Fatal(err)
	}
	if r, err := w.BuildRecord(t.Context(), jobID, 1); err != nil || r.Outcome != codearts.OutcomeCanceled || !r.Finished {
		t.Errorf("record %+v, %v", r, err)
	}
	if s, err := w.RunningStatus(t.Context(), jobID); err != nil || *s.IsRunning || s.LastNumber() != 1 {
		t.Errorf("running status %+v, %v", s, err)
	}
	for _, n := range []int{0, -1, 2} {
		if err := w.StopBuild(t.Context(), jobID, n); !errors.Is(err, codearts.ErrInvalid) {
			t.Errorf("run %d: %v", n, err)
		}
	}
	if _, err := w.Call(t.Context(), codearts.OpStopBuild, map[string]any{"job_id": jobID, "build_no": "1"}); err != nil {
		t.Error(err)
	}
}

func TestRunningStatusOfNoRuns(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	if s, err := w.RunningStatus(t.Context(), jobID); err != nil || *s.IsRunning || s.LastNumber() != 0 || s.LastBuildNo != nil {
		t.Errorf("running status %+v, %v", s, err)
	}
}

// The runs of a build project come page by page, and can be chosen.
func TestRunsOfBuildProject(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	head := w.Head(repoID, "main")
	for i := range 250 {
		w.StartBuild(jobID, head, []string{"main", "release/1"}[i%2], "SUCCESS", 0)
	}
	if _, err := w.Client.StartBuild(t.Context(), codearts.BuildRequest{JobID: jobID, Tag: "v1", Parameters: []codearts.BuildParameter{{Name: "API_TOKEN", Value: "marker"}}}); err != nil {
		t.Fatal(err)
	}
	record, err := w.BuildRecord(t.Context(), jobID, 1)
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	for name, row := range map[string]struct {
		query codearts.BuildProjectRunsQuery
		want  int
	}{
		"all":      {codearts.BuildProjectRunsQuery{}, 251},
		"branch":   {codearts.BuildProjectRunsQuery{Branches: []string{"release/1"}}, 125},
		"branches": {codearts.BuildProjectRunsQuery{Branches: []string{"release/1", "main"}}, 251},
		"trigger":  {codearts.BuildProjectRunsQuery{Triggers: []string{"MANUAL"}}, 1},
		"tag":      {codearts.BuildProjectRunsQuery{Tags: []string{"v1"}}, 1},
		"before":   {codearts.BuildProjectRunsQuery{To: w.Now().Add(-day)}, 0},
		"around":   {codearts.BuildProjectRunsQuery{From: w.Now().Add(-day), To: w.Now().Add(day)}, 251},
	} {
		row.query.BuildProjectID = *record.BuildProjectID
		n, secrets := 0, 0
		for run, err := range w.RunsOfBuildProject(t.Context(), row.query) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			n++
			if n == 1 && row.want > 1 && row.query.Branches == nil && (run.Outcome != codearts.OutcomeQueued || run.Finished) {
				t.Errorf("%s: the newest is %s", name, run.Outcome)
			}
			run.Redact()
			if data, _ := json.Marshal(run); strings.Contains(string(data), "marker") {
				secrets++
			}
		}
		if n != row.want || secrets != 0 {
			t.Errorf("%s: %d runs, want %d; %d show a secret", name, n, row.want, secrets)
		}
	}
	got, err := w.Call(t.Context(), codearts.OpBuildProjectRuns, map[string]any{"build_project_id": *record.BuildProjectID, "branches": "main,release/2", "limit": "7"})
	if runs, ok := got.([]*codearts.BuildProjectRun); err != nil || !ok || len(runs) != 7 {
		t.Errorf("by name: %v, %v", got, err)
	}
	for _, err := range w.RunsOfBuildProject(t.Context(), codearts.BuildProjectRunsQuery{BuildProjectID: "nobody"}) {
		if !errors.Is(err, codearts.ErrInvalid) {
			t.Errorf("a build project that is not there: %v", err)
		}
	}
}

func TestRunParametersAreRedacted(t *testing.T) {
	run := codearts.BuildProjectRun{
		Parameters: []codearts.RunParameter{
			{Name: new("AREA"), Value: new(codearts.Text("shop"))},
			{Name: new("DB_PASS"), Value: new(codearts.Text("marker"))},
			{Name: new("X"), Secret: new(true), Value: new(codearts.Text("marker"))},
			{Name: new("URL"), Value: new(codearts.Text("https://u:marker@example.com"))},
		},
		Repository: new("https://u:marker@example.com/orders.git"),
	}
	run.Redact()
	data, err := json.Marshal(run)
	if err != nil || strings.Contains(string(data), "marker") || !strings.Contains(string(data), `"shop"`) {
		t.Errorf("%s, %v", data, err)
	}
}
