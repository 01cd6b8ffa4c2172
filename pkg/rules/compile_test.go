package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/millrace/millrace/pkg/events"
)

func TestDigest(t *testing.T) {
	a, b := File{Name: "a.yaml", Data: []byte("rules: []\n")}, File{Name: "b.yaml", Data: []byte("")}
	one := compileFiles(t, a, b)
	two := compileFiles(t, b, a)
	if one.Digest() != two.Digest() || len(one.Digest()) != 64 || one.Digest() != Digest([]File{b, a}) {
		t.Error("the digest depends on the order of the files")
	}
	if moved := compileFiles(t, File{Name: "a.yaml"}, File{Name: "b.yaml", Data: a.Data}); moved.Digest() == one.Digest() {
		t.Error("the digest does not depend on where things stand")
	}
	if one.Files()[0].Name != "a.yaml" || len(one.Rules()) != 0 || one.Rule("x") != nil {
		t.Error("files and rules")
	}
}

// TestEmptyFiles loads what is there before the first rule is written.
func TestEmptyFiles(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing yet\n", "---\n", "rules:\n", "rules: []\n", "vars: {}\n", "null\n", "\ufeffrules: []\n"} {
		if rs, problems := Compile([]File{{Name: "f.yaml", Data: []byte(text)}}, testCatalogue()); rs == nil || len(problems) > 0 {
			t.Errorf("%q: %v", text, problems)
		}
	}
}

func TestRefusedFiles(t *testing.T) {
	deep := "vars: " + strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for text, want := range map[string]string{
		strings.Repeat("# x\n", MaxFile/4+1): "f.yaml:1:1: the file has 1048580 bytes, at most 1048576 are allowed; split it into several files [limit]",
		"rules: \xff":                        "f.yaml:1:1: the file is not UTF-8; save it as UTF-8 [syntax]",
		deep:                                 "f.yaml:1:31: nested too deep [limit]",
		"- a\n":                              "f.yaml:1:1: the file: wanted a mapping, got a list; write rules: above it [syntax]",
		"rules: {a: b}\n":                    "f.yaml:1:8: rules: wanted a list, got a mapping; begin each element with a dash, or write [a, b] [syntax]",
		"rules: [{ name: a":                  "f.yaml:1:1: did not find expected ',' or '}'; close what is open, and put text that has a colon in it into quotes [syntax]",
		"rules:\n\t- name: a":                "f.yaml:2:1: found character that cannot start any token; indent with spaces, not with tabs [syntax]",
		"rules:\n  - on: *":                  "f.yaml:2:3: did not find expected alphabetic or numeric character; put what begins with * into quotes [syntax]",
		"rules:\n  - { on: *-api }":          "f.yaml:2:3: unknown anchor '-api' referenced; put what begins with * into quotes [syntax]",
		"vars:\n  a: `x`":                    "f.yaml:2:3: found character that cannot start any token; put what begins with ` into quotes [syntax]",
		"vars:\n  a: Build: failed":          "f.yaml:2:3: mapping values are not allowed in this context; put text that has a colon in it into quotes, and indent keys of one mapping alike [syntax]",
	} {
		rs, problems := Compile([]File{{Name: "f.yaml", Data: []byte(text)}}, testCatalogue())
		if rs != nil || problems.Error() != want {
			t.Errorf("got %s\nwant %s", problems.Error(), want)
		}
	}
	when := "when: " + yamlQuote(strings.Repeat("a", MaxExpression+1))
	_, problems := Compile([]File{{Name: "f.yaml", Data: []byte("rules:\n  - name: r\n    on: push\n    " + when + "\n    " + notifyAll)}}, testCatalogue())
	if want := "f.yaml:4:12: when: the expression has 8193 characters, at most 8192 are allowed [expression]"; problems.Error() != want {
		t.Errorf("got %s", problems.Error())
	}
	nested := "when: " + yamlQuote(strings.Repeat("(", 300)+"true"+strings.Repeat(")", 300))
	_, problems = Compile([]File{{Name: "f.yaml", Data: []byte("rules:\n  - name: r\n    on: push\n    " + nested + "\n    " + notifyAll)}}, testCatalogue())
	if len(problems) != 1 || problems[0].Kind != ProblemExpression {
		t.Errorf("got %s", problems.Error())
	}
}

// TestFilesTogether compiles several files: rule names are one space, vars are not.
func TestFilesTogether(t *testing.T) {
	rule := func(name, when string) string {
		return "rules:\n  - name: " + name + "\n    on: push\n    when: " + when + "\n    " + notifyAll
	}
	files := []File{
		{Name: "b.yaml", Data: []byte("vars: { x: 1 }\n" + rule("one", "vars.x == 1"))},
		{Name: "a.yaml", Data: []byte("vars: { x: one }\n" + rule("two", `vars.x == "one"`))},
	}
	rs := compileFiles(t, files...)
	for _, name := range []string{"one", "two"} {
		if d := decide(t, begin(t, rs.Rule(name), pushView())); d.Outcome != OutcomeActed {
			t.Errorf("%s: %s", name, d.Outcome)
		}
	}
	if got := rs.Rules()[0]; got.Name() != "two" || got.Position().String() != "a.yaml:3:11" {
		t.Errorf("the rules are sorted by file: %s at %s", got.Name(), got.Position())
	}
	_, problems := Compile(append(files, File{Name: "c.yaml", Data: []byte(rule("one", "vars.x == 1"))}), testCatalogue())
	want := "c.yaml:2:11: the rule name \"one\" is taken; the other is at b.yaml:3:11 [name]\n" +
		"c.yaml:4:16: when: vars has no \"x\"; add it under vars: at the top of the file [expression]"
	if problems.Error() != want {
		t.Errorf("got\n%s\nwant\n%s", problems.Error(), want)
	}
}

func TestModes(t *testing.T) {
	text := ""
	for _, mode := range []string{"live", "shadow", "off"} {
		text += fmt.Sprintf("  - { name: %s, on: push, mode: %s, on_own_commits: %v, do: [{ notify: { to: ops, title: t, text: x } }] }\n", mode, mode, mode == "live")
	}
	rs := compileFiles(t, File{Name: "f.yaml", Data: []byte("rules:\n" + text)})
	flat := pushView().Flat()
	var names []string
	for _, r := range rs.Match(nil, &flat) {
		names = append(names, r.Name())
	}
	if diff := cmp.Diff([]string{"live", "shadow"}, names); diff != "" {
		t.Error(diff)
	}
	d := decide(t, begin(t, rs.Rule("shadow"), pushView()))
	if d.Outcome != OutcomeShadow || len(d.Items[0].Actions) != 1 {
		t.Errorf("a shadow decides all and is marked: %+v", d)
	}
	if !rs.Rule("live").OnOwnCommits() || rs.Rule("off").OnOwnCommits() || rs.Rule("off").Mode() != ModeOff {
		t.Error("modes")
	}
	room := make([]*Rule, 0, 8)
	if n := testing.AllocsPerRun(100, func() { rs.Match(room, &flat) }); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}

// TestMatchConstants lets match use the constants of the file.
func TestMatchConstants(t *testing.T) {
	rs := compileFiles(t, File{Name: "f.yaml", Data: []byte(`
vars: { group: shop, branches: x }
rules:
  - name: r
    on: push
    match: { repository.path: "${{ vars.group }}/*", author.username: [wumei, "x*"], branch: { not: main } }
    do: [{ notify: { to: ops, title: t, text: x } }]
`)})
	view := pushView()
	flat := view.Flat()
	if len(rs.Match(nil, &flat)) != 1 || rs.Rule("r").ExplainMatch(&flat).Verdict != True {
		t.Error("no match")
	}
	view.Branch = ptr("main")
	flat = view.Flat()
	e := rs.Rule("r").ExplainMatch(&flat)
	if len(rs.Match(nil, &flat)) != 0 || e.Verdict != False || e.FirstFalse().Label != "match branch" {
		t.Errorf("main is excluded: %+v", e)
	}
}

func TestSchedules(t *testing.T) {
	var text strings.Builder
	on := []string{
		`{ cron: "*/5 8-18 * * mon-fri", time_zone: UTC }`, `{ cron: "0 0 29 feb *" }`, `{ every: 90s }`, `{ at: "2026-11-20T17:00:00+08:00" }`,
		`{ every: 1m30s }`, `{ cron: "0 9 1,15 * *", time_zone: Europe/Berlin }`, `{ cron: "0 0 31 2 sun" }`,
	}
	text.WriteString("rules:\n")
	for i, s := range on {
		fmt.Fprintf(&text, "  - { name: r%d, on: { schedule: %s }, do: [{ notify: { to: ops, title: t, text: x } }] }\n", i, s)
	}
	rs := compileFiles(t, File{Name: "f.yaml", Data: []byte(text.String())})
	want := []Schedule{
		{Pattern: "0 */5 8-18 * * mon-fri"},
		{Pattern: "0 0 0 29 feb *"},
		{Pattern: "@every 1m30s"},
		{Pattern: "@at 2026-11-20T09:00:00Z"},
		{Pattern: "0 0 9 1,15 * *", TimeZone: "Europe/Berlin"},
		{Pattern: "0 0 0 31 2 sun"},
	}
	opts := cmp.Options{cmpopts.IgnoreFields(Schedule{}, "ID"), cmpopts.SortSlices(func(a, b Schedule) bool { return a.Pattern < b.Pattern })}
	if diff := cmp.Diff(want, rs.Schedules(), opts); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"* * * *", "60 * * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "5-1 * * * *", "*/0 * * * *", "*/x * * * *", "1- * * * *", "? * * * *", "0 0 30 2 *", "1,,2 * * * *", "+1 * * * *", "-1 * * * *"} {
		if p, err := cronPattern(bad); err == nil {
			t.Errorf("%q is taken as %q", bad, p)
		}
	}
	for _, bad := range []string{"0s", "500ms", "1.5s", "-1s", "soon", "10"} {
		if p, err := everyPattern(bad); err == nil {
			t.Errorf("%q is taken as %q", bad, p)
		}
	}
	if _, err := timeZone("Local"); err == nil {
		t.Error("Local is taken")
	}
}

// TestPlacesAreSaidOnce fails while a constant is made and while a fact is read: the place and the name are there once.
func TestPlacesAreSaidOnce(t *testing.T) {
	text := "vars: { n: 0 }\nrules:\n  - name: r\n    on: push\n    match: { branch: \"x${{ 1 / vars.n }}\" }\n    " + notifyAll
	_, problems := Compile([]File{{Name: "f.yaml", Data: []byte(text)}}, testCatalogue())
	if want := "f.yaml:5:28: match.branch: division by zero [expression]"; problems.Error() != want {
		t.Errorf("got %s\nwant %s", problems.Error(), want)
	}
	x := begin(t, compileRule(t, "fetch: { build: { build_record: { job_id: j, build_no: 17 } } }\n"+notifyAll), pushView())
	calls, err := x.Next()
	if err != nil {
		t.Fatal(err)
	}
	err = x.Provide(calls[0], []byte(`{"build_no":"many"}`))
	if want := "r.yaml:4:14: fetch.build: build_no: want int, got string"; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// TestScheduleIsExplained shows a schedule as its author wrote it, not the id it is found by.
func TestScheduleIsExplained(t *testing.T) {
	for on, want := range map[string]string{
		`{ cron: "0  9 * * mon", time_zone: Asia/Shanghai }`: `"cron 0  9 * * mon, Asia/Shanghai"`,
		`{ cron: "0 9 * * *" }`:                              `"cron 0 9 * * *"`,
		`{ every: 90s }`:                                     `"every 90s"`,
		`{ at: 2026-11-20T17:00:00+08:00 }`:                  `"at 2026-11-20T17:00:00+08:00"`,
	} {
		rs := compileFiles(t, File{Name: "f.yaml", Data: []byte("rules: [{ name: r, on: { schedule: " + on + " }, " + strings.TrimSpace(notifyAll) + " }]")})
		s := rs.Schedules()[0]
		view, err := events.Decode(events.NewTick(s.ID, s.Pattern, s.TimeZone, testNow))
		if err != nil {
			t.Fatal(err)
		}
		flat := view.Flat()
		e := rs.Rule("r").ExplainMatch(&flat)
		if got := e.Children[1]; e.Verdict != True || got.Wanted != want || string(got.Seen) != want {
			t.Errorf("%s: %+v", on, got)
		}
	}
}

// TestSpacesAreApart compiles files one after the other in spaces of the same libraries: each means what it means alone.
func TestSpacesAreApart(t *testing.T) {
	sp, err := newSpace()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"record_failed_build.yaml", "problems/expressions.yaml", "package_expiry.yaml", "problems/deep.yaml", "record_failed_build.yaml"} {
		files := []File{readFile(t, name)}
		want, wantProblems := Compile(files, testCatalogue())
		got, problems := compileIn(sp.fresh(), files, testCatalogue())
		if diff := cmp.Diff(wantProblems, problems); diff != "" || (got == nil) != (want == nil) {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if len(sp.envs) != 0 {
		t.Error("a fresh space leaves something behind in the one it is of")
	}
}

func FuzzCompile(f *testing.F) {
	for _, name := range []string{
		"record_failed_build.yaml", "package_expiry.yaml", "problems/five.yaml", "problems/keys.yaml", "problems/expressions.yaml",
		"problems/aliases.yaml", "problems/syntax.yaml", "problems/match.yaml", "problems/restraints.yaml", "problems/functions.yaml",
	} {
		f.Add(readFile(f, name).Data)
	}
	f.Add([]byte("rules: [{name: r, on: '*', match: {any: [{branch: 'release/*'}, {total_commits: {gt: 3}}], not: {all: [{tag: {exists: true}}]}}, " +
		"throttle: {key: '${{ event.branch }}', per: 1m}, latest_only: true, limit: {pause: 1m}, do: [{notify: {to: ops, title: t, text: \"${{ link('a', 'https://x') }}\"}}]}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("rules: [{name: r, on: push, do: [{notify: }]}]"))
	f.Add([]byte("rules: [{name: r, on: {schedule: }, match: [], fetch: {a: }, when: , for_each: , do: [~]}]"))
	cat := testCatalogue()
	sp, err := newSpace()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files := []File{{Name: "f.yaml", Data: data}}
		rs, problems := compileIn(sp.fresh(), files, cat)
		if (rs == nil) != problems.HasErrors() {
			t.Fatalf("ruleset %v with %v", rs != nil, problems)
		}
		lines := splitLines(string(data))
		for _, p := range problems {
			if p.Line < 1 || p.Col < 1 || p.Line > len(lines)+1 || p.Message == "" || p.Kind == "" {
				t.Fatalf("%+v of %d lines", p, len(lines))
			}
		}
		var b strings.Builder
		problems.Render(&b, files, true)
		if rs == nil {
			return
		}
		for _, r := range rs.Rules() {
			view := pushView()
			flat := view.Flat()
			fits := r.ExplainMatch(&flat).Verdict == True
			if found := slices.Contains(rs.Match(nil, &flat), r); found != (fits && r.Mode() != ModeOff) {
				t.Fatalf("rule %s: the index says %t, the explanation %t", r.Name(), found, fits)
			}
			run, err := r.Begin(Input{Event: view, EventID: "e", Now: time.Unix(0, 0)})
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				calls, err := run.Next()
				if err != nil || len(calls) == 0 {
					break
				}
				for _, c := range calls {
					if err := run.Provide(c, nil); err != nil {
						t.Fatal(err)
					}
					run.GiveUp(c.Fact)
				}
			}
			if d, err := run.Decide(); err == nil && d.Outcome == "" {
				t.Fatal("no outcome")
			}
		}
		rs.Match(nil, new(events.Flat))
	})
}
