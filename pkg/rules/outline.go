package rules

import (
	"slices"
	"unicode/utf8"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/events"
)

// Outline is what a rule is made of, for who asks how much of it tests have reached.
type Outline struct {
	// Match are the lines of match, and after them its groups (any, all, not), each as a whole: in the order of the children of
	// ExplainMatch that are not about `on`.
	Match []Line
	// Conditions are the parts of until, when and if, in that order.
	Conditions []Line
	Actions    []ActionLine
}

// Line is one condition as it is written: a line of match, or one of the parts that && joins in an expression.
type Line struct {
	Position Position
	Part     string // "match branch", "match any of these", "when", "fetch.build.until", "do[1].if"
	Text     string // of a part of an expression, as explanations label it; of match what is wanted, in words
	Number   int    // of the part in its expression, from 0: the child of its explanation
}

// ActionLine is an action of a rule.
type ActionLine struct {
	Position Position
	ID, Kind string
	If       string // Part of the lines of its condition, "" when it has none
}

// Outline takes a rule of this ruleset apart.
func (rs *Ruleset) Outline(r *Rule) Outline {
	var o Outline
	for i := range r.criteria.conds {
		c := &r.criteria.conds[i]
		o.Match = append(o.Match, Line{Position: c.pos, Part: "match " + c.field.String(), Text: c.wanted()})
	}
	for i := range r.criteria.groups {
		g := &r.criteria.groups[i]
		o.Match = append(o.Match, Line{Position: g.pos, Part: g.explain(&events.Flat{}).Label, Text: g.wanted()})
	}
	places := rs.scalars(r.pos.File)
	for _, f := range r.fetches {
		o.Conditions = append(o.Conditions, f.until.lines(places)...)
	}
	o.Conditions = append(o.Conditions, r.when.lines(places)...)
	for _, a := range r.actions {
		line := ActionLine{Position: a.pos, ID: a.id, Kind: a.kind}
		if a.cond != nil {
			line.If = a.cond.field
			o.Conditions = append(o.Conditions, a.cond.lines(places)...)
		}
		o.Actions = append(o.Actions, line)
	}
	return o
}

// Watcher is told what each condition came to, by Line.Part, as often as one is evaluated. The children of the explanation are
// the parts of Line.Number.
type Watcher func(part string, e Explanation)

// Fact is one fact that a rule fetches.
type Fact struct {
	Name string
	Kind *FactKind
	Each bool // it has a for_each: one call for each element
	Wait Wait // how it is waited for
}

// Fact is the fact of that name, false when the rule fetches none.
func (r *Rule) Fact(name string) (Fact, bool) {
	i := slices.IndexFunc(r.fetches, func(f *fetch) bool { return f.name == name })
	if i < 0 {
		return Fact{}, false
	}
	f := r.fetches[i]
	return Fact{Name: f.name, Kind: f.kind, Each: f.forEach != nil, Wait: f.wait()}, true
}

// Schedule is the schedule of a rule of this ruleset; false when it has none, or is off.
func (rs *Ruleset) Schedule(r *Rule) (Schedule, bool) {
	i := slices.IndexFunc(rs.schedules, func(s Schedule) bool { return s.ID == r.criteria.schedule })
	if i < 0 || r.mode == ModeOff {
		return Schedule{}, false
	}
	return rs.schedules[i], true
}

// condition evaluates a condition and tells what it came to.
func (w Watcher) condition(x *expr, act activation) (bool, error) {
	if w == nil {
		return x.condition(act)
	}
	e, err := x.explain(x.field, act)
	if err != nil {
		return false, err
	}
	w(x.field, e)
	return e.Verdict == True, nil
}

// scalar is where a scalar of a rule file stands.
type scalar struct {
	source *source
	node   *yaml.Node
}

// scalars are the scalars of a file by where their text begins.
func (rs *Ruleset) scalars(file string) map[Position]scalar {
	out := map[Position]scalar{}
	i := slices.IndexFunc(rs.files, func(f File) bool { return f.Name == file })
	if i < 0 {
		return out
	}
	var ignored Problems // it was read without before
	s := &source{name: file, data: rs.files[i].Data, problems: &ignored}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			out[s.place(n, blanks(n.Value))] = scalar{s, n}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	if doc := s.document(); doc != nil {
		walk(doc)
	}
	return out
}

// blanks is with how many of them a text begins, in characters.
func blanks(text string) int {
	for i, r := range []rune(text) {
		if r != ' ' && r != '\t' && r != '\r' && r != '\n' {
			return i
		}
	}
	return 0
}

// lines are the parts of a condition that && joins, as explain shows them.
func (x *expr) lines(places map[Position]scalar) []Line {
	if x == nil || x.prog.plan() != nil {
		return nil
	}
	t := &explainer{prog: x.prog, info: x.prog.ast.NativeRep().SourceInfo()}
	var out []Line
	for i, part := range flatten(x.prog.ast.NativeRep().Expr(), operators.LogicalAnd) {
		line := Line{Position: x.pos, Part: x.field, Text: t.source(part), Number: i}
		if at, ok := places[x.pos]; ok {
			line.Position = at.source.place(at.node, blanks(at.node.Value)+t.start(part))
		}
		out = append(out, line)
	}
	return out
}

// start is where a part of an expression begins, in characters.
func (t *explainer) start(e celast.Expr) int {
	text := []rune(t.prog.text)
	first := len(text)
	word := func(i int) bool { return i >= 0 && text[i] < utf8.RuneSelf && isWord(byte(text[i])) }
	var walk func(e celast.Expr)
	walk = func(e celast.Expr) {
		if r, ok := t.info.GetOffsetRange(e.ID()); ok {
			at := min(max(int(r.Start), 0), len(text))
			for isBracket := at < len(text) && text[at] == '('; isBracket && word(at-1); {
				at-- // the place of a call is its bracket
			}
			first = min(first, at)
		}
		if call, ok := t.info.GetMacroCall(e.ID()); ok {
			walk(call)
		}
		eachChild(e, nil, func(child celast.Expr, _ []string) { walk(child) })
	}
	walk(e)
	return first % max(len(text), 1)
}
