package codearts

import (
	"context"
	"net/http"
	"net/url"
	"unicode/utf8"
)

// OpDeleteBranch is the name of the operation about branches, as it stands in APIError.Op.
const OpDeleteBranch = "delete_branch"

func branchOperations() []Operation {
	return []Operation{{
		Name: OpDeleteBranch, Service: ServiceRepo, Method: http.MethodDelete, Path: "/v4/repositories/{repo_id}/repository/branch",
		Title: "Delete branch", TitleZH: "删除分支", Doc: "deletes a branch", Page: "DeleteBranch",
		Args:   []Arg{repoIDArg, need("branch_name", ArgText, "branch")},
		Writes: true, Repeat: RepeatFreely, shape: shapeBare,
		call: func(ctx context.Context, c *Client, a Values) (any, error) {
			return nil, c.DeleteBranch(ctx, a.Text("repo_id"), a.Text("branch_name"))
		},
	}}
}

// DeleteBranch deletes a branch, with v4 of Repo whichever of its APIs is configured: Delete branch, 删除分支 (CodeArts page DeleteBranch). One
// is made by CreateCommit, with StartBranch. How one that is not there is refused is not documented.
func (c *Client) DeleteBranch(ctx context.Context, repoID, branch string) error {
	op := c.op(OpDeleteBranch)
	if err := checkRepoID(op, repoID); err != nil {
		return err
	}
	if branch == "" || utf8.RuneCountInString(branch) > MaxBranchName {
		return invalid(op, "branch_name needs 1 to %d characters", MaxBranchName)
	}
	q := question{path: []string{repoID}, query: url.Values{"branch_name": {branch}}}
	return c.do(ctx, OpDeleteBranch, q, &noResult{})
}
