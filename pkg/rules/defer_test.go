package rules

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const commitNote = `
- id: note
  commit: { repo_id: "1", branch: main, message: m, actions: [{ action: create, file_path: a.md, content: x }] }
`

// deferredText decides a rule whose second action has the text and the condition, and renders that action.
func deferredText(t *testing.T, text, cond string, result Result) (got, skipped string, err error) {
	t.Helper()
	body := "fetch:\n  build: { build_record: { job_id: j, build_no: 17 } }\n  job: { job_config: { job_id: j } }\ndo:" + indent(commitNote, "  ") +
		"  - notify: { to: ops, title: t, text: " + yamlQuote(text) + " }\n"
	if cond != "" {
		body += "    if: " + yamlQuote(cond) + "\n"
	}
	body = strings.Replace(body, "do:  -", "do:\n  -", 1)
	x := begin(t, compileRule(t, body), pushView())
	provide(t, x, map[string]string{"build": failedBuild, "job": ordersJob})
	d := decide(t, x)
	var a Action
	roundTrip(t, d.Items[0].Actions[1], &a)
	if a.Deferred == nil || a.Notify != nil {
		t.Fatalf("%s: not deferred", text)
	}
	ready, skipped, err := RenderDeferred(&a, map[string]Result{"note": result})
	if ready != nil {
		got = ready.Notify.Text.Plain()
	}
	return got, skipped, err
}

func yamlQuote(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

// TestDeferredMeansTheSame renders templates later that name a result, and the same templates at once without it.
func TestDeferredMeansTheSame(t *testing.T) {
	for _, text := range []string{
		`${{ facts.build.build_no + 1 }}`,
		`${{ has(facts.build.duration) ? "yes" : "no" }} ${{ facts.build.duration == null ? "" : string(facts.build.duration) }}`,
		`${{ has(event.merge_request) ? event.merge_request.title : "none" }}`,
		`${{ event.merge_request == null }}`,
		`${{ has(event.merge_request.title) }} ${{ has(event.raw.extra.f) }} ${{ has(event.author.name) }}`,
		`${{ event.raw.extra.f }} ${{ event.raw.extra.n }} ${{ has(event.raw.extra.nothing) }} ${{ has(event.raw.extra.absent) }}`,
		`${{ event.commits.map(c, c.id).join(",") }} ${{ event.commits[0].author == null }}`,
		`${{ event.?merge_request.?title.orValue("none") }}`,
		`${{ facts.job.scms.exists(s, s.repo_id == facts.build.repo_id) }}`,
		`${{ size(facts.job.scms) }} ${{ facts.job.token }} ${{ event.author.name }} ${{ facts.job.labels.size() }}`,
		`${{ facts.build == null ? "x" : facts.build.outcome }}`,
		`${{ double(facts.build.build_no) / 2.0 }}`,
	} {
		x := begin(t, compileRule(t, "fetch:\n  build: { build_record: { job_id: j, build_no: 17 } }\n  job: { job_config: { job_id: j } }\ndo:\n  - notify: { to: ops, title: t, text: "+yamlQuote(text)+" }\n"), pushView())
		job := strings.Replace(ordersJob, "{", `{"labels":{"a":"b"},`, 1)
		provide(t, x, map[string]string{"build": failedBuild, "job": job})
		now := decide(t, x).Items[0].Actions[0].Notify.Text.Plain()
		later, skipped, err := deferredWith(t, text+`${{ results.note.short_id }}`, job)
		if err != nil || skipped != "" || later != now {
			t.Errorf("%s: now %q, later %q %q %v", text, now, later, skipped, err)
		}
	}
}

func deferredWith(t *testing.T, text, job string) (string, string, error) {
	t.Helper()
	x := begin(t, compileRule(t, "fetch:\n  build: { build_record: { job_id: j, build_no: 17 } }\n  job: { job_config: { job_id: j } }\ndo:\n"+indent(commitNote, "  ")+
		"  - notify: { to: ops, title: t, text: "+yamlQuote(text)+" }\n"), pushView())
	provide(t, x, map[string]string{"build": failedBuild, "job": job})
	var a Action
	roundTrip(t, decide(t, x).Items[0].Actions[1], &a)
	ready, skipped, err := RenderDeferred(&a, map[string]Result{"note": {}})
	if ready == nil {
		return "", skipped, err
	}
	return ready.Notify.Text.Plain(), skipped, err
}

func TestDeferredNullIsNamed(t *testing.T) {
	_, _, err := deferredText(t, `${{ results.note.id }} ${{ event.merge_request.last_commit.id }}`, "", Result{})
	want := "notify1.notify.text: event.merge_request is null: cannot read event.merge_request.last_commit.id; test it with event.merge_request != null"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestDeferredMissingIsNamed(t *testing.T) {
	_, _, err := deferredText(t, `${{ results.note.id }} ${{ event.raw.extra.absent }}`, "", Result{})
	want := "notify1.notify.text: event.raw.extra.absent is not there; test it with has(event.raw.extra.absent)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestDeferredConditions(t *testing.T) {
	failed, done := Result{Failed: true, Error: "file exists"}, Result{ID: "1f2e"}
	for _, c := range []struct {
		text, cond    string
		result        Result
		want, skipped string
	}{
		{`${{ results.note.id }}`, "", done, "1f2e", ""},
		{`${{ results.note.id }}`, "", failed, "", "note failed: file exists"},
		{`${{ results.note.error }}`, "results.note.failed", failed, "file exists", ""},
		{`x`, "results.note.failed", done, "", "if is false: results.note.failed"},
		{`x`, "results.note.failed || facts.build.build_no == 17", done, "x", ""},
		{`${{ results.note.error }}`, `results.note.error != ""`, failed, "file exists", ""},
		{`${{ results.note.id }}!`, "true", failed, "", "note failed: file exists"},
		{`${{ results.note.id }}`, `event.branch == "release/1.2"`, failed, "", "note failed: file exists"},
		{`${{ results.note.id }}`, `event.branch == "release/1.2"`, done, "1f2e", ""},
		{`${{ results.note.id }}`, `results.note.id == ""`, failed, "", "note failed: file exists"},
		{`${{ results.note.id }}`, `has(results.note.failed)`, failed, "", "note failed: file exists"},
		{`${{ results.note.id }}`, `!results.note.failed || event.branch == "x"`, failed, "", `if is false: !results.note.failed || event.branch == "x"`},
	} {
		got, skipped, err := deferredText(t, c.text, c.cond, c.result)
		if err != nil || got != c.want || skipped != c.skipped {
			t.Errorf("%s if %s: got %q, skipped %q, %v", c.text, c.cond, got, skipped, err)
		}
	}
}

// TestEachFailureIsAskedAbout waits for two commits: an `if` that asks about one does not let the action through when the other
// failed, nor does one that is kept in a record from before there was Asks.
func TestEachFailureIsAskedAbout(t *testing.T) {
	r := compileRule(t, "do:\n"+indent(commitNote+strings.Replace(commitNote, "note", "log", 1), "  ")+`
  - if: results.log.failed
    notify: { to: ops, title: t, text: "${{ results.note.id }}${{ results.log.error }}" }
`)
	failed, done := Result{Failed: true, Error: "file exists"}, Result{ID: "1f2e"}
	actions := decide(t, begin(t, r, pushView())).Items[0].Actions
	data, err := json.Marshal(actions[2])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"asks":["log"]`) {
		t.Errorf("the record does not say what the if asks about: %s", data)
	}
	before := strings.Replace(string(data), `,"asks":["log"]`, "", 1)
	for _, c := range []struct {
		record    string
		note, log Result
		want      string
	}{
		{string(data), done, failed, "1f2efile exists"},
		{string(data), failed, failed, "skipped: note failed: file exists"},
		{string(data), failed, done, "skipped: note failed: file exists"},
		{string(data), done, done, "skipped: if is false: results.log.failed"},
		{before, done, failed, "skipped: log failed: file exists"},
		{before, done, done, "skipped: if is false: results.log.failed"},
	} {
		var a Action
		if err := json.Unmarshal([]byte(c.record), &a); err != nil {
			t.Fatal(err)
		}
		ready, skipped, err := RenderDeferred(&a, map[string]Result{"note": c.note, "log": c.log})
		got := "skipped: " + skipped
		if ready != nil {
			got = ready.Notify.Text.Plain()
		}
		if err != nil || got != c.want {
			t.Errorf("note %+v, log %+v: got %q, %v; want %q", c.note, c.log, got, err, c.want)
		}
	}
}

// TestSkippedActions is about conditions that need no result: they are decided at once, also for the actions that wait.
func TestSkippedActions(t *testing.T) {
	r := compileRule(t, `
do:
  - id: note
    if: event.branch == "main"
    commit: { repo_id: "1", branch: main, message: m, actions: [{ action: create, file_path: a.md, content: x }] }
  - notify: { to: ops, title: t, text: "${{ results.note.id }}" }
  - if: results.note.failed
    notify: { to: ops, title: t, text: "${{ results.note.error }}" }
  - if: event.branch != "main"
    notify: { to: ops, title: t, text: x }
`)
	d := decide(t, begin(t, r, pushView()))
	want := []SkippedAction{
		{ID: "note", Kind: "commit", Reason: `if is false: event.branch == "main"`},
		{ID: "notify1", Kind: "notify", Reason: `note failed: skipped: if is false: event.branch == "main"`},
	}
	if diff := cmp.Diff(want, d.Items[0].Skipped); diff != "" {
		t.Error(diff)
	}
	var texts []string
	for _, a := range d.Items[0].Actions {
		texts = append(texts, a.ID+" "+a.Notify.Text.Plain())
	}
	if diff := cmp.Diff([]string{`notify2 skipped: if is false: event.branch == "main"`, "notify3 x"}, texts); diff != "" {
		t.Error(diff)
	}
}

// TestDeferredCommit checks that what is made later is checked as strictly.
func TestDeferredCommit(t *testing.T) {
	r := compileRule(t, "do:\n"+indent(commitNote, "  ")+`
  - commit:
      repo_id: "${{ event.repository.id }}"
      branch: "${{ event.branch }}"
      message: "after ${{ results.note.short_id }}"
      actions: [{ action: create, file_path: "notes/${{ results.note.id }}.md", content: x }]
`)
	d := decide(t, begin(t, r, pushView()))
	var a Action
	roundTrip(t, d.Items[0].Actions[1], &a)
	ready, _, err := RenderDeferred(&a, map[string]Result{"note": {ID: "1f2e", ShortID: "1f"}})
	if err != nil {
		t.Fatal(err)
	}
	want := &Commit{
		RepoID: "2111000001", Branch: "release/1.2", Message: "after 1f", WebURL: "https://forge.example.com/shop/orders",
		Actions: []FileAction{{Action: "create", FilePath: "notes/1f2e.md", Content: "x"}},
	}
	if diff := cmp.Diff(want, ready.Commit); diff != "" {
		t.Error(diff)
	}
	if _, _, err := RenderDeferred(&a, map[string]Result{"note": {ID: "../../x"}}); err == nil || !strings.Contains(err.Error(), `".."`) {
		t.Errorf("a path built from a result: %v", err)
	}
	if _, _, err := RenderDeferred(&a, nil); err == nil {
		t.Error("a missing result must be an error")
	}
}
