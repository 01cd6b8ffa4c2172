package codearts

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// OpBuildProjectRuns is the name of the operation about the runs of a build project, as it stands in APIError.Op.
const OpBuildProjectRuns = "build_project_runs"

func projectRunOperations() []Operation {
	return []Operation{{
		Name: OpBuildProjectRuns, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/record/{build_project_id}/records",
		Title: "Runs of a build project", TitleZH: "获取指定工程的构建记录列表", Doc: "the runs of a build project; each build task has one", Page: "ListRecords",
		Args: []Arg{
			need("build_project_id", ArgText, "build project, as build_record and project_jobs name it; not the task id"),
			arg("triggers", ArgText, "only runs started so; several are separated by commas"),
			arg("branches", ArgText, "only runs of these branches; several are separated by commas"),
			arg("tags", ArgText, "only runs of these tags; several are separated by commas"),
			arg("from_date", ArgTime, "from when; in which zone CodeArts reads it is unknown, so ask for a day more"),
			arg("to_date", ArgTime, "until when; the same"), limitArg,
		},
		Result: reflect.TypeFor[[]*BuildProjectRun](), Commit: "revision", Repeat: RepeatFreely,
		call: func(ctx context.Context, c *Client, a Values) (any, error) {
			return firstItems(a, c.RunsOfBuildProject(ctx, BuildProjectRunsQuery{
				BuildProjectID: a.Text("build_project_id"), Triggers: listed(a.Text("triggers")), Branches: listed(a.Text("branches")),
				Tags: listed(a.Text("tags")), From: a.Time("from_date"), To: a.Time("to_date"),
			}))
		},
	}}
}

// listed is the items of a text that separates them by commas.
func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// BuildProjectRunsQuery says which runs of a build project are asked for.
type BuildProjectRunsQuery struct {
	BuildProjectID string   // BuildRecord.BuildProjectID or Job.BuildProjectID; 36 characters
	Triggers       []string // only runs with one of these triggers; the words are not documented, "MANUAL" has been seen
	Branches, Tags []string // only runs of one of these
	// From and To are sent as UTC, but which zone CodeArts reads them in is unknown: ask for a day more on either side. Zero: no bound.
	From, To time.Time
}

// BuildProjectRun is one run as CodeArts page ListRecords has it. A nil field was null or absent. What the page calls times may be
// durations: they are as they were sent.
type BuildProjectRun struct {
	Outcome  Outcome `json:"outcome" values:"succeeded failed canceled queued running unknown" doc:"succeeded, failed, canceled, queued, running or unknown: made from status"`
	Finished bool    `json:"finished" doc:"the run has a finish time, or its outcome is final"`

	ID                *string        `json:"id" doc:"id of the run"`
	Status            *Text          `json:"status" doc:"as CodeArts sent it; see outcome"`
	StatusCode        *Int           `json:"status_code" doc:"as CodeArts sent it"`
	CreateTime        *Text          `json:"create_time" doc:"when the run was asked for"`
	ScheduleTime      *Text          `json:"schedule_time" doc:"when it was scheduled"`
	QueuedTime        *Text          `json:"queued_time" doc:"when it was queued"`
	StartTime         *Text          `json:"start_time" doc:"when it began"`
	FinishTime        *Text          `json:"finish_time" doc:"when it ended"`
	Duration          *Int           `json:"duration" doc:"how long it took, as CodeArts sent it"`
	BuildDuration     *Int           `json:"build_duration" doc:"how long it was built, as CodeArts sent it"`
	PendingDuration   *Int           `json:"pending_duration" doc:"how long it waited, as CodeArts sent it"`
	ProjectID         *string        `json:"project_id" doc:"the build project, as CodeArts sent it"`
	DisplayName       *string        `json:"display_name" doc:"name of the part of the task"`
	TriggerName       *string        `json:"trigger_name" doc:"name of who started it"`
	GroupName         *string        `json:"group_name" doc:"group of the task"`
	ExecutionID       *string        `json:"execution_id" doc:"name of the run in the engine"`
	Parameters        []RunParameter `json:"parameters" doc:"parameters of the run"`
	Repository        *string        `json:"repository" doc:"address of the repository built"`
	Branch            *string        `json:"branch" doc:"branch built"`
	Revision          *string        `json:"revision" doc:"id of the commit built"`
	BuildYmlPath      *string        `json:"build_yml_path" doc:"path of the build's YAML file"`
	BuildYmlURL       *string        `json:"build_yml_url" doc:"address of that file"`
	DailyBuildNumber  *Text          `json:"daily_build_number" doc:"number with the day, like 20260401.3"`
	BuildRecordType   *RunType       `json:"build_record_type" doc:"kind of run"`
	TriggerType       *Text          `json:"trigger_type" doc:"what started the run, like MANUAL"`
	SCMType           *string        `json:"scm_type" doc:"kind of repository"`
	SCMWebURL         *string        `json:"scm_web_url" doc:"page of the repository"`
	UserID            *Text          `json:"user_id" doc:"who started it"`
	BuildNo           *Text          `json:"build_no" doc:"number of the run, in digits"`
	DailyBuildNo      *Text          `json:"daily_build_no" doc:"number within the day"`
	DevCloudBuildType *string        `json:"dev_cloud_build_type" doc:"like branch"`
}

// RunParameter is a parameter a run had.
type RunParameter struct {
	Name   *string `json:"name" doc:"name"`
	Secret *bool   `json:"secret" doc:"its value is not for everybody"`
	Value  *Text   `json:"value" doc:"value; [redacted] when it is secret, or named like a secret"`
	Type   *string `json:"type" doc:"kind of parameter"`
}

// RunType is what kind of run it was.
type RunType struct {
	Rerun       *bool `json:"rerun" doc:"it repeats another one"`
	TriggerType *Text `json:"trigger_type" doc:"what started the run"`
	RecordType  *Text `json:"record_type" doc:"as CodeArts sent it"`
	IsRerun     *bool `json:"is_rerun" doc:"the same as rerun, as CodeArts sent it"`
}

// Redact replaces in place what may be secret by "[redacted]": the values of parameters that are marked secret or named like a
// secret, and the user and the secrets in addresses.
func (r *BuildProjectRun) Redact() {
	for i := range r.Parameters {
		p := &r.Parameters[i]
		if p.Secret != nil && *p.Secret || p.Name != nil && looksSecret(*p.Name) {
			p.Value = redactText(p.Value)
		} else {
			p.Value = withoutUser(p.Value)
		}
	}
	r.Repository, r.BuildYmlURL, r.SCMWebURL = withoutUser(r.Repository), withoutUser(r.BuildYmlURL), withoutUser(r.SCMWebURL)
}

// RunsOfBuildProject lists the runs of a build project: Runs of a build project, 获取指定工程的构建记录列表 (CodeArts page ListRecords).
// Pages are fetched as they are needed; the order is CodeArts's. What it returns may hold secrets; see Redact. An error ends the
// sequence.
func (c *Client) RunsOfBuildProject(ctx context.Context, q BuildProjectRunsQuery) iter.Seq2[*BuildProjectRun, error] {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for name, values := range map[string][]string{"triggers": q.Triggers, "branches": q.Branches, "tags": q.Tags} {
		if len(values) > 0 {
			query[name] = values
		}
	}
	for name, at := range map[string]time.Time{"from_date": q.From, "to_date": q.To} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(runTime))
		}
	}
	return func(yield func(*BuildProjectRun, error) bool) {
		seen := int64(0)
		pages(c.op(OpBuildProjectRuns), func(page int) ([]*BuildProjectRun, bool, error) {
			query.Set("page", strconv.Itoa(page))
			var got *struct {
				Pagination struct {
					Total *Int `json:"total"`
				} `json:"pagination"`
				Data []*BuildProjectRun `json:"data"`
			}
			if err := c.do(ctx, OpBuildProjectRuns, question{path: []string{q.BuildProjectID}, query: query}, &got); err != nil {
				return nil, false, err
			}
			for _, r := range got.Data {
				r.normalise()
			}
			seen += int64(len(got.Data))
			return got.Data, got.Pagination.Total == nil || seen < int64(*got.Pagination.Total), nil
		}, func(a, b *BuildProjectRun) bool { return a.ID != nil && b.ID != nil && *a.ID == *b.ID })(yield)
	}
}

// normalise fills in the fields that are ours.
func (r *BuildProjectRun) normalise() {
	if r == nil {
		return
	}
	r.Outcome = OutcomeUnknown
	if r.Status != nil {
		r.Outcome = OutcomeOf(string(*r.Status))
	}
	r.Finished = r.Outcome.Final() || r.FinishTime != nil && *r.FinishTime != ""
}
