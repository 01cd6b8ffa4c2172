package rules

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/events"
)

// maxLines is how many lines a match has at most, those of its groups included.
const maxLines = 200

// match reads what an event has to be.
func (f *fileCompiler) match(n *yaml.Node, r *Rule) {
	if isNull(n) {
		return
	}
	m := f.mapping(n, "match")
	if m == nil {
		return
	}
	match := f.clause(m, "match")
	if lines := match.lines(); lines > maxLines {
		f.problem(n, ProblemLimit, "split the rule, or test it in when:", "match: %d lines, at most %d are allowed", lines, maxLines)
		return
	}
	r.criteria.conds, r.criteria.groups = match.conds, match.groups
}

// lines counts the lines of a clause.
func (c *clause) lines() int {
	n := len(c.conds)
	for _, g := range c.groups {
		for i := range g.clauses {
			n += g.clauses[i].lines()
		}
	}
	return n
}

// clause reads the lines and groups of match, or of one element of a group.
func (f *fileCompiler) clause(m *mapping, what string) (c clause) {
	for _, name := range m.keys {
		key, value := m.key[name], m.values[name]
		if field, ok := events.FieldByName(name); ok {
			if cond, ok := f.cond(value, what+"."+name, field); ok {
				cond.pos = f.position(key)
				c.conds = append(c.conds, cond)
			}
			continue
		}
		switch name {
		case groupAny.String():
			f.group(&c, groupAny, key, value, what)
		case groupAll.String():
			f.group(&c, groupAll, key, value, what)
		case groupNot.String():
			f.group(&c, groupNot, key, value, what)
		default:
			f.noField(key, what)
		}
	}
	return c
}

// noField reports a key of a clause that is neither a field nor a group.
func (f *fileCompiler) noField(key *yaml.Node, what string) {
	if f.tooDeep(key, what, []level{{"match", ruleKeys.names}}) {
		return
	}
	names := append([]string{}, matchKeys.names...)
	for _, field := range events.Fields() {
		names = append(names, field.String())
	}
	hint := didYouMean(key.Value, names)
	if hint == "" && f.eventField(f.event, key.Value) {
		hint = "test it in when: event." + key.Value
	}
	f.problem(key, ProblemName, hint, "%s: %q is not a field that match can compare", what, key.Value)
}

func (f *fileCompiler) eventField(t *Type, dotted string) bool {
	for name := range strings.SplitSeq(dotted, ".") {
		field, ok := t.Field(name)
		if !ok {
			return false
		}
		t = field.Type
	}
	return true
}

// group reads any, all or not into a clause.
func (f *fileCompiler) group(c *clause, kind groupKind, key, n *yaml.Node, what string) {
	what += "." + kind.String()
	g := group{kind: kind, pos: f.position(key)}
	nodes := []*yaml.Node{n}
	if kind != groupNot || n.Kind != yaml.MappingNode {
		nodes = f.sequence(n, what, false)
	}
	if isNull(n) || n.Kind == yaml.SequenceNode && len(nodes) == 0 {
		f.problem(n, ProblemValue, "write lines of match under it, each alternative with a dash", "%s is empty", what)
		return
	}
	for i, e := range nodes {
		at := what
		if n.Kind == yaml.SequenceNode {
			at = fmt.Sprintf("%s[%d]", what, i)
		}
		m := f.mapping(e, at)
		if m == nil {
			continue
		}
		if len(m.keys) == 0 {
			f.problem(e, ProblemValue, "write lines of match under it", "%s is empty", at)
			continue
		}
		if within := f.clause(m, at); len(within.conds)+len(within.groups) > 0 {
			g.clauses = append(g.clauses, within)
		}
	}
	if len(g.clauses) > 0 {
		c.groups = append(c.groups, g)
	}
}

// cond reads one line of match: a value, a list of values, or a mapping of lineKeys.
func (f *fileCompiler) cond(n *yaml.Node, what string, field events.Field) (c cond, ok bool) {
	c.field = field
	if isNull(n) {
		f.problem(n, ProblemValue, "give it a value, or leave the line out", "%s is empty", what)
		return c, false
	}
	if n.Kind != yaml.MappingNode {
		f.values(n, what, field, &c.any, &c.in)
		return c, len(c.any)+len(c.in) > 0
	}
	m := f.mapping(n, what)
	f.onlyWithin(m, what, []level{{field.String(), []string{groupAny.String(), groupAll.String()}}}, lineKeys)
	if len(m.keys) == 0 {
		f.problem(n, ProblemValue, "write a value, a list, or a mapping like { not: … }", "%s is empty", what)
		return c, false
	}
	present := false
	if e, there := m.values["exists"]; there {
		present = f.boolean(e, what+".exists")
		if e.Tag != "!!bool" {
			if isNull(e) {
				f.problem(m.key["exists"], ProblemValue, "write true or false", "%s.exists is empty", what)
			}
			return c, false
		}
		c.absent = !present
		if c.absent && len(m.keys) > 1 {
			f.problem(e, ProblemValue, "leave the rest out", "%s: a field that is not there has no value to compare", what)
			return c, false
		}
	}
	if g := m.get("glob"); g != nil {
		if field.Kind() == events.KindText {
			c.any = f.patterns(g, what+".glob", newGlob)
		} else {
			f.problem(m.key["glob"], ProblemValue, "use gt, ge, lt and le", "%s: a glob takes text, and this is a %s", what, kindWord(field))
		}
	}
	if g := m.get("not"); g != nil {
		f.values(g, what+".not", field, &c.not, &c.out)
	}
	if s, given := f.bounds(m, what, field); given {
		c.in = append(c.in, s)
	}
	return c, present || c.absent || len(c.any)+len(c.not)+len(c.in)+len(c.out) > 0
}

func kindWord(field events.Field) string {
	if field.Kind() == events.KindTime {
		return "time"
	}
	return "number"
}

// values reads a value or a list of them, of a field of either kind.
func (f *fileCompiler) values(n *yaml.Node, what string, field events.Field, texts *[]pattern, numbers *[]span) {
	if field.Kind() == events.KindText {
		*texts = f.patterns(n, what, f.patternOf(field))
		return
	}
	nodes := f.sequence(n, what, true)
	if isNull(n) || n.Kind == yaml.SequenceNode && len(nodes) == 0 {
		f.problem(n, ProblemValue, "give at least one value", "%s is empty", what)
	}
	for _, e := range nodes {
		if v, ok := f.number(e, what, field); ok {
			*numbers = append(*numbers, span{least: v, most: v, words: field.FormatNumber(v)})
		}
	}
}

// patternOf is newPattern for a field, which refuses what the field never is.
func (f *fileCompiler) patternOf(field events.Field) func(string) (pattern, error) {
	values := f.types
	if field != events.FieldType {
		values = f.valuesOf(field.String())
	}
	if len(values) == 0 {
		return newPattern
	}
	return func(text string) (pattern, error) {
		p, err := newPattern(text)
		if err == nil && !slices.ContainsFunc(values, p.match) && (field != events.FieldType || !isUnknown(text)) {
			hint := didYouMean(text, values)
			if hint != "" {
				hint = "; " + hint
			}
			return p, fmt.Errorf("it is never %q%s", text, hint)
		}
		return p, err
	}
}

// valuesOf are all values a field of the event can have, nil when they are not known.
func (f *fileCompiler) valuesOf(dotted string) []string {
	t := f.event
	var values []string
	for name := range strings.SplitSeq(dotted, ".") {
		field, ok := t.Field(name)
		if !ok {
			return nil
		}
		t, values = field.Type, field.Values
	}
	return values
}

// number reads one value of a field whose values are numbers.
func (f *fileCompiler) number(n *yaml.Node, what string, field events.Field) (int64, bool) {
	text, ok := f.constantText(n, what)
	if !ok {
		if isNull(n) {
			f.problem(n, ProblemValue, "give it a value", "%s: a value is empty", what)
		}
		return 0, false
	}
	v, ok := field.ParseNumber(text)
	switch {
	case ok:
	case field.Kind() == events.KindTime:
		f.problem(n, ProblemValue, "write it like 2026-11-20T09:00:00+08:00", "%s: %q is not a time", what, text)
	default:
		f.problem(n, ProblemValue, "", "%s: %q is not a whole number", what, text)
	}
	return v, ok
}

// bounds reads gt, ge, lt and le; given is false when none is there, or when they were reported.
func (f *fileCompiler) bounds(m *mapping, what string, field events.Field) (s span, given bool) {
	s = span{least: math.MinInt64, most: math.MaxInt64}
	side := map[bool]string{} // the key that gave a bound, by whether it is the lower one
	for _, b := range []struct{ key, sign string }{{"gt", ">"}, {"ge", ">="}, {"lt", "<"}, {"le", "<="}} {
		n, there := m.values[b.key]
		lower := b.key[0] == 'g'
		switch {
		case !there:
			continue
		case field.Kind() == events.KindText:
			f.problem(m.key[b.key], ProblemValue, "use glob or not, or test it in when: event."+field.String(), "%s: %s compares numbers and times, and this is text", what, b.key)
			return s, false
		case side[lower] != "":
			f.problem(m.key[b.key], ProblemValue, "leave one out", "%s: %s and %s bound the same side", what, side[lower], b.key)
			return s, false
		}
		v, ok := f.number(n, what+"."+b.key, field)
		if !ok {
			return s, false
		}
		if side[lower] = b.key; s.words != "" {
			s.words += " and "
		}
		s.words += b.sign + " " + field.FormatNumber(v)
		if !s.bound(b.key, v) {
			f.problem(n, ProblemValue, "", "%s: nothing is %s", what, s.words)
			return s, false
		}
	}
	return s, len(side) > 0
}

// bound narrows a span by one of its keys; ok is false when nothing is left.
func (s *span) bound(key string, v int64) (ok bool) {
	switch {
	case key == "gt" && v == math.MaxInt64, key == "lt" && v == math.MinInt64:
		return false
	case key == "gt":
		s.least = v + 1
	case key == "ge":
		s.least = v
	case key == "lt":
		s.most = v - 1
	case key == "le":
		s.most = v
	}
	return s.least <= s.most
}

func (f *fileCompiler) patterns(n *yaml.Node, what string, parse func(string) (pattern, error)) []pattern {
	var out []pattern
	nodes := f.sequence(n, what, true)
	if len(nodes) == 0 {
		f.problem(n, ProblemValue, "give at least one value", "%s is empty", what)
	}
	for _, e := range nodes {
		text, ok := f.constantText(e, what)
		if !ok {
			if isNull(e) {
				f.problem(e, ProblemValue, "give it a value", "%s: a value is empty", what)
			}
			continue
		}
		p, err := parse(text)
		if err != nil {
			f.problem(e, ProblemValue, "", "%s: %v", what, err)
			continue
		}
		out = append(out, p)
	}
	return out
}
