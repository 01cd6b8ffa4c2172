package rules

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/events"
)

// benchTypes are the types that rules and events of the benchmarks have.
var benchTypes = []string{"push", "tag_push", "merge_request.open", "merge_request.merge", "note.merge_request", "build.failed"}

func globOf(t testing.TB, text string) pattern {
	t.Helper()
	p, err := newGlob(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func typesOf(t testing.TB, texts ...string) []pattern {
	t.Helper()
	var ps []pattern
	for _, text := range texts {
		p, err := newTypePattern(text, events.Types())
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

func oneOf(f events.Field, texts ...string) cond {
	c := cond{field: f}
	for _, text := range texts {
		c.any = append(c.any, exactly(text))
	}
	return c
}

// flatOf is an event of the type, from pairs of field and value.
func flatOf(kind string, pairs ...string) *events.Flat {
	var ev events.Flat
	ev.Set(events.FieldType, kind)
	for i := 0; i < len(pairs); i += 2 {
		f, ok := events.FieldByName(pairs[i])
		if !ok {
			panic("no field " + pairs[i])
		}
		ev.Set(f, pairs[i+1])
	}
	return &ev
}

// benchRules are n rules like those of a company: two for each of four repositories the events are about, the rest for
// other repositories, one in twenty with a glob.
func benchRules(t testing.TB, n int) []criteria {
	cs := make([]criteria, n)
	for i := range cs {
		repo := fmt.Sprintf("shop/service-%d", i/2)
		kind := benchTypes[i/2%len(benchTypes)]
		cs[i] = criteria{types: typesOf(t, kind), conds: []cond{
			oneOf(events.FieldRepositoryPath, repo), oneOf(events.FieldBranch, "main"),
		}}
		if i%20 == 9 {
			cs[i].conds[0].any = append(cs[i].conds[0].any, globOf(t, fmt.Sprintf("shop/service-%d-*", i)))
			cs[i].conds[1].any = []pattern{globOf(t, "mai*")}
		}
	}
	return cs
}

func benchEvents(repositories int) []*events.Flat {
	var evs []*events.Flat
	for i := range repositories {
		evs = append(evs, flatOf(benchTypes[i%len(benchTypes)],
			"source", "codearts",
			"repository.id", fmt.Sprint(2111000+i),
			"repository.path", fmt.Sprintf("shop/service-%d", i),
			"branch", "main",
			"author.username", "lin.yu",
		))
	}
	return evs
}

func BenchmarkIndex(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchMatch(b, benchRules(b, n), benchEvents(5), 2)
		})
	}
}

// BenchmarkIndexCold spreads the events over as many repositories as there are.
func BenchmarkIndexCold(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			evs := benchEvents(n / 2)
			rand.New(rand.NewPCG(1, 2)).Shuffle(len(evs), func(i, j int) { evs[i], evs[j] = evs[j], evs[i] })
			benchMatch(b, benchRules(b, n), evs, 2)
		})
	}
}

// BenchmarkIndexGlobs has half of the rules with globs on one field, which begin or end with what no other has.
func BenchmarkIndexGlobs(b *testing.B) {
	const n = 10000
	b.Run(fmt.Sprint(n), func(b *testing.B) {
		cs := benchRules(b, n)
		for i := 1; i < n; i += 2 {
			repo := fmt.Sprintf("shop/service-%d", i/2)
			if i%4 == 1 {
				cs[i].conds[0].any = []pattern{globOf(b, repo+"*")}
			} else {
				cs[i].conds[0].any = []pattern{globOf(b, "**"+strings.TrimPrefix(repo, "shop/service"))}
			}
		}
		benchMatch(b, cs, benchEvents(5), 2)
	})
}

// BenchmarkIndexMany has 100 rules that match each event, among 10,000.
func BenchmarkIndexMany(b *testing.B) {
	b.Run("100", func(b *testing.B) {
		cs := benchRules(b, 10000)
		for i := range cs {
			cs[i].conds[0] = oneOf(events.FieldRepositoryPath, fmt.Sprintf("shop/service-%d", i%100))
			cs[i].types = typesOf(b, benchTypes[i%100%len(benchTypes)])
			if i%20 == 9 {
				cs[i].conds[0].any = append(cs[i].conds[0].any, globOf(b, fmt.Sprintf("team-%d/pay-*", i)))
			}
		}
		benchMatch(b, cs, benchEvents(5), 100)
	})
}

// BenchmarkIndexRest has one rule in twenty whose glob neither begins nor ends with a literal text: those are left to be
// tried one by one, below the type they share.
func BenchmarkIndexRest(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cs := benchRules(b, n)
			for i := 19; i < n; i += 20 {
				cs[i].conds = []cond{{field: events.FieldRepositoryPath, any: []pattern{globOf(b, fmt.Sprintf("**pay-%d**", i))}}}
			}
			benchMatch(b, cs, benchEvents(5), 2)
		})
	}
}

// BenchmarkIndexGroups has groups in every rule: an `any` that leads to it, or numbers and a `not` that are checked.
func BenchmarkIndexGroups(b *testing.B) {
	const n = 10000
	b.Run(fmt.Sprint(n), func(b *testing.B) {
		cs := benchRules(b, n)
		for i := range cs {
			lines := clause{conds: cs[i].conds}
			if i%2 == 0 {
				tagged := clause{conds: []cond{oneOf(events.FieldTag, fmt.Sprint("v", i))}}
				cs[i].conds, cs[i].groups = nil, []group{{kind: groupAny, clauses: []clause{lines, tagged}}}
			} else {
				bot := clause{conds: []cond{oneOf(events.FieldAuthorUsername, "bot")}}
				cs[i].conds = append(cs[i].conds, cond{field: events.FieldTotalCommits, in: []span{{least: 1, most: 20}}})
				cs[i].groups = []group{{kind: groupNot, clauses: []clause{bot}}}
			}
		}
		evs := benchEvents(5)
		for _, ev := range evs {
			ev.SetNumber(events.FieldTotalCommits, 3)
		}
		benchMatch(b, cs, evs, 2)
	})
}

func BenchmarkIndexBuild(b *testing.B) {
	cs := benchRules(b, 10000)
	b.ReportAllocs()
	for b.Loop() {
		newIndex(cs)
	}
}

// benchMatch measures one event a turn, each of which must match at least so many rules.
func benchMatch(b *testing.B, cs []criteria, evs []*events.Flat, atLeast int) {
	ix := newIndex(cs)
	dst := make([]int32, 0, len(cs))
	for _, ev := range evs {
		if got := ix.match(dst, ev); len(got) < atLeast {
			b.Fatalf("an event matches %d rules, want at least %d", len(got), atLeast)
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		dst = ix.match(dst[:0], evs[i])
		if i++; i == len(evs) {
			i = 0
		}
	}
}
