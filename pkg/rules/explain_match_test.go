package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

func TestExplainMatch(t *testing.T) {
	cs := []criteria{
		{types: typesOf(t, "push", "merge_request.*"), conds: []cond{
			{field: events.FieldRepositoryPath, any: []pattern{exactly("shop/orders"), globOf(t, "shop/pay-*")}},
			{field: events.FieldBranch, any: []pattern{globOf(t, "release/**")}, not: []pattern{globOf(t, "release/old/**")}},
			{field: events.FieldAuthorUsername, not: []pattern{exactly("bot"), exactly("root")}},
			{field: events.FieldTag},
		}},
		{schedule: "s1", words: "cron 0 9 * * *, Asia/Shanghai"},
	}
	for _, tt := range []struct {
		rule int
		ev   *events.Flat
		want string
	}{
		{0, flatOf("push", "repository.path", "shop/pay-api", "branch", "release/1", "author.username", "lin", "tag", ""), `
true on and match
  true on: wanted one of "push", glob "merge_request.*", saw "push"
  true match repository.path: wanted one of "shop/orders", glob "shop/pay-*", saw "shop/pay-api"
  true match branch: wanted glob "release/**" and not glob "release/old/**", saw "release/1"
  true match author.username: wanted not one of "bot", "root", saw "lin"
  true match tag: wanted any value, saw ""
`},
		{0, flatOf("push", "repository.path", "<shop>", "branch", "release/old/1"), `
false on and match
  true on: wanted one of "push", glob "merge_request.*", saw "push"
  false match repository.path: wanted one of "shop/orders", glob "shop/pay-*", saw "<shop>"
  false match branch: wanted glob "release/**" and not glob "release/old/**", saw "release/old/1"
  false match author.username: wanted not one of "bot", "root", saw null
  false match tag: wanted any value, saw null
`},
		{1, flatOf(tickType, "schedule.id", "s2"), `
false on and match
  true on: wanted "schedule.tick", saw "schedule.tick"
  false on schedule: wanted "cron 0 9 * * *, Asia/Shanghai", saw "s2"
`},
		{1, flatOf(tickType, "schedule.id", "s1", "schedule.pattern", "0 0 9 * * *"), `
true on and match
  true on: wanted "schedule.tick", saw "schedule.tick"
  true on schedule: wanted "cron 0 9 * * *, Asia/Shanghai", saw "cron 0 9 * * *, Asia/Shanghai"
`},
		{1, flatOf(tickType, "schedule.id", "s2", "schedule.pattern", "@every 5s"), `
false on and match
  true on: wanted "schedule.tick", saw "schedule.tick"
  false on schedule: wanted "cron 0 9 * * *, Asia/Shanghai", saw "every 5s"
`},
		{1, flatOf(tickType, "schedule.id", "s2", "schedule.pattern", "0 0 9 * * *"), `
false on and match
  true on: wanted "schedule.tick", saw "schedule.tick"
  false on schedule: wanted "cron 0 9 * * *, Asia/Shanghai", saw "cron 0 9 * * *, another time zone"
`},
		{1, flatOf("push"), `
false on and match
  false on: wanted "schedule.tick", saw "push"
  false on schedule: wanted "cron 0 9 * * *, Asia/Shanghai", saw null
`},
	} {
		e := cs[tt.rule].explain(tt.ev)
		got := "\n" + e.Verdict + " " + e.Label + "\n"
		for _, c := range e.Children {
			got += "  " + c.Verdict + " " + c.Label + ": wanted " + c.Wanted + ", saw " + string(c.Seen) + "\n"
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("rule %d (-want +got):\n%s", tt.rule, diff)
		}
		if (e.Verdict == True) != cs[tt.rule].match(tt.ev) {
			t.Errorf("rule %d: explained as %s, match says otherwise", tt.rule, e.Verdict)
		}
	}
}

// TestExplainGroups shows every branch with the value seen; what is under not is shown as it is wanted.
func TestExplainGroups(t *testing.T) {
	rule := compileRule(t, `
match:
  total_commits: { gt: 3, le: 9 }
  time: { lt: 2026-11-20T17:00:00+08:00 }
  tag: { exists: false }
  any:
    - branch: main
    - { branch: "release/**", author.username: [mei, lin] }
    - not: { author.username: bot, source: { exists: true } }
  all:
    - not: [{ branch: wip }, { merge_request.title: { not: [a, b] } }, { source: a, branch: b }, { tag: { exists: true } }]
    - source: { exists: true }
`+notifyAll)
	ev := flatOf("push", "total_commits", "3", "time", "2026-11-20T08:00:00Z", "branch", "release/1", "author.username", "bot", "source", "a")
	e := rule.ExplainMatch(ev)
	var b strings.Builder
	e.Render(&b)
	want := `
✗ on and match
  ✓ on  wanted "push"  saw "push"
  ✗ match total_commits  wanted > 3 and <= 9  saw 3
  ✓ match time  wanted < 2026-11-20T09:00:00Z  saw "2026-11-20T08:00:00Z"
  ✓ match tag  wanted no value  saw null
  ✗ match any of these
    ✗ match branch  wanted "main"  saw "release/1"
    ✗ match all of these
      ✓ match branch  wanted glob "release/**"  saw "release/1"
      ✗ match author.username  wanted one of "mei", "lin"  saw "bot"
    ✗ match not all of these
      ✓ match author.username  wanted "bot"  saw "bot"
      ✓ match source  wanted any value  saw "a"
  ✓ match all of these
    ✓ match none of these
      ✓ match not branch  wanted not "wip", or no value  saw "release/1"
      ✓ match not merge_request.title  wanted anything but not one of "a", "b"  saw null
      ✓ match not all of these
        ✓ match source  wanted "a"  saw "a"
        ✗ match branch  wanted "b"  saw "release/1"
      ✓ match not tag  wanted no value  saw null
    ✓ match source  wanted any value  saw "a"
`
	if diff := cmp.Diff(want, "\n"+b.String()); diff != "" {
		t.Error(diff)
	}
	if first := e.FirstFalse(); first == nil || first.Label != "match total_commits" {
		t.Errorf("the first line that failed is %+v", first)
	}
	ev.SetNumber(events.FieldTotalCommits, 4)
	ev.Set(events.FieldAuthorUsername, "mei")
	if e := rule.ExplainMatch(ev); e.Verdict != True {
		t.Errorf("%+v", e)
	}
	ev.Set(events.FieldBranch, "b")
	e = rule.ExplainMatch(ev)
	if first := e.Children[5].FirstFalse(); first == nil || first.Label != "match not all of these" || string(first.Children[1].Seen) != `"b"` {
		t.Errorf("the first of not that holds is %+v", first)
	}
}

func TestExplainMatchOfBrokenText(t *testing.T) {
	c := criteria{types: typesOf(t, "*"), conds: []cond{{field: events.FieldBranch}}}
	e := c.explain(flatOf("push", "branch", "a\xffb"))
	if seen := string(e.Children[1].Seen); !strings.Contains(seen, "\uFFFD") {
		t.Errorf("saw %s", seen)
	}
}
