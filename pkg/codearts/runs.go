package codearts

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"
)

// runTime is the form of the times of a list of runs. Which zone they are read in is not documented.
const runTime = "2006-01-02 15:04:05"

// The names of the operations that list runs and tasks, as they stand in APIError.Op.
const (
	OpJobRuns     = "job_runs"
	OpProjectJobs = "project_jobs"
)

func runOperations() []Operation {
	return []Operation{
		{
			Name: OpJobRuns, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/record/{job_id}/list",
			Title: "Runs of a task", TitleZH: "获取任务构建记录列表v1", Doc: "the runs of a build task in a time", Page: "ListBuildInfoRecordByJobId",
			Args: []Arg{
				jobIDArg, need("start_time", ArgTime, "from when; in which zone CodeArts reads it is unknown, so ask for a day more"),
				need("end_time", ArgTime, "until when; the same"), limitArg,
			},
			Result: reflect.TypeFor[[]*JobRun](), Commit: "commit_id", Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return firstItems(a, c.JobRuns(ctx, a.Text("job_id"), a.Time("start_time"), a.Time("end_time")))
			},
		},
		{
			Name: OpProjectJobs, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/job/{project_id}/list",
			Title: "Tasks of a project", TitleZH: "获取项目下构建任务列表", Doc: "the build tasks of a project", Page: "ListProjectJobs",
			Args: []Arg{projectArg, limitArg}, Result: reflect.TypeFor[[]*Job](), Repeat: RepeatFreely, shape: shapeBare,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return firstItems(a, c.ProjectJobs(ctx, ProjectID(a.Text("project_id"))))
			},
		},
	}
}

// JobRun is one run as CodeArts page ListBuildInfoRecordByJobId has it. Its words for states differ from those of BuildRecord.
type JobRun struct {
	Number           *Int       `json:"number" doc:"number of the run: build_no"`
	BuildTime        *Int       `json:"build_time" doc:"as CodeArts sent it"`
	StartTime        *Int       `json:"start_time" doc:"when it began, since 1970; seconds or milliseconds"`
	JobRunningStatus *Text      `json:"job_running_status" doc:"as CodeArts sent it"`
	State            *Text      `json:"state" doc:"as CodeArts sent it"`
	UserID           *Text      `json:"user_id" doc:"who started it"`
	Executor         *string    `json:"executor" doc:"name of who started it"`
	Nickname         *string    `json:"nickname" doc:"their other name"`
	DailyBuildNumber *Text      `json:"daily_build_number" doc:"number with the day"`
	TriggerType      *string    `json:"trigger_type" doc:"what started it"`
	CostTime         *Int       `json:"cost_time" doc:"as CodeArts sent it"`
	CommitID         *string    `json:"commit_id" doc:"id of the commit built"`
	CommitInfo       *RunCommit `json:"commit_info" doc:"the commit built"`
	BuildType        *string    `json:"build_type" doc:"like branch"`
	CodeBranch       *string    `json:"code_branch" doc:"branch built"`
	SCMType          *string    `json:"scm_type" doc:"kind of repository"`
	SCMWebURL        *string    `json:"scm_web_url" doc:"page of the repository"`
	CommitDetailURL  *string    `json:"commit_detail_url" doc:"page of the commit"`
}

// RunCommit is the commit of a run in a list.
type RunCommit struct {
	CommitID  *string `json:"commit_id" doc:"id of the commit"`
	CreatedAt *Text   `json:"created_at" doc:"when it was made"`
}

// Redact takes the user and the secrets out of the addresses.
func (r *JobRun) Redact() {
	r.SCMWebURL, r.CommitDetailURL = withoutUser(r.SCMWebURL), withoutUser(r.CommitDetailURL)
}

// Started returns when the run began; the zero time when that is not known. Seconds and milliseconds are told apart by their size.
func (r *JobRun) Started() time.Time {
	switch {
	case r.StartTime == nil || *r.StartTime <= 0:
		return time.Time{}
	case *r.StartTime > 100_000_000_000: // in seconds that would be the year 5138
		return time.UnixMilli(int64(*r.StartTime)).UTC()
	default:
		return time.Unix(int64(*r.StartTime), 0).UTC()
	}
}

// Commit returns the id of the commit built, "" when it is not known.
func (r *JobRun) Commit() string {
	if r.CommitID != nil && *r.CommitID != "" {
		return *r.CommitID
	}
	if r.CommitInfo != nil && r.CommitInfo.CommitID != nil {
		return *r.CommitInfo.CommitID
	}
	return ""
}

// JobRuns lists the runs of a task that lie between from and to: Runs of a task, 获取任务构建记录列表v1 (CodeArts page
// ListBuildInfoRecordByJobId). The times are sent as UTC, but which zone CodeArts reads them in is unknown: ask for a day more on
// either side. The order is CodeArts's. An error ends the sequence.
func (c *Client) JobRuns(ctx context.Context, jobID string, from, to time.Time) iter.Seq2[*JobRun, error] {
	query := url.Values{
		"start_time": {from.UTC().Format(runTime)},
		"end_time":   {to.UTC().Format(runTime)},
		"page_size":  {strconv.Itoa(pageSize)},
	}
	return pages(c.op(OpJobRuns), func(page int) ([]*JobRun, bool, error) {
		query.Set("page_index", strconv.Itoa(page))
		var got *struct {
			TotalPage *Int      `json:"total_page"`
			Runs      []*JobRun `json:"job_build_states"`
		}
		if err := c.do(ctx, OpJobRuns, question{path: []string{jobID}, query: query}, &got); err != nil {
			return nil, false, err
		}
		return got.Runs, got.TotalPage == nil || int64(page)+1 < int64(*got.TotalPage), nil
	}, func(a, b *JobRun) bool { return a.Number != nil && b.Number != nil && *a.Number == *b.Number })
}

// Job is a build task as CodeArts page ListProjectJobs has it.
type Job struct {
	ID              *string `json:"id" doc:"task id"`
	JobName         *string `json:"job_name" doc:"name"`
	RepoID          *Text   `json:"repo_id" doc:"id of its repository, digits"`
	SCMWebURL       *string `json:"scm_web_url" doc:"page of its repository"`
	SCMType         *string `json:"scm_type" doc:"kind of repository"`
	BuildProjectID  *string `json:"build_project_id" doc:"id of the build project"`
	LastBuildStatus *Text   `json:"last_build_status" doc:"as CodeArts sent it"`
	LastBuildTime   *Text   `json:"last_build_time" doc:"as CodeArts sent it"`
	IsFinished      *bool   `json:"is_finished" doc:"the last run has ended"`
	Disabled        *bool   `json:"disabled" doc:"the task is switched off"`
}

// Redact takes the user and the secrets out of the address.
func (j *Job) Redact() { j.SCMWebURL = withoutUser(j.SCMWebURL) }

// ProjectJobs lists the build tasks of a project: Tasks of a project, 获取项目下构建任务列表 (CodeArts page ListProjectJobs). An error ends
// the sequence.
func (c *Client) ProjectJobs(ctx context.Context, project ProjectID) iter.Seq2[*Job, error] {
	query := url.Values{"page_size": {strconv.Itoa(pageSize)}}
	return func(yield func(*Job, error) bool) {
		seen := int64(0)
		pages(c.op(OpProjectJobs), func(page int) ([]*Job, bool, error) {
			query.Set("page_index", strconv.Itoa(page))
			var got *struct {
				Jobs  []*Job `json:"jobs"`
				Total *Int   `json:"total"`
			}
			if err := c.do(ctx, OpProjectJobs, question{path: []string{string(project)}, query: query}, &got); err != nil {
				return nil, false, err
			}
			seen += int64(len(got.Jobs))
			return got.Jobs, got.Total == nil || seen < int64(*got.Total), nil
		}, func(a, b *Job) bool { return a.ID != nil && b.ID != nil && *a.ID == *b.ID })(yield)
	}
}
