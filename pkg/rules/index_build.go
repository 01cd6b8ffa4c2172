package rules

import (
	"cmp"
	"math"
	"slices"

	"github.com/millrace/millrace/pkg/events"
)

const (
	// leafSize is how many rules are checked one by one rather than split further: about as many as one more look-up costs.
	leafSize = 4
	// maxCopies bounds how often one rule is entered when conditions with lists are combined.
	maxCopies = 4096
	// maxWays bounds how often one rule is entered because of its groups.
	maxWays = 64
	// maxAccess is how many conditions of a rule can lead to it; the rest are only checked.
	maxAccess = 64
)

// newIndex builds the index of all criteria; match gives their positions in cs.
func newIndex(cs []criteria) *index {
	b := &indexBuilder{index: &index{values: newValueTable(), next: map[uint64]uint32{}}}
	var all []place
	for i := range cs {
		on := b.demandsOn(&cs[i])
		if on == nil {
			continue
		}
		match := cs[i].clause()
		ways := match.ways()
		b.made = map[*cond]demand{}
		for _, w := range ways {
			all = append(all, place{entry: int32(len(b.entries)), copies: int32(len(ways))})
			b.entries = append(b.entries, b.entry(int32(i), on, w))
		}
	}
	b.node(all)
	return b.index
}

type indexBuilder struct {
	*index
	entries []entry
	made    map[*cond]demand // of the rule being entered: its ways share lines
}

// entry is one way to satisfy a rule.
type entry struct {
	rule    int32
	demands []demand
	groups  []indexCheck // what is only checked
}

func (b *indexBuilder) entry(rule int32, on []demand, w way) entry {
	e := entry{rule: rule, demands: slices.Clip(on)}
	for _, c := range w.conds {
		d, ok := b.made[c]
		if !ok {
			d = b.demandOf(c)
			b.made[c] = d
		}
		e.demands = append(e.demands, d)
	}
	for _, g := range w.rest {
		e.groups = append(e.groups, indexCheck{op: checkGroup, arg: uint32(len(b.groups))})
		b.groups = append(b.groups, g)
	}
	return e
}

// demand is a condition in numbers.
type demand struct {
	field  events.Field
	any    valueList
	checks []indexCheck
	proven []indexCheck // those that are left when any is known to take the value
}

// alternatives is how many values and globs would satisfy the demand, 0 if it selects nothing that could lead to the rule.
func (d *demand) alternatives() int {
	if len(d.any.spans) > 0 {
		return 0
	}
	return len(d.any.exact) + len(d.any.globs)
}

// place is an entry on its way down the tree.
type place struct {
	entry  int32
	copies int32
	used   uint64 // the demands that led here
	proven uint64 // those of them whose any is known to take the value
}

// demandsOn is what `on` of the criteria asks for; nil when they match nothing.
func (b *indexBuilder) demandsOn(c *criteria) []demand {
	switch {
	case c.schedule != "":
		return []demand{
			b.demand(events.FieldType, b.list(events.FieldType, []pattern{exactly(tickType)}), valueList{}),
			b.demand(events.FieldScheduleID, b.list(events.FieldScheduleID, []pattern{exactly(c.schedule)}), valueList{}),
		}
	case len(c.types) > 0:
		return []demand{b.demand(events.FieldType, b.list(events.FieldType, spellOut(c.types)), valueList{})}
	}
	return nil
}

// demandOf is what a line of `match` asks for.
func (b *indexBuilder) demandOf(c *cond) demand {
	switch {
	case c.absent:
		return demand{field: c.field, checks: []indexCheck{{op: checkAbsent, field: c.field}}}
	case c.field.Kind() != events.KindText:
		return b.demand(c.field, b.numbers(c.field, c.in), b.numbers(c.field, c.out))
	}
	return b.demand(c.field, b.list(c.field, c.any), b.list(c.field, c.not))
}

// spellOut replaces type globs by the known types they take, so that only those for unknown types are matched as globs.
func spellOut(types []pattern) []pattern {
	var out []pattern
	for _, t := range types {
		for _, kind := range t.kinds {
			out = append(out, exactly(kind))
		}
		if !t.glob || t.takesUnknown() {
			out = append(out, t)
		}
	}
	return out
}

func (b *indexBuilder) demand(field events.Field, anyOf, noneOf valueList) demand {
	d := demand{field: field, any: anyOf}
	if !noneOf.empty() {
		d.proven = []indexCheck{{op: checkNone, field: field, arg: b.addList(noneOf)}}
	}
	switch {
	case anyOf.empty() && noneOf.empty():
		d.checks = []indexCheck{{op: checkPresent, field: field}}
	case anyOf.empty():
		d.checks = d.proven
	case len(d.any.exact) == 1 && len(d.any.globs)+len(d.any.spans) == 0:
		d.checks = append([]indexCheck{{op: checkIs, field: field, arg: d.any.exact[0]}}, d.proven...)
	default:
		d.checks = append([]indexCheck{{op: checkAny, field: field, arg: b.addList(d.any)}}, d.proven...)
	}
	return d
}

func (l *valueList) empty() bool { return len(l.exact)+len(l.globs)+len(l.spans) == 0 }

func (b *indexBuilder) list(field events.Field, ps []pattern) valueList {
	var l valueList
	for _, p := range ps {
		if p.glob && len(p.middle) > 0 {
			l.globs = append(l.globs, p)
		} else {
			l.exact = append(l.exact, b.values.add(field, p.text))
		}
	}
	slices.Sort(l.exact)
	l.exact = slices.Compact(l.exact)
	return l
}

// numbers is list for a field whose values are numbers.
func (b *indexBuilder) numbers(field events.Field, spans []span) valueList {
	var l valueList
	for _, s := range spans {
		if s.least == s.most {
			key := numberKey(s.least)
			l.exact = append(l.exact, b.values.add(field, string(key[:])))
		} else {
			l.spans = append(l.spans, s)
		}
	}
	slices.Sort(l.exact)
	l.exact = slices.Compact(l.exact)
	return l
}

func (b *indexBuilder) addList(l valueList) uint32 {
	b.lists = append(b.lists, l)
	return uint32(len(b.lists) - 1)
}

// node adds the node of these places, and all below it.
func (b *indexBuilder) node(places []place) uint32 {
	at := uint32(len(b.nodes))
	stay, branches := places, []*branch(nil)
	if len(places) > leafSize {
		stay, branches = b.divide(places)
	}
	n := indexNode{first: uint32(len(b.code)), split: -1}
	for _, p := range stay {
		b.enter(p)
	}
	n.last = uint32(len(b.code))
	b.nodes = append(b.nodes, n)
	if len(branches) > 0 {
		s := b.split(at, branches)
		b.nodes[at].split = int32(len(b.splits))
		b.splits = append(b.splits, s)
	}
	return at
}

// enter writes down a rule that stays at a node, with the checks that are left, the cheap ones first.
func (b *indexBuilder) enter(p place) {
	head := len(b.code)
	e := &b.entries[p.entry]
	b.code = append(b.code, indexCheck{op: checkRule, arg: uint32(e.rule)})
	for i, d := range e.demands {
		if i < maxAccess && p.proven&(1<<i) != 0 {
			b.code = append(b.code, d.proven...)
		} else {
			b.code = append(b.code, d.checks...)
		}
	}
	b.code = append(b.code, e.groups...)
	checks := b.code[head+1:]
	slices.SortStableFunc(checks, func(x, y indexCheck) int { return cmp.Compare(b.effort(x), b.effort(y)) })
	b.code[head].count = uint16(len(checks))
}

// effort orders checks by what they cost.
func (b *indexBuilder) effort(c indexCheck) int {
	switch c.op {
	case checkAny, checkNone:
		return 1 + len(b.lists[c.arg].globs)
	case checkGroup:
		return math.MaxInt
	}
	return 0
}

// split builds the nodes of the branches and the ways to them.
func (b *indexBuilder) split(at uint32, branches []*branch) indexSplit {
	type side struct {
		field  events.Field
		suffix bool
	}
	var s indexSplit
	var sides []side
	texts := map[side][]affix{}
	for _, br := range branches {
		to, k := b.node(br.places), br.key
		if k.value == 0 {
			sd := side{k.field, k.suffix}
			if texts[sd] == nil {
				sides = append(sides, sd)
			}
			texts[sd] = append(texts[sd], affix{k.text, to})
			continue
		}
		if at == 0 {
			b.values.named[k.value].node = to
		} else {
			b.next[edgeKey(at, k.value)] = to
		}
		if !slices.Contains(s.fields, k.field) {
			s.fields = append(s.fields, k.field)
		}
	}
	for _, sd := range sides {
		s.affixes = append(s.affixes, newAffixes(sd.field, sd.suffix, texts[sd]))
	}
	return s
}
