package rules

import (
	"strconv"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/events"
)

func TestChecks(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for name, c := range map[string]struct {
		check     func(string) error
		good, bad []string
	}{
		"path": {
			checkPath,
			[]string{"a", "a/b.md", "builds/构建 1.md", ".github/x", ".gitignore", "a..b/c", "a%2fb", "notes.", strings.Repeat("x", 255)},
			[]string{"", "/a", "../a", "a/../b", "a/..", "./a", "a//b", "a/", "a\nb", "a\x00", "a\x7f", ".git/config", "x/.GIT/hooks", ".git./x", ".git /x", ".Git::$INDEX_ALLOCATION/x", ".g\u200cit/x", "GIT~1/x", "a/.. /b", "a/.../b", "a/ /b", `a\b`, "C:/x", "a\u202eb", "a\u2028b", "\xff", strings.Repeat("x", 256), strings.Repeat("x/", 600) + "x"},
		},
		"branch": {
			checkBranch,
			[]string{"main", "release/1.2", "分支"},
			[]string{"", "a b", "a..b", "-x", "/a", "a/", "a//b", "a.lock", "a~1", "a^", "a:b", "a?", "a*", "a[", `a\b`, "a@{1}", "a\n", "a.", long},
		},
		"repo id":   {checkRepoID, []string{"1", "2111000001"}, []string{"", "-1", "1.0", "0x1", "a", "1 ", "١", "1234567890123456789"}},
		"message":   {checkMessage, []string{"m", "subject\n\nbody", strings.Repeat("构", 1955)}, []string{"", " \n", "a\x00", long, strings.Repeat("构", 1960)}},
		"author":    {checkAuthor, []string{"", "Wu Mei", "a@example.com"}, []string{"a\nb", "a <b>", long}},
		"link":      {checkLink, []string{"https://example.com/a?b=c#d", "http://127.0.0.1:8080/"}, []string{"javascript:alert(1)", "//x", "x", "ftp://x/y", "https://", "https://u:p@x/", "https://x/" + long, "https://x/\n"}},
		"alert key": {checkAlertKey, []string{"package/p1"}, []string{"", "a\nb", long}},
	} {
		for _, s := range c.good {
			if err := c.check(s); err != nil {
				t.Errorf("%s %q: %v", name, truncate(s, 60), err)
			}
		}
		for _, s := range c.bad {
			if c.check(s) == nil {
				t.Errorf("%s %q is taken", name, truncate(s, 60))
			}
		}
	}
}

// TestHostileEvents builds actions from events that try to reach further than they may.
func TestHostileEvents(t *testing.T) {
	r := compileRule(t, `
do:
  - commit:
      repo_id: "${{ event.repository.id }}"
      branch: "${{ event.branch }}"
      message: "docs: ${{ event.commits[0].message }}"
      author_name: "${{ event.author.name }}"
      actions: [{ action: create, file_path: "notes/${{ event.tag }}.md", content: "${{ event.commits[0].message }}" }]
  - notify: { to: ops, title: "${{ event.branch }}", text: x, link: "${{ event.repository.web_url }}" }
`)
	for _, c := range []struct{ tag, branch, message, name, id, url, want string }{
		{"ok", "main", "m", "n", "1", "https://x/", ""},
		{"../../.gitlab-ci", "main", "m", "n", "1", "https://x/", `r.yaml:10:50: do[0].commit.actions[0].file_path: the path "notes/../../.gitlab-ci.md" has the segment ".."`},
		{"a\nb", "main", "m", "n", "1", "https://x/", `r.yaml:10:50: do[0].commit.actions[0].file_path: the path has the control character U+000A`},
		{"a/", "--force", "m", "n", "1", "https://x/", `r.yaml:7:19: do[0].commit.branch: "--force" cannot be the name of a branch`},
		{"a", "main", strings.Repeat("m", 2000), "n", "1", "https://x/", `r.yaml:8:20: do[0].commit.message: the message has 2051 characters with its trailer, at most 2000 are allowed`},
		{"a", "main", "m", "n\n\nMillrace-Action: x", "1", "https://x/", `r.yaml:9:24: do[0].commit.author_name: it has the control character U+000A`},
		{"a", "main", "m", "n", "1/../2", "https://x/", `r.yaml:6:20: do[0].commit.repo_id: the repository id "1/../2" is not a number`},
		{"a", "main", "m", "n", "1", "javascript:alert(1)", `r.yaml:11:73: do[1].notify.link: "javascript:alert(1)" is not the address of a web page`},
	} {
		view := pushView()
		view.Tag, view.Branch, view.Author.Name, view.Repository.ID, view.Repository.WebURL = &c.tag, &c.branch, &c.name, &c.id, &c.url
		view.Commits[0].Message = &c.message
		d, err := begin(t, r, view).Decide()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.want == "" && d.Items[0].Actions[0].Commit.WebURL != "https://x/":
			t.Error("the web address of the event's repository")
		case c.want != "" && (err == nil || err.Error() != c.want):
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

// TestLongTextInEveryItem repeats a long text of an event in a thousand items: together that would be gigabytes.
func TestLongTextInEveryItem(t *testing.T) {
	view := pushView()
	long := strings.Repeat("a", 500<<10)
	view.MergeRequest = &events.MergeRequest{Description: &long}
	view.Commits = nil
	for i := range MaxItems {
		id := strconv.Itoa(i)
		view.Commits = append(view.Commits, events.Commit{ID: &id})
	}
	commit := `{repo_id: "1", branch: main, message: m, actions: [{action: create, file_path: a, content: "x${{ event.merge_request.description }}"}]}`
	for _, do := range []string{
		`[{notify: {to: ops, title: t, text: "${{ event.merge_request.description }}"}}]`,
		`[{commit: ` + commit + `}]`,
		`[{id: c, commit: {repo_id: "1", branch: main, message: m, actions: [{action: create, file_path: a, content: x}]}},
  {notify: {to: ops, title: t, text: "${{ results.c.id }} ${{ event.merge_request.description }}"}}]`,
		`[{alert: {key: k, phase: p, countdown: 1, at: [1], to: ops, title: t, text: "${{ event.merge_request.description }}"}}]`,
	} {
		_, err := begin(t, compileRule(t, "for_each: { in: event.commits, key: item.id }\ndo: "+do+"\n"), view).Decide()
		if err == nil || !strings.Contains(err.Error(), "the actions of one decision hold more than 8388608 bytes") {
			t.Errorf("%s: %v", do, err)
		}
	}
}
