package codearts

import (
	"context"
	"net/http"
	"reflect"
)

// The names of the operations about all tasks of an account, as they stand in APIError.Op.
const (
	OpSystemParameters = "system_parameters"
	OpJobSummary       = "job_summary"
	OpJobCountLimit    = "job_count_limit"
)

func summaryOperations() []Operation {
	return []Operation{
		{
			Name: OpSystemParameters, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/job/system-parameters",
			Title: "System parameters", TitleZH: "查看系统预定义参数", Doc: "the parameters that every run has", Page: "ShowJobSystemParameters",
			Result: reflect.TypeFor[[]SystemParameter](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, _ Values) (any, error) { return orEmpty(c.SystemParameters(ctx)) },
		},
		{
			Name: OpJobSummary, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/domain/job-summary",
			Title: "Task total and success rate of the account", TitleZH: "获取租户任务总数和成功率接口",
			Doc: "how many build tasks the account has, and how many of their runs succeed", Page: "ShowSummaryBuildJobInfo",
			Result: reflect.TypeFor[JobSummary](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, _ Values) (any, error) { return c.JobSummary(ctx) },
		},
		{
			Name: OpJobCountLimit, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/job/check/count",
			Title: "Task count limit", TitleZH: "检查任务数量是否上限",
			Doc:  "CodeArts's answer to whether the account has as many build tasks as it may, raw: what true means is not certain",
			Page: "CheckJobCountIsTopLimit", Result: reflect.TypeFor[JobCountLimit](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, _ Values) (any, error) { return c.JobCountLimit(ctx) },
		},
	}
}

// SystemParameter is a parameter that every run has, as CodeArts page ShowJobSystemParameters has it.
type SystemParameter struct {
	ID            *Int    `json:"id" doc:"id"`
	ParameterName *string `json:"parameter_name" doc:"name, like BUILDNUMBER"`
	Description   *string `json:"description" doc:"what it holds"`
}

// JobSummary is about all tasks of the account, as CodeArts page ShowSummaryBuildJobInfo has it. Older forms of the answer have build_no,
// "total build duration" without a unit; newer ones have build_times, "number of builds", in its place. Either may be nil.
type JobSummary struct {
	AvgSuccessRatio *Int  `json:"avg_success_ratio" doc:"runs that succeed, percent"`
	BuildNo         *Int  `json:"build_no" doc:"total duration of builds, as CodeArts sent it; its unit is not documented"`
	BuildTimes      *Int  `json:"build_times" doc:"runs so far"`
	JobTotal        *Int  `json:"job_total" doc:"build tasks"`
	VersionTotal    *Text `json:"version_total" doc:"as CodeArts sent it"`
}

// JobCountLimit is CodeArts's answer to whether the account has as many tasks as it may, raw. What it means is not certain: the name of the
// call reads as "true: the limit is reached", older pages say nothing, and the newest ones (December 2025 on) say "true: below the limit".
// See what your account answers before you decide by it.
type JobCountLimit struct {
	Result *bool `json:"result" doc:"as CodeArts sent it; the newest pages say true: below the limit, the name of the call says the opposite"`
}

// SystemParameters lists the parameters that every run has: System parameters, 查看系统预定义参数 (CodeArts page ShowJobSystemParameters).
func (c *Client) SystemParameters(ctx context.Context) ([]SystemParameter, error) {
	var list []SystemParameter
	if err := c.do(ctx, OpSystemParameters, question{}, &list); err != nil {
		return nil, err
	}
	return list, nil
}

// JobSummary counts the tasks of the account and their success: Task total and success rate of the account, 获取租户任务总数和成功率接口
// (CodeArts page ShowSummaryBuildJobInfo).
func (c *Client) JobSummary(ctx context.Context) (*JobSummary, error) {
	var got *struct {
		JobSummary             // as newer pages have it
		Summary    *JobSummary `json:"summary"` // as older ones do
	}
	if err := c.do(ctx, OpJobSummary, question{}, &got); err != nil {
		return nil, err
	}
	if got.Summary != nil {
		return got.Summary, nil
	}
	return &got.JobSummary, nil
}

// JobCountLimit asks whether the account has as many tasks as it may: Task count limit, 检查任务数量是否上限 (CodeArts page
// CheckJobCountIsTopLimit). Whether true is yes is not certain, see JobCountLimit.
func (c *Client) JobCountLimit(ctx context.Context) (*JobCountLimit, error) {
	var result *bool
	if err := c.do(ctx, OpJobCountLimit, question{}, &result); err != nil {
		return nil, err
	}
	return &JobCountLimit{Result: result}, nil
}
