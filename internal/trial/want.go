package trial

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/rules"
)

// want is what a test expects of one rule in one step. What it does not mention is not compared.
type want struct {
	node  *yaml.Node
	keys  []string              // as they stand
	words map[string]*yaml.Node // by key
}

// outcomes are the words for how a rule ends.
func outcomes() []string {
	return []string{
		rules.OutcomeActed, rules.OutcomeNoMatch, rules.OutcomeSkipped, rules.OutcomeShadow, rules.OutcomeOwnCommit,
		rules.OutcomeThrottled, rules.OutcomeOvertaken, rules.OutcomePaused, NotCandidate, Waits, Failed,
	}
}

// shape is what may stand in an expectation: an object of named fields, a list, or, with neither, anything.
type shape struct {
	fields map[string]*shape
	elem   *shape
	scalar bool
}

func shapeOf(t reflect.Type) *shape {
	switch {
	case t.Kind() == reflect.Pointer:
		return shapeOf(t.Elem())
	case t == reflect.TypeFor[rules.Text](), t.Kind() != reflect.Slice && t.Kind() != reflect.Struct, t.PkgPath() == "time":
		return &shape{scalar: true}
	case t.Kind() == reflect.Slice:
		return &shape{elem: shapeOf(t.Elem())}
	}
	s := &shape{fields: map[string]*shape{}}
	for i := range t.NumField() {
		s.fields[jsonName(t.Field(i))] = shapeOf(t.Field(i).Type)
	}
	return s
}

// with is an object shape with further fields.
func (s *shape) with(fields ...map[string]*shape) *shape {
	out := &shape{fields: maps.Clone(s.fields)}
	if out.fields == nil {
		out.fields = map[string]*shape{}
	}
	for _, f := range fields {
		maps.Copy(out.fields, f)
	}
	return out
}

func scalars(names ...string) map[string]*shape {
	out := map[string]*shape{}
	for _, name := range names {
		out[name] = &shape{scalar: true}
	}
	return out
}

// wantShapes are the keys of an expectation with what may stand under each.
func wantShapes() map[string]*shape {
	text := &shape{scalar: true}
	out := map[string]*shape{
		"outcome": text, "fires": text, "reason": text, "class": text, "waited": text, "because": {},
		"items":   {elem: text},
		"skipped": {}, "failed": {},
	}
	common := scalars("id", "kind", "item", "deadline")
	common["waits"] = &shape{elem: text}
	all := &shape{}
	for kind, f := range actionKinds() {
		s := shapeOf(f.Type).with(common)
		out[kindKey(kind)] = &shape{elem: s}
		all = all.with(s.fields)
	}
	out["actions"] = &shape{elem: all}
	out["alerts"] = &shape{elem: shapeOf(reflect.TypeFor[rules.Notify]()).with(scalars("key", "phase", "countdown", "rung", "renewed", "id", "item", "deadline"))}
	ask := (&shape{}).with(scalars("fact", "kind", "connection"))
	ask.fields["with"] = &shape{}
	out["asks"] = &shape{elem: ask}
	return out
}

// check reports what cannot be compared with a shape.
func (r *reader) check(n *yaml.Node, s *shape, what string) {
	switch {
	case s.fields != nil:
		m := r.mapping(n, what, slices.Collect(maps.Keys(s.fields))...)
		if m == nil {
			return
		}
		for _, k := range m.keys {
			r.check(m.values[k.Value], s.fields[k.Value], what+"."+k.Value)
		}
	case s.elem != nil:
		if n.Kind == yaml.ScalarNode && !isNull(n) && s.elem.scalar {
			return // one value is a list of one
		}
		for i, e := range r.list(n, what) {
			r.check(e, s.elem, fmt.Sprintf("%s[%d]", what, i))
		}
		if isNull(n) {
			r.problem(n, rules.ProblemValue, "write [] for none, or leave the key out", "%s is empty", what)
		}
	case s.scalar && n.Kind != yaml.ScalarNode:
		r.problem(n, rules.ProblemSyntax, "", "%s: wanted one value, got %s", what, kindOf(n))
	}
}

// wants reads want: of one rule, when it is known which, else of rules by name.
func (r *fileReader) wants(n *yaml.Node, s setting) map[string]*want {
	out := map[string]*want{}
	shapes := wantShapes()
	if s.rule != nil || s.lost {
		if w := r.want(n, "want", shapes); w != nil && s.rule != nil {
			out[s.rule.Name()] = w
		}
		return out
	}
	m := r.mapping(n, "want")
	if m == nil {
		return out
	}
	for _, k := range m.keys {
		if r.ruleset.Rule(k.Value) == nil {
			if _, key := shapes[k.Value]; key {
				r.problem(k, rules.ProblemName, "name it: rule: beside want:, or the rule's name under want:", "want: it does not say of which rule %s is", k.Value)
			} else {
				r.unknown(k, rules.ProblemName, r.ruleNames(), "want: there is no rule %q", k.Value)
			}
			continue
		}
		if w := r.want(m.values[k.Value], "want."+k.Value, shapes); w != nil {
			out[k.Value] = w
		}
	}
	return out
}

func (r *fileReader) want(n *yaml.Node, what string, shapes map[string]*shape) *want {
	w := &want{node: n, words: map[string]*yaml.Node{}}
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		w.keys, w.words["outcome"] = []string{"outcome"}, n
		r.outcome(n, what)
		return w
	}
	keys := slices.Sorted(maps.Keys(shapes))
	m := r.mapping(n, what, keys...)
	if m == nil {
		return nil
	}
	if len(m.keys) == 0 {
		r.problem(n, rules.ProblemKey, "write an outcome, like acted", "%s expects nothing", what)
	}
	for _, k := range m.keys {
		v := m.values[k.Value]
		at := what + "." + k.Value
		w.keys = append(w.keys, k.Value)
		w.words[k.Value] = v
		r.check(v, shapes[k.Value], at)
		switch k.Value {
		case "outcome":
			r.outcome(v, at)
		case "fires":
			r.boolean(v, at)
		case "waited":
			r.duration(v, at)
		case "because":
			r.because(v, at)
		case "skipped", "failed":
			r.reasons(v, at)
		}
	}
	if o, f := m.get("outcome"), m.get("fires"); o != nil && f != nil {
		r.problem(m.key("fires"), rules.ProblemKey, "leave one out", "%s: outcome says more than fires", what)
	}
	return w
}

func (r *fileReader) outcome(n *yaml.Node, what string) {
	if text, ok := r.text(n, what); ok && !slices.Contains(outcomes(), text) {
		r.unknown(n, rules.ProblemValue, outcomes(), "%s: there is no outcome %q", what, text)
	}
}

func (r *fileReader) because(n *yaml.Node, what string) {
	if n.Kind == yaml.ScalarNode {
		r.text(n, what)
		return
	}
	m := r.mapping(n, what, "condition", "saw")
	if m != nil && m.get("condition") == nil {
		r.problem(n, rules.ProblemKey, "add condition:, as the rule has it", "%s: condition is missing", what)
	}
	if m != nil {
		r.text(m.get("condition"), what+".condition")
	}
}

// reasons reads why actions are left out, by their ids.
func (r *fileReader) reasons(n *yaml.Node, what string) {
	if m := r.mapping(n, what); m != nil {
		for _, k := range m.keys {
			r.text(m.values[k.Value], what+"."+k.Value)
		}
	}
}

// word is what stands under a key, "" when nothing does.
func (w *want) word(key string) string {
	if w == nil || w.words[key] == nil {
		return ""
	}
	return w.words[key].Value
}

// impatient tells whether the rule is expected to wait.
func (w *want) impatient() bool { return w.word("outcome") == Waits }

// sameCondition compares what an author wrote with what an explanation says: quotes and white space do not count.
func sameCondition(a, b string) bool { return squeezed(a) == squeezed(b) }

func squeezed(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), ""), "'", `"`)
}
