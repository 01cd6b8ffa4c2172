package codearts

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
)

// The names of the operations that start and stop builds, as they stand in APIError.Op.
const (
	OpStartBuild    = "start_build"
	OpStopBuild     = "stop_build"
	OpRunningStatus = "running_status"
)

func startOperations() []Operation {
	return []Operation{
		{
			Name: OpStartBuild, Service: ServiceBuild, Method: http.MethodPost, Path: "/v1/job/execute",
			Title: "Start a build", TitleZH: "执行构建", Doc: "starts a run of a build task, and brings its number", Page: "ExecuteJob",
			Args: []Arg{
				jobIDArg, arg("build_commit_id", ArgText, "full id of the commit to build"), arg("build_tag", ArgText, "tag to build; not with a commit"),
				arg("parameter", ArgJSON, `parameters of the run: [{"name": "…", "value": "…"}]`),
			},
			Result: reflect.TypeFor[StartedBuild](), Writes: true, Repeat: RepeatAfterCheck, shape: shapeBare,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				r := BuildRequest{JobID: a.Text("job_id"), Commit: a.Text("build_commit_id"), Tag: a.Text("build_tag")}
				if list := a.JSON("parameter"); list != nil && json.Unmarshal(list, &r.Parameters) != nil {
					return nil, invalid(c.op(OpStartBuild), `parameter is no list of {"name": "…", "value": "…"}`)
				}
				return c.StartBuild(ctx, r)
			},
		},
		{
			Name: OpStopBuild, Service: ServiceBuild, Method: http.MethodPost, Path: "/v1/job/{job_id}/stop",
			Title: "Stop a build", TitleZH: "停止构建任务", Doc: "stops a run of a build task", Page: "StopTheJob",
			Args:   []Arg{jobIDArg, need("build_no", ArgInt, "number of the run, 1 is the first")},
			Writes: true, Repeat: RepeatFreely, // the run is the same one each time
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return nil, c.StopBuild(ctx, a.Text("job_id"), a.Int("build_no"))
			},
		},
		{
			Name: OpRunningStatus, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/job/{job_id}/running-status",
			Title: "Running status", TitleZH: "查看任务是否在构建", Doc: "whether a build task is running, and its last run", Page: "ShowRunningStatus",
			Args: []Arg{jobIDArg}, Result: reflect.TypeFor[RunningStatus](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return c.RunningStatus(ctx, a.Text("job_id"))
			},
		},
	}
}

// BuildRequest says what is to be built. At most one of Commit and Tag is given; without, it is what the task itself says.
type BuildRequest struct {
	JobID      string
	Commit     string // full id
	Tag        string
	Parameters []BuildParameter // what is not given has the value the task says
}

// BuildParameter is a parameter of a run. CodeArts shows its value to whoever may see the run.
type BuildParameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// StartedBuild is the answer to StartBuild, as CodeArts page ExecuteJob has it. A nil field was null or absent.
type StartedBuild struct {
	OctopusJobName    *string `json:"octopus_job_name" doc:"name of the run in the engine"`
	ActualBuildNumber *Text   `json:"actual_build_number" doc:"number of the run: build_no"`
	DailyBuildNumber  *Text   `json:"daily_build_number" doc:"number with the day, like 20260401.3"`
}

// Number is the number of the run, as BuildRecord wants it; 0 when the answer names none.
func (s *StartedBuild) Number() int { return positiveNumber(s.ActualBuildNumber) }

func positiveNumber(t *Text) int {
	if t == nil {
		return 0
	}
	n, err := strconv.Atoi(string(*t))
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// maxBuildParameters bounds the parameters of one run. No limit is documented; no task has as many.
const maxBuildParameters = 1000

// StartBuild starts a run of a task: Start a build, 执行构建 (CodeArts page ExecuteJob). It makes one call and never repeats it.
//
// The call is not idempotent: made twice, it starts two runs. After an error whose MayHaveHappened is true, look at the task's runs
// (JobRuns) before it is made again.
func (c *Client) StartBuild(ctx context.Context, r BuildRequest) (*StartedBuild, error) {
	op := c.op(OpStartBuild)
	switch {
	case r.JobID == "":
		return nil, invalid(op, "job_id is needed")
	case r.Commit != "" && r.Tag != "":
		return nil, invalid(op, "a build is of a commit or of a tag, not of both")
	case len(r.Parameters) > maxBuildParameters:
		return nil, invalid(op, "more than %d parameters", maxBuildParameters)
	}
	for _, p := range r.Parameters {
		if p.Name == "" {
			return nil, invalid(op, "a parameter has no name")
		}
	}
	type scm struct {
		Tag    string `json:"build_tag,omitempty"`
		Commit string `json:"build_commit_id,omitempty"`
	}
	body := struct {
		JobID      string           `json:"job_id"`
		Parameters []BuildParameter `json:"parameter,omitempty"`
		SCM        *scm             `json:"scm,omitempty"`
	}{JobID: r.JobID, Parameters: r.Parameters}
	if r.Commit != "" || r.Tag != "" {
		body.SCM = &scm{Tag: r.Tag, Commit: r.Commit}
	}
	// The page has the bare object. Programs of others read the same within a result, as the answers of all its neighbours have it.
	var got *struct {
		StartedBuild
		Result *StartedBuild `json:"result"`
	}
	if err := c.do(ctx, OpStartBuild, question{body: body}, &got); err != nil {
		return nil, err
	}
	if got.Result != nil {
		return got.Result, nil
	}
	return &got.StartedBuild, nil
}

// StopBuild stops a run of a task: Stop a build, 停止构建任务 (CodeArts page StopTheJob). buildNo counts from 1. What it says of a run
// that has ended is not documented.
func (c *Client) StopBuild(ctx context.Context, jobID string, buildNo int) error {
	if buildNo < 1 {
		return invalid(c.op(OpStopBuild), "build_no is %d, it counts from 1", buildNo)
	}
	q := question{path: []string{jobID}, query: url.Values{"build_no": {strconv.Itoa(buildNo)}}}
	return c.do(ctx, OpStopBuild, q, &noResult{})
}

// RunningStatus is whether a task is running, as CodeArts page ShowRunningStatus has it. Its words for states differ from those of
// BuildRecord: its example has "Finished". A nil field was null or absent.
type RunningStatus struct {
	LastJobID       *Text `json:"last_job_id" doc:"the task, as CodeArts sent it"`
	LastBuildNo     *Text `json:"last_build_no" doc:"number of the last run, in digits"`
	LastBuildStatus *Text `json:"last_build_status" doc:"as CodeArts sent it; other words than those of build_record"`
	IsRunning       *bool `json:"is_running" doc:"a run is under way"`
}

// LastNumber is the number of the last run, as BuildRecord wants it; 0 when there is none or the answer names none.
func (s *RunningStatus) LastNumber() int { return positiveNumber(s.LastBuildNo) }

// RunningStatus tells whether a task is running: Running status, 查看任务是否在构建 (CodeArts page ShowRunningStatus).
func (c *Client) RunningStatus(ctx context.Context, jobID string) (*RunningStatus, error) {
	var got *RunningStatus
	if err := c.do(ctx, OpRunningStatus, question{path: []string{jobID}}, &got); err != nil {
		return nil, err
	}
	return got, nil
}
