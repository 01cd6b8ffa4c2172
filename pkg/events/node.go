package events

import (
	"encoding/json"
	"strconv"
	"strings"
)

// node is an object of a decoded body, read tolerantly: each method returns nil for what
// is absent or of another type. A nil node has no fields.
type node map[string]any

func (n node) object(name string) node {
	o, _ := n[name].(map[string]any)
	return o
}

// text is a string that is not empty. Forges write "" for "none".
func (n node) text(name string) *string {
	if s, ok := n[name].(string); ok && s != "" {
		return &s
	}
	return nil
}

// written is a string or a number as text: ids come as either.
func (n node) written(name string) *string {
	if i, ok := n[name].(json.Number); ok {
		s := i.String()
		return &s
	}
	return n.text(name)
}

// integer is a whole number, also one written as a string.
func (n node) integer(name string) *int64 {
	s := n.written(name)
	if s == nil {
		return nil
	}
	i, err := strconv.ParseInt(*s, 10, 64)
	if err != nil {
		return nil
	}
	return &i
}

func (n node) boolean(name string) *bool {
	if b, ok := n[name].(bool); ok {
		return &b
	}
	return nil
}

// texts is a list of strings, without what is none. It is never nil.
func (n node) texts(name string) []string {
	list, _ := n[name].([]any)
	all := make([]string, 0, len(list))
	for _, item := range list {
		if s, ok := item.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// digits is an id of decimal digits.
func (n node) digits(name string) *string {
	s := n.written(name)
	if s == nil || strings.Trim(*s, "0123456789") != "" {
		return nil
	}
	return s
}

func (n node) repositoryOf() *Repository {
	project, repository := n.object("project"), n.object("repository")
	r := Repository{
		ID: first(project.digits("id"), n.digits("project_id"),
			n.object("object_attributes").digits("target_project_id"), repository.digits("id")),
		Path:          first(project.path("path_with_namespace"), repository.path("path_with_namespace"), repository.path("full_name")),
		Name:          first(project.text("name"), repository.text("name")),
		WebURL:        first(project.text("web_url"), project.text("homepage"), repository.text("homepage"), repository.text("html_url")),
		DefaultBranch: first(project.text("default_branch"), repository.text("default_branch")),
	}
	if r == (Repository{}) {
		return nil
	}
	return &r
}

// path is a repository's path, usable as Scan understands it.
func (n node) path(name string) *string {
	if s := n.text(name); s != nil && usablePath(*s) {
		return s
	}
	return nil
}

func first(all ...*string) *string {
	for _, s := range all {
		if s != nil {
			return s
		}
	}
	return nil
}

func (n node) user(name string) *Person {
	u := n.object(name)
	return person(u.text("name"), u.text("username"), u.text("email"))
}

func person(name, username, email *string) *Person {
	if name == nil && username == nil && email == nil {
		return nil
	}
	return &Person{Name: name, Username: username, Email: email}
}

// commits is a list of commits, without what is none. It is never nil.
func (n node) commits(name string) []Commit {
	list, _ := n[name].([]any)
	all := make([]Commit, 0, len(list))
	for _, item := range list {
		o, _ := item.(map[string]any)
		if c := node(o).commit(); c != nil {
			all = append(all, *c)
		}
	}
	return all
}

func (n node) commit() *Commit {
	if n == nil {
		return nil
	}
	c := &Commit{
		ID:       n.text("id"),
		Message:  n.text("message"),
		Title:    n.text("title"),
		WebURL:   n.text("url"),
		Time:     n.text("timestamp"),
		Author:   n.user("author"),
		Added:    n.texts("added"),
		Modified: n.texts("modified"),
		Removed:  n.texts("removed"),
	}
	if c.Title == nil && c.Message != nil {
		title, _, _ := strings.Cut(*c.Message, "\n")
		title = strings.TrimSpace(title)
		c.Title = &title
	}
	return c
}

func (n node) mergeRequest() *MergeRequest {
	if n == nil {
		return nil
	}
	return &MergeRequest{
		ID:             n.integer("id"),
		IID:            n.integer("iid"),
		Title:          n.text("title"),
		Description:    n.text("description"),
		State:          n.text("state"),
		Action:         n.text("action"),
		WebURL:         n.text("url"),
		SourceBranch:   n.text("source_branch"),
		TargetBranch:   n.text("target_branch"),
		MergeCommitSHA: n.text("merge_commit_sha"),
		LastCommit:     n.object("last_commit").commit(),
	}
}

func (n node) note() *Note {
	if n == nil {
		return nil
	}
	v := &Note{
		ID:       n.integer("id"),
		Text:     n.text("note"),
		Action:   n.text("action"),
		WebURL:   n.text("url"),
		CommitID: n.text("commit_id"),
		System:   n.boolean("system"),
	}
	if s := n.text(keyNoteSubject); s != nil {
		kind := string(noteKind([]byte(*s)))
		v.Kind = &kind
	}
	return v
}

func (n node) build() *Build {
	if n == nil {
		return nil
	}
	b := &Build{
		ProjectID:     n.text("project_id"),
		JobID:         n.written("job_id"),
		JobName:       n.text("job_name"),
		BuildNo:       n.written("build_no"),
		DailyBuildNum: n.written("daily_build_num"),
		BuildRecordID: n.text("build_record_id"),
		Status:        n.text("status"),
		ErrMsg:        n.text("err_msg"),
		TriggerType:   n.text("trigger_type"),
		Branch:        n.text("branch"),
		Tag:           n.text("tag"),
		Commit:        n.text("commit"),
		CommitMessage: n.text("commit_message"),
		WebURL:        n.text("web_url"),
		Started:       n.text("started"),
		Finished:      n.text("finished"),
		Duration:      n.integer("duration"),
	}
	if b.Status != nil {
		o := outcome(*b.Status)
		b.Outcome = &o
	}
	return b
}

// outcome puts the statuses of CodeArts Build into the words of rules.
func outcome(status string) string {
	switch strings.ToUpper(status) {
	case "SUCCESS", "SUCCEEDED":
		return "succeeded"
	case "FAILED", "ERROR":
		return "failed"
	case "CANCELED", "ABORTED":
		return "canceled"
	case "QUEUED", "INITIALIZING":
		return "queued"
	case "RUNNING":
		return "running"
	}
	return "unknown"
}

func (n node) schedule() *Schedule {
	if n == nil {
		return nil
	}
	zone, _ := n["time_zone"].(string)
	return &Schedule{ID: n.text("id"), Pattern: n.text("pattern"), TimeZone: &zone, Due: n.text("due")}
}
