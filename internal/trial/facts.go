package trial

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/rules"
)

// always is the number of asks of a fact that is never ready.
const always = -1

// maxAsks is for how many asks a test can say what is answered.
const maxAsks = 1000

// script is what a test says of one fact: what is answered, ask by ask.
type script struct {
	node     *yaml.Node
	name     string
	notReady int      // asks before the first answer; always
	asks     []answer // one ask each, the last for all that follow; never empty
}

// answer is what one ask brings: a value, an error, that there is none yet, or what each call of a for_each brings.
type answer struct {
	node     *yaml.Node
	notReady bool
	err      string
	given    bool       // value is
	value    any        // as JSON has it
	inline   *yaml.Node // value as the test has it, for its places; nil: from a file, or changed
	calls    []callAnswer
}

// callAnswer is what one call of a for_each brings: the first whose arguments fit, or of those without arguments the one of
// its number.
type callAnswer struct {
	answer
	with     map[string]any
	notReady int
}

// scriptKeys are the words of a fact that is more than a value. A mapping of nothing but these is no value.
var scriptKeys = []string{"value", "file", "change", "not_ready", "error", "asks", "calls"}

// facts reads what a test says of facts: a file with one object of values by name, or a mapping. from are those of the level above.
func (r *fileReader) facts(n *yaml.Node, from map[string]*script) map[string]*script {
	out := maps.Clone(from)
	if out == nil {
		out = map[string]*script{}
	}
	if n == nil {
		return out
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		values, ok := r.jsonFile(n, "facts").(map[string]any)
		if !ok {
			if r.healthy(n) {
				r.problem(n, rules.ProblemFact, "", "facts: %s is not one JSON object of facts by name", n.Value)
			}
			return out
		}
		for name, v := range values {
			out[name] = &script{node: n, name: name, asks: []answer{{node: n, given: true, value: v}}}
		}
		return out
	}
	m := r.mapping(n, "facts")
	if m == nil {
		return out
	}
	for _, k := range m.keys {
		if s := r.script(k, m.values[k.Value], from[k.Value]); s != nil {
			out[k.Value] = s
		}
	}
	return out
}

// isScript tells a mapping that says how a fact is answered from one that is the fact.
func isScript(n *yaml.Node) bool {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return false
	}
	for i := 0; i < len(n.Content); i += 2 {
		if !slices.Contains(scriptKeys, n.Content[i].Value) {
			return false
		}
	}
	return true
}

func (r *fileReader) script(name, n *yaml.Node, base *script) *script {
	what := "facts." + name.Value
	s := &script{node: name, name: name.Value}
	if n.Kind == yaml.ScalarNode && n.Value == "not_ready" {
		s.notReady, s.asks = always, []answer{{node: n, notReady: true}}
		return s
	}
	if !isScript(n) {
		a, _ := r.answer(n, what, nil)
		s.asks = []answer{a}
		return s
	}
	m := r.mapping(n, what, scriptKeys...)
	s.notReady = r.notReady(m, what)
	if list := m.get("asks"); list != nil {
		for _, other := range []string{"value", "file", "change", "error", "calls"} {
			if m.get(other) != nil {
				r.problem(m.key(other), rules.ProblemKey, "move it into asks", "%s: asks says what is answered, here is %s too", what, other)
			}
		}
		elements := r.list(list, what+".asks")
		if len(elements) == 0 || len(elements) > maxAsks {
			r.problem(list, rules.ProblemLimit, "", "%s.asks: %d answers, wanted 1 to %d", what, len(elements), maxAsks)
			return nil
		}
		for i, e := range elements {
			a, _ := r.answer(e, fmt.Sprintf("%s.asks[%d]", what, i), base)
			s.asks = append(s.asks, a)
		}
		return s
	}
	a, said := r.answer(n, what, base)
	if !said {
		if s.notReady != always {
			r.problem(n, rules.ProblemKey, "add value:, or write not_ready: always", "%s does not say what is answered once it is ready", what)
		}
		a.notReady = true
	}
	s.asks = []answer{a}
	return s
}

func (r *fileReader) notReady(m *mapping, what string) int {
	n := m.get("not_ready")
	text, ok := r.text(n, what+".not_ready")
	if !ok || text == "always" {
		if ok {
			return always
		}
		return 0
	}
	asks, err := strconv.Atoi(text)
	if err != nil || asks < 0 || asks > maxAsks {
		r.problem(n, rules.ProblemValue, fmt.Sprintf("a number of asks up to %d, or always", maxAsks), "%s.not_ready: %q is not known", what, text)
	}
	return asks
}

// answer reads what one ask brings. said is false when the mapping says nothing but not_ready.
func (r *fileReader) answer(n *yaml.Node, what string, base *script) (a answer, said bool) {
	a.node = n
	if n.Kind == yaml.ScalarNode && n.Value == "not_ready" {
		a.notReady = true
		return a, true
	}
	if !isScript(n) {
		a.value, a.given = r.value(n, what)
		a.inline = n
		return a, true
	}
	m := r.mapping(n, what, scriptKeys...)
	var ways []string
	for _, way := range []string{"value", "file", "error", "calls"} {
		if m.get(way) != nil {
			ways = append(ways, way)
		}
	}
	if len(ways) > 1 {
		r.problem(m.key(ways[1]), rules.ProblemKey, "leave one out", "%s: one ask brings one thing, here are %s and %s", what, ways[0], ways[1])
		return a, true
	}
	switch {
	case m.get("value") != nil:
		a.inline = m.get("value")
		a.value, a.given = r.value(a.inline, what)
	case m.get("file") != nil:
		a.value, a.given = r.jsonFile(m.get("file"), what+".file"), true
	case m.get("error") != nil:
		a.err, _ = r.text(m.get("error"), what+".error")
		if a.err == "" {
			a.err = "not found"
		}
	case m.get("calls") != nil:
		a.calls = r.callAnswers(m.get("calls"), what+".calls")
	case m.get("change") != nil && base != nil:
		last := base.asks[len(base.asks)-1]
		a.value, a.given = last.value, last.given
	}
	if c := m.get("change"); c != nil {
		r.change(&a, c, what+".change")
	}
	return a, len(ways) > 0 || m.get("change") != nil
}

// change changes parts of a value.
func (r *fileReader) change(a *answer, n *yaml.Node, what string) {
	change, ok := r.value(n, what)
	switch {
	case !ok:
		return
	case !a.given:
		r.problem(n, rules.ProblemKey, "add value: or file:, or give the fact above", "%s: there is no value to be changed", what)
		return
	}
	value, err := merged(a.value, change)
	if err != nil {
		r.problem(n, rules.ProblemValue, "", "%s: %v", what, err)
		return
	}
	a.value, a.inline, a.node = value, nil, n
}

func (r *fileReader) callAnswers(n *yaml.Node, what string) []callAnswer {
	var out []callAnswer
	elements := r.list(n, what)
	if len(elements) > maxCalls {
		r.problem(n, rules.ProblemLimit, "", "%s: %d calls, at most %d are made", what, len(elements), maxCalls)
		return nil
	}
	for i, e := range elements {
		at := fmt.Sprintf("%s[%d]", what, i)
		c := callAnswer{}
		rest := e
		if e.Kind == yaml.MappingNode {
			if k := slices.IndexFunc(e.Content, func(k *yaml.Node) bool { return k.Value == "with" }); k >= 0 && k%2 == 0 {
				if v, ok := r.value(e.Content[k+1], at+".with"); ok {
					if c.with, ok = v.(map[string]any); !ok {
						r.problem(e.Content[k+1], rules.ProblemSyntax, "", "%s.with: wanted a mapping of arguments", at)
					}
				}
				without := *e
				without.Content = slices.Delete(slices.Clone(e.Content), k, k+2)
				rest = &without
				if len(without.Content) > 0 && !isScript(rest) {
					r.problem(e, rules.ProblemKey, "put the value under value:", "%s: beside with there is one of value, file, error and not_ready", at)
					continue
				}
			}
		}
		var said bool
		if len(rest.Content) > 0 || rest.Kind != yaml.MappingNode {
			c.answer, said = r.answer(rest, at, nil)
		} else {
			c.node = rest // nothing is said
		}
		if rest.Kind == yaml.MappingNode && isScript(rest) {
			c.notReady = r.notReady(r.mapping(rest, at, scriptKeys...), at)
		}
		if len(c.calls) > 0 || !said && c.notReady != always {
			r.problem(e, rules.ProblemKey, "add value:", "%s does not say what the call brings", at)
		}
		out = append(out, c)
	}
	return out
}
