package rules

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

const outlinedFile = `rules:
  - name: outlined
    on: push
    match:
      repository.path: shop/orders
      not: { author.username: bot, tag: v1 }
      branch: { glob: "release/**", not: release/old }
      any: [{ source: a }, { total_commits: { gt: 5, le: 9 } }]
    fetch:
      build:
        build_of_commit: { job_id: "1", commit: "${{ event.after }}" }
        until: "facts.build.finished && (facts.build.outcome == 'failed')"
    when: |

      event.commits.size() > 0
        && !(event.branch == "x" || event.branch == "y") && event.commits.all(c, c.id != "")
    do:
      - id: note
        if: has(event.repository.id)
        commit: { repo_id: "1", branch: main, message: m, actions: [{ action: create, file_path: a, content: b }] }
      - notify: { to: ops, title: t, text: "${{ results.note.id }}" }
      - if: results.note.failed && event.branch.startsWith("rel")
        notify: { to: ops, title: t, text: t }
`

func outlined(t *testing.T) (*Ruleset, *Rule) {
	t.Helper()
	rs, problems := Compile([]File{{Name: "r.yaml", Data: []byte(outlinedFile)}}, testCatalogue())
	if problems != nil {
		t.Fatal(problems)
	}
	return rs, rs.Rule("outlined")
}

func TestOutline(t *testing.T) {
	rs, r := outlined(t)
	o := rs.Outline(r)
	var got []string
	for _, l := range append(o.Match, o.Conditions...) {
		got = append(got, fmt.Sprintf("%s %s[%d] %s", l.Position, l.Part, l.Number, l.Text))
	}
	for _, a := range o.Actions {
		got = append(got, fmt.Sprintf("%s %s %s %s", a.Position, a.Kind, a.ID, a.If))
	}
	want := []string{
		`r.yaml:5:7 match repository.path[0] "shop/orders"`,
		`r.yaml:7:7 match branch[0] glob "release/**" and not "release/old"`,
		`r.yaml:6:7 match not all of these[0] not (author.username "bot" and tag "v1")`,
		`r.yaml:8:7 match any of these[0] (source "a" or total_commits > 5 and <= 9)`,
		`r.yaml:12:17 fetch.build.until[0] facts.build.finished`,
		`r.yaml:12:42 fetch.build.until[1] facts.build.outcome == "failed"`,
		`r.yaml:15:7 when[0] event.commits.size() > 0`,
		`r.yaml:16:12 when[1] !(event.branch == "x" || event.branch == "y")`,
		`r.yaml:16:61 when[2] event.commits.all(c, c.id != "")`,
		`r.yaml:19:13 do[0].if[0] has(event.repository.id)`,
		`r.yaml:22:13 do[2].if[0] results.note.failed`,
		`r.yaml:22:36 do[2].if[1] event.branch.startsWith("rel")`,
		"r.yaml:18:9 commit note do[0].if",
		"r.yaml:21:9 notify notify1 ",
		"r.yaml:22:9 notify notify2 do[2].if",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	match := r.ExplainMatch(new(events.Flat))
	for i, line := range o.Match {
		if match.Children[1+i].Label != line.Part {
			t.Errorf("line %d of match is %s, in its explanation %s", i, line.Part, match.Children[1+i].Label)
		}
	}
}

// TestWatch: each condition is told when it is evaluated, with as many parts as its outline has.
func TestWatch(t *testing.T) {
	rs, r := outlined(t)
	told := map[string][]Explanation{}
	watch := func(part string, e Explanation) { told[part] = append(told[part], e) }
	view := pushView()
	x, err := r.Begin(Input{Event: view, EventID: "e", Watch: watch})
	if err != nil {
		t.Fatal(err)
	}
	provide(t, x, map[string]string{"build": `{"finished":true,"outcome":"failed"}`})
	d := decide(t, x)
	actions := d.Items[0].Actions
	failed := map[string]Result{"note": {Failed: true, Error: "no"}}
	if _, skipped, err := RenderDeferredWatched(&actions[2], failed, watch); skipped == "" && err != nil {
		t.Fatal(err)
	}
	parts := map[string]int{}
	for _, l := range rs.Outline(r).Conditions {
		parts[l.Part]++
	}
	parts["notify2.if"] = parts["do[2].if"]
	delete(parts, "do[2].if")
	for part, n := range parts {
		if len(told[part]) != 1 || len(told[part][0].Children) != n {
			t.Errorf("%s: told %+v, wanted %d parts once", part, told[part], n)
		}
	}
	if len(told) != len(parts) {
		t.Errorf("told of %d conditions, wanted %d", len(told), len(parts))
	}
}

func TestAwait(t *testing.T) {
	_, r := outlined(t)
	x, err := r.Begin(Input{Event: pushView(), EventID: "e"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 9, 0, 0, 1, time.UTC)
	second := func(s int) time.Time { return now.Truncate(time.Second).Add(time.Duration(s) * time.Second) }
	slow := Wait{Fact: "slow", Every: time.Minute, Timeout: time.Hour, OnTimeout: OnTimeoutSkip}
	quick := Wait{Fact: "quick", Every: 30 * time.Second, Timeout: 45 * time.Second, OnTimeout: OnTimeoutFail, Source: "facts.quick.finished"}
	over := Wait{Fact: "build", Every: time.Second, Timeout: time.Second, OnTimeout: OnTimeoutContinue}
	deadlines := Deadlines{"build": now.Unix()}
	p, d, err := x.Await([]Wait{slow, over, quick}, deadlines, now)
	if err != nil || d != nil || p == nil || !p.Until.Equal(second(31)) || p.For.Fact != "quick" || len(p.Awaited) != 2 {
		t.Fatalf("%+v %+v %v", p, d, err)
	}
	if want := (Deadlines{"build": now.Unix(), "slow": second(3601).Unix(), "quick": second(46).Unix()}); cmp.Diff(want, deadlines) != "" {
		t.Error(cmp.Diff(want, deadlines))
	}
	if f := x.facts["build"]; !f.ready {
		t.Error("what was awaited in vain was not given up")
	}
	if p, _, _ = x.Await([]Wait{quick}, deadlines, second(31)); p == nil || !p.Until.Equal(second(46)) {
		t.Errorf("%+v, wanted the deadline", p)
	}
	_, _, err = x.Await([]Wait{quick}, deadlines, second(46))
	var late *TimeoutError
	if !errors.As(err, &late) || late.Retryable() || late.Class() != "timeout" || err.Error() != "fact quick was awaited for 45s in vain: facts.quick.finished" {
		t.Errorf("%v", err)
	}
	_, d, err = x.Await([]Wait{slow}, deadlines, second(3601))
	if err != nil || d == nil || d.Outcome != OutcomeSkipped || d.Reason != "fact slow was awaited for 1h0m0s in vain: there is none yet" {
		t.Errorf("%+v %v", d, err)
	}
}

func TestOwnCommits(t *testing.T) {
	rs, problems := Compile([]File{{Name: "r.yaml", Data: []byte(`rules:
  - { name: theirs, on: push, do: [{ notify: { to: ops, title: t, text: t } }] }
  - { name: ours, on: push, on_own_commits: true, do: [{ notify: { to: ops, title: t, text: t } }] }
`)}}, testCatalogue())
	if problems != nil {
		t.Fatal(problems)
	}
	all := rs.Rules()
	if left, reason := SeesOwn(all, events.Chain{Depth: 3}, 3); len(left) != 1 || left[0].Name() != "ours" || reason == "" || len(all) != 2 {
		t.Errorf("%v %s", left, reason)
	}
	if left, reason := SeesOwn(all, events.Chain{Depth: 4}, 3); left != nil || reason != "depth 4 is over the limit of 3: no rule sees it" {
		t.Errorf("%v %s", left, reason)
	}
	theirs, ours := rs.Rule("theirs"), rs.Rule("ours")
	for reason, got := range map[string]string{
		"a fact names our own commit c0ffee": theirs.OwnFact("c0ffee", events.Chain{Depth: 1}, 3),
		"":                                   ours.OwnFact("c0ffee", events.Chain{Depth: 3}, 3),
		"a fact names our own commit c0ffee, whose depth 4 is over the limit of 3": ours.OwnFact("c0ffee", events.Chain{Depth: 4}, 3),
	} {
		if got != reason {
			t.Errorf("%q, wanted %q", got, reason)
		}
	}
}
