package trial

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/rules"
)

// checkFacts checks what is said of facts against what the rules fetch.
func (r *fileReader) checkFacts(facts map[string]*script, about []*rules.Rule) {
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		s := facts[name]
		var names []string
		fetched := false
		for _, rule := range about {
			names = append(names, rule.Facts()...)
			fact, ok := rule.Fact(name)
			if !ok {
				continue
			}
			fetched = true
			for i := range s.asks {
				r.checkAnswer(&s.asks[i], fact)
			}
		}
		if !fetched && len(about) > 0 {
			what := fmt.Sprintf("facts: no rule here fetches a fact named %q", name)
			if len(about) == 1 {
				what = fmt.Sprintf("facts: rule %s fetches no fact named %q", about[0].Name(), name)
			}
			r.unknown(&yaml.Node{Value: name, Line: s.node.Line, Column: s.node.Column}, rules.ProblemFact, names, "%s", what)
		}
	}
}

func (r *fileReader) checkAnswer(a *answer, fact rules.Fact) {
	what := "facts." + fact.Name
	t := fact.Kind.Result
	for i := range a.calls {
		if !fact.Each {
			r.problem(a.node, rules.ProblemFact, "write value:", "%s: calls are those of a for_each, which this fact does not have", what)
			return
		}
		c := &a.calls[i]
		r.checkValue(&c.answer, t, what)
		for name := range c.with {
			if !slices.ContainsFunc(fact.Kind.Args, func(arg rules.Arg) bool { return arg.Name == name }) {
				r.problem(a.node, rules.ProblemFact, "", "%s: %s has no argument %q", what, fact.Kind.Name, name)
			}
		}
	}
	if fact.Each && !isList(t) {
		t = &rules.Type{Kind: rules.List, Elem: t}
	}
	r.checkValue(a, t, what)
}

// checkValue checks a value against its type: one that stands in the test strictly, a misspelt field is reported; another as a worker
// reads it.
func (r *fileReader) checkValue(a *answer, t *rules.Type, what string) {
	switch {
	case !a.given:
	case a.inline != nil:
		r.conform(a.inline, t, what)
	case unrelated(a.value, t):
		r.problem(a.node, rules.ProblemFact, "give the value alone, not a mapping of facts to values", "%s: none of its fields is one of this fact", what)
	default:
		if _, err := t.Decode(asJSON(a.value)); err != nil {
			r.problem(a.node, rules.ProblemFact, "", "%s: %v", what, err)
		}
	}
}

// unrelated tells whether an object has fields, and none that its type has.
func unrelated(v any, t *rules.Type) bool {
	fields, ok := v.(map[string]any)
	if !ok || len(fields) == 0 || t == nil || t.Kind != rules.Object {
		return false
	}
	for name := range fields {
		if _, known := t.Field(name); known {
			return false
		}
	}
	return true
}

// conform reports what in a YAML value is not of a type.
func (r *reader) conform(n *yaml.Node, t *rules.Type, what string) {
	if isNull(n) || t == nil || t.Kind == rules.Dyn {
		return
	}
	ok := false
	switch t.Kind {
	case rules.Object, rules.Map:
		if ok = n.Kind == yaml.MappingNode; ok {
			r.conformKeys(n, t, what)
		}
	case rules.List:
		if ok = n.Kind == yaml.SequenceNode; ok {
			for i, e := range n.Content {
				r.conform(e, t.Elem, fmt.Sprintf("%s[%d]", what, i))
			}
		}
	case rules.Bool:
		ok = n.Kind == yaml.ScalarNode && n.Tag == "!!bool"
	case rules.Int:
		_, err := strconv.ParseInt(n.Value, 10, 64)
		ok = n.Kind == yaml.ScalarNode && n.Tag == "!!int" && err == nil
	case rules.Double:
		ok = n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float")
	case rules.String:
		ok = n.Kind == yaml.ScalarNode && n.Tag != "!!bool" && n.Tag != "!!float" && (n.Tag != "!!int" || isDigits(n.Value))
	}
	if !ok {
		hint := ""
		if n.Kind == yaml.ScalarNode && t.Kind == rules.String {
			hint = "put it into quotes"
		}
		r.problem(n, rules.ProblemFact, hint, "%s: wanted %s, got %s", what, t, kindOf(n))
	}
}

// isDigits tells whether a number is written as it is read: 0123 and 0x7b are other numbers than their texts.
func isDigits(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == text
}

func (r *reader) conformKeys(n *yaml.Node, t *rules.Type, what string) {
	var names []string
	if strings.Count(what, ".") == 1 && strings.HasPrefix(what, "facts.") {
		names = append(names, scriptKeys...) // a word of these may have been meant
	}
	for i := range t.Fields {
		names = append(names, t.Fields[i].Name)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		below := t.Elem
		if t.Kind == rules.Object {
			field, ok := t.Field(k.Value)
			if !ok {
				r.unknown(k, rules.ProblemFact, names, "%s has no field %q", what, k.Value)
				continue
			}
			below = field.Type
		}
		r.conform(v, below, what+"."+k.Value)
	}
}
