package events

// typeDocs say when each known type of event comes.
var typeDocs = map[string]string{
	typePush:                   "commits were pushed to a branch, or a branch was made",
	typeBranchDelete:           "a branch was deleted: a push whose `after` is all zeros",
	typeTagPush:                "a tag was made or moved",
	typeTagDelete:              "a tag was deleted",
	"merge_request.open":       "a merge request was opened",
	"merge_request.update":     "the title, description, branches or commits of a merge request changed",
	typeMerge:                  "a merge request was merged, also when the sender calls that an update whose state is merged",
	"merge_request.close":      "a merge request was closed unmerged",
	"merge_request.reopen":     "a merge request was opened again",
	"merge_request.approved":   "a merge request has all approvals it needs",
	"merge_request.unapproved": "a merge request has the approvals it needs no more",
	"merge_request.approval":   "somebody approved a merge request",
	"merge_request.unapproval": "somebody took the approval of a merge request back",
	"note.commit":              "a comment on a commit",
	"note.merge_request":       "a comment on a merge request",
	"note.issue":               "a comment on an issue",
	"note.snippet":             "a comment on a snippet",
	"build.succeeded":          "a build notification: a build succeeded",
	"build.failed":             "a build notification: a build failed",
	"build.disabled":           "a build notification: the build job was disabled",
	"build.deleted":            "a build notification: the build job was deleted",
	"build.config_changed":     "a build notification: the definition of the build job changed",
	TypeBuildFinished:          "a build notification: a build ended, whatever its outcome; or a source with `codearts_builds` found that it had",
	TypeTick:                   "a schedule of a rule was due; only Millrace itself makes it",
}

// TypeDoc says when events of a known type come, as a clause of Markdown; "" for other types.
func TypeDoc(t string) string { return typeDocs[t] }
