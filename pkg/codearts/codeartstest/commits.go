package codeartstest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func repoHandlers() map[string]handler {
	return map[string]handler{
		"create_commit": (*Fake).createCommit,
		"commits":       (*Fake).listCommits,
		"commit":        (*Fake).getCommit,
		"file":          (*Fake).readFile,
		"delete_branch": (*Fake).deleteBranch,
	}
}

// commitBody is the body of a create commit.
type commitBody struct {
	Branch      string       `json:"branch"`
	StartBranch string       `json:"start_branch"`
	Message     *string      `json:"commit_message"`
	AuthorName  string       `json:"author_name"`
	AuthorEmail string       `json:"author_email"`
	Force       bool         `json:"force"`
	Actions     []fileAction `json:"actions"`
}

// createDir is an action of v4 only.
const createDir = "create_dir"

type fileAction struct {
	Action       string  `json:"action"`
	FilePath     string  `json:"file_path"`
	PreviousPath string  `json:"previous_path"`
	Content      *string `json:"content"`
	Encoding     string  `json:"encoding"`
	LastCommitID string  `json:"last_commit_id"`
	Executable   *bool   `json:"execute_filemode"`
}

// lateCommit is a commit that was accepted and is still to be made.
type lateCommit struct {
	repo string
	body commitBody
	due  time.Time
}

func (f *Fake) repoOf(r *request) (*repository, reply) {
	repo := f.repos[r.path[0]]
	if repo == nil {
		return nil, r.reject(&problem{http.StatusNotFound, "CH.010117", "repository does not exist"})
	}
	return repo, reply{}
}

// createCommit is POST /v2/projects/{repo_id}/repository/commits, and the same in v4.
func (f *Fake) createCommit(r *request) reply {
	repo, refusal := f.repoOf(r)
	if repo == nil {
		return refusal
	}
	var body commitBody
	if err := json.Unmarshal(r.body, &body); err != nil {
		return r.reject(&problem{http.StatusBadRequest, "FAKE.invalid", "the body is not what it should be"})
	}
	if r.late != nil {
		f.later(&lateCommit{repo: repo.ID, body: body, due: f.now().Add(r.late.Late)}, r.late.Late)
		return reply{status: http.StatusOK}
	}
	if !r.route.v4 && slices.ContainsFunc(body.Actions, func(a fileAction) bool { return a.Action == createDir }) {
		return r.reject(&problem{http.StatusBadRequest, "FAKE.invalid", "v2 knows no action create_dir"})
	}
	made, p := f.commit(repo, &body)
	if made == nil {
		return r.reject(p)
	}
	if r.route.v4 {
		return r.done(made.shownV4(repo, true, false))
	}
	return r.done(made.shown())
}

// later keeps a commit until it is due: by the Fake's clock, or when so much real time has gone by.
func (f *Fake) later(l *lateCommit, after time.Duration) {
	f.pending = append(f.pending, l)
	f.owned.Go(func() {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
			f.mu.Lock()
			defer f.mu.Unlock()
			f.settle()
		case <-f.ctx.Done():
		}
	})
}

// settle makes the late commits that are due; f.mu is held. One that does not fit any more is forgotten.
func (f *Fake) settle() {
	now := f.now()
	var due []*lateCommit
	f.pending = slices.DeleteFunc(f.pending, func(l *lateCommit) bool {
		if l.due.After(now) {
			return false
		}
		due = append(due, l)
		return true
	})
	for _, l := range due {
		_, _ = f.commit(f.repos[l.repo], &l.body)
	}
}

// commit checks and makes a commit; nil and the reason when it does not fit. f.mu is held.
func (f *Fake) commit(repo *repository, body *commitBody) (*commit, *problem) {
	if reason := body.check(); reason != "" {
		return nil, &problem{http.StatusBadRequest, "FAKE.invalid", reason}
	}
	parent, p := repo.parentOf(body)
	if parent == nil {
		return nil, p
	}
	c := &commit{message: *body.Message, author: body.AuthorName, email: body.AuthorEmail, branch: body.Branch, via: "api", tree: maps.Clone(parent.tree)}
	if c.author == "" {
		c.author, c.email = User, User+"@example.com"
	}
	for i := range body.Actions {
		if slices.Contains(f.opts.Unfenced, body.Actions[i].Action) {
			body.Actions[i].unfence(c)
		}
		if code, reason := body.Actions[i].apply(c); code != "" {
			status := f.opts.ConflictStatus
			if code == "FAKE.invalid" {
				status = http.StatusBadRequest
			}
			return nil, &problem{status, code, reason}
		}
	}
	f.add(repo, c, parent.id)
	f.announce(repo, c)
	return c, nil
}

// check returns what is wrong with a body whatever the repository holds.
func (b *commitBody) check() string {
	switch {
	case b.Branch == "" || utf8.RuneCountInString(b.Branch) > 200 || utf8.RuneCountInString(b.StartBranch) > 200:
		return "branch needs 1 to 200 characters"
	case b.Message == nil || utf8.RuneCountInString(*b.Message) > 2000:
		return "commit_message needs 0 to 2000 characters"
	case len(b.Actions) == 0 || len(b.Actions) > 100:
		return "actions needs 1 to 100 items"
	}
	return ""
}

// parentOf returns the commit a new one is put on.
func (r *repository) parentOf(b *commitBody) (*commit, *problem) {
	head, exists := r.branches[b.Branch]
	start := head
	if b.StartBranch != "" {
		start = r.branches[b.StartBranch]
		if start == "" {
			return nil, &problem{http.StatusBadRequest, "FAKE.no_such_branch", "start_branch does not exist"}
		}
		if exists && !b.Force && start != head {
			return nil, &problem{http.StatusBadRequest, "FAKE.branch_exists", "the branch exists already"}
		}
	}
	if start == "" {
		return nil, &problem{http.StatusBadRequest, "FAKE.no_such_branch", "the branch does not exist"}
	}
	return r.commits[start], nil
}

// apply does one action to the tree of c. It returns a code and the reason when the tree is not as the action expects.
func (a *fileAction) apply(c *commit) (code, reason string) {
	if a.FilePath == "" || path.Clean("/"+a.FilePath) != "/"+a.FilePath {
		return "FAKE.invalid", fmt.Sprintf("%q is not a path", a.FilePath)
	}
	data, ok := a.data()
	if !ok {
		return "FAKE.invalid", "the content is not base64"
	}
	old, exists := c.tree[a.FilePath]
	switch a.Action {
	case "create":
		if exists {
			return "FAKE.file_exists", fmt.Sprintf("a file with this name already exists: %s", a.FilePath)
		}
		if a.Content == nil {
			return "FAKE.invalid", "create needs content"
		}
		c.put(a.FilePath, file{data: data})
	case createDir: // git keeps no empty directories
		keep := path.Join(a.FilePath, ".gitkeep")
		if _, there := c.tree[keep]; there || exists {
			return "FAKE.file_exists", fmt.Sprintf("this name exists already: %s", a.FilePath)
		}
		c.put(keep, file{})
	case "update", "delete", "chmod":
		if code, reason = a.fence(a.FilePath, old, exists); code != "" {
			return code, reason
		}
		return a.change(c, old, data)
	case "move":
		source, there := c.tree[a.PreviousPath]
		if code, reason = a.fence(a.PreviousPath, source, there); code != "" {
			return code, reason
		}
		if exists {
			return "FAKE.file_exists", fmt.Sprintf("a file with this name already exists: %s", a.FilePath)
		}
		if a.Content == nil {
			data = source.data
		}
		c.remove(a.PreviousPath)
		c.put(a.FilePath, file{data: data, executable: source.executable})
	default:
		return "FAKE.invalid", fmt.Sprintf("there is no action %q", a.Action)
	}
	return "", ""
}

// change does an update, delete or chmod of a file that is there.
func (a *fileAction) change(c *commit, old file, data []byte) (code, reason string) {
	switch {
	case a.Action == "delete":
		c.remove(a.FilePath)
	case a.Action == "update" && a.Content != nil:
		c.put(a.FilePath, file{data: data, executable: old.executable})
	case a.Action == "chmod" && a.Executable != nil:
		c.put(a.FilePath, file{data: old.data, executable: *a.Executable})
	default:
		return "FAKE.invalid", a.Action + " needs content or execute_filemode"
	}
	return "", ""
}

// fence checks that the file is there and was last changed by the commit named.
func (a *fileAction) fence(name string, have file, exists bool) (code, reason string) {
	switch {
	case !exists:
		return "FAKE.no_such_file", fmt.Sprintf("a file with this name doesn't exist: %s", name)
	case a.LastCommitID != "" && a.LastCommitID != have.last:
		return "FAKE.stale_file", fmt.Sprintf("the file has changed since %.8s: %s", a.LastCommitID, name)
	}
	return "", ""
}

func (a *fileAction) data() ([]byte, bool) {
	if a.Content == nil {
		return nil, true
	}
	if a.Encoding != "base64" {
		return []byte(*a.Content), true
	}
	data, err := base64.StdEncoding.DecodeString(*a.Content)
	return data, err == nil
}

// shown is a commit as the API shows it.
func (c *commit) shown() object {
	const form = "2006-01-02T15:04:05.000Z"
	title, _, _ := strings.Cut(c.message, "\n")
	added := 0
	for _, ch := range c.changes {
		added += lines(ch.Content)
	}
	parents := c.parents
	if parents == nil {
		parents = []string{}
	}
	return object{
		"id": c.id, "short_id": c.id[:8], "title": title, "message": c.message,
		"author_name": c.author, "author_email": c.email, "committer_name": c.author, "committer_email": c.email,
		"created_at": c.at.Format(form), "committed_date": c.at.Format(form), "authored_date": nil, "parent_ids": parents,
		"stats": object{"additions": added, "deletions": 0, "total": added},
	}
}

// getCommit is GET /v2/projects/{repo_id}/repository/commits/{sha}; in v4 sha is in the query.
func (f *Fake) getCommit(r *request) reply {
	repo, refusal := f.repoOf(r)
	if repo == nil {
		return refusal
	}
	sha := r.query.Get("sha")
	if !r.route.v4 {
		sha = r.path[1]
	}
	c := repo.resolve(sha)
	if c == nil {
		return r.reject(&problem{http.StatusNotFound, "FAKE.no_such_commit", "the commit does not exist"})
	}
	if r.route.v4 {
		return r.done(c.shownV4(repo, r.query.Get("stats") == "true", r.query.Get("show_code_changes") == "true"))
	}
	return r.done(c.shown())
}

// listCommits is GET /v2/projects/{repo_id}/repository/commits.
func (f *Fake) listCommits(r *request) reply {
	if r.route.v4 {
		return f.listCommitsV4(r)
	}
	repo, refusal := f.repoOf(r)
	if repo == nil {
		return refusal
	}
	head, p := repo.at(r.query.Get("ref_name"))
	if head == nil {
		return r.reject(p)
	}
	since, ok1 := bound(r.query.Get("since"))
	until, ok2 := bound(r.query.Get("until"))
	page, ok3 := number(r.query.Get("page"), 1)
	per, ok4 := number(r.query.Get("per_page"), 20)
	if !ok1 || !ok2 || !ok3 || !ok4 || page < 1 || per < 1 || per > 100 {
		return r.reject(&problem{http.StatusBadRequest, "FAKE.invalid", "since, until, page or per_page is wrong"})
	}
	list := []object{}
	for _, c := range repo.history(head) {
		at := c.at.Truncate(time.Second) // both bounds are included, to the second
		if !since.IsZero() && at.Before(since) || !until.IsZero() && at.After(until) || !c.touches(r.query.Get("path")) {
			continue
		}
		list = append(list, c.shown())
	}
	from := min((page-1)*per, len(list))
	return r.done(list[from:min(from+per, len(list))])
}

func (c *commit) touches(name string) bool {
	return name == "" || slices.ContainsFunc(c.changes, func(ch Change) bool {
		return ch.Path == name || strings.HasPrefix(ch.Path, strings.TrimSuffix(name, "/")+"/")
	})
}

// readFile is GET /v2/projects/{repo_id}/repository/files/{file_path}.
func (f *Fake) readFile(r *request) reply {
	if r.route.v4 {
		return f.readFileV4(r)
	}
	repo, refusal := f.repoOf(r)
	if repo == nil {
		return refusal
	}
	ref := r.query.Get("ref")
	if ref == "" {
		return r.reject(&problem{http.StatusBadRequest, "FAKE.invalid", "ref is missing"})
	}
	at, p := repo.at(ref)
	if at == nil {
		return r.reject(p)
	}
	entry, ok := at.tree[r.path[1]]
	if !ok {
		return r.reject(&problem{http.StatusNotFound, "FAKE.no_such_file", "the file does not exist"})
	}
	return r.done(object{
		"file_name": path.Base(r.path[1]), "file_path": r.path[1], "size": len(entry.data), "ref": ref, "encoding": "base64",
		"content": base64.StdEncoding.EncodeToString(entry.data),
		"blob_id": blobID(entry.data), "commit_id": at.id, "last_commit_id": entry.last,
	})
}

func blobID(data []byte) string { return strings.ReplaceAll(uuid(string(data)), "-", "") }

// bound reads a time of a query; absent is the zero time.
func bound(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	t, err := time.Parse("2006-01-02T15:04:05Z", s)
	return t, err == nil
}

func number(s string, absent int) (int, bool) {
	if s == "" {
		return absent, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
