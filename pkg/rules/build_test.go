package rules

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	ordersJobID = "f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3"
	pushedID    = "85a0a9d5c6e43bc9c3e443ac01f789e24eeef02b"
)

// TestBuild renders a build: its parameters keep the order of the rule, values become text, and one may be empty.
func TestBuild(t *testing.T) {
	r := compileRule(t, `
do:
  - id: next
    build:
      connection: default
      job_id: `+ordersJobID+`
      commit: "`+pushedID+`"
      parameters: { BRANCH: "${{ event.branch }}", COUNT: "${{ size(event.commits) }}", FORCE: true, ATTEMPTS: 3, NOTE: "", AREA: "a ${{ event.branch }}" }
  - build: { job_id: `+ordersJobID+`, tag: v2.4 }
  - build: { job_id: `+ordersJobID+` }
`)
	view := pushView()
	view.Branch = ptr("release/1.2")
	d := decide(t, begin(t, r, view))
	want := []*Build{
		{Connection: "default", JobID: ordersJobID, Commit: pushedID, Parameters: []BuildParameter{
			{"BRANCH", "release/1.2"}, {"COUNT", fmt.Sprint(len(view.Commits))}, {"FORCE", "true"}, {"ATTEMPTS", "3"}, {"NOTE", ""}, {"AREA", "a release/1.2"},
		}},
		{JobID: ordersJobID, Tag: "v2.4"},
		{JobID: ordersJobID},
	}
	ids := []string{"next", "build2", "build3"}
	for i := range d.Items[0].Actions {
		var a Action // as a worker reads it
		roundTrip(t, d.Items[0].Actions[i], &a)
		if diff := cmp.Diff(want[i], a.Build); diff != "" {
			t.Error(diff)
		}
		if a.ID != ids[i] || a.Kind != KindBuild || a.Key != ActionKey(d.RunID, "", ids[i]) || a.Commit != nil {
			t.Errorf("action %d: %+v", i, a)
		}
	}
	if shadow := decide(t, begin(t, compileRule(t, "mode: shadow\ndo: [{ build: { job_id: "+ordersJobID+" } }]\n"), view)); shadow.Outcome != OutcomeShadow {
		t.Errorf("outcome %s", shadow.Outcome)
	}
}

// TestBuildRefused: what comes from an event is checked as strictly as what is written in the rule.
func TestBuildRefused(t *testing.T) {
	for _, c := range []struct{ build, branch, want string }{
		{`job_id: "${{ event.branch }}"`, "orders", `"orders" is not the id of a build task: 32 letters and digits, the end of the address of its page`},
		{`job_id: "${{ event.branch }}"`, strings.Repeat("/", 32), `is not the id of a build task`},
		{`commit: "${{ event.branch }}"`, pushedID[:12], `"85a0a9d5c6e4" is not the whole id of a commit`},
		{`commit: "${{ event.branch }}"`, strings.Repeat("0", 40), `the zero id`},
		{`commit: "${{ event.branch }}"`, "", `"" is not the whole id of a commit`},
		{`commit: "${{ event.tag }}"`, "main", `event.tag is null`},
		{`tag: "${{ event.branch }}"`, "v1..2", `"v1..2" cannot be the name of a tag`},
		{`tag: "${{ event.branch }}"`, "", `the tag is empty`},
		{`parameters: { A: "${{ event.branch }}" }`, strings.Repeat("x", maxParameterValue+1), `the value has 8193 bytes, at most 8192 are allowed`},
		{`parameters: { A: "${{ event.branch }}" }`, "a\x00b", `the value is not text`},
		{`parameters: { A: "${{ event.tag }}" }`, "main", `event.tag is null`},
	} {
		if !strings.Contains(c.build, "job_id") {
			c.build = "job_id: " + ordersJobID + "\n      " + c.build
		}
		view := pushView()
		view.Branch = ptr(c.branch)
		_, err := begin(t, compileRule(t, "do:\n  - build:\n      "+c.build+"\n"), view).Decide()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %q: %v", c.build, c.branch, err)
		}
	}
	view := pushView()
	view.Branch = ptr(strings.ToUpper(pushedID))
	if _, err := begin(t, compileRule(t, "do: [{ build: { job_id: "+ordersJobID+", commit: \"${{ event.branch }}\" } }]\n"), view).Decide(); err != nil {
		t.Error(err)
	}
}

// TestResultOfABuild: what names the result of a build waits for it, a build may itself wait, and each is rendered with what came.
func TestResultOfABuild(t *testing.T) {
	r := compileRule(t, `
do:
  - id: next
    build: { job_id: `+ordersJobID+` }
  - notify: { to: ops, title: "Build ${{ results.next.build_no }}", text: "${{ results.next.daily_build_num }} of ${{ results.next.job_id }}, ${{ results.next.build_no + 1 }} ${{ event.branch }}" }
  - if: results.next.failed
    notify: { to: ops, title: t, text: "${{ results.next.error }}${{ results.next.build_no }}" }
  - id: after
    build: { job_id: `+ordersJobID+`, parameters: { NEXT: "${{ results.next.build_no }}", EMPTY: "" } }
`)
	actions := decide(t, begin(t, r, pushView())).Items[0].Actions
	render := func(i int, result Result) string {
		t.Helper()
		var a Action
		roundTrip(t, actions[i], &a)
		if diff := cmp.Diff([]string{"next"}, a.Waits); diff != "" {
			t.Error(diff)
		}
		ready, skipped, err := RenderDeferred(&a, map[string]Result{"next": result})
		switch {
		case err != nil:
			t.Fatal(err)
		case skipped != "":
			return "skipped: " + skipped
		case ready.Build != nil:
			data, _ := json.Marshal(ready.Build)
			return string(data)
		}
		return ready.Notify.Title.Plain() + "|" + ready.Notify.Text.Plain()
	}
	done := Result{BuildNo: 18, DailyBuildNum: "20260401.4", JobID: ordersJobID}
	failed := Result{Failed: true, Error: "the task is switched off"}
	for _, c := range []struct {
		action int
		result Result
		want   string
	}{
		{1, done, "Build 18|20260401.4 of " + ordersJobID + ", 19 release/1.2"},
		{1, failed, "skipped: next failed: the task is switched off"},
		{2, done, "skipped: if is false: results.next.failed"},
		{2, failed, "t|the task is switched off0"},
		{3, done, `{"job_id":"` + ordersJobID + `","parameters":[{"name":"NEXT","value":"18"},{"name":"EMPTY","value":""}]}`},
		{3, failed, "skipped: next failed: the task is switched off"},
	} {
		if got := render(c.action, c.result); got != c.want {
			t.Errorf("action %d: got %s\nwant %s", c.action, got, c.want)
		}
	}
}

// TestParametersHaveALimit counts what a rule may give a build.
func TestParametersHaveALimit(t *testing.T) {
	var b strings.Builder
	for i := range maxParameters + 1 {
		fmt.Fprintf(&b, "P%d: x, ", i)
	}
	text := "rules: [{ name: a, on: push, do: [{ build: { job_id: " + ordersJobID + ", parameters: { " + b.String() + " } } }] }]"
	_, problems := Compile([]File{{Name: "r.yaml", Data: []byte(text)}}, testCatalogue())
	if want := "do[0].build.parameters: 101 parameters, at most 100 are allowed"; len(problems) != 1 || !strings.Contains(problems.Error(), want) {
		t.Errorf("problems: %v", problems)
	}
	long := strings.Repeat("x", maxParameterName+1)
	text = "rules: [{ name: a, on: push, do: [{ build: { job_id: " + ordersJobID + ", parameters: { " + long + ": x } } }] }]"
	if _, problems = Compile([]File{{Name: "r.yaml", Data: []byte(text)}}, testCatalogue()); !strings.Contains(problems.Error(), "1 to 128 characters") {
		t.Errorf("problems: %v", problems)
	}
}

// TestParametersCountInTheDecision: what builds are given counts as what commits hold does.
func TestParametersCountInTheDecision(t *testing.T) {
	var actions strings.Builder
	for i := range 50 {
		fmt.Fprintf(&actions, "  - { id: b%d, build: { job_id: %s, parameters: { ", i, ordersJobID)
		for p := range 25 {
			fmt.Fprintf(&actions, `P%d: "${{ event.branch }}", `, p)
		}
		actions.WriteString("} } }\n")
	}
	view := pushView()
	view.Branch = ptr(strings.Repeat("x", maxParameterValue))
	_, err := begin(t, compileRule(t, "do:\n"+actions.String()), view).Decide()
	if err == nil || !strings.Contains(err.Error(), "hold more than") {
		t.Errorf("the decision holds 10 MiB of parameters: %v", err)
	}
}
