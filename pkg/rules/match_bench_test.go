package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

var benchTypes = []string{"push", "tag_push", "merge_request.open", "merge_request.merge", "note.merge_request", "build.failed"}

// benchRule is what a rule of the benchmarks matches: an event type, and repositories and branches, of which those with a * are globs.
type benchRule struct {
	kind            string
	repos, branches []string
}

// usual are n rules like those of a company: two for each repository, types in turn, and in one of twenty globs on the repository and
// on the branch beside the exact value.
func usual(n int) []benchRule {
	out := make([]benchRule, n)
	for i := range out {
		out[i] = benchRule{kind: benchTypes[i/2%len(benchTypes)], repos: []string{fmt.Sprintf("shop/service-%d", i/2)}, branches: []string{"main"}}
		if i%20 == 9 {
			out[i].repos = append(out[i].repos, fmt.Sprintf("shop/service-%d-*", i))
			out[i].branches = []string{"mai*"}
		}
	}
	return out
}

// globbed are usual rules of which every other has a glob on its repository: a literal prefix or a *-suffix in turn.
func globbed(n int) []benchRule {
	out := usual(n)
	for i := 1; i < n; i += 2 {
		repo := fmt.Sprintf("shop/service-%d", i/2)
		if i%4 == 1 {
			out[i].repos = []string{repo + "*"}
		} else {
			out[i].repos = []string{"**" + strings.TrimPrefix(repo, "shop/service")}
		}
	}
	return out
}

// crowded are rules of which a hundred fit each event.
func crowded(n int) []benchRule {
	out := usual(n)
	for i := range out {
		out[i].kind, out[i].repos = benchTypes[i%100%len(benchTypes)], []string{fmt.Sprintf("shop/service-%d", i%100)}
	}
	return out
}

// shapes are the sets of rules that matching is measured with, and how many of each fit an event at least.
var shapes = []struct {
	name  string
	rules func(n int) []benchRule
	n     int
	fit   int
}{
	{"10", usual, 10, 2},
	{"1000", usual, 1000, 2},
	{"10000", usual, 10000, 2},
	{"10000-half-globs", globbed, 10000, 2},
	{"10000-hundred-fit", crowded, 10000, 100},
}

// compiled is a ruleset of such rules.
func compiled(tb testing.TB, all []benchRule) *rules.Ruleset {
	tb.Helper()
	var files []rules.File
	for from := 0; from < len(all); from += 5000 { // a file has a limit
		var text strings.Builder
		text.WriteString("rules:\n")
		for i, r := range all[from:min(from+5000, len(all))] {
			fmt.Fprintf(&text, "  - name: rule-%d\n    on: %s\n    match: { repository.path: %s, branch: %s }\n", from+i, r.kind, quotedList(r.repos), quotedList(r.branches))
			text.WriteString("    do: [{ notify: { to: [team], title: t, text: x } }]\n")
		}
		files = append(files, rules.File{Name: fmt.Sprintf("rules-%d.yaml", from), Data: []byte(text.String())})
	}
	rs, problems := rules.Compile(files, &rules.Catalogue{Event: rules.TypeFor[events.View]("Event"), EventTypes: events.Types()})
	if rs == nil {
		tb.Fatal(problems)
	}
	return rs
}

func quotedList(texts []string) string { return `["` + strings.Join(texts, `", "`) + `"]` }

// programs are the same rules as CEL, one compiled program each, as an engine has them that tries every rule.
func programs(tb testing.TB, all []benchRule) []cel.Program {
	tb.Helper()
	env, err := cel.NewEnv(cel.Variable("type", cel.StringType), cel.Variable("path", cel.StringType), cel.Variable("branch", cel.StringType))
	if err != nil {
		tb.Fatal(err)
	}
	out := make([]cel.Program, len(all))
	for i, r := range all {
		ast, issues := env.Compile(fmt.Sprintf("type == %q && (%s) && (%s)", r.kind, anyOf("path", r.repos), anyOf("branch", r.branches)))
		if issues.Err() != nil {
			tb.Fatal(issues.Err())
		}
		if out[i], err = env.Program(ast); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// anyOf is CEL for a field that is one of some texts.
func anyOf(field string, texts []string) string {
	var parts []string
	for _, text := range texts {
		switch prefix, suffix := strings.CutSuffix(text, "*"); {
		case strings.HasPrefix(text, "**"):
			parts = append(parts, fmt.Sprintf("%s.endsWith(%q)", field, text[2:]))
		case suffix:
			parts = append(parts, fmt.Sprintf("%s.startsWith(%q)", field, prefix))
		default:
			parts = append(parts, fmt.Sprintf("%s == %q", field, text))
		}
	}
	return strings.Join(parts, " || ")
}

// celInput is an event as the programs see it.
func celInput(ev *events.Flat) map[string]any {
	in := map[string]any{}
	for name, field := range map[string]events.Field{"type": events.FieldType, "path": events.FieldRepositoryPath, "branch": events.FieldBranch} {
		in[name], _ = ev.Get(field)
	}
	return in
}

// flats are events of five repositories, each of another type.
func flats() []events.Flat {
	evs := make([]events.Flat, 5)
	for i := range evs {
		evs[i].Set(events.FieldType, benchTypes[i])
		evs[i].Set(events.FieldSource, "shop")
		evs[i].Set(events.FieldRepositoryID, fmt.Sprint(2111000+i))
		evs[i].Set(events.FieldRepositoryPath, fmt.Sprintf("shop/service-%d", i))
		evs[i].Set(events.FieldBranch, "main")
		evs[i].Set(events.FieldAuthorUsername, "lin.yu")
	}
	return evs
}

// BenchmarkMatch is the cost of one event against all rules.
func BenchmarkMatch(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			rs, evs := compiled(b, s.rules(s.n)), flats()
			dst := make([]*rules.Rule, 0, s.n)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if dst = rs.Match(dst[:0], &evs[i]); len(dst) < s.fit {
					b.Fatalf("%d rules fit, want %d", len(dst), s.fit)
				}
				if i++; i == len(evs) {
					i = 0
				}
			}
		})
	}
}

// BenchmarkMatchCEL is the cost of the same events against the same rules, each tried as a compiled CEL program.
func BenchmarkMatchCEL(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			all, evs := programs(b, s.rules(s.n)), flats()
			inputs := make([]map[string]any, len(evs))
			for i := range evs {
				inputs[i] = celInput(&evs[i])
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				fit := 0
				for _, p := range all {
					out, _, err := p.Eval(inputs[i])
					if err != nil {
						b.Fatal(err)
					}
					if out.Value() == true {
						fit++
					}
				}
				if fit < s.fit {
					b.Fatalf("%d rules fit, want %d", fit, s.fit)
				}
				if i++; i == len(evs) {
					i = 0
				}
			}
		})
	}
}

// TestMatchAndCELAgree: the benchmarks compare what does the same.
func TestMatchAndCELAgree(t *testing.T) {
	for _, s := range shapes {
		n := min(s.n, 1000)
		rs, all := compiled(t, s.rules(n)), programs(t, s.rules(n))
		for i, ev := range flats() {
			fit := map[string]bool{}
			for _, rule := range rs.Match(nil, &ev) {
				fit[rule.Name()] = true
			}
			for j, p := range all {
				out, _, err := p.Eval(celInput(&ev))
				if name := fmt.Sprintf("rule-%d", j); err != nil || (out.Value() == true) != fit[name] {
					t.Errorf("%s, event %d, %s: fits %t, CEL says %v, %v", s.name, i, name, fit[name], out, err)
				}
			}
		}
	}
}

// TestMatchDoesNotAllocate holds at 10,000 rules.
func TestMatchDoesNotAllocate(t *testing.T) {
	for _, s := range shapes[2:] {
		rs, evs := compiled(t, s.rules(s.n)), flats()
		dst := make([]*rules.Rule, 0, s.n)
		allocs := testing.AllocsPerRun(1000, func() {
			for i := range evs {
				dst = rs.Match(dst[:0], &evs[i])
			}
		})
		if allocs >= 1 && !raceEnabled { // under the race detector a pool forgets on purpose
			t.Errorf("%s: matching five events makes %v allocations", s.name, allocs)
		}
	}
}
