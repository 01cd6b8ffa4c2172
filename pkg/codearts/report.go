package codearts

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"unicode"
)

// The names of the operations about what a task builds, and how a copy may be called, as they stand in APIError.Op.
const (
	OpJobRepositories = "job_repositories"
	OpJobBranches     = "job_branches"
	OpCopyName        = "copy_name"
)

func reportOperations() []Operation {
	return []Operation{
		{
			Name: OpJobRepositories, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/report/{job_id}/repositories",
			Title: "Repositories of a task", TitleZH: "查看仓库", Doc: "the names of the repositories a build task has built", Page: "ListRepository",
			Args: []Arg{jobIDArg}, Result: reflect.TypeFor[JobRepositories](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return c.JobRepositories(ctx, a.Text("job_id"))
			},
		},
		{
			Name: OpJobBranches, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/report/branches",
			Title: "Branches of a task", TitleZH: "获取该任务所有分支信息", Doc: "the branches of a repository that a build task has built", Page: "ListRepoBranch",
			Args:   []Arg{jobIDArg, need("repository_name", ArgText, "the repository, as job_repositories has it; no Chinese characters")},
			Result: reflect.TypeFor[[]string](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return orEmpty(c.JobBranches(ctx, a.Text("job_id"), a.Text("repository_name")))
			},
		},
		{
			Name: OpCopyName, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/job/{job_id}/copy-name",
			Title: "Name for a copy", TitleZH: "复制任务名", Doc: "a name that a copy of a build task may have; nothing is copied", Page: "ShowCopyName",
			Args: []Arg{jobIDArg}, Result: reflect.TypeFor[CopyName](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) { return c.CopyName(ctx, a.Text("job_id")) },
		},
	}
}

// JobRepositories are the repositories a task has built, as CodeArts page ListRepository has them.
type JobRepositories struct {
	Latest       *string  `json:"latest" doc:"name of the last one"`
	Repositories []string `json:"repositories" doc:"their names; asks job_branches"`
}

// CopyName is a name that a copy of a task may have.
type CopyName struct {
	Name *Text `json:"name" doc:"a name that is free"`
}

// JobRepositories returns the names of the repositories a task has built: Repositories of a task, 查看仓库 (CodeArts page ListRepository).
func (c *Client) JobRepositories(ctx context.Context, jobID string) (*JobRepositories, error) {
	var got *JobRepositories
	if err := c.do(ctx, OpJobRepositories, question{path: []string{jobID}}, &got); err != nil {
		return nil, err
	}
	return got, nil
}

// JobBranches returns the branches of a repository that a task has built, which need not be all that the repository has: Branches of a
// task, 获取该任务所有分支信息 (CodeArts page ListRepoBranch). The repository's name is one that JobRepositories brought; it has no Chinese
// characters.
func (c *Client) JobBranches(ctx context.Context, jobID, repositoryName string) ([]string, error) {
	op := c.op(OpJobBranches)
	query := url.Values{"job_id": {jobID}, "repository_name": {repositoryName}}
	if err := op.complete(query); err != nil {
		return nil, err
	}
	if strings.ContainsFunc(repositoryName, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		return nil, invalid(op, "repository_name has Chinese characters, which this call does not take")
	}
	var list []string
	if err := c.do(ctx, OpJobBranches, question{query: query}, &list); err != nil {
		return nil, err
	}
	return list, nil
}

// CopyName proposes a name that a copy of a task may have, and changes nothing: Name for a copy, 复制任务名 (CodeArts page ShowCopyName).
func (c *Client) CopyName(ctx context.Context, jobID string) (*CopyName, error) {
	var name *Text
	if err := c.do(ctx, OpCopyName, question{path: []string{jobID}}, &name); err != nil {
		return nil, err
	}
	return &CopyName{Name: name}, nil
}
