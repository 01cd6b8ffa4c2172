package codearts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// Outcome is what became of a run, whatever word CodeArts used for it.
type Outcome string

// The outcomes.
const (
	OutcomeSucceeded Outcome = "succeeded"
	OutcomeFailed    Outcome = "failed"
	OutcomeCanceled  Outcome = "canceled"
	OutcomeQueued    Outcome = "queued"
	OutcomeRunning   Outcome = "running"
	OutcomeUnknown   Outcome = "unknown"
)

// Final reports whether a run with this outcome will not change any more.
func (o Outcome) Final() bool {
	return o == OutcomeSucceeded || o == OutcomeFailed || o == OutcomeCanceled
}

// OutcomeOf maps a build status to its outcome. The values CodeArts uses are not documented; the spelling of case
// does not matter and what is not known, COMPLETED among it, is OutcomeUnknown.
func OutcomeOf(status string) Outcome {
	switch strings.ToUpper(strings.TrimSpace(status)) {
	case "SUCCESS":
		return OutcomeSucceeded
	case "FAILED", "ERROR":
		return OutcomeFailed
	case "CANCELED", "ABORTED":
		return OutcomeCanceled
	case "QUEUED", "INITIALIZING":
		return OutcomeQueued
	case "RUNNING":
		return OutcomeRunning
	}
	return OutcomeUnknown
}

// BuildRecord is one run of a build task, as CodeArts page ShowJobBuildRecordDetail has it. A nil field was null or absent.
type BuildRecord struct {
	Outcome  Outcome `json:"outcome" values:"succeeded failed canceled queued running unknown" doc:"succeeded, failed, canceled, queued, running or unknown: made from status"`
	Finished bool    `json:"finished" doc:"the run has a finish time, or its outcome is final"`

	ID                *string    `json:"id" doc:"key of the row"`
	BuildProjectID    *string    `json:"build_project_id" doc:"id of the build project, one for each task"`
	BuildRecordID     *string    `json:"build_record_id" doc:"id of the run, for its log"`
	ParentRecordID    *string    `json:"parent_record_id" doc:"id of the run this one belongs to"`
	DevcloudProjectID *ProjectID `json:"devcloud_project_id" doc:"CodeArts project id"`
	CodeciJobID       *string    `json:"codeci_job_id" doc:"task id"`
	UserID            *Text      `json:"user_id" doc:"who started it"`
	DomainID          *Text      `json:"domain_id" doc:"account"`
	BuildNo           *Int       `json:"build_no" doc:"number of the run, 1 is the first"`
	DailyBuildNum     *Text      `json:"daily_build_num" doc:"number with the day, like 20260401.3"`
	ExecutionID       *string    `json:"execution_id" doc:"name of the run in the engine"`
	RepoName          *string    `json:"repo_name" doc:"repository built"`
	RepoID            *Text      `json:"repo_id" doc:"id of the repository, digits"`
	Branch            *string    `json:"branch" doc:"branch built"`
	Tag               *string    `json:"tag" doc:"tag built"`
	Commit            *string    `json:"commit" doc:"id of the commit built"`
	CommitMessage     *string    `json:"commit_message" doc:"its message"`
	CommitCreateTime  *string    `json:"commit_create_time" doc:"when the commit was made"`
	TriggerType       *string    `json:"trigger_type" doc:"what started the run, like MANUAL"`
	BuildType         *string    `json:"build_type" doc:"like branch"`
	Status            *string    `json:"status" doc:"as CodeArts sent it; see outcome"`
	CreateTime        *string    `json:"create_time" doc:"when the run was asked for"`
	ScheduleTime      *string    `json:"schedule_time" doc:"when it was scheduled"`
	QueuedTime        *string    `json:"queued_time" doc:"when it was queued"`
	StartTime         *string    `json:"start_time" doc:"when it began"`
	RunnableTime      *string    `json:"runnable_time" doc:"when it could begin"`
	FinishTime        *string    `json:"finish_time" doc:"when it ended"`
	Duration          *Int       `json:"duration" doc:"how long it took, milliseconds"`
	RecordStatus      *string    `json:"record_status" doc:"as CodeArts sent it"`
	UsePrivateSlave   *Int       `json:"use_private_slave" doc:"1: on a machine of one's own"`
	Region            *string    `json:"region" doc:"region"`
	ErrMsg            *string    `json:"err_msg" doc:"why it failed"`
	BuildConfigType   *string    `json:"build_config_type" doc:"YAML or ACTION"`
}

// The names of the operations about runs and tasks, as they stand in APIError.Op.
const (
	OpBuildRecord   = "build_record"
	OpBuildOfCommit = "build_of_commit"
)

func buildOperations() []Operation {
	return []Operation{
		{
			Name: OpBuildRecord, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/record/{job_id}/{build_no}/record-info",
			Title: "Build record info", TitleZH: "获取构建记录信息", Doc: "one run of a build task", Page: "ShowJobBuildRecordDetail",
			Args:   []Arg{jobIDArg, need("build_no", ArgInt, "number of the run, 1 is the first")},
			Result: reflect.TypeFor[BuildRecord](), Commit: "commit", Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return c.BuildRecord(ctx, a.Text("job_id"), a.Int("build_no"))
			},
		},
		{
			Name: OpBuildOfCommit, Service: ServiceBuild,
			Title: "Build of a commit", TitleZH: "提交对应的构建记录", Doc: "the run of a build task that built a commit; there may be none yet",
			Args: []Arg{
				arg("job_id", ArgText, "build task; or project_id and repository"),
				arg("project_id", ArgText, "CodeArts project id"),
				arg("repository", ArgText, "repository id: all build tasks of that repository are looked at"),
				need("commit", ArgText, "full id of the commit"),
				arg("which", ArgText, "first (default) or last, of all runs of the commit"),
				arg("branch", ArgText, "branch it was pushed to: when the commit has no run, a later one of this branch stands for it, once it has ended"),
				arg(ArgSince, ArgTime, "when it was pushed; runs that began more than a day before are others. In a rule, when it is not given, the time of the event"),
				arg(ArgPushed, ArgTime, "for branch: by when it had been pushed for certain; since, when it is not given. In a rule, when neither is given, the time of the event"),
			},
			Result: reflect.TypeFor[BuildRecord](), Commit: "commit", Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return c.BuildOfCommit(ctx, BuildOfCommitQuery{
					JobID: a.Text("job_id"), ProjectID: ProjectID(a.Text("project_id")), Repository: a.Text("repository"),
					Commit: a.Text("commit"), Which: a.Text("which"), Branch: a.Text("branch"), Since: a.Time(ArgSince), Pushed: a.Time(ArgPushed),
				})
			},
		},
	}
}

// BuildRecord returns one run: Build record info, 获取构建记录信息 (CodeArts page ShowJobBuildRecordDetail). jobID is the task's id, buildNo
// counts from 1.
// An answer about another run is a *MismatchError.
func (c *Client) BuildRecord(ctx context.Context, jobID string, buildNo int) (*BuildRecord, error) {
	if buildNo < 1 {
		return nil, invalid(c.op(OpBuildRecord), "build_no is %d, it counts from 1", buildNo)
	}
	r := new(BuildRecord)
	prefill(r)
	number := strconv.Itoa(buildNo)
	if err := c.do(ctx, OpBuildRecord, question{path: []string{jobID, number}}, &r); err != nil {
		return nil, err
	}
	if !settle(r) {
		e := newError(c.op(OpBuildRecord))
		e.Err, e.class = errors.New("result is missing"), classUnreadable
		return nil, e
	}
	r.normalise()
	if r.CodeciJobID != nil && !strings.EqualFold(*r.CodeciJobID, jobID) {
		return nil, &MismatchError{Op: OpBuildRecord, Field: "codeci_job_id", Asked: jobID, Got: clean(*r.CodeciJobID, 100)}
	}
	if r.BuildNo == nil || int64(*r.BuildNo) != int64(buildNo) {
		return nil, &MismatchError{Op: OpBuildRecord, Field: "build_no", Asked: number, Got: intText(r.BuildNo)}
	}
	return r, nil
}

// normalise fills in the fields that are ours.
func (r *BuildRecord) normalise() {
	r.Outcome = OutcomeUnknown
	if r.Status != nil {
		r.Outcome = OutcomeOf(*r.Status)
	}
	r.Finished = r.Outcome.Final() || r.FinishTime != nil && *r.FinishTime != ""
}

// MismatchError is an answer that is about something else than was asked for.
type MismatchError struct {
	Op         string
	Field      string // of the answer
	Asked, Got string // Got is "null" when the field is missing
}

// Error names the field and both values.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("codearts: %s: the answer is about another one: %s is %q, asked for %q", e.Op, e.Field, e.Got, e.Asked)
}

// Retryable is false: the same question gets the same answer.
func (*MismatchError) Retryable() bool { return false }

// Class is "mismatch".
func (*MismatchError) Class() string { return "mismatch" }

func intText(n *Int) string {
	if n == nil {
		return "null"
	}
	return strconv.FormatInt(int64(*n), 10)
}
