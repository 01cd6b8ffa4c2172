package backtest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

const message = "do: [{ notify: { to: [team], title: t, text: t } }]"

// TestClasses: one rule, as it was and as it is tried, on pushes to main, dev and main again, a minute apart; on each a build of
// another outcome was recorded.
func TestClasses(t *testing.T) {
	const withBuild = `fetch: { build: { build_of: { job: j, commit: "${{ event.after }}" } } }`
	tests := map[string]struct {
		before, after string // of the rule, from its on
		want          string
	}{
		"the same":  {"on: push\n" + message, "on: push # still\n" + message, "the same"},
		"widens":    {"on: push\nmatch: { branch: main }\n" + message, "on: push\n" + message, "1 newly fires, 2 unchanged"},
		"narrows":   {"on: push\nwhen: true\n" + message, "on: push\nwhen: event.branch == 'main'\n" + message, "1 no longer fires, 2 unchanged"},
		"not taken": {"on: push\nwhen: event.branch == 'x'\n" + message, "on: push\nmatch: { branch: main }\nwhen: event.branch == 'x'\n" + message, "1 different outcome, 2 unchanged"},
		"a commit": {
			`on: push` + "\ndo: [{ commit: { repo_id: 7, branch: main, message: m, actions: [{ action: create, file_path: a, content: x }] } }]",
			`on: push` + "\ndo: [{ commit: { repo_id: 7, branch: main, message: m, actions: [{ action: create, file_path: a, content: \"${{ event.branch == 'dev' ? 'y' : 'x' }}\" }] } }]",
			"1 different commit, 2 unchanged",
		},
		"a build": {
			"on: push\ndo: [{ build: { job_id: f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3 } }]", "on: push\ndo: [{ build: { job_id: f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c4 } }]",
			"3 different build",
		},
		"a message":    {"on: push\n" + message, "on: push\n" + strings.Replace(message, "text: t", "text: \"${{ event.branch }}\"", 1), "3 different message"},
		"a target":     {"on: push\n" + message, "on: push\n" + strings.Replace(message, "[team]", "[team, ops]", 1), "3 different message"},
		"a deferred":   {deferred("a"), deferred("b"), "3 different message"},
		"skips":        {"on: push\n" + message, "on: push\n" + strings.Replace(message, "do: [{", "do: [{ if: event.branch == 'main',", 1), "1 different message, 2 unchanged"},
		"an alert":     {alert("1"), alert("5"), "3 different alert"},
		"fails":        {"on: push\n" + message, "on: push\nwhen: event.merge_request.iid > 1\n" + message, "3 now fails"},
		"fails not":    {"on: push\nwhen: event.merge_request.iid > 1\n" + message, "on: push\n" + message, "3 no longer fails"},
		"still fails":  {"on: push\nwhen: event.merge_request.iid > 1\n" + message, "on: push\nwhen: event.merge_request.iid > 1\n" + strings.Replace(message, "text: t", "text: u", 1), "3 unchanged"},
		"shadow":       {"on: push\n" + message, "on: push\nmode: shadow\n" + message, "3 different outcome"},
		"off":          {"on: push\n" + message, "on: push\nmode: off\n" + message, "3 no longer fires"},
		"removed":      {"on: push\nmatch: { branch: main }\n" + message, "", "2 no longer fires"},
		"added":        {"", "on: push\nmatch: { branch: main }\n" + message, "2 newly fires"},
		"added, quiet": {"", "on: push\nwhen: false\n" + message, "3 unchanged"},
		"removed, quiet": {
			"on: push\nwhen: event.branch == 'x'\n" + message, "", "3 unchanged",
		},
		"on a fact": {
			"on: push\n" + withBuild + "\nwhen: facts.build.outcome == 'failed'\n" + message, "on: push\n" + withBuild + "\nwhen: facts.build.no > 1\n" + message,
			"1 newly fires, 1 no longer fires, 1 unchanged",
		},
		"a fact by another name": {
			"on: push\n" + withBuild + "\nwhen: facts.build.outcome == 'failed'\n" + message,
			"on: push\n" + strings.Replace(withBuild, "build:", "run:", 1) + "\nwhen: facts.run.outcome == 'failed'\n" + strings.Replace(message, "text: t", "text: u", 1),
			"1 different message, 2 unchanged",
		},
		"another fact by the name": {
			"on: push\n" + withBuild + "\n" + message, "on: push\n" + strings.Replace(withBuild, "job: j", "job: k", 1) + "\n" + message, "3 not comparable",
		},
		"a fact that is asked now": {"on: push\n" + message, "on: push\n" + withBuild + "\n" + message, "3 not comparable"},
		"a fact that is asked for some": {
			"on: push\n" + message, "on: push\nmatch: { branch: dev }\n" + withBuild + "\n" + message, "2 no longer fires, 1 not comparable",
		},
		"waits longer": {
			"on: push\n" + withBuild + "\n" + message,
			"on: push\n" + strings.Replace(withBuild, "} } }", "}, until: facts.build.outcome == 'failed' } }", 1) + "\n" + message, "2 not comparable, 1 unchanged",
		},
		"waited in vain": {
			"on: push\n" + strings.Replace(withBuild, "} } }", "}, until: facts.build.no > 9 } }", 1) + "\n" + message,
			"on: push\n" + strings.Replace(withBuild, "} } }", "}, until: facts.build.no > 9 } }", 1) + "\n" + strings.Replace(message, "text: t", "text: u", 1),
			"3 unchanged",
		},
		"waited in vain, and would longer": {
			"on: push\n" + strings.Replace(withBuild, "} } }", "}, until: facts.build.no > 9 } }", 1) + "\n" + message,
			"on: push\n" + strings.Replace(withBuild, "} } }", "}, until: facts.build.no > 9, timeout: 2h } }", 1) + "\n" + message,
			"3 not comparable",
		},
		"throttled": {
			"on: push\nthrottle: { key: all, per: 1m }\n" + message, "on: push\nthrottle: { key: all, per: 90s }\n" + message,
			"1 no longer fires, 2 unchanged",
		},
		"throttled after what is not known": {
			"on: push\nthrottle: { key: all, per: 1m }\n" + message, "on: push\nthrottle: { key: all, per: 90s }\nmatch: { branch: [main, dev] }\n" + withBuild + "\n" + message,
			"3 not comparable",
		},
		"paused": {
			"on: push\n" + message, "on: push\nlimit: { matches_per_minute: 1, pause: 10m }\n" + strings.Replace(message, "text: t", "text: u", 1),
			"3 different message",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPast(t, compiled(t, ruleText(tt.before)))
			for i, branch := range []string{"main", "dev", "main"} {
				outcome := []string{"failed", "succeeded", "canceled"}[i]
				p.push(string(rune('a'+i)), branch, time.Duration(i)*time.Minute, map[string]any{"build": build{No: int64(i), Outcome: outcome}})
			}
			report := p.compare(Options{Before: p.recordedWith, After: compiled(t, ruleText(tt.after))})
			if got := counts(t, report, "rule"); got != tt.want {
				t.Errorf("%s, want %s\n%s", got, tt.want, text(report))
			}
			if report.Differs() != (tt.want != "the same" && tt.want != "3 unchanged") {
				t.Errorf("differs: %t", report.Differs())
			}
		})
	}
}

// ruleText is a file with one rule, or with none.
func ruleText(rule string) string {
	if rule == "" {
		return "rules: []\n"
	}
	return "rules:\n  - name: rule\n    " + strings.ReplaceAll(rule, "\n", "\n    ") + "\n"
}

func deferred(word string) string {
	return `on: push
do:
  - { id: note, commit: { repo_id: 7, branch: main, message: m, actions: [{ action: create, file_path: a, content: x }] } }
  - { notify: { to: [team], title: "${{ results.note.short_id }}", text: ` + word + ` } }`
}

func alert(countdown string) string {
	return "on: push\ndo: [{ alert: { key: k, phase: p, countdown: " + countdown + ", at: [7, 3, 1], to: [team], title: t, text: t } }]"
}

// TestMemory: throttle, limit, latest_only and the rungs of an alert are played in the order of the events.
func TestMemory(t *testing.T) {
	type push struct {
		branch string
		at     time.Duration
	}
	tests := map[string]struct {
		before, after string
		pushes        []push
		want          string
	}{
		"a pause": {
			"on: push\n" + message, "on: push\nlimit: { matches_per_minute: 2, pause: 10m }\n" + message,
			[]push{{"main", 0}, {"main", time.Second}, {"main", 2 * time.Second}, {"main", 3 * time.Minute}, {"main", 20 * time.Minute}},
			"2 no longer fires, 3 unchanged",
		},
		"overtaken": { // the second came later and was accepted earlier
			"on: push\n" + message, "on: push\nlatest_only: true\n" + message,
			[]push{{"main", 2 * time.Second}, {"main", time.Second}, {"dev", 0}, {"main", 3 * time.Second}},
			"1 no longer fires, 3 unchanged",
		},
		"overtaken by what does not fit": {
			"on: push\nwhen: true\n" + message, "on: push\nmatch: { repository.path: shop/* }\nlatest_only: true\nwhen: event.after.startsWith('0') && size(event.commits) == 0\n" + message,
			[]push{{"main", 2 * time.Second}, {"main", time.Second}},
			"1 no longer fires, 1 unchanged",
		},
		"rungs": { // the first reading says it, the others do not again
			alert("5"), strings.Replace(alert("5"), "[7, 3, 1]", "[7, 6, 3, 1]", 1),
			[]push{{"main", 0}, {"main", time.Minute}},
			"2 different alert",
		},
		"a throttle by key": {
			"on: push\n" + message, "on: push\nthrottle: { key: \"${{ event.branch }}\", per: 1h }\n" + message,
			[]push{{"main", 0}, {"dev", time.Second}, {"main", time.Minute}, {"main", 2 * time.Hour}},
			"1 no longer fires, 3 unchanged",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPast(t, compiled(t, ruleText(tt.before)))
			for i, e := range tt.pushes {
				p.push(string(rune('a'+i)), e.branch, e.at, nil)
			}
			report := p.compare(Options{Before: p.recordedWith, After: compiled(t, ruleText(tt.after))})
			if got := counts(t, report, "rule"); got != tt.want {
				t.Errorf("%s, want %s\n%s", got, tt.want, text(report))
			}
		})
	}
}

// TestRecall: what other rules recorded of the event counts too, calls of a for_each one by one or all together, and what was too large does not.
func TestRecall(t *testing.T) {
	const list = "on: push\nfetch:\n  all: { for_each: { in: '[\"a\", \"b\"]' }, packages: { status: \"${{ item }}\" } }\n  days: { for_each: { in: facts.all }, days_left: { id: \"${{ item.id }}\" } }\n" +
		"for_each: { in: facts.days, key: item.id }\nwhen: item.days < 5\n"
	lefts := []left{{"x", 1}, {"y", 9}}
	tests := map[string]struct {
		recorded, before, after string
		facts                   map[string]any
		want                    string
	}{
		"a for_each": {
			"", list + message, list + strings.Replace(message, "text: t", "text: \"${{ item.days }}\"", 1),
			map[string]any{"all": lefts, "days": lefts},
			"1 different message",
		},
		"one call of a for_each": {
			"", list + message, "on: push\nfetch: { days: { days_left: { id: y } } }\nwhen: facts.days.days == 9\n" + message,
			map[string]any{"all": lefts, "days": lefts},
			"1 different message",
		},
		"a for_each in another order": {
			"", list + message, strings.Replace(list, `["a", "b"]`, `["b", "a"]`, 1) + message,
			map[string]any{"all": lefts, "days": lefts},
			"1 not comparable",
		},
		"of fewer": {
			"", list + message, strings.Replace(list, `["a", "b"]`, `["a"]`, 1) + message,
			map[string]any{"all": lefts, "days": lefts},
			"1 not comparable",
		},
		"too large": {
			"", "on: push\nfetch: { build: { build_of: { job: j, commit: c } } }\nwhen: facts.build.log == ''\n" + message,
			"on: push\nfetch: { build: { build_of: { job: j, commit: c } } }\n" + message,
			map[string]any{"build": build{Log: strings.Repeat("x", 70_000)}},
			"1 not comparable",
		},
		"never there": {
			"", "on: push\nfetch: { build: { build_of: { job: j, commit: c } } }\n" + message,
			"on: push\nfetch: { build: { build_of: { job: j, commit: c } } }\n" + strings.Replace(message, "text: t", "text: u", 1),
			map[string]any{"build": nil},
			"1 unchanged",
		},
		"given up": {
			"", "on: push\nfetch: { build: { build_of: { job: j, commit: c }, on_timeout: continue } }\nwhen: facts.build == null\n" + message,
			"on: push\nfetch: { build: { build_of: { job: j, commit: c }, on_timeout: continue } }\nwhen: facts.build != null\n" + message,
			map[string]any{"build": nil},
			"1 no longer fires",
		},
		"asked for twice, one waits": {
			"", "on: push\nfetch:\n  a: { build_of: { job: j, commit: c } }\n  b: { build_of: { job: j, commit: c }, until: facts.b.no > 9, on_timeout: continue }\n" + message,
			"on: push\nfetch:\n  a: { build_of: { job: j, commit: c } }\n  b: { build_of: { job: j, commit: c }, until: facts.b.no > 9, on_timeout: continue }\n" +
				strings.Replace(message, "text: t", "text: u", 1),
			map[string]any{"a": build{No: 3}, "b": build{No: 3}},
			"1 different message",
		},
		"given up, and would wait": {
			"", "on: push\nfetch: { build: { build_of: { job: j, commit: c }, on_timeout: continue } }\n" + message,
			"on: push\nfetch: { build: { build_of: { job: j, commit: c } } }\n" + message,
			map[string]any{"build": nil},
			"1 not comparable",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPast(t, compiled(t, ruleText(tt.before)))
			p.push("a", "main", 0, tt.facts)
			report := p.compare(Options{Before: p.recordedWith, After: compiled(t, ruleText(tt.after))})
			if got := counts(t, report, "rule"); got != tt.want {
				t.Errorf("%s, want %s\n%s", got, tt.want, text(report))
			}
		})
	}
	t.Run("of another rule", func(t *testing.T) {
		const two = `rules:
  - { name: asks, on: push, fetch: { run: { build_of: { job: j, commit: c } } }, ` + message + ` }
  - { name: rule, on: push, ` + message + ` }
`
		p := newPast(t, compiled(t, two))
		p.push("a", "main", 0, map[string]any{"run": build{No: 3}})
		changed := swap(t, two, "name: rule, on: push,", "name: rule, on: push, fetch: { build: { build_of: { job: j, commit: c } } }, when: facts.build.no == 4,")
		report := p.compare(Options{Before: p.recordedWith, After: compiled(t, changed)})
		if got := counts(t, report, "rule"); got != "1 no longer fires" {
			t.Errorf("%s\n%s", got, text(report))
		}
		other := newPast(t, compiled(t, two)) // the ruleset of the records is not there any more
		other.events, other.records, other.recordedWith = p.events, p.records, compiled(t, "rules: []\n")
		report = other.compare(Options{Before: p.recordedWith, After: compiled(t, changed)})
		if got := counts(t, report, "rule"); got != "1 not comparable" {
			t.Errorf("without its ruleset: %s\n%s", got, text(report))
		}
	})
}

// TestOwnCommits: an event of our own commit is seen by rules that want it, whether its record says so or the commit's.
func TestOwnCommits(t *testing.T) {
	p := newPast(t, compiled(t, ruleText("on: push\n"+message)))
	p.own["0000000000000000000000000000000000000001"] = events.Chain{Depth: 1, Origin: "shop/z", Action: "k"}
	p.push("a", "main", 0, nil)
	p.push("b", "main", 0, map[string]any{})
	p.records["shop/b"].Chain = events.Chain{Depth: 1, Origin: "shop/z", Action: "k"}
	p.push("c", "main", 0, map[string]any{})
	after := compiled(t, ruleText("on: push\non_own_commits: true\n"+message))
	report := p.compare(Options{Before: p.recordedWith, After: after})
	if got := counts(t, report, "rule"); got != "2 newly fires, 1 unchanged" {
		t.Errorf("%s\n%s", got, text(report))
	}
	if got := counts(t, p.compare(Options{Before: p.recordedWith, After: after, ChainDepth: -1}), "rule"); got != "3 unchanged" {
		t.Errorf("with no depth: %s", got)
	}
}

// TestOwnCommitOfAFact: a run that ended because a fact names a commit of ours ends so again, though it awaited another fact then.
func TestOwnCommitOfAFact(t *testing.T) {
	const ask = "on: push\nfetch:\n  late: { build_of: { job: j, commit: c } }\n  soon: { build_of: { job: k, commit: c } }\n"
	p := newPast(t, compiled(t, ruleText(ask+message)))
	ours := strings.Repeat("ab", 20)
	p.own[ours] = events.Chain{Depth: 1, Origin: "shop/z", Action: "k"}
	p.push("a", "main", 0, map[string]any{"late": nil, "soon": build{Commit: ours}})
	for own, want := range map[string]string{"": "1 unchanged", "on_own_commits: true\n": "1 not comparable"} {
		report := p.compare(Options{Before: p.recordedWith, After: compiled(t, ruleText(own+ask+strings.Replace(message, "text: t", "text: u", 1)))})
		if got := counts(t, report, "rule"); got != want {
			t.Errorf("%q: %s, want %s\n%s", own, got, want, text(report))
		}
	}
}

const report = `before  BEFORE
after   AFTER
events  3, stored from 2026-11-02T08:00:00Z to 2026-11-02T08:00:02Z, 1 of them unreadable
rules   1 the same, 2 changed, 1 added; 1 of those that are not the same fit no event

gains (added): 2 newly fires
says (changed): 1 different message, 1 not comparable

gains newly fires, the first 1 of 2:
  shop/a  push  shop/orders  2026-11-02T08:00:00Z
    before  absent: there is no such rule
    after   acted
    + notify notify1
    +   text: t
    +   title: t
    +   to: ["team"]

says different message:
  shop/a  push  shop/orders  2026-11-02T08:00:00Z
      notify notify1
    -   text: run 3
    +   text: build 3
        title: t
        to: ["team"]

says not comparable:
  shop/c  push  shop/orders  2026-11-02T08:02:00Z
    fact build (build_of commit="c" job="j") was not recorded
`

// TestReport: what a person reads, and the same whatever the number of jobs.
func TestReport(t *testing.T) {
	const old = `rules:
  - { name: idle, on: tag_push, ` + message + ` }
  - { name: kept, on: push, ` + message + ` }
  - name: says
    on: push
    fetch: { build: { build_of: { job: j, commit: c } } }
    do: [{ notify: { to: [team], title: t, text: "run ${{ facts.build.no }}" } }]
`
	p := newPast(t, compiled(t, old))
	p.push("a", "main", 0, map[string]any{"build": build{No: 3}})
	p.events = append(p.events, Event{Sequence: 2, Stored: begun.Add(time.Second)})
	p.push("c", "main", 2*time.Minute, nil)
	after := compiled(t, swap(t, old, "run $", "build $", "on: tag_push", "on: merge_request.open", "rules:", "rules:\n  - { name: gains, on: push, "+message+" }"))
	o := Options{Before: p.recordedWith, After: after, Examples: 1}
	got := p.compare(o)
	want := strings.NewReplacer("BEFORE", o.Before.Digest()[:12], "AFTER", o.After.Digest()[:12]).Replace(report)
	if diff := cmp.Diff(want, text(got)); diff != "" {
		t.Error(diff)
	}
	o.Only = []string{"gains"}
	if got := p.compare(o); len(got.Rules) != 1 || got.Same != 0 {
		t.Errorf("of one rule: %+v", got)
	}
	o.Only = []string{"gains", "nobody"}
	if _, err := Run(t.Context(), o, p); err == nil || !strings.Contains(err.Error(), `neither ruleset has a rule "nobody"`) {
		t.Errorf("%v", err)
	}
}

// TestDeterministic: events of several chunks, and rules with memory, give the same bytes however many play.
func TestDeterministic(t *testing.T) {
	const old = `rules:
  - { name: once, on: push, throttle: { key: "${{ event.branch }}", per: 1m }, ` + message + ` }
  - { name: newest, on: push, latest_only: true, ` + message + ` }
  - { name: limited, on: push, limit: { matches_per_minute: 3, pause: 1m }, ` + message + ` }
  - { name: builds, on: push, fetch: { build: { build_of: { job: j, commit: "${{ event.after }}" } } }, when: facts.build.no % 2 == 0, ` + message + ` }
`
	p := newPast(t, compiled(t, old))
	for i := range 200 {
		facts := map[string]any{"build": build{No: int64(i)}}
		if i%5 == 0 {
			facts = nil
		}
		p.push(time.Duration(i).String(), []string{"main", "dev", "x"}[i%3], time.Duration(i*7-i%4*9)*time.Second, facts)
	}
	after := compiled(t, swap(t, old, "per: 1m", "per: 2m", "latest_only: true", "latest_only: true, when: event.branch != 'x'", "minute: 3", "minute: 2", "% 2", "% 3"))
	var first string
	for _, jobs := range []int{1, 2, 8} {
		r := p.compare(Options{Before: p.recordedWith, After: after, Jobs: jobs, chunk: 64})
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		all := string(data) + text(r)
		if first == "" {
			first = all
			for _, rule := range r.Rules {
				if len(rule.Counts) < 2 {
					t.Errorf("rule %s says too little: %v", rule.Name, rule.Counts)
				}
			}
		}
		if diff := cmp.Diff(first, all); diff != "" {
			t.Fatalf("%d jobs: %s", jobs, diff)
		}
	}
}

// failing is a past in which something goes wrong.
type failing struct {
	*past
	at  string
	err error
}

func (f *failing) Events(ctx context.Context, fn func(Event) error) error {
	if f.at == "events" {
		return f.err
	}
	return f.past.Events(ctx, fn)
}

func (f *failing) Recorded(ctx context.Context, id string, decisions bool) (*Recorded, error) {
	if f.at == "records" {
		return nil, f.err
	}
	return f.past.Recorded(ctx, id, decisions)
}

func (f *failing) OwnCommit(ctx context.Context, id string) (events.Chain, error) {
	if f.at == "commits" {
		return events.Chain{}, f.err
	}
	return f.past.OwnCommit(ctx, id)
}

func TestEnds(t *testing.T) {
	p := newPast(t, compiled(t, ruleText("on: push\n"+message)))
	for i := range 200 {
		p.push(time.Duration(i).String(), "main", 0, nil)
	}
	o := Options{Before: p.recordedWith, After: compiled(t, "rules: []\n"), chunk: 16}
	away := errors.New("the broker is away")
	for _, at := range []string{"events", "records", "commits"} {
		if _, err := Run(t.Context(), o, &failing{p, at, away}); !errors.Is(err, away) {
			t.Errorf("%s: %v", at, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var places []uint64
	o.Progress = func(sequence uint64) {
		places = append(places, sequence)
		cancel()
	}
	if _, err := Run(ctx, o, p); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if len(places) == 0 || places[0] != 16 {
		t.Errorf("progress: %v", places)
	}
}
