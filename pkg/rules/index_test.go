package rules

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

// matchAll is what the index must find.
func matchAll(cs []criteria, ev *events.Flat) []int32 {
	var found []int32
	for i := range cs {
		if cs[i].match(ev) {
			found = append(found, int32(i))
		}
	}
	return found
}

// draw makes criteria and events from a few values, so that much coincides. Its numbers come from one source, so a seed, or
// the bytes of a fuzzer, says everything.
type draw struct {
	t testing.TB
	n func(limit int) int
}

var (
	drawFields = []events.Field{
		events.FieldRepositoryPath, events.FieldBranch, events.FieldAuthorUsername, events.FieldSource, events.FieldType, events.FieldScheduleID,
		events.FieldTotalCommits, events.FieldTime,
	}
	drawValues = []string{"a", "b", "ab", "ba", "a/b", "a/a", "b/a/b", "", "aab", "版"}
	drawGlobs  = []string{"a*", "*a", "a*b", "**", "*", "**b", "a/**", "?", "*a*", "a", "*/b", "b/?/*", "版*", "**版"}
	drawTypes  = []string{"push", "tag_push", "merge_request.open", "merge_request.*", "note.*", "*", "**", "unknown.*", "unknown.a", "unknown.?b", tickType}
	drawKinds  = []string{"push", "tag_push", "merge_request.open", "note.commit", tickType, "unknown.a", "unknown.ab", "new.kind"}
)

func pick[T any](d draw, from []T) T { return from[d.n(len(from))] }

func (d draw) patterns(limit int) []pattern {
	var ps []pattern
	for range d.n(limit + 1) {
		if d.n(3) == 0 {
			ps = append(ps, globOf(d.t, pick(d, drawGlobs)))
		} else {
			ps = append(ps, exactly(pick(d, drawValues)))
		}
	}
	return ps
}

func (d draw) criteria() criteria {
	var c criteria
	if d.n(8) == 0 {
		c.schedule = pick(d, drawValues)
	} else {
		for range 1 + d.n(3)*d.n(2) {
			c.types = append(c.types, typesOf(d.t, pick(d, drawTypes))...)
		}
	}
	match := d.clause(2)
	c.conds, c.groups = match.conds, match.groups
	return c
}

// clause draws what may stand under match, with groups in it down to some depth.
func (d draw) clause(depth int) (c clause) {
	for range d.n(5 - depth%2) {
		c.conds = append(c.conds, d.cond())
	}
	for range d.n(2) * d.n(1+depth) {
		g := group{kind: groupKind(d.n(3))}
		for range 1 + d.n(3) {
			g.clauses = append(g.clauses, d.clause(depth-1))
		}
		c.groups = append(c.groups, g)
	}
	return c
}

func (d draw) cond() cond {
	c := cond{field: pick(d, drawFields)}
	switch {
	case d.n(10) == 0:
		c.absent = true
	case c.field.Kind() != events.KindText:
		c.in, c.out = d.spans(3), d.spans(1+d.n(2)*d.n(2))
	default:
		c.any, c.not = d.patterns(3), d.patterns(1+d.n(2)*d.n(2))
	}
	return c
}

func (d draw) spans(limit int) []span {
	var out []span
	for range d.n(limit + 1) {
		s := span{least: int64(d.n(4)), words: "drawn"}
		s.most = s.least + int64(d.n(3)*d.n(2))
		if d.n(8) == 0 {
			s.most = math.MaxInt64
		}
		out = append(out, s)
	}
	return out
}

func (d draw) event() *events.Flat {
	var ev events.Flat
	for _, f := range drawFields {
		switch {
		case d.n(6) == 0:
		case f.Kind() != events.KindText:
			ev.SetNumber(f, int64(d.n(6)))
		default:
			ev.Set(f, pick(d, drawValues))
		}
	}
	if d.n(12) != 0 {
		ev.Set(events.FieldType, pick(d, drawKinds))
	}
	return &ev
}

// checkIndex compares the index of some drawn criteria with the meaning of each.
func checkIndex(d draw, rules, evs int) {
	d.t.Helper()
	cs := make([]criteria, rules)
	for i := range cs {
		cs[i] = d.criteria()
	}
	ix := newIndex(cs)
	for range evs {
		ev := d.event()
		want := matchAll(cs, ev)
		if got := ix.match(nil, ev); !slices.Equal(got, want) {
			d.t.Fatalf("event %+v\nfound %v\nwant  %v\n%s", *ev, got, want, differing(cs, got, want))
		}
		for i := range cs {
			e := cs[i].explain(ev)
			if (e.Verdict == True) != slices.Contains(want, int32(i)) {
				d.t.Fatalf("event %+v\nrule %d explained as %s\n%s", *ev, i, e.Verdict, differing(cs, []int32{int32(i)}, nil))
			}
			if first := e.FirstFalse(); (first == nil) != (e.Verdict == True) || first == &e {
				d.t.Fatalf("event %+v\nrule %d fails because of %+v\n%s", *ev, i, first, differing(cs, []int32{int32(i)}, nil))
			}
			checkTree(d.t, &e)
		}
	}
}

// checkTree concludes the verdicts of a tree anew from those at its ends, and counts these.
func checkTree(t testing.TB, e *Explanation) (held, all int) {
	t.Helper()
	if len(e.Children) == 0 {
		held, all = 0, 1
		if e.Verdict == True {
			held = 1
		}
		return held, all
	}
	anyHolds, allHold := false, true
	for i := range e.Children {
		c := &e.Children[i]
		h, a := checkTree(t, c)
		held, all = held+h, all+a
		anyHolds, allHold = anyHolds || c.Verdict == True, allHold && c.Verdict == True
	}
	concluded := allHold
	switch e.Label {
	case "match any of these":
		concluded = anyHolds
	case "match not all of these":
		concluded, held, all = !allHold, 0, 1
		if concluded {
			held = 1
		}
	}
	if concluded != (e.Verdict == True) {
		t.Fatalf("the ends of this tree make it %t: %+v", concluded, *e)
	}
	if h, a := e.Leaves(); h != held || a != all {
		t.Fatalf("%d of %d conditions hold, not %d of %d: %+v", held, all, h, a, *e)
	}
	return held, all
}

func differing(cs []criteria, got, want []int32) (out string) {
	for i, c := range cs {
		if slices.Contains(got, int32(i)) != slices.Contains(want, int32(i)) {
			match := c.clause()
			out += fmt.Sprintf("rule %d: on %s%s; %s\n", i, oneOfWords(c.types), c.schedule, match.wanted())
		}
	}
	return out
}

func TestIndexFindsWhatMatches(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 7))
		checkIndex(draw{t, r.IntN}, int(seed)*r.IntN(3), 20)
	}
}

func FuzzIndex(f *testing.F) {
	r := rand.NewChaCha8([32]byte{1})
	for _, n := range []int{1, 50, 400, 2000} {
		seed := make([]byte, n)
		_, _ = r.Read(seed)
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n := func(limit int) int {
			if len(data) == 0 {
				return 0
			}
			v := int(data[0])
			data = data[1:]
			return v % limit
		}
		checkIndex(draw{t, n}, n(80), 8)
	})
}

func TestIndexKeepsWhatDestinationHolds(t *testing.T) {
	ix := newIndex([]criteria{{types: typesOf(t, "push")}, {types: typesOf(t, "*")}, {types: typesOf(t, "tag_push")}})
	dst := append(make([]int32, 0, 8), 9, 9, 3)
	got := ix.match(dst, flatOf("push"))
	if diff := cmp.Diff([]int32{9, 9, 3, 0, 1}, got); diff != "" {
		t.Error(diff)
	}
	if &got[0] != &dst[0] {
		t.Error("a destination with room was copied")
	}
}

func TestIndexOfNothing(t *testing.T) {
	for _, cs := range [][]criteria{nil, {{}}, make([]criteria, 20)} {
		if got := newIndex(cs).match(nil, flatOf("push")); len(got) != 0 {
			t.Errorf("%d empty criteria match %v", len(cs), got)
		}
	}
	if got := newIndex([]criteria{{types: typesOf(t, "*")}}).match(nil, &events.Flat{}); len(got) != 0 {
		t.Errorf("an event without a type matches %v", got)
	}
}

// TestIndexShares shows the reason for the index: rules that an event does not concern are not looked at, whatever it is that
// tells them apart.
func TestIndexShares(t *testing.T) {
	const n = 2000
	ev := flatOf("push", "repository.path", "shop/r7", "branch", "b7-x", "author.username", "u7", "total_commits", "7")
	for name, conds := range map[string]func(i int) []cond{
		"repository": func(i int) []cond { return []cond{oneOf(events.FieldRepositoryPath, fmt.Sprint("shop/r", i))} },
		"lists": func(i int) []cond {
			return []cond{oneOf(events.FieldRepositoryPath, fmt.Sprint("shop/r", i), fmt.Sprint("x", i))}
		},
		"prefix": func(i int) []cond {
			return []cond{{field: events.FieldBranch, any: []pattern{globOf(t, fmt.Sprintf("b%d-*", i))}}}
		},
		"suffix": func(i int) []cond {
			return []cond{{field: events.FieldRepositoryPath, any: []pattern{globOf(t, fmt.Sprintf("**/r%d", i))}}}
		},
		"prefix shared": func(i int) []cond {
			return []cond{{field: events.FieldRepositoryPath, any: []pattern{globOf(t, fmt.Sprintf("shop/*r%d", i))}}}
		},
		"two fields together": func(i int) []cond {
			return []cond{oneOf(events.FieldRepositoryPath, fmt.Sprint("shop/r", i%45)), oneOf(events.FieldAuthorUsername, fmt.Sprint("u", i/45))}
		},
		"numbers": func(i int) []cond {
			return []cond{{field: events.FieldTotalCommits, in: []span{{least: int64(i), most: int64(i)}}}}
		},
		"a field below a prefix": func(i int) []cond {
			return []cond{{field: events.FieldRepositoryPath, any: []pattern{globOf(t, "shop/*")}}, oneOf(events.FieldAuthorUsername, fmt.Sprint("u", i))}
		},
	} {
		cs := make([]criteria, n)
		for i := range cs {
			cs[i] = criteria{types: typesOf(t, "push"), conds: conds(i)}
		}
		ix := newIndex(cs)
		for i := range ix.code { // let every rule match that is looked at
			if c := &ix.code[i]; c.op != checkRule {
				*c = indexCheck{op: checkPresent, field: events.FieldType}
			}
		}
		if looked := len(ix.match(nil, ev)); looked == 0 || looked > 2*leafSize {
			t.Errorf("%s: %d of %d rules are looked at", name, looked, n)
		}
	}
}

// TestIndexSharesWays is the same for rules whose groups lead to them.
func TestIndexSharesWays(t *testing.T) {
	const n = 2000
	either := func(clauses ...clause) group { return group{kind: groupAny, clauses: clauses} }
	line := func(field events.Field, format string, i int) clause {
		return clause{conds: []cond{oneOf(field, fmt.Sprintf(format, i))}}
	}
	ev := flatOf("push", "repository.path", "shop/r7", "branch", "b7-x", "author.username", "u7")
	for name, groups := range map[string]func(i int) []group{
		"any": func(i int) []group {
			return []group{either(line(events.FieldRepositoryPath, "shop/r%d", i), line(events.FieldBranch, "x%d", i))}
		},
		"any in all in any": func(i int) []group {
			inner := either(line(events.FieldAuthorUsername, "u%d", i), line(events.FieldBranch, "x%d", i))
			all := group{kind: groupAll, clauses: []clause{{groups: []group{inner}}, {conds: []cond{{field: events.FieldTag, absent: true}}}}}
			return []group{either(clause{groups: []group{all}}, line(events.FieldSource, "s%d", i))}
		},
	} {
		cs := make([]criteria, n)
		for i := range cs {
			cs[i] = criteria{types: typesOf(t, "push"), groups: groups(i)}
		}
		ix := newIndex(cs)
		if found := ix.match(nil, ev); !slices.Equal(found, []int32{7}) {
			t.Errorf("%s: found %v", name, found)
		}
		for i := range ix.code {
			if c := &ix.code[i]; c.op != checkRule {
				*c = indexCheck{op: checkPresent, field: events.FieldType}
			}
		}
		if looked := len(ix.match(nil, ev)); looked == 0 || looked > 2*leafSize {
			t.Errorf("%s: %d of %d rules are looked at", name, looked, n)
		}
	}
}

// TestIndexWays bounds how often groups make a rule be entered.
func TestIndexWays(t *testing.T) {
	var g group
	for i := range 40 {
		g.clauses = append(g.clauses, clause{conds: []cond{oneOf(events.FieldBranch, fmt.Sprint("b", i))}})
	}
	long := clause{groups: []group{g, g, g}}
	if n := len(long.ways()); n != 40 {
		t.Errorf("three groups of 40 make %d ways, want the 40 of the first", n)
	}
	ix := newIndex([]criteria{{types: typesOf(t, "push"), groups: long.groups}})
	for branch, want := range map[string]int{"b7": 1, "b40": 0} {
		if found := ix.match(nil, flatOf("push", "branch", branch)); len(found) != want {
			t.Errorf("%s: found %v", branch, found)
		}
	}
}

func TestIndexAllocs(t *testing.T) {
	cs := benchRules(t, 10000)
	either := group{kind: groupAny, clauses: []clause{{conds: []cond{oneOf(events.FieldBranch, "main")}}, {conds: []cond{oneOf(events.FieldTag, "v1")}}}}
	for i := range cs {
		switch i % 3 {
		case 0:
			cs[i].groups = []group{either}
		case 1:
			cs[i].groups = []group{{kind: groupNot, clauses: []clause{{conds: []cond{{field: events.FieldTotalCommits, in: []span{{least: 50, most: 60}}}}}}}}
			cs[i].conds = append(cs[i].conds, cond{field: events.FieldTag, absent: true}, cond{field: events.FieldMergeRequestIID, in: []span{{least: 3, most: 3}}})
		}
	}
	evs := benchEvents(5)
	for i, ev := range evs {
		ev.SetNumber(events.FieldTotalCommits, int64(i))
		ev.SetNumber(events.FieldMergeRequestIID, 3)
	}
	ix := newIndex(cs)
	dst := make([]int32, 0, 16)
	n := testing.AllocsPerRun(100, func() {
		for _, ev := range evs {
			dst = ix.match(dst[:0], ev)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for %d events", n, len(evs))
	}
}

func TestIndexConcurrently(t *testing.T) {
	cs := benchRules(t, 1000)
	ix := newIndex(cs)
	var wg sync.WaitGroup
	for _, ev := range benchEvents(4) {
		wg.Go(func() {
			want := matchAll(cs, ev)
			for range 100 {
				if got := ix.match(nil, ev); !slices.Equal(got, want) {
					t.Errorf("found %v, want %v", got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestIndexCopies bounds what lists in several conditions of one rule cost in memory.
func TestIndexCopies(t *testing.T) {
	var long []string
	for i := range 300 {
		long = append(long, fmt.Sprint("v", i))
	}
	cs := make([]criteria, 10)
	for i := range cs {
		cs[i] = criteria{types: typesOf(t, "*"), conds: []cond{
			oneOf(events.FieldBranch, long...), oneOf(events.FieldRepositoryPath, long...), oneOf(events.FieldAuthorUsername, long...),
		}}
	}
	ix := newIndex(cs)
	if rules := len(cs) * maxCopies; len(ix.code) > 8*rules {
		t.Errorf("%d entries for %d rules", len(ix.code), len(cs))
	}
	ev := flatOf("push", "branch", "v1", "repository.path", "v2", "author.username", "v299")
	if got := ix.match(nil, ev); len(got) != len(cs) {
		t.Errorf("found %v", got)
	}
}
