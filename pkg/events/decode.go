package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Decode reads an event as rules see it. It is tolerant: a field of the wrong type is
// absent. The only error is a body that [Scan] would refuse.
//
// It decides nothing anew: type, source and id are those the event was stored with. Of
// the body it keeps nothing but, mostly, Raw; Chain is left for the engine.
func Decode(e *Event) (*View, error) {
	if err := check(e.Body); err != nil {
		return nil, fmt.Errorf("event %s: %w", clip(e.ID), err)
	}
	var body node
	d := json.NewDecoder(bytes.NewReader(e.Body))
	d.UseNumber() // ids do not fit a float
	if err := d.Decode(&body); err != nil {
		return nil, fmt.Errorf("event %s: %w", clip(e.ID), err)
	}
	v := &View{
		Type:    e.Type,
		ID:      e.ID,
		Source:  e.Source,
		Time:    e.Time.UTC().Format(time.RFC3339Nano),
		Commits: body.commits("commits"),
		Raw:     raw(e.Body, body),
	}
	v.Repository = body.repositoryOf()
	kind, _, _ := strings.Cut(strings.TrimPrefix(e.Type, unknownPrefix), ".")
	switch {
	case kind == "note":
		v.note(body)
	case kind == "build":
		v.build(body)
	case e.Type == TypeTick:
		v.Schedule = body.object("schedule").schedule()
	case strings.HasPrefix(kind, "merge_request"):
		v.mergeRequest(body, body.object("object_attributes"))
	default:
		v.push(body)
	}
	return v, nil
}

// check is Scan without the reading.
func check(body []byte) error {
	s, err := newScanner(body)
	if err != nil {
		return err
	}
	if err := s.value(0); err != nil {
		return err
	}
	return s.end()
}

// raw is the body as strict JSON, which it nearly always is: names that come twice and
// lone surrogates, which Scan lets pass, would make later readers fail.
func raw(body []byte, decoded node) json.RawMessage {
	if jsontext.Value(body).IsValid() {
		return body
	}
	var strict bytes.Buffer
	enc := json.NewEncoder(&strict)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(decoded); err != nil {
		return body
	}
	return bytes.TrimSpace(strict.Bytes())
}

// push fills in a push of a branch or tag, and what an unknown kind has in common with it.
func (v *View) push(body node) {
	ref := body.text("ref")
	if ref != nil {
		v.Branch = after(*ref, "refs/heads/")
		v.Tag = after(*ref, "refs/tags/")
	}
	switch {
	case v.Branch != nil || v.Tag != nil || ref == nil:
	case v.Type == typeTagPush || v.Type == typeTagDelete:
		v.Tag = ref
	case v.Type == typePush || v.Type == typeBranchDelete:
		v.Branch = ref
	}
	v.Before, v.After = body.text("before"), body.text("after")
	v.TotalCommits = body.integer("total_commits_count")
	v.Author = person(body.text("user_name"), body.text("user_username"), body.text("user_email"))
	if v.Author == nil {
		v.Author = body.user("user")
	}
	if v.Author == nil { // GitHub and its relatives
		v.Author = person(nil, body.object("sender").text("login"), nil)
	}
}

func after(s, prefix string) *string {
	if rest, ok := strings.CutPrefix(s, prefix); ok && rest != "" {
		return &rest
	}
	return nil
}

func (v *View) mergeRequest(body, request node) {
	v.Author = body.user("user")
	if v.MergeRequest = request.mergeRequest(); v.MergeRequest == nil {
		return
	}
	v.Branch = v.MergeRequest.SourceBranch
	v.Before = request.text("oldrev")
	if last := v.MergeRequest.LastCommit; last != nil {
		v.After = last.ID
	}
}

func (v *View) note(body node) {
	v.mergeRequest(body, body.object("merge_request"))
	at := body.object("object_attributes")
	v.Note = at.note()
	if v.MergeRequest != nil {
		return
	}
	if c := body.object("commit").commit(); c != nil {
		v.Commits = []Commit{*c}
		v.After = c.ID
	}
	if v.After == nil {
		v.After = at.text("commit_id")
	}
}

func (v *View) build(body node) {
	v.Author = body.user("user")
	v.Build = body.object("build").build()
	if v.Build == nil {
		return
	}
	if v.Build.Outcome == nil {
		if _, action, _ := strings.Cut(v.Type, "."); action == "succeeded" || action == "failed" {
			v.Build.Outcome = &action
		}
	}
	v.Branch, v.Tag, v.After = v.Build.Branch, v.Build.Tag, v.Build.Commit
}

// Head names the commit that caused the event, with its message: whose it is decides
// the loop guard. It is the commit after a push, the last commit of a merge request, the
// commit built. Both are "" where there is none: a deleted branch or tag, and a note,
// which is a person's doing whatever it is on. message is "" if the event does not tell it.
func (v *View) Head() (id, message string) {
	if v.Note != nil {
		return "", ""
	}
	if v.MergeRequest != nil && v.MergeRequest.LastCommit != nil {
		c := v.MergeRequest.LastCommit
		return value(c.ID), value(c.Message)
	}
	id = value(v.After)
	if zeroHash(id) {
		return "", ""
	}
	for i := range v.Commits {
		if c := &v.Commits[i]; value(c.ID) == id && id != "" {
			return id, value(c.Message)
		}
	}
	if v.Build != nil && id != "" {
		return id, value(v.Build.CommitMessage)
	}
	if n := len(v.Commits); id == "" && n > 0 {
		return value(v.Commits[n-1].ID), value(v.Commits[n-1].Message)
	}
	return id, ""
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
