package codeartstest

import (
	"crypto/sha1" //nolint:gosec // commit ids are SHA-1
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Repository is a repository to add.
type Repository struct {
	ID            string // decimal
	Path          string // path_with_namespace, like shop/orders
	WebURL        string // "" is made from Path
	DefaultBranch string // "" is main
	// GroupID (digits) and ProjectID (of CodeArts) are where the repository is: their hooks are told of it, too. "" is nowhere.
	GroupID, ProjectID string
	// Files of the first commit, by path; nil is a README.md.
	Files map[string]string
}

// repository is a Repository with its history.
type repository struct {
	Repository
	branches map[string]string // name → head
	commits  map[string]*commit
	order    []*commit // as they were made
}

// commit is a commit with the whole tree after it.
type commit struct {
	id, message   string
	author, email string
	parents       []string
	at            time.Time
	branch        string // it was made on
	via           string // api or push
	tree          map[string]file
	changes       []Change
	uuid          string // of its delivery
	before        string // head of the branch before; zeroID when it was created
	place         int    // in the order in which commits were made
}

// file is a file in a tree.
type file struct {
	data       []byte
	executable bool
	last       string // commit that last changed it
}

// Change is what a commit did to a file.
type Change struct {
	Action  string `json:"action"` // added, modified, removed
	Path    string `json:"path"`
	Content string `json:"content,omitempty"` // after it
}

// CommitInfo is a commit as /_fake/repos/{id}/commits shows it.
type CommitInfo struct {
	ID          string    `json:"id"`
	Branch      string    `json:"branch"`
	Message     string    `json:"message"`
	AuthorName  string    `json:"author_name"`
	AuthorEmail string    `json:"author_email"`
	Parents     []string  `json:"parent_ids"`
	Time        time.Time `json:"time"`
	Via         string    `json:"via"` // api: by a call; push: by Push or at the beginning
	Files       []Change  `json:"files"`
}

// zeroID stands for no commit.
const zeroID = "0000000000000000000000000000000000000000"

// AddRepository adds a repository with one commit on its default branch and returns that commit's id.
func (f *Fake) AddRepository(r Repository) string {
	if r.DefaultBranch == "" {
		r.DefaultBranch = "main"
	}
	if r.Path == "" {
		r.Path = "group/repo-" + r.ID
	}
	if r.WebURL == "" {
		r.WebURL = "https://codearts.example/" + r.Path
	}
	if r.Files == nil {
		r.Files = map[string]string{"README.md": "# " + r.Path + "\n"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	repo := &repository{Repository: r, branches: map[string]string{}, commits: map[string]*commit{}}
	f.repos[r.ID] = repo
	first := &commit{message: "first commit", author: "Fake", email: "fake@example.com", branch: r.DefaultBranch, via: "push", tree: map[string]file{}}
	for _, path := range slices.Sorted(maps.Keys(r.Files)) {
		first.put(path, file{data: []byte(r.Files[path])})
	}
	f.add(repo, first)
	return first.id
}

// Push is a change a person makes with git.
type Push struct {
	Branch      string // "" is the default branch; a new one starts at the default branch
	Message     string
	AuthorName  string
	AuthorEmail string
	Files       map[string]string // new contents by path
	Remove      []string
	Merge       string // a branch that is merged: its files are taken over, and its head is the second parent
	Quiet       bool   // no delivery to the hook
}

// Push makes a commit as a person would, without any condition, and returns its id. The hook, if there is one, gets to know.
func (f *Fake) Push(repoID string, p Push) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	repo := f.mustRepo(repoID)
	if p.Branch == "" {
		p.Branch = repo.DefaultBranch
	}
	parent := repo.branches[p.Branch]
	if parent == "" {
		parent = repo.branches[repo.DefaultBranch]
	}
	if p.AuthorName == "" {
		p.AuthorName, p.AuthorEmail = "Ada", "ada@example.com"
	}
	c := &commit{message: p.Message, author: p.AuthorName, email: p.AuthorEmail, branch: p.Branch, via: "push", tree: maps.Clone(repo.commits[parent].tree)}
	parents := []string{parent}
	if p.Merge != "" {
		parents = append(parents, repo.branches[p.Merge])
		maps.Copy(c.tree, repo.commits[repo.branches[p.Merge]].tree)
	}
	for _, path := range slices.Sorted(maps.Keys(p.Files)) {
		c.put(path, file{data: []byte(p.Files[path])})
	}
	for _, path := range p.Remove {
		c.remove(path)
	}
	f.add(repo, c, parents...)
	if !p.Quiet {
		f.announce(repo, c)
	}
	return c.id
}

// The following is what a person does with git push --force and --delete. No hook is told of it.

// Reset sets a branch, which may be a new one, to a commit: its id, or the name of a branch.
func (f *Fake) Reset(repoID, branch, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	repo := f.mustRepo(repoID)
	target := repo.resolve(to)
	if target == nil {
		panic("codeartstest: there is no commit " + to)
	}
	repo.branches[branch] = target.id
}

// DeleteBranch deletes a branch. Its commits can still be read by their ids.
func (f *Fake) DeleteBranch(repoID, branch string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	delete(f.mustRepo(repoID).branches, branch)
}

// Rewrite makes each commit of a branch anew, without those named, as git rebase from the root on does: with the same messages and changes,
// and other ids. It returns the new head.
func (f *Fake) Rewrite(repoID, branch string, without ...string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	repo := f.mustRepo(repoID)
	var parents []string
	tree := map[string]file{}
	for _, old := range slices.Backward(repo.history(repo.commits[repo.branches[branch]])) {
		if slices.Contains(without, old.id) {
			continue
		}
		c := &commit{message: old.message, author: old.author, email: old.email, branch: branch, via: "push", tree: maps.Clone(tree)}
		for _, change := range old.changes {
			if change.Action == "removed" {
				c.remove(change.Path)
			} else {
				c.put(change.Path, file{data: []byte(change.Content)})
			}
		}
		f.add(repo, c, parents...)
		parents, tree = []string{c.id}, c.tree
	}
	return repo.branches[branch]
}

// Head returns the id of a branch's newest commit, "" when there is no such branch.
func (f *Fake) Head(repoID, branch string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	return f.mustRepo(repoID).branches[branch]
}

// Commits returns all commits of a repository, as they were made.
func (f *Fake) Commits(repoID string) []CommitInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle()
	return f.mustRepo(repoID).infos()
}

func (f *Fake) mustRepo(id string) *repository {
	repo := f.repos[id]
	if repo == nil {
		panic("codeartstest: there is no repository " + id)
	}
	return repo
}

func (r *repository) infos() []CommitInfo {
	list := make([]CommitInfo, 0, len(r.order))
	for _, c := range r.order {
		list = append(list, CommitInfo{
			ID: c.id, Branch: c.branch, Message: c.message, AuthorName: c.author, AuthorEmail: c.email,
			Parents: append([]string{}, c.parents...), Time: c.at, Via: c.via, Files: append([]Change{}, c.changes...),
		})
	}
	return list
}

// add gives a commit its id and makes it the head of its branch; f.mu is held.
func (f *Fake) add(repo *repository, c *commit, parents ...string) {
	c.at, c.parents, c.place = f.now().Truncate(time.Millisecond), parents, len(repo.order)
	c.before = zeroID
	if head := repo.branches[c.branch]; head != "" {
		c.before = head
	}
	h := sha1.New() //nolint:gosec // commit ids are SHA-1
	fmt.Fprintf(h, "commit %d\x00%s\n%s\n%s <%s> %d\n\n%s\n", f.next(), strings.Join(c.parents, " "), repo.ID, c.author, c.email, c.at.UnixNano(), c.message)
	for _, path := range slices.Sorted(maps.Keys(c.tree)) {
		fmt.Fprintf(h, "%q %t %x\n", path, c.tree[path].executable, sha1.Sum(c.tree[path].data)) //nolint:gosec // as above
	}
	c.id = hex.EncodeToString(h.Sum(nil))
	for path, entry := range c.tree {
		if entry.last == "" {
			entry.last = c.id
			c.tree[path] = entry
		}
	}
	c.uuid = uuid(repo.ID, c.id)
	repo.commits[c.id] = c
	repo.order = append(repo.order, c)
	repo.branches[c.branch] = c.id
}

// put writes a file; its last commit becomes this one.
func (c *commit) put(path string, entry file) {
	action := "added"
	if _, ok := c.tree[path]; ok {
		action = "modified"
	}
	entry.last = ""
	c.tree[path] = entry
	c.changes = append(c.changes, Change{Action: action, Path: path, Content: string(entry.data)})
}

func (c *commit) remove(path string) {
	if _, ok := c.tree[path]; ok {
		delete(c.tree, path)
		c.changes = append(c.changes, Change{Action: "removed", Path: path})
	}
}

// resolve finds a commit by branch, id, or the beginning of an id.
func (r *repository) resolve(ref string) *commit {
	if head, ok := r.branches[ref]; ok {
		return r.commits[head]
	}
	if c, ok := r.commits[ref]; ok {
		return c
	}
	if len(ref) < 7 {
		return nil
	}
	for id, c := range r.commits {
		if strings.HasPrefix(id, ref) {
			return c
		}
	}
	return nil
}

// at returns the commit that a ref stands for; of the empty one that of the default branch.
func (r *repository) at(ref string) (*commit, *problem) {
	if ref == "" {
		ref = r.DefaultBranch
	}
	if c := r.resolve(ref); c != nil {
		return c, nil
	}
	return nil, &problem{http.StatusNotFound, "FAKE.no_such_ref", "the ref does not exist"}
}

// history returns a commit and all those before it, newest first.
func (r *repository) history(from *commit) []*commit {
	seen := map[string]bool{from.id: true}
	list := []*commit{from}
	for i := 0; i < len(list); i++ {
		for _, id := range list[i].parents {
			if !seen[id] {
				seen[id] = true
				list = append(list, r.commits[id])
			}
		}
	}
	slices.SortFunc(list, func(a, b *commit) int { return b.place - a.place })
	return list
}

// uuid makes an id shaped like a delivery's out of texts.
func uuid(parts ...string) string {
	sum := sha1.Sum([]byte(strings.Join(parts, "\x00"))) //nolint:gosec // not for secrets
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
