package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

var benchTypes = []string{"push", "tag_push", "merge_request.open", "merge_request.merge", "note.merge_request", "build.failed"}

// ruleset compiles n rules like those of a company: two for each repository, types in turn, and in one of twenty globs on the
// repository and on the branch beside the exact value.
func ruleset(tb testing.TB, n int) *rules.Ruleset {
	tb.Helper()
	var text strings.Builder
	text.WriteString("rules:\n")
	for i := range n {
		repo, branch := fmt.Sprintf("shop/service-%d", i/2), "main"
		if i%20 == 9 {
			repo, branch = fmt.Sprintf(`[%s, "shop/service-%d-*"]`, repo, i), `"mai*"`
		}
		fmt.Fprintf(&text, "  - name: rule-%d\n    on: %s\n    match: { repository.path: %s, branch: %s }\n", i, benchTypes[i/2%len(benchTypes)], repo, branch)
		text.WriteString("    do: [{ notify: { to: [team], title: t, text: x } }]\n")
	}
	files := []rules.File{{Name: "bench.yaml", Data: []byte(text.String())}}
	if n > 5000 { // a file has a limit
		half := strings.Index(text.String(), fmt.Sprintf("  - name: rule-%d\n", n/2))
		files = []rules.File{
			{Name: "a.yaml", Data: []byte(text.String()[:half])},
			{Name: "b.yaml", Data: []byte("rules:\n" + text.String()[half:])},
		}
	}
	rs, problems := rules.Compile(files, &rules.Catalogue{Event: rules.TypeFor[events.View]("Event"), EventTypes: events.Types()})
	if rs == nil {
		tb.Fatal(problems)
	}
	return rs
}

// flats are events of five repositories, each of another type, each of which fits two rules.
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
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rs, evs := ruleset(b, n), flats()
			dst := make([]*rules.Rule, 0, 16)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if dst = rs.Match(dst[:0], &evs[i]); len(dst) != 2 {
					b.Fatalf("%d rules fit, want 2", len(dst))
				}
				if i++; i == len(evs) {
					i = 0
				}
			}
		})
	}
}

// TestMatchDoesNotAllocate holds at 10,000 rules.
func TestMatchDoesNotAllocate(t *testing.T) {
	rs, evs := ruleset(t, 10000), flats()
	dst := make([]*rules.Rule, 0, 16)
	allocs := testing.AllocsPerRun(1000, func() {
		for i := range evs {
			dst = rs.Match(dst[:0], &evs[i])
		}
	})
	if allocs >= 1 && !raceEnabled { // under the race detector a pool forgets on purpose
		t.Errorf("matching five events makes %v allocations", allocs)
	}
}
