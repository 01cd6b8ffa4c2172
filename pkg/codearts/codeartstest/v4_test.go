package codeartstest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

const (
	repoV4  = "/v4/repositories/" + repoID + "/repository/"
	hooksOf = "/v4/repositories/" + repoID + "/hooks"
)

func TestV4OverTheWire(t *testing.T) {
	now := time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)
	s := newSite(t, codeartstest.Options{Now: func() time.Time { return now }})
	s.expect(t, "POST", repoV4+"commits", adding("docs/a.md", "x"), 201, `"status":null`)
	s.expect(t, "POST", repoV4+"commits", adding("docs/a.md", "x"), 409, `"error_code":"FAKE.file_exists"`)
	s.expect(t, "POST", repoV4+"commits", `{`, 400, `"error_msg"`)
	dir := strings.Replace(adding("new", ""), `"create"`, `"create_dir"`, 1)
	s.expect(t, "POST", commits, dir, 400, "v2 knows no action create_dir")
	s.expect(t, "POST", repoV4+"commits", dir, 201, "")
	s.expect(t, "POST", repoV4+"commits", dir, 409, "FAKE.file_exists")
	head := s.Head(repoID, "main")
	s.expect(t, "GET", repoV4+"commits?sha=main&stats=true&show_code_changes=true", "", 200, `"code_changes":[{"added_line":1`)
	if _, body, _ := s.send(t, "GET", repoV4+"commits?sha="+head, "", token); strings.Contains(body, "stats") || strings.Contains(body, "result") {
		t.Errorf("more than was asked for: %s", body)
	}
	for query, n := range map[string]int{
		"": 3, "limit=2": 2, "offset=2": 1, "offset=9": 0, "path=docs": 1, "message=docs": 1, "message=" + head[:10]: 1, "author=Nobody": 0, "ref_name=main": 3,
		"since=2026-04-01T08:00:00Z": 0, "since=2026-04-01T07:59:59Z": 3, "until=2026-04-01T08:00:00Z": 0, "until=2026-04-01T08:00:01Z": 3, // neither is included
	} {
		var list struct {
			Commits []struct{ ID, Message string }
		}
		status, body, _ := s.send(t, "GET", repoV4+"commit-list?"+query, "", token)
		if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 || len(list.Commits) != n {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	for query, status := range map[string]int{"commit-list?limit=101": 400, "commit-list?since=x": 400, "commit-list?ref_name=no": 404, "commits?sha=no": 404, "files?file_path=no": 404, "files?file_path=a&ref=no": 404} {
		s.expect(t, "GET", repoV4+query, "", status, `"error_code":"FAKE.`)
	}
	s.expect(t, "GET", repoV4+"files?file_path=docs/a.md", "", 200, `"content_sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"`)
	s.Push(repoID, codeartstest.Push{Files: map[string]string{"large": strings.Repeat("x", 1<<20+1)}})
	s.expect(t, "GET", repoV4+"files?file_path=large&ref=main", "", 200, `"is_limited":true`)
	s.expect(t, "GET", strings.Replace(repoV4, repoID, "7", 1)+"files?file_path=a", "", 404, `"error_code":"CH.010117"`)
}

// hookBody is the body of a hook that is told of pushes.
func hookBody(url string) string {
	return fmt.Sprintf(`{"url":%q,"name":"n","token":"hook-token","token_type":"X-Gitlab-Token","push_events":true,"push_events_branch_regex_filter":"main|release/.*"}`, url)
}

func TestHooksOverTheWire(t *testing.T) {
	l, s := newListener(t), newSite(t, codeartstest.Options{})
	for name, body := range map[string]string{
		"not JSON":    `{`,
		"no address":  `{"push_events":true,"push_events_branch_regex_filter":".*"}`,
		"no event":    `{"url":"https://example.com"}`,
		"no filter":   `{"url":"https://example.com","push_events":true}`,
		"no regexp":   `{"url":"https://example.com","push_events":true,"push_events_branch_regex_filter":"("}`,
		"no comments": `{"url":"https://example.com","note_events":true}`,
		"long token":  `{"url":"https://example.com","tag_push_events":true,"token":"` + strings.Repeat("x", 2001) + `"}`,
	} {
		if status, text, _ := s.send(t, "POST", hooksOf, body, token); status != 400 || !strings.Contains(text, `"error_code":"FAKE.invalid"`) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	for range 20 {
		s.expect(t, "POST", hooksOf, hookBody("https://example.com/hooks/shop"), 201, `"token":"***"`)
	}
	s.expect(t, "POST", hooksOf, hookBody("https://example.com"), 400, "FAKE.too_many_hooks")
	hooks := s.Hooks()
	for i, h := range hooks[1:] {
		if i > 0 {
			s.expect(t, "DELETE", fmt.Sprintf("%s/%d", hooksOf, h.ID), "", 204, "")
		}
	}
	status, body, header := s.send(t, "GET", hooksOf+"?limit=1", "", token)
	if status != 200 || header.Get("X-Total") != "2" || strings.Count(body, `"id"`) != 1 || strings.Contains(body, "hook-token") {
		t.Errorf("list: %d %s %s", status, header.Get("X-Total"), body)
	}
	one := fmt.Sprintf("%s/%d", hooksOf, hooks[0].ID)
	s.expect(t, "PUT", one, `{"url":"","description":"kept out"}`, 400, "")
	s.expect(t, "GET", one, "", 200, `"description":null`)
	s.expect(t, "PUT", one, fmt.Sprintf(`{"url":%q}`, l.server.URL), 200, `"name":"n"`)
	if h := s.Hooks()[0]; h.Token != "hook-token" || h.URL != l.server.URL || h.BranchFilter != "main|release/.*" {
		t.Errorf("hook %+v", h)
	}
	s.expect(t, "DELETE", fmt.Sprintf("%s/%d", hooksOf, hooks[1].ID), "", 204, "")
	s.Push(repoID, codeartstest.Push{Branch: "maintenance", Message: "not told"})
	s.Push(repoID, codeartstest.Push{Branch: "release/1", Message: "told"})
	got := <-l.got
	if got.header.Get("X-Gitlab-Token") != "hook-token" || got.header.Get("X-Repo-Token") != "" || !strings.Contains(string(got.body), "refs/heads/release/1") {
		t.Errorf("delivery %v %s", got.header, got.body)
	}
	eventually(t, "it is written down", func() bool { return len(s.Deliveries()) == 1 })
	if d := s.Deliveries()[0]; d.Hook != hooks[0].ID || d.Status != http.StatusAccepted {
		t.Errorf("delivery %+v", d)
	}
	var logs []struct {
		ID             int
		ResponseStatus string `json:"response_status"`
	}
	_, body, _ = s.send(t, "GET", one+"/logs", "", token)
	if err := json.Unmarshal([]byte(body), &logs); err != nil || len(logs) != 1 || logs[0].ResponseStatus != "202" {
		t.Fatalf("logs %s", body)
	}
	_, body, _ = s.send(t, "GET", fmt.Sprintf("%s/logs/%d", one, logs[0].ID), "", token)
	if !strings.Contains(body, `"X-Gitlab-Token":"***"`) || strings.Contains(body, "hook-token") || strings.Contains(body, "@example.com") || !strings.Contains(body, `"ref":"refs/heads/release/1"`) {
		t.Errorf("log %s", body)
	}
	for path, want := range map[string]int{
		one + "/logs/1": 404, hooksOf + "/1": 404, one + "/logs?limit=0": 400, one + "/logs?created_after=x": 400, "/v4/teams/1/hooks": 404, "/v4/groups/1/hooks": 404,
	} {
		s.expect(t, "GET", path, "", want, `"error_code":"FAKE.`)
	}
	var state struct{ Hooks []struct{ URL string } }
	if s.look(t, "/_fake/state", &state); len(state.Hooks) != 1 || state.Hooks[0].URL != l.server.URL {
		t.Errorf("state %+v", state)
	}
}
