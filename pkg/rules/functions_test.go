package rules

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGlobFunction(t *testing.T) {
	for when, want := range map[string]bool{
		`glob(event.branch, "release/*")`:                              true,
		`glob(event.branch, "release")`:                                false,
		`glob(event.branch, event.branch)`:                             true,
		`event.commits.exists(c, c.added.exists(p, glob(p, "**.go")))`: true,
		`glob(event.raw.ref, "refs/heads/**")`:                         true,
	} {
		d, err := begin(t, compileRule(t, "when: '"+when+"'\n"+notifyAll), pushView()).Decide()
		if err != nil || d.Items[0].Fired != want {
			t.Errorf("%s: %v, %v", when, d, err)
		}
	}
	for when, want := range map[string]string{
		`glob(event.branch, event.?tag.orValue(""))`: "the glob is empty",
		`glob(event.branch, event.tag)`:              "event.tag is null: cannot be used with glob; test it with event.tag != null",
	} {
		_, err := begin(t, compileRule(t, "when: '"+when+"'\n"+notifyAll), pushView()).Decide()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", when, err)
		}
	}
}

// TestDaysUntil counts from the time of the event, whenever that is; the clock of the run is another one here.
func TestDaysUntil(t *testing.T) {
	view := pushView()
	view.Time = "2026-04-01T08:00:00.5Z"
	for when, want := range map[string]string{
		`days_until("2026-04-01T08:00:00.5Z") == 0`:                           "true",
		`days_until("2026-04-01T08:00:00.4Z") == -1`:                          "true",
		`days_until("2026-04-02T08:00:00.4Z") == 0`:                           "true",
		`days_until("2026-04-02T16:00:00.5+08:00") == 1`:                      "true",
		`days_until("2026-03-31T08:00:00.5Z") == -1`:                          "true",
		`days_until("2026-03-31T08:00:00.4Z") == -2`:                          "true",
		`days_until("2026-05-01") == 29`:                                      "true",
		`days_until(timestamp("2026-05-01T00:00:00Z")) == 29`:                 "true",
		`days_until("2026-05-01", "2026-04-30") == 1`:                         "true",
		`days_until("2026-05-01", timestamp("2026-04-30T12:00:00Z")) == 0`:    "true",
		`days_until("9999-12-31", "0001-01-01") == 3652058`:                   "true",
		`days_until(event.raw.until) == 2`:                                    "true",
		`[{"time": "x"}].all(event, days_until("2026-04-02T09:00:00Z") == 1)`: "true",
		`days_until("soon") == 1`:                                             `"soon" is not a time such as 2026-11-20T09:00:00Z, nor a date such as 2026-11-20`,
		`days_until(event.tag) == 1`:                                          "event.tag is null: cannot be used with days_until; test it with event.tag != null",
		`days_until(event.raw.nobody) == 1`:                                   "event.raw.nobody is not there; test it with has(event.raw.nobody)",
	} {
		view.Raw = json.RawMessage(`{"until":"2026-04-03T10:00:00Z"}`)
		d, err := begin(t, compileRule(t, "when: '"+when+"'\n"+notifyAll), view).Decide()
		switch {
		case want == "true" && (err != nil || !d.Items[0].Fired):
			t.Errorf("%s: %+v, %v", when, d, err)
		case want != "true" && (err == nil || !strings.HasSuffix(err.Error(), want)):
			t.Errorf("%s: %v", when, err)
		}
	}
}

// TestLink: in a message the text and the address of a link are values, for each channel to escape; elsewhere it is markdown.
func TestLink(t *testing.T) {
	const message = `
do:
  - notify:
      to: ops
      title: t
      text: |-
        See ${{ link(event.branch, event.repository.web_url) }}.
        - ${{ event.commits.map(c, link(c.message, "https://forge.example.com/c/" + c.id)).join("\n- ") }}
        ${{ event.commits.map(c, link(c.message, "javascript:alert(1)")).join(event.branch) }}
        ${{ event.tag == null ? link("none", "") : link(event.tag, "https://x.example.com") }}
        ${{ link("", "https://forge.example.com/") }}
  - commit:
      repo_id: 7
      branch: main
      message: "m ${{ link('a [b]\\n*c*', 'https://forge.example.com/a b(c)') }}"
      actions: [{ action: create, file_path: a.md, content: "${{ [link('x', 'https://x.example.com'), link('y', 'nowhere')].join(', ') }}" }]
`
	view := pushView()
	view.Commits = append(view.Commits, view.Commits[0])
	d := decide(t, begin(t, compileRule(t, message), view))
	one := Text{{Literal: "["}, {Value: "fix totals"}, {Literal: "]("}, {Value: "https://forge.example.com/c/85a0a9d5"}, {Literal: ")"}}
	want := Text{
		{Literal: "See "},
		{Literal: "["},
		{Value: "release/1.2"},
		{Literal: "]("},
		{Value: "https://forge.example.com/shop/orders"},
		{Literal: ").\n- "},
	}
	want = append(want, one...)
	want = append(want, Part{Literal: "\n- "})
	want = append(want, one...)
	want[len(want)-1].Literal += "\n"
	want = append(want, Part{Value: "fix totals"}, Part{Value: "release/1.2"}, Part{Value: "fix totals"}, Part{Literal: "\n"}, Part{Value: "none"}, Part{Literal: "\n"},
		Part{Literal: "["}, Part{Value: "https://forge.example.com/"}, Part{Literal: "]("}, Part{Value: "https://forge.example.com/"}, Part{Literal: ")"})
	if diff := cmp.Diff(want, d.Items[0].Actions[0].Notify.Text); diff != "" {
		t.Error(diff)
	}
	c := d.Items[0].Actions[1].Commit
	if want := `m [a \[b\] \*c\*](https://forge.example.com/a%20b%28c%29)`; c.Message != want {
		t.Errorf("the message is %s\nwant %s", c.Message, want)
	}
	if want := "[x](https://x.example.com), y"; c.Actions[0].Content != want {
		t.Errorf("the content is %s\nwant %s", c.Actions[0].Content, want)
	}
}

// TestLinkDeferred: an action that waits renders its links when the result is there.
func TestLinkDeferred(t *testing.T) {
	d := decide(t, begin(t, compileRule(t, `
do:
  - id: note
    commit: { repo_id: 7, branch: main, message: m, actions: [{ action: create, file_path: a, content: b }] }
  - notify: { to: ops, title: t, text: "${{ link(results.note.short_id, results.note.web_url) }} in ${{ days_until('2026-04-10') }} days" }
`), pushView()))
	a, skipped, err := RenderDeferred(&d.Items[0].Actions[1], map[string]Result{"note": {ShortID: "c0ffee00", WebURL: "https://forge.example.com/c0ffee00"}})
	if err != nil || skipped != "" {
		t.Fatal(err, skipped)
	}
	if got := a.Notify.Text.Plain(); got != "[c0ffee00](https://forge.example.com/c0ffee00) in 8 days" {
		t.Errorf("got %s", got)
	}
}

func TestLinkIsNoText(t *testing.T) {
	for when, want := range map[string]string{
		`link("a", "b") == "a"`:       "== cannot be applied to (link, string)",
		`"a" + link("a", "b") == "a"`: "+ cannot be applied to (string, link)",
		`link("a", "b").size() > 1`:   "size cannot be applied to link",
		`link(event.branch) == "a"`:   "link cannot be applied to (string)",
		`days_until(3) == 1`:          "days_until cannot be applied to (int, string)",
		`glob(event.branch, "a***")`:  `glob "a***" has three or more * in a row; write * (stops at '/') or ** (crosses it)`,
		`globb(event.branch, "a") `:   `there is no function "globb"`,
	} {
		_, problems := Compile([]File{{Name: "r.yaml", Data: []byte("rules:\n  - name: r\n    on: push\n    when: '" + when + "'\n    " + notifyAll)}}, testCatalogue())
		if len(problems) != 1 || problems[0].Message != "when: "+want {
			t.Errorf("%s: %v", when, problems)
		}
	}
	d, err := begin(t, compileRule(t, `when: 'link("a", "https://x.example.com") == link("a", "https://x.example.com") && link("a", "") != link("b", "")'`+"\n"+notifyAll), pushView()).Decide()
	if err != nil || !d.Items[0].Fired {
		t.Errorf("links compare with links: %v, %v", d, err)
	}
}
