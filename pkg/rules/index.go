package rules

import (
	"slices"

	"github.com/millrace/millrace/pkg/events"
)

// index finds the criteria an event satisfies without looking at those that do not concern it.
//
// It is a tree. Each node splits its rules by what they demand: a rule with an exact value hangs below that value in a hash
// table, a rule with a glob below the literal text the glob begins or ends with, and the few that demand neither stay at the
// node. Where many rules still share a demand, the node below splits them by another. A rule with several alternatives hangs
// below each of them; what the way to a node proves about its rules is not checked again there. So an event touches the
// nodes its own values lead to, and what it costs depends on the rules found there, not on all the others.
//
// A rule whose `any` gives several ways to satisfy it, each by values it names, is entered once for each way, see ways. Other
// groups are only checked.
//
// An index is immutable and may be used from any number of goroutines.
type index struct {
	values valueTable
	nodes  []indexNode // the first is the root
	splits []indexSplit
	next   map[uint64]uint32 // the node an edge leads to, for edges that do not begin at the root
	code   []indexCheck
	lists  []valueList
	groups []*group
}

// indexNode is the rules that stay at a place of the tree, and how it goes on from there.
type indexNode struct {
	first, last uint32 // the rules in code
	split       int32  // -1 for a leaf
}

// indexSplit is how a node goes on: by the values of fields, and by how values begin or end.
type indexSplit struct {
	fields  []events.Field
	affixes []affixes
}

// indexCheck is what one field must still be for a rule to match; or, before the checks of each rule, which rule and how many.
// The two share an array so that the rules of a node lie in one piece.
type indexCheck struct {
	op    checkOp
	field events.Field
	count uint16
	arg   uint32
}

type checkOp uint8

const (
	checkRule    checkOp = iota // the next count checks are those of rule arg
	checkIs                     // the value has the number arg
	checkAny                    // lists[arg] takes the value
	checkNone                   // the field is present and lists[arg] does not take its value
	checkPresent                // the field is present
	checkAbsent                 // it is not
	checkGroup                  // groups[arg] holds
)

// valueList is the values that one side of a condition names.
type valueList struct {
	exact []uint32 // sorted
	globs []pattern
	spans []span
}

func edgeKey(from, value uint32) uint64 { return uint64(from)<<32 | uint64(value) }

// match appends the positions of the criteria the event satisfies to dst, in ascending order and each once. It allocates
// only when dst has no room.
func (ix *index) match(dst []int32, ev *events.Flat) []int32 {
	w := indexWalk{index: ix, ev: ev, found: dst}
	w.visit(0)
	return append(w.found[:len(dst)], ordered(w.found[len(dst):])...)
}

// ordered sorts the rules found, and drops those that were found twice because several of their alternatives took a value.
func ordered(found []int32) []int32 {
	for i := 1; i < len(found); i++ {
		if found[i] <= found[i-1] {
			slices.Sort(found)
			return slices.Compact(found)
		}
	}
	return found
}

// indexWalk is one event on its way through the index.
type indexWalk struct {
	*index
	ev      *events.Flat
	found   []int32
	numbers [events.NumFields]uint32 // of the event's values, looked up when first needed
}

func (w *indexWalk) visit(at uint32) {
	n := &w.nodes[at]
	for i := n.first; i < n.last; {
		rule := w.code[i]
		i++
		if w.holds(w.code[i : i+uint32(rule.count)]) {
			w.found = append(w.found, int32(rule.arg))
		}
		i += uint32(rule.count)
	}
	if n.split < 0 {
		return
	}
	s := &w.splits[n.split]
	for _, f := range s.fields {
		if v := w.number(f); v >= firstValue {
			if to := w.follow(at, v); to != 0 {
				w.visit(to)
			}
		}
	}
	for i := range s.affixes {
		if value, ok := w.ev.Get(s.affixes[i].field); ok {
			w.affixes(&s.affixes[i], value)
		}
	}
}

// follow is the node to which a value leads from another, 0 for none.
func (w *indexWalk) follow(at, value uint32) uint32 {
	if at == 0 {
		return w.values.named[value].node
	}
	return w.next[edgeKey(at, value)]
}

// affixes visits the nodes of all affixes of the value.
func (w *indexWalk) affixes(a *affixes, value string) {
	for at := uint32(0); ; {
		s := &a.steps[at]
		rest, ok := a.cut(value, s.text)
		if !ok {
			return
		}
		if s.node != 0 {
			w.visit(s.node)
		}
		if rest == "" {
			return
		}
		if at, ok = s.next(a.head(rest)); !ok {
			return
		}
		value = rest
	}
}

func (w *indexWalk) holds(checks []indexCheck) bool {
	for i := range checks {
		c := &checks[i]
		var ok bool
		switch c.op {
		case checkIs:
			ok = w.number(c.field) == c.arg
		case checkAny:
			ok = w.ev.Has(c.field) && w.takes(&w.lists[c.arg], c.field)
		case checkNone:
			ok = w.ev.Has(c.field) && !w.takes(&w.lists[c.arg], c.field)
		case checkPresent:
			ok = w.ev.Has(c.field)
		case checkAbsent:
			ok = !w.ev.Has(c.field)
		case checkGroup:
			ok = w.groups[c.arg].holds(w.ev)
		}
		if !ok {
			return false
		}
	}
	return true
}

// takes reports whether the list takes the event's value of a field that is present.
func (w *indexWalk) takes(l *valueList, field events.Field) bool {
	if len(l.exact) > 0 {
		if _, ok := slices.BinarySearch(l.exact, w.number(field)); ok {
			return true
		}
	}
	if len(l.spans) > 0 {
		n, _ := w.ev.Number(field)
		return anyTakes(l.spans, n)
	}
	if len(l.globs) == 0 {
		return false
	}
	value, _ := w.ev.Get(field)
	return anyMatch(l.globs, value)
}

// number is the number of the event's value of field.
func (w *indexWalk) number(field events.Field) uint32 {
	v := w.numbers[field]
	if v != notLookedUp {
		return v
	}
	v = absentValue
	if field.Kind() != events.KindText {
		if n, ok := w.ev.Number(field); ok {
			key := numberKey(n)
			v = w.values.number(field, string(key[:]))
		}
	} else if value, ok := w.ev.Get(field); ok {
		v = w.values.number(field, value)
	}
	w.numbers[field] = v
	return v
}
