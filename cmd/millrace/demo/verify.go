package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/millrace/millrace/cmd/millrace/shop"
	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// evidence is what the other side shows over HTTP, and the broker in its stores.
type evidence struct {
	commits  []codeartstest.CommitInfo // made through the API
	messages []notifytest.Message
	pushes   []codeartstest.Delivery // what CodeArts posted by itself
	events   uint64
	work     uint64 // to be done, or waiting
	dead     uint64
}

func (s *stage) look(ctx context.Context) (evidence, error) {
	var e evidence
	var all []codeartstest.CommitInfo
	if err := get(ctx, s.codeArts+"/_fake/repos/"+shop.RepoID+"/commits", &all); err != nil {
		return e, err
	}
	for _, c := range all {
		if c.Via == "api" {
			e.commits = append(e.commits, c)
		}
	}
	var state struct{ Deliveries []codeartstest.Delivery }
	if err := get(ctx, s.codeArts+"/_fake/state", &state); err != nil {
		return e, err
	}
	e.pushes = state.Deliveries
	if err := get(ctx, s.chat+"/_fake/messages", &e.messages); err != nil {
		return e, err
	}
	n, err := s.broker.Counts(ctx)
	if err != nil {
		return e, err
	}
	e.events, e.work, e.dead = n.Events, n.Work+n.Parked, n.Dead
	return e, nil
}

// finish waits until everything promised is there and all work is done, and checks that nothing is there twice.
func (s *stage) finish(ctx context.Context, story *story) error {
	limit := time.Now().Add(s.patience)
	var last error
	quiet := 0
	for {
		e, err := s.look(ctx)
		if err == nil {
			err = s.check(e)
		}
		if quiet++; err != nil {
			quiet = 0
		}
		if quiet == 10 { // for a whole second nothing was wrong and nothing was left to do
			s.conclude(e, story)
			return nil
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		if time.Now().After(limit) {
			return fmt.Errorf("the demo did not come out as told: %w", last)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// check says what is missing, or there too often.
func (s *stage) check(e evidence) error {
	if len(e.commits) != 1 {
		return fmt.Errorf("the repository at the fake CodeArts has %d follow-up commits, not 1", len(e.commits))
	}
	c := e.commits[0]
	if err := s.checkCommit(c); err != nil {
		return err
	}
	if err := s.checkMessages(e.messages, c.ID); err != nil {
		return err
	}
	if err := checkPushes(e.pushes, s.commit, c.ID); err != nil {
		return err
	}
	if e.dead != 0 {
		return fmt.Errorf("there are %d dead letters", e.dead)
	}
	if e.work > 1 { // the tick of the moment
		return fmt.Errorf("%d messages of work are not done", e.work)
	}
	return nil
}

func (s *stage) checkCommit(c codeartstest.CommitInfo) error {
	path := fmt.Sprintf("builds/%d.md", s.build)
	switch {
	case c.Branch != "main" || len(c.Files) != 1 || c.Files[0].Path != path || c.Files[0].Action != "added":
		return fmt.Errorf("the follow-up commit does not add %s to main: %+v", path, c)
	case !strings.Contains(c.Files[0].Content, s.commit) || !strings.Contains(c.Files[0].Content, "orders-ci"):
		return fmt.Errorf("%s names neither the commit nor the build task: %q", path, c.Files[0].Content)
	case !strings.Contains(c.Message, "\n\nMillrace-Action: "):
		return fmt.Errorf("the follow-up commit has no trailer: %q", c.Message)
	}
	return nil
}

func (s *stage) checkMessages(messages []notifytest.Message, commitID string) error {
	var builds, merges, alerts int
	for _, m := range messages {
		switch {
		case m.Kind == notifytest.DingTalk && strings.Contains(m.Title, fmt.Sprintf("Build %d of orders failed", s.build)):
			builds++
			if !strings.Contains(m.Text, "/commits/detail/"+commitID) {
				return fmt.Errorf("the message does not link to the follow-up commit %s: %q", commitID, m.Text)
			}
		case m.Kind == notifytest.DingTalk && strings.Contains(m.Title, "Merge request !7"):
			merges++
		case m.Kind == notifytest.Feishu && strings.Contains(m.Title, "7 days left"):
			alerts++
		default:
			return fmt.Errorf("an unexpected message: %q to %s", m.Title, m.Kind)
		}
	}
	if builds != 1 || merges != 1 || alerts != 1 {
		return fmt.Errorf("the chat has %d messages of the build, %d of the merge request and %d alerts, not 1 of each", builds, merges, alerts)
	}
	return nil
}

// checkPushes looks whether CodeArts got a 202 for the person's push and for the push of our own commit.
func checkPushes(pushes []codeartstest.Delivery, commits ...string) error {
	for _, c := range commits {
		found := false
		for _, p := range pushes {
			found = found || p.Commit == c && p.Status == http.StatusAccepted
		}
		if !found {
			return fmt.Errorf("the push of %s was not accepted: %+v", short(c), pushes)
		}
	}
	return nil
}

// conclude shows what was found on the other side.
func (s *stage) conclude(e evidence, story *story) {
	c := e.commits[0]
	subject, _, _ := strings.Cut(c.Message, "\n")
	story.say("✓", "commit", "at CodeArts there is one follow-up commit, "+c.ID,
		append([]string{subject, "+ " + c.Files[0].Path}, indent(c.Files[0].Content)...)...)
	for _, m := range e.messages {
		story.say("✓", "chat", "in the chat group at "+m.Kind, bubble(m)...)
	}
	story.say("✓", "verified", "read over HTTP from CodeArts and the chat: one commit, one message each, one alert; all work done")
	decisions := story.count(func(l line) bool { return l.Message == "run decided" })
	alerts := 0
	for _, m := range e.messages {
		if m.Kind == notifytest.Feishu {
			alerts++
		}
	}
	summary := map[string]any{
		"events": e.events, "duplicates": s.duplicates, "refused": s.refused, "decisions": decisions, "commits": len(e.commits),
		"alerts": alerts, "notifications": len(e.messages), "dead_letters": e.dead,
	}
	story.summary(summary)
}

// summary is the last line of the story.
func (s *story) summary(summary map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asJSON {
		_ = json.NewEncoder(s.out).Encode(map[string]any{"summary": summary})
		return
	}
	fmt.Fprintf(s.out, "\n%v events, %v recognised as delivered twice, %v refused, %v decisions, %v commit, %v alert, %v messages, %v dead letters\n",
		summary["events"], summary["duplicates"], summary["refused"], summary["decisions"], summary["commits"],
		summary["alerts"], summary["notifications"], summary["dead_letters"])
}

func indent(text string) []string {
	var lines []string
	for l := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, "  "+l)
	}
	return lines
}

// bubble draws a message about as a chat shows it.
func bubble(m notifytest.Message) []string {
	lines := []string{"╭ " + m.Title}
	for l := range strings.SplitSeq(strings.TrimSpace(m.Text), "\n") {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "### ") { // the title again
			lines = append(lines, "│ "+l)
		}
	}
	if m.Link != "" && !strings.Contains(m.Text, m.Link) {
		lines = append(lines, "│ → "+m.Link)
	}
	return append(lines, "╰")
}
