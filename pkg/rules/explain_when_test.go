package rules

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/events"
)

// TestExplanationsAgree evaluates conditions, and then every node of their explanations again from its text: the verdicts agree.
func TestExplanationsAgree(t *testing.T) {
	for _, when := range []string{
		`facts.build.outcome == "failed" && facts.job.scms.exists(s, s.repo_id == facts.build.repo_id)`,
		`facts.build.outcome != "failed" || facts.build.build_no in [1, 2, 17]`,
		`!(facts.build.outcome == "failed") || (event.branch.startsWith("main") && !facts.build.finished)`,
		`facts.build.build_no > 3 && (facts.build.build_no < 5 || 16 < facts.build.build_no) && event.branch != "x"`,
		`facts.build.duration > 1.0 || facts.build.finished`,
		`false && facts.build.duration > 1.0`,
		`facts.build.finished ? event.branch == "x" : true`,
		`has(facts.build.stages) && facts.build.stages.all(s, s.took > 1)`,
		`event.commits.map(c, c.message).exists(m, m.contains("totals")) && event.raw.extra.n == 1`,
		`event.raw.absent == 1 || event.raw.extra["gone"].x == 2 || event.branch != "main"`,
		`true`,
		`facts.build.finished`,
	} {
		r := evalRule(t, when)
		x := begin(t, r, pushView())
		provide(t, x, map[string]string{"build": failedBuild, "job": ordersJob})
		d := decide(t, x)
		e := d.Items[0].Explanation
		if (e.Verdict == True) != d.Items[0].Fired {
			t.Errorf("%s: the root says %s", when, e.Verdict)
		}
		act := x.activation()
		for _, c := range e.Children {
			agrees(t, r.when.prog.env, act, c)
		}
	}
}

func agrees(t *testing.T, env *env, act activation, e Explanation) {
	t.Helper()
	for _, c := range e.Children {
		agrees(t, env, act, c)
	}
	p := env.program(e.Label)
	if len(p.issues) > 0 {
		t.Errorf("%s does not compile: %v", e.Label, p.issues)
		return
	}
	x := &expr{field: "again", prog: p}
	holds, err := x.condition(act)
	var eval *EvalError
	switch {
	case e.Verdict == Unreached:
	case e.Verdict == Failed:
		if !errors.As(err, &eval) || eval.Message != e.Error {
			t.Errorf("%s: %v, was %s", e.Label, err, e.Error)
		}
	case err != nil || verdict(holds) != e.Verdict:
		t.Errorf("%s: %v %v, was %s", e.Label, holds, err, e.Verdict)
	}
}

// TestLeaves counts conditions: what is negated is one, and what was not reached does not hold.
func TestLeaves(t *testing.T) {
	for when, want := range map[string][2]int{
		`facts.build.finished`:                                                {1, 1},
		`event.branch == "x" && facts.build.finished`:                         {0, 2},
		`facts.build.finished && (event.branch == "x" || event.tag == null)`:  {2, 3},
		`!(facts.build.finished || facts.build.build_no == 17)`:               {0, 1},
		`!(event.branch == "x" || event.branch == "y") && event.branch == ""`: {1, 2},
	} {
		d, err := evalDecision(t, evalRule(t, when), failedBuild, ordersJob)
		if err != nil {
			t.Fatal(err)
		}
		if held, all := d.Items[0].Explanation.Leaves(); held != want[0] || all != want[1] {
			t.Errorf("%s: %d of %d, want %v", when, held, all, want)
		}
	}
	if held, all := (&Explanation{Verdict: True}).Leaves(); held != 0 || all != 0 {
		t.Errorf("without a condition %d of %d hold", held, all)
	}
}

func TestExplanationForPeople(t *testing.T) {
	r := evalRule(t, `event.branch.startsWith("main") || facts.build.outcome == "canceled" || !(facts.build.build_no in [16, 17]) || facts.build.duration > 1.0 && facts.job.name != "x"`)
	d, err := evalDecision(t, r, failedBuild, strings.Replace(ordersJob, "orders-ci", "x", 1))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	d.Items[0].Explanation.Render(&b)
	b.WriteString(d.Reason + "\n")
	golden(t, "explanation.out", b.String())
}

// TestWhatLeavesSaw shows what was compared, not the whole it was taken from, and of objects what is there.
func TestWhatLeavesSaw(t *testing.T) {
	view := pushView()
	view.Commits = append(view.Commits, events.Commit{ID: ptr("9f8e"), Title: ptr("<second>")})
	for when, want := range map[string]string{
		`event.commits[1].title == "x"`:                        `"<second>"`,
		`event.commits[1].title.startsWith("x")`:               `"<second>"`,
		`event.commits[0].title != null`:                       `null`,
		`event.commits.size() > 2`:                             `2`,
		`event.commits.map(c, c.id).join(",") == "x"`:          `"85a0a9d5,9f8e"`,
		`2 * facts.build.build_no < 9`:                         `34`,
		`9 > 2 * facts.build.build_no`:                         `34`,
		`facts.build.build_no in [1, 2]`:                       `17`,
		`event.commits[1].id in [event.branch]`:                `{"event.branch":"release/1.2","event.commits[1].id":"9f8e"}`,
		`event.branch == event.tag`:                            `{"event.branch":"release/1.2","event.tag":null}`,
		`event.commits[facts.build.build_no - 17].id == "x"`:   `"85a0a9d5"`,
		`event.author == null`:                                 `{"name":"Wu Mei","username":"wumei"}`,
		`event.commits[1].author != null`:                      `null`,
		`lists.range(2).exists(i, event.commits[i].id == "x")`: `[{"added":["a.go"],"id":"85a0a9d5","message":"fix totals"},{"id":"9f8e","title":"<second>"}]`,
	} {
		r := evalRule(t, when)
		x := begin(t, r, view)
		provide(t, x, map[string]string{"build": failedBuild, "job": ordersJob})
		e, err := r.when.explain("when", x.activation())
		if err != nil {
			t.Errorf("%s: %v", when, err)
			continue
		}
		if leaf := &e.Children[0]; string(leaf.Seen) != want {
			t.Errorf("%s: saw %s\nwant %s", when, leaf.Seen, want)
		}
	}
}

// TestShown bounds what an explanation shows of one value.
func TestShown(t *testing.T) {
	long := strings.Repeat("x", 1000)
	wide := map[string]any{}
	for i := range 200 {
		wide[fmt.Sprintf("k%03d", i)] = int64(i)
	}
	for want, v := range map[string]any{
		`"` + strings.Repeat("x", 63) + `…"`:      long,
		`"… a list of 2"`:                         []any{long, long},
		`{"a":1,"b":"… \"` + long[:59] + `…\""}`:  map[string]any{"a": int64(1), "b": long},
		`{"a":"… a list of 1","b":"… an object"}`: map[string]any{"a": []any{long}, "b": map[string]any{"c": long}},
		`{"k000":0,"k001":1,"k002":2,"k003":3,`:   wide,
		`"… +Inf"`:                                math.Inf(1),
		`{"a":{"b":[{}]}}`:                        withoutNulls(map[string]any{"a": map[string]any{"b": []any{map[string]any{"c": nil}}, "d": nil}}),
		`[null]`:                                  withoutNulls([]any{nil}),
	} {
		if got := string(shown(v)); !strings.HasPrefix(got, want) || len(got) > 2*maxSeen {
			t.Errorf("%d bytes: %s\nwant %s", len(got), got, want)
		}
	}
}

// TestWithoutWhen has nothing to explain.
func TestWithoutWhen(t *testing.T) {
	d := decide(t, begin(t, compileRule(t, notifyAll), pushView()))
	var b strings.Builder
	d.Items[0].Explanation.Render(&b)
	if e := d.Items[0].Explanation; e.Verdict != True || e.FirstFalse() != nil || b.String() != "" {
		t.Errorf("%+v renders %q", e, b.String())
	}
}

// TestLargeValuesInExplanations keeps explanations small.
func TestLargeValuesInExplanations(t *testing.T) {
	r := evalRule(t, `facts.job.name == "x" || facts.job.scms.exists(s, s.branch == "y") || event.raw.extra.n == size(facts.job.name)`)
	job := `{"name":"` + strings.Repeat("n", 5000) + `","scms":[` + strings.Repeat(`{"branch":"b"},`, 500) + `{"branch":"c"}]}`
	d, err := evalDecision(t, r, failedBuild, job)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	d.Items[0].Explanation.Render(&b)
	if b.Len() > 2000 {
		t.Errorf("%d bytes:\n%s", b.Len(), b.String())
	}
	if f := d.Facts["job"]; f.NotRecorded {
		t.Error("a fact under 64 KiB is recorded")
	}
}
