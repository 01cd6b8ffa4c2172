package codeartstest

import "net/http"

// unfence takes the condition off an action.
func (a *fileAction) unfence(c *commit) {
	if _, there := c.tree[a.FilePath]; there && a.Action == "create" {
		a.Action = "update"
	}
	a.LastCommitID = ""
}

// deleteBranch is DELETE /v4/repositories/{repository_id}/repository/branch.
func (f *Fake) deleteBranch(r *request) reply {
	repo := f.repos[r.path[0]]
	if repo == nil {
		return refuse(http.StatusNotFound, "CH.010117", "repository does not exist")
	}
	name := r.query.Get("branch_name")
	switch {
	case repo.branches[name] == "":
		return refuse(http.StatusNotFound, "FAKE.no_such_ref", "the branch does not exist")
	case name == repo.DefaultBranch:
		return refuse(http.StatusForbidden, "FAKE.default_branch", "the default branch cannot be deleted")
	}
	delete(repo.branches, name)
	return reply{status: http.StatusNoContent, header: http.Header{}}
}
