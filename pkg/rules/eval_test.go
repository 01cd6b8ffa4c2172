package rules

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// evalRule is a rule that fetches a build and a job, with one `when`.
func evalRule(t testing.TB, when string) *Rule {
	t.Helper()
	return compileRule(t, `
fetch:
  build: { build_record: { job_id: j, build_no: 17 } }
  job: { job_config: { job_id: j } }
when: >-
  `+strings.ReplaceAll(when, "\n", "\n  ")+"\n"+notifyAll)
}

func evalDecision(t testing.TB, r *Rule, build, job string) (*Decision, error) {
	t.Helper()
	x := begin(t, r, pushView())
	provide(t, x, map[string]string{"build": build, "job": job})
	return x.Decide()
}

// TestNullIsNamed evaluates conditions over facts with nulls in them: the error says which name was null.
func TestNullIsNamed(t *testing.T) {
	for _, c := range []struct{ when, build, job, want string }{
		{`facts.build.outcome == "failed"`, `null`, `{}`, `facts.build is null: cannot read facts.build.outcome; test it with facts.build != null`},
		{`event.merge_request.last_commit.id == "x"`, `{}`, `{}`, `event.merge_request is null: cannot read event.merge_request.last_commit.id; test it with event.merge_request != null`},
		{`facts.build.daily_build_num.startsWith("2026")`, `{}`, `{}`, `facts.build.daily_build_num is null: cannot be used with startsWith; test it with facts.build.daily_build_num != null`},
		{`facts.build.build_no + 1 > 2`, `{}`, `{}`, `facts.build.build_no is null: cannot be used with +; test it with facts.build.build_no != null`},
		{`3 < facts.build.build_no`, `{}`, `{}`, `facts.build.build_no is null: cannot be used with <; test it with facts.build.build_no != null`},
		{`facts.job.scms.exists(s, s.repo_id == "1")`, `{}`, `{}`, `facts.job.scms is null: there is nothing to go through; test it with has(facts.job.scms)`},
		{`facts.job.scms.all(s, s.repo_id.size() > 1)`, `{}`, `{"scms":[{}]}`, `s.repo_id is null: cannot be used with size; test it with s.repo_id != null`},
		{`facts.job.scms[0].repo_id == "1"`, `{}`, `{}`, `facts.job.scms is null: cannot be used with […]; test it with has(facts.job.scms)`},
		{`facts.build.finished && facts.build.duration / 0.0 > 1.0`, `{"finished":true}`, `{}`, `facts.build.duration is null: cannot be used with /; test it with facts.build.duration != null`},
		{`facts.build.finished`, `{}`, `{}`, `facts.build.finished is null: wanted true or false`},
		{`facts.build.finished && true`, `{}`, `{}`, `facts.build.finished is null: wanted true or false`},
		{`!facts.build.finished`, `{}`, `{}`, `facts.build.finished is null: cannot be used with !; test it with facts.build.finished != null`},
		{`facts.build.finished ? true : false`, `{}`, `{}`, `facts.build.finished is null: wanted true or false`},
		{`event.commits.exists(c, c.author.name == "x")`, `{}`, `{}`, `cannot read c.author.name: a name before .name is null`},
		{`event.raw.extra.nothing.x == 1`, `{}`, `{}`, `event.raw.extra.nothing is null: cannot read event.raw.extra.nothing.x; test it with event.raw.extra.nothing != null`},
		{`event.raw.absent == 1`, `{}`, `{}`, `event.raw.absent is not there; test it with has(event.raw.absent)`},
		{`short(facts.build.commit) == "x"`, `{}`, `{}`, `facts.build.commit is null: cannot be used with short; test it with facts.build.commit != null`},
		{`1 / (facts.build.build_no - 17) == 1`, `{"build_no":17}`, `{}`, `division by zero`},
		{`event.commits[7].id == "x"`, `{}`, `{}`, `index out of bounds: 7`},
	} {
		_, err := evalDecision(t, evalRule(t, c.when), c.build, c.job)
		var eval *EvalError
		if !errors.As(err, &eval) {
			t.Errorf("%s: got %v, wanted an error", c.when, err)
			continue
		}
		if eval.Message != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.when, eval.Message, c.want)
		}
		if eval.Field != "when" || eval.Position.Line == 0 || eval.Retryable() || eval.Class() != "evaluation" {
			t.Errorf("%s: %+v", c.when, eval)
		}
	}
}

// TestMissingIsNamed reads what a body does not have: the error says where, and how to ask for it.
func TestMissingIsNamed(t *testing.T) {
	view := pushView()
	view.Raw = []byte(`{"ref":"main","extra":{"n":1},"by":{"release/1.2":{}},"list":[{"n":1,"a":{"x":1}},{"n":2}]}`)
	for when, want := range map[string]string{
		`event.raw.absent`:                                  `event.raw.absent is not there; test it with has(event.raw.absent)`,
		`event.raw.absent.b == 1`:                           `event.raw.absent is not there: cannot read event.raw.absent.b; test it with has(event.raw.absent)`,
		`event.raw.extra.absent == 1`:                       `event.raw.extra.absent is not there; test it with has(event.raw.extra.absent)`,
		`event.raw["absent"] == 1`:                          `event.raw["absent"] is not there; test it with "absent" in event.raw`,
		`event.raw.extra["absent"].x == 1`:                  `event.raw.extra["absent"] is not there: cannot read event.raw.extra["absent"].x; test it with "absent" in event.raw.extra`,
		`event.raw.extra[event.branch].x == 1`:              `event.raw.extra[event.branch] is not there: cannot read event.raw.extra[event.branch].x; test it with event.branch in event.raw.extra`,
		`event.raw.by[event.branch].gone == 1`:              `event.raw.by[event.branch].gone is not there; test it with has(event.raw.by[event.branch].gone)`,
		`event.raw.list[0].absent == 1`:                     `event.raw.list[0].absent is not there; test it with has(event.raw.list[0].absent)`,
		`event.raw.list.exists(c, c.absent == 1)`:           `c.absent is not there; test it with has(c.absent)`,
		`event.raw.list.exists(c, c.a.gone == 1)`:           `c.a.gone is not there; test it with has(c.a.gone)`,
		`event.raw.ref.x == 1`:                              `event.raw.ref is "main": cannot read event.raw.ref.x`,
		`facts.job.labels["a"] == "x"`:                      `facts.job.labels["a"] is not there; test it with "a" in facts.job.labels`,
		`!event.raw.absent && event.branch == "x"`:          "", // decided by the other side
		`(event.raw.absent || true) && event.raw.gone == 1`: `event.raw.gone is not there; test it with has(event.raw.gone)`,
	} {
		x := begin(t, evalRule(t, when), view)
		provide(t, x, map[string]string{"build": failedBuild, "job": `{"labels":{}}`})
		_, err := x.Decide()
		var eval *EvalError
		if want == "" && err == nil {
			continue
		}
		if !errors.As(err, &eval) || eval.Message != want {
			t.Errorf("%s:\n got %v\nwant %s", when, err, want)
		}
	}
}

// TestConditions evaluates conditions that have a value.
func TestConditions(t *testing.T) {
	for _, c := range []struct {
		when string
		want bool
	}{
		{`facts.build.outcome == "failed"`, true},
		{`facts.build.duration == null`, true},
		{`facts.build.duration != null && facts.build.duration > 1.0`, false},
		{`has(facts.build.stages)`, false},
		{`has(facts.job.scms) && size(facts.job.scms) == 1`, true},
		{`event.merge_request == null || event.merge_request.iid > 3`, true},
		{`event.branch.startsWith("release/") && event.branch.matches("^release/[0-9.]+$")`, true},
		{`event.time < "2026-04-01T09:00:00Z" && timestamp(event.time).getHours() == 8`, true},
		{`facts.build.build_no > 16.5 && facts.build.build_no in [1, 17]`, true},
		{`event.raw.extra.n == 1 && event.raw.extra.f == 1.0`, true},
		{`short(event.after) == "85a0a9d5" && truncate(event.branch, 4) == "rel…"`, true},
		{`facts.job.token == "[redacted]"`, true},
		{`event.commits.exists(c, "a.go" in c.added)`, true},
		{`event.?merge_request.?title.orValue("none") == "none"`, true},
		{`[3, 1, 2].sort() == [1, 2, 3] && math.greatest(1, 2) == 2`, true},
		{`"a-b-c".replace("-", "+") == "a+b+c" && "a-b-c".replace("-", "+", 1) == "a+b-c" && ["a", "b"].join(", ") == "a, b"`, true},
		{`false && facts.build.duration > 1.0`, false},
		{`facts.build.duration > 1.0 || true`, true},
	} {
		d, err := evalDecision(t, evalRule(t, c.when), failedBuild, ordersJob)
		if err != nil {
			t.Errorf("%s: %v", c.when, err)
			continue
		}
		if d.Items[0].Fired != c.want {
			t.Errorf("%s: got %v", c.when, d.Items[0].Fired)
		}
	}
}

// TestExpensiveExpressions makes sure that no expression can take the worker with it.
func TestExpensiveExpressions(t *testing.T) {
	big := `lists.range(1000)`
	for _, when := range []string{
		fmt.Sprintf(`%s.all(a, %s.all(b, %s.all(c, a + b + c >= 0)))`, big, big, big),
		`lists.range(1000000000 + event.commits.size()).size() > 0`,
		`[event.branch, event.branch].map(x, lists.range(1000).map(y, x + x)).map(z, z.join("").replace("r", z.join(""))).size() > 0`,
		`lists.range(1000).map(x, event.branch).join("-").replace("", lists.range(1000).map(x, event.branch).join("-")).size() > 0`,
		`lists.range(1000).map(x, "").join(lists.range(1000).map(x, event.branch).join("-")).size() > 0`,
		`lists.range(5000).map(x, lists.range(5000)).flatten().size() > 0`,
	} {
		_, err := evalDecision(t, evalRule(t, when), failedBuild, ordersJob)
		var eval *EvalError
		if !errors.As(err, &eval) {
			t.Errorf("%s: got %v, wanted an error", when, err)
		} else {
			t.Logf("%s: %s", when, eval.Message)
		}
	}
}
