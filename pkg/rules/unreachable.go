package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/events"
)

// world is what holds where a rule has come to: its event is of one of types, satisfies lines, and claims hold.
type world struct {
	types  []string
	lines  []cond
	claims []claim
}

// eventTypesOf are the types of the events of a rule, UnknownTypes for all of unknown kind.
func eventTypesOf(r *Rule) []string {
	if r.criteria.schedule != "" {
		return []string{tickType}
	}
	var types []string
	for i := range r.criteria.types {
		types = append(types, r.criteria.types[i].taken()...)
	}
	return types
}

// suppose adds a claim; impossible says why it cannot hold, and is "" when it may.
func (w *world) suppose(c claim) (impossible string) {
	values := c.values
	if c.not {
		var known bool
		if values, known = w.possible(c.name); !known {
			w.claims = append(w.claims, c)
			return ""
		}
		values = slices.DeleteFunc(slices.Clone(values), func(v any) bool { return slices.Contains(c.values, v) })
		var words []string
		for _, v := range c.values {
			words = append(words, describe(v))
		}
		impossible = fmt.Sprintf("%s is always %s here", c.name, strings.Join(words, " or "))
	}
	for _, v := range values {
		why := w.refuses(c.name, v)
		if why == "" {
			w.claims = append(w.claims, c)
			return ""
		}
		impossible = why
	}
	if impossible == "" {
		impossible = c.name + " is compared with nothing"
	}
	return impossible
}

// possible are the values that a name can have here, as far as they are few.
func (w *world) possible(name string) (values []any, known bool) {
	for _, c := range w.claims {
		if c.name == name && !c.not {
			return c.values, true
		}
	}
	if name == rootEvent+".type" && !slices.Contains(w.types, UnknownTypes) {
		for _, t := range w.types {
			values = append(values, t)
		}
		return values, true
	}
	for i := range w.lines {
		if texts := w.lines[i].literals(); len(texts) > 0 && rootEvent+"."+w.lines[i].field.String() == name {
			for _, t := range texts {
				values = append(values, t)
			}
			return values, true
		}
	}
	return nil, false
}

// refuses says why a name does not have a value here, "" when it may.
func (w *world) refuses(name string, v any) string {
	if path, ok := strings.CutPrefix(name, rootEvent+"."); ok {
		if why := w.refusesEvent(name, path, v); why != "" {
			return why
		}
	}
	for _, c := range w.claims {
		if c.name == name && slices.Contains(c.values, v) == c.not {
			return name + " is compared with two things that differ"
		}
	}
	return ""
}

func (w *world) refusesEvent(name, path string, v any) string {
	if path == "type" {
		if s, isText := v.(string); isText && !w.isOf(s) {
			return "on: takes no " + s
		}
	}
	if v != nil && w.lacks(path) {
		return "no event of this rule has " + name
	}
	for i := range w.lines {
		c := &w.lines[i]
		if c.field.String() != path {
			continue
		}
		switch v := v.(type) {
		case nil:
			if !c.absent {
				return "match: wants " + name + " to be there"
			}
		case string:
			if c.absent || c.field.Kind() == events.KindText && !c.takes(v) {
				return "match: wants " + name + " to be something else"
			}
		case float64:
			if c.absent || c.field.Kind() == events.KindNumber && !c.takesNumber(int64(v)) {
				return "match: wants " + name + " to be something else"
			}
		}
	}
	return ""
}

// isOf tells whether events of the rule may be of a type.
func (w *world) isOf(t string) bool {
	return slices.Contains(w.types, t) || isUnknown(t) && slices.Contains(w.types, UnknownTypes)
}

// lacks tells whether no event of the rule ever has what a path within the event names.
func (w *world) lacks(path string) bool {
	switch about, _, _ := strings.Cut(path, "."); about {
	case "id", "raw", "chain", "commits":
		return false
	}
	return !slices.ContainsFunc(w.types, func(kind string) bool { return mayHave(kind, path) })
}

// literals are the texts a line takes, when it takes nothing else.
func (c *cond) literals() []string {
	var texts []string
	for i := range c.any {
		if c.any[i].glob {
			return nil
		}
		texts = append(texts, c.any[i].text)
	}
	return texts
}

// never tells whether a line holds for no value at all.
func (c *cond) never() bool {
	covered := func(p *pattern) bool {
		return slices.ContainsFunc(c.not, func(n pattern) bool { return n.covers(p) })
	}
	switch {
	case c.absent, c.field.Kind() != events.KindText && len(c.in) == 0:
		return false
	case c.field.Kind() != events.KindText:
		return !slices.ContainsFunc(c.in, func(s span) bool {
			return !slices.ContainsFunc(c.out, func(o span) bool { return o.least <= s.least && s.most <= o.most })
		})
	case len(c.any) == 0:
		return covered(&pattern{text: "**", glob: true, middle: []rune{anyDeep}})
	}
	return !slices.ContainsFunc(c.any, func(p pattern) bool { return !covered(&p) })
}

// covers tells whether a pattern surely takes all that another takes.
func (p *pattern) covers(other *pattern) bool {
	switch {
	case !other.glob:
		return p.match(other.text)
	case p.text == other.text:
		return true
	}
	return p.glob && len(p.middle) == 1 && p.middle[0] == anyDeep && strings.HasPrefix(other.prefix, p.prefix) && strings.HasSuffix(other.suffix, p.suffix)
}

// excludes tells whether two lines of the same field can never hold together.
func (c *cond) excludes(other *cond) bool {
	if c.field != other.field || c.field.Kind() != events.KindText {
		return false
	}
	if c.absent || other.absent {
		return c.absent != other.absent
	}
	refused := func(texts []string, by *cond) bool {
		return len(texts) > 0 && !slices.ContainsFunc(texts, by.takes)
	}
	return refused(c.literals(), other) || refused(other.literals(), c)
}

// warnLines warns of the lines of a clause that never hold, given others that have to hold too. so is what follows from that.
// Under not, a line that never holds does what it says.
func (f *fileCompiler) warnLines(r *Rule, w *world, c *clause, so string) {
	for i := range c.conds {
		f.warnLine(r, w, &c.conds[i], so)
	}
	inner := &world{types: w.types, lines: slices.Concat(w.lines, c.conds)}
	for _, g := range c.groups {
		for i := range g.clauses {
			switch g.kind {
			case groupAll:
				f.warnLines(r, inner, &g.clauses[i], so)
			case groupAny:
				f.warnLines(r, inner, &g.clauses[i], "this alternative never holds")
			}
		}
	}
}

func (f *fileCompiler) warnLine(r *Rule, w *world, c *cond, so string) {
	name := c.field.String()
	texts := c.literals()
	switch {
	case !c.absent && w.lacks(name):
		f.warn(r, c.pos, ProblemUnreachable, "leave the line out, or change on:", "match: no event of this rule has %s, so %s", name, so)
	case c.never():
		f.warn(r, c.pos, ProblemUnreachable, "leave one of the two out", "match.%s: what it takes is taken back by not, so %s", name, so)
	case c.field == events.FieldType && len(texts) > 0 && !slices.ContainsFunc(texts, w.isOf):
		f.warn(r, c.pos, ProblemUnreachable, "name the types under on: alone", "match.type: on: takes no %s, so %s", strings.Join(texts, " and no "), so)
	case slices.ContainsFunc(w.lines, func(o cond) bool { return o.excludes(c) }):
		f.warn(r, c.pos, ProblemUnreachable, "leave one of the two out", "match.%s: another line that has to hold wants it to be something else, so %s", name, so)
	}
}

// warnUnreachable warns of what can never come about in a rule.
func (b *ruleCompiler) warnUnreachable(when *yaml.Node) {
	r := b.rule
	w := &world{types: eventTypesOf(r)}
	if len(w.types) == 0 {
		return
	}
	match := r.criteria.clause()
	b.warnLines(r, w, &match, "the rule never runs")
	w.lines = match.conds
	b.warnClaims(r.when, w, when, "the rule never acts", "to switch a rule off, write mode: off")
	for _, fe := range r.fetches {
		b.warnClaims(fe.until, &world{types: w.types, lines: w.lines}, b.untils[fe.name], "this fact is never ready", "leave until: out")
	}
	for i, a := range r.actions {
		inner := &world{types: w.types, lines: w.lines, claims: slices.Clone(w.claims)}
		b.warnClaims(a.cond, inner, b.ifs[i], "this action is never carried out", "leave the action out")
	}
	b.warnNulls(w)
	b.warnWords()
}

// warnClaims warns of a condition that can never be true, and adds to the world what is known where it is.
func (b *ruleCompiler) warnClaims(x *expr, w *world, n *yaml.Node, so, hint string) {
	if x == nil || n == nil {
		return
	}
	for _, c := range x.prog.judged.closed {
		if v, _ := c.value(b.vars); v == false && c.joined {
			what := c.text + " is always false"
			if c.text == "false" {
				what = "it is false"
			}
			b.warn(b.rule, b.place(n, blanks(n.Value)+c.offset), ProblemUnreachable, hint, "%s: %s, so %s", x.field, what, so)
			return
		}
	}
	for _, c := range x.prog.judged.claims {
		if why := w.suppose(c); why != "" {
			b.warn(b.rule, b.place(n, blanks(n.Value)+c.offset), ProblemUnreachable, "leave it out, or change the other", "%s: %s, so %s", x.field, why, so)
			return
		}
	}
}

// almostTemplate is a value as other tools write it.
var almostTemplate = regexp.MustCompile(`(?:^|[^$])(\{\{-?|\$\{|\$\()\s*((?:event|facts|vars|item|results)\.[a-z_.]+)`)

// warnWords warns of what is meant as a template and goes out as it is written. The contents of files are left alone: they may be
// templates of another tool.
func (b *ruleCompiler) warnWords() {
	for _, a := range b.rule.actions {
		for _, t := range a.spec.templates() {
			if strings.HasSuffix(t.tmpl.field, ".content") {
				continue
			}
			for _, p := range t.tmpl.parts {
				if m := almostTemplate.FindStringSubmatch(p.literal); m != nil {
					b.warn(b.rule, t.tmpl.pos, ProblemExpression, "write ${{ "+m[2]+" }}", "%s: %s%s… is no template, and is taken as it stands", t.tmpl.field, m[1], m[2])
					break
				}
			}
		}
	}
}

// warnNulls warns of expressions that fail on every event of the rule, for they read a part of it that none of them has.
func (b *ruleCompiler) warnNulls(w *world) {
	warn := func(x *expr, inText bool) {
		if x == nil {
			return
		}
		for _, c := range x.prog.judged.firm {
			within := len(c.path) > 2 && w.lacks(strings.Join(c.path[1:], "."))
			if within || inText && c.whole && w.lacks(c.path[1]) {
				b.warn(b.rule, x.pos, ProblemRender, "change on:, or leave it out", "%s: no event of this rule has %s, so this always fails", x.field, c.path[1])
				return
			}
		}
	}
	for _, fe := range b.rule.fetches {
		warn(fe.forEach, false)
		for _, a := range fe.args {
			for _, x := range a.value.exprs() {
				warn(x, a.arg.Required || a.value.single() == nil)
			}
		}
	}
	if b.rule.forEach != nil {
		warn(b.rule.forEach.in, false)
		warn(b.rule.forEach.key, false)
	}
	if b.rule.throttle != nil {
		for _, x := range b.rule.throttle.key.exprs() {
			warn(x, true)
		}
	}
	for _, a := range b.rule.actions {
		for _, t := range a.spec.templates() {
			for _, x := range t.tmpl.exprs() {
				warn(x, true)
			}
		}
	}
}
