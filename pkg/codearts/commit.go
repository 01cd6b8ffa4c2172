package codearts

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Commit is a commit of a repository (CodeArts pages CreateCommit and ShowCommit). A nil field was null or absent; Status and what follows
// it come from v4 only.
type Commit struct {
	ID             string          `json:"id" doc:"full id"`
	ShortID        string          `json:"short_id" doc:"short id"`
	Title          string          `json:"title" doc:"first line of the message"`
	Message        string          `json:"message" doc:"message"`
	AuthorName     *string         `json:"author_name" doc:"author"`
	AuthorEmail    *string         `json:"author_email" doc:"their address"`
	CommitterName  *string         `json:"committer_name" doc:"committer"`
	CommitterEmail *string         `json:"committer_email" doc:"their address"`
	CreatedAt      *string         `json:"created_at" doc:"when it was made"`
	CommittedDate  *string         `json:"committed_date" doc:"when it was committed"`
	AuthoredDate   *string         `json:"authored_date" doc:"when it was written"`
	ParentIDs      []string        `json:"parent_ids" doc:"ids of the commits before"`
	Stats          *CommitStats    `json:"stats" doc:"lines changed"`
	LastPipeline   *CommitPipeline `json:"last_pipeline" doc:"last pipeline run of it"`

	Status             *string             `json:"status" doc:"v4: state of its pipeline: pending, running, success, failed, canceled, skipped or timedout"`
	ProjectID          *Text               `json:"project_id" doc:"v4: repository id, digits"`
	UserName           *string             `json:"user_name" doc:"v4: user who made it"`
	NickName           *string             `json:"nick_name" doc:"v4: how the user is called"`
	TenantName         *string             `json:"tenant_name" doc:"v4: account of the user"`
	AuthorAvatarURL    *string             `json:"author_avatar_url" doc:"v4: picture of the author"`
	CommitterAvatarURL *string             `json:"committer_avatar_url" doc:"v4: picture of the committer"`
	RelateURL          []CommitWorkItem    `json:"relate_url" doc:"v4: work items it belongs to"`
	MergeRequest       *CommitMergeRequest `json:"merge_request" doc:"v4: merge request it came with"`
	CodeChanges        []CommitFileChange  `json:"code_changes" doc:"v4: lines changed, by file; of one commit only"`
}

// CommitWorkItem is a work item that a commit belongs to.
type CommitWorkItem struct {
	RelatedID  *Text   `json:"related_id" doc:"id"`
	RelatedURL *string `json:"related_url" doc:"page"`
}

// CommitMergeRequest is the merge request that a commit came with.
type CommitMergeRequest struct {
	ID               *Text   `json:"id" doc:"id"`
	IID              *Int    `json:"iid" doc:"number within the repository"`
	Title            *string `json:"title" doc:"title"`
	Description      *string `json:"description" doc:"description"`
	SourceBranch     *string `json:"source_branch" doc:"branch it comes from"`
	TargetBranch     *string `json:"target_branch" doc:"branch it goes to"`
	State            *string `json:"state" doc:"as CodeArts sent it"`
	CreatedAt        *string `json:"created_at" doc:"when it was opened"`
	MergeRequestType *string `json:"merge_request_type" doc:"as CodeArts sent it"`
}

// CommitFileChange counts the changed lines of a file.
type CommitFileChange struct {
	Path        *string `json:"path" doc:"file"`
	AddedLine   *Int    `json:"added_line" doc:"lines added"`
	DeletedLine *Int    `json:"deleted_line" doc:"lines removed"`
}

// CommitStats counts changed lines.
type CommitStats struct {
	Additions *Int `json:"additions" doc:"lines added"`
	Deletions *Int `json:"deletions" doc:"lines removed"`
	Total     *Int `json:"total" doc:"both"`
}

// CommitPipeline is the last pipeline run of a commit.
type CommitPipeline struct {
	ID     *Text   `json:"id" doc:"id"`
	SHA    *string `json:"sha" doc:"commit"`
	Ref    *string `json:"ref" doc:"branch or tag"`
	Status *string `json:"status" doc:"as CodeArts sent it"`
	WebURL *string `json:"web_url" doc:"page"`
}

// FileAction is one change of a commit.
type FileAction struct {
	Action       string  `json:"action"` // create, update, delete, move, chmod; with v4 also create_dir
	FilePath     string  `json:"file_path"`
	PreviousPath string  `json:"previous_path,omitempty"`
	Content      *string `json:"content,omitempty"`  // create and update need it; a move without it keeps the content
	Encoding     string  `json:"encoding,omitempty"` // of Content: text (default) or base64
	// LastCommitID is the fence of update, move and delete: the commit that last changed the file, as read before.
	LastCommitID    string `json:"last_commit_id,omitempty"`
	ExecuteFilemode *bool  `json:"execute_filemode,omitempty"` // chmod
}

// CommitRequest is a commit to make. Lengths are in characters.
type CommitRequest struct {
	RepoID      string       `json:"-"`      // decimal
	Branch      string       `json:"branch"` // 1 to 200
	StartBranch string       `json:"start_branch,omitempty"`
	Message     string       `json:"commit_message"` // at most 2000
	AuthorName  string       `json:"author_name,omitempty"`
	AuthorEmail string       `json:"author_email,omitempty"`
	Force       bool         `json:"force,omitempty"` // overwrite Branch with a commit on top of StartBranch
	Actions     []FileAction `json:"actions"`         // 1 to 100
}

// The limits of a commit (CodeArts page CreateCommit).
const (
	MaxCommitActions = 100
	MaxCommitMessage = 2000 // characters
	MaxBranchName    = 200  // characters
)

// The names of the operations about commits, as they stand in APIError.Op.
const (
	OpCreateCommit = "create_commit"
	OpCommit       = "commit"
	OpCommits      = "commits"
)

func commitOperations() []Operation {
	return []Operation{
		{
			Name: OpCreateCommit, Service: ServiceRepo, Method: http.MethodPost, Path: "/v2/projects/{repo_id}/repository/commits",
			V4:    "POST /v4/repositories/{repository_id}/repository/commits",
			Title: "Create commit", TitleZH: "创建提交", Doc: "makes a commit of one or several files", Page: "CreateCommit",
			Args: []Arg{
				repoIDArg,
				need("branch", ArgText, "branch"),
				arg("start_branch", ArgText, "branch to begin from, when the branch is not there"),
				need("commit_message", ArgText, "message"),
				arg("author_name", ArgText, "author"),
				arg("author_email", ArgText, "their address"),
				arg("force", ArgBool, "overwrite the branch with a commit on top of start_branch"),
				need("actions", ArgJSON, `list of changes: {"action": "create", "file_path": "…", "content": "…"}`),
			},
			Result: reflect.TypeFor[Commit](), Commit: "id", Writes: true, Repeat: RepeatAfterCheck, shape: shapeRepo,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				r := CommitRequest{
					RepoID: a.Text("repo_id"), Branch: a.Text("branch"), StartBranch: a.Text("start_branch"), Message: a.Text("commit_message"),
					AuthorName: a.Text("author_name"), AuthorEmail: a.Text("author_email"), Force: a.Bool("force"),
				}
				if err := json.Unmarshal(a.JSON("actions"), &r.Actions); err != nil {
					return nil, invalid(c.op(OpCreateCommit), "actions: %v", err)
				}
				return c.CreateCommit(ctx, r)
			},
		},
		{
			Name: OpCommit, Service: ServiceRepo, Method: http.MethodGet, Path: "/v2/projects/{repo_id}/repository/commits/{sha}",
			V4:    "GET /v4/repositories/{repository_id}/repository/commits",
			Title: "Get commit", TitleZH: "查询某个仓库的特定提交信息", Doc: "a commit of a repository", Page: "ShowSingleCommit",
			Args:   []Arg{repoIDArg, need("sha", ArgText, "commit id, or a branch or tag for the last commit there")},
			Result: reflect.TypeFor[Commit](), Commit: "id", Repeat: RepeatFreely, shape: shapeRepo,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return c.Commit(ctx, a.Text("repo_id"), a.Text("sha"))
			},
		},
		{
			Name: OpCommits, Service: ServiceRepo, Method: http.MethodGet, Path: "/v2/projects/{repo_id}/repository/commits",
			V4:    "GET /v4/repositories/{repository_id}/repository/commit-list",
			Title: "List commits", TitleZH: "查询某个仓库的提交列表", Doc: "the commits of a branch, newest first", Page: "ListCommits",
			Args: []Arg{
				repoIDArg,
				arg("ref_name", ArgText, "branch or tag; the default branch when not given"),
				arg("since", ArgTime, "only commits made then or later"),
				arg("until", ArgTime, "only commits made then or before"),
				arg("path", ArgText, "only commits that touch this file or folder"),
				arg("message", ArgText, "only commits whose message has this text, or whose id begins with it"),
				limitArg,
			},
			Result: reflect.TypeFor[[]*Commit](), Commit: "id", Repeat: RepeatFreely, shape: shapeRepo,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return firstItems(a, c.Commits(ctx, CommitsQuery{
					RepoID: a.Text("repo_id"), Ref: a.Text("ref_name"), Since: a.Time("since"), Until: a.Time("until"),
					Path: a.Text("path"), Message: a.Text("message"),
				}))
			},
		},
	}
}

// CreateCommit makes a commit with all its changes, or none: Create commit, 创建提交 (CodeArts page CreateCommit). It is not idempotent:
// after an error with MayHaveHappened look for the commit before sending it again.
func (c *Client) CreateCommit(ctx context.Context, r CommitRequest) (*Commit, error) {
	if err := r.check(c.op(OpCreateCommit), c.isV4()); err != nil {
		return nil, err
	}
	made := new(Commit)
	prefill(made)
	if err := c.do(ctx, OpCreateCommit, question{path: []string{r.RepoID}, body: r}, &made); err != nil {
		return nil, err
	}
	settle(made)
	if made.ID == "" {
		return nil, noID(c.op(OpCreateCommit), true)
	}
	return made, nil
}

func (r *CommitRequest) check(op *Operation, v4 bool) error {
	if err := checkRepoID(op, r.RepoID); err != nil {
		return err
	}
	switch {
	case r.Branch == "" || utf8.RuneCountInString(r.Branch) > MaxBranchName:
		return invalid(op, "branch needs 1 to %d characters", MaxBranchName)
	case utf8.RuneCountInString(r.StartBranch) > MaxBranchName:
		return invalid(op, "start_branch has more than %d characters", MaxBranchName)
	case utf8.RuneCountInString(r.Message) > MaxCommitMessage:
		return invalid(op, "commit_message has more than %d characters", MaxCommitMessage)
	case len(r.Actions) == 0 || len(r.Actions) > MaxCommitActions:
		return invalid(op, "a commit has 1 to %d actions, not %d", MaxCommitActions, len(r.Actions))
	}
	for i := range r.Actions {
		a := &r.Actions[i]
		switch a.Action {
		case "create", "update":
			if a.Content == nil {
				return invalid(op, "action %d: %s needs content", i+1, a.Action)
			}
		case "move":
			if reason := unfit("file_path", a.PreviousPath); reason != "" {
				return invalid(op, "action %d: previous_path %s", i+1, reason)
			}
		case "chmod":
			if a.ExecuteFilemode == nil {
				return invalid(op, "action %d: chmod needs execute_filemode", i+1)
			}
		case "delete":
		case "create_dir":
			if !v4 {
				return invalid(op, "action %d: create_dir is known to v4 of Repo only", i+1)
			}
		default:
			return invalid(op, "action %d: %q is none of create, update, delete, move, chmod", i+1, clip(a.Action, 40))
		}
		if reason := unfit("file_path", a.FilePath); reason != "" {
			return invalid(op, "action %d: file_path %s", i+1, reason)
		}
	}
	return nil
}

// Commit returns a commit by its id, or the head of a branch or tag by its name: Get commit, 查询某个仓库的特定提交信息 (CodeArts pages
// ShowSingleCommit and, of v4, ShowCommit).
func (c *Client) Commit(ctx context.Context, repoID, ref string) (*Commit, error) {
	op := c.op(OpCommit)
	if err := checkRepoID(op, repoID); err != nil {
		return nil, err
	}
	q := question{path: []string{repoID, ref}}
	if c.isV4() {
		if reason := unfit("sha", ref); reason != "" {
			return nil, invalid(op, "sha %s", reason)
		}
		q = question{path: []string{repoID}, query: url.Values{"sha": {ref}, "stats": {"true"}}}
	}
	got := new(Commit)
	prefill(got)
	if err := c.do(ctx, OpCommit, q, &got); err != nil {
		return nil, err
	}
	settle(got)
	if got.ID == "" {
		return nil, noID(op, false)
	}
	return got, nil
}

// CommitsQuery says which commits are listed.
type CommitsQuery struct {
	RepoID       string
	Ref          string    // branch or tag; "" is the default branch
	Since, Until time.Time // both included, cut to the second; zero: no bound
	Path         string    // only commits that touch it; "" all
	// Message keeps the commits whose message has this text, or whose id begins with it; "" all. v4 is told, too, and how its own filter
	// compares is not documented: that a commit is missing from such a list does not prove that it is not there.
	Message string
	PerPage int // 0 is 100, the most
}

// fits reports whether a commit is asked for, as far as the other side may not look.
func (q *CommitsQuery) fits(made *Commit) bool {
	return strings.Contains(made.Message, q.Message) || strings.HasPrefix(made.ID, q.Message)
}

// smallestPage is the page size every server is taken to allow: a shorter page is the last one, whatever was asked for.
const smallestPage = 20

// Commits lists commits, newest first: List commits, 查询某个仓库的提交列表 (CodeArts page ListCommits). Pages are fetched as they are needed. An
// error ends the sequence.
func (c *Client) Commits(ctx context.Context, q CommitsQuery) iter.Seq2[*Commit, error] {
	per := q.PerPage
	if per <= 0 || per > pageSize {
		per = pageSize
	}
	return func(yield func(*Commit, error) bool) {
		op := c.op(OpCommits)
		if err := checkRepoID(op, q.RepoID); err != nil {
			yield(nil, err)
			return
		}
		seen := 0
		for made, err := range pages(op, func(page int) ([]*Commit, bool, error) {
			var list commitList
			if err := c.do(ctx, OpCommits, c.commitsQuestion(q, per, page, seen), &list); err != nil {
				return nil, false, err
			}
			seen += len(list)
			return list, len(list) >= min(per, smallestPage), nil
		}, func(a, b *Commit) bool { return a.ID == b.ID }) {
			if err == nil && !q.fits(made) {
				continue
			}
			if !yield(made, err) {
				return
			}
		}
	}
}

func commitTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

func checkRepoID(op *Operation, id string) error {
	if _, err := strconv.ParseUint(id, 10, 63); err != nil {
		return invalid(op, "repo_id is a number, not %q", clip(clean(id, 60), 60))
	}
	return nil
}

func noID(op *Operation, happened bool) *APIError {
	e := newError(op)
	e.Err = errors.New("the answer names no commit")
	e.class, e.maybe = classUnreadable, happened
	return e
}
