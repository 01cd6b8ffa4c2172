package trial

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// setting is what a file, a test or a step says; each goes on from the one above.
type setting struct {
	rule    *rules.Rule // that want is about; nil: want names rules
	lost    bool        // a rule is named that is not there
	event   eventSpec
	facts   map[string]*script
	results map[string]*resultSpec
	own     map[string]events.Chain
	now     time.Time
}

// settingKeys are the keys that files, tests and steps have.
var settingKeys = []string{"event", "schedule", "now", "facts", "results", "own_commits"}

// setting reads the keys of m on top of those of the level above.
func (r *fileReader) setting(m *mapping, above setting) setting {
	s := above
	if t := r.moment(m.get("now"), "now"); t != nil {
		s.now = *t
	}
	s.event = r.eventSpec(m, above.event)
	s.facts = r.facts(m.get("facts"), above.facts)
	s.results = r.results(m.get("results"), above.results)
	s.own = r.ownCommits(m.get("own_commits"), above.own)
	return s
}

// about reads the rule that want is about.
func (r *fileReader) about(n *yaml.Node, s *setting) {
	name, ok := r.text(n, "rule")
	if !ok {
		return
	}
	s.rule = r.ruleset.Rule(name)
	if s.lost = s.rule == nil; s.lost {
		r.unknown(n, rules.ProblemName, r.ruleNames(), "there is no rule %q", name)
	}
}

func (r *fileReader) ruleNames() []string {
	var names []string
	for _, rule := range r.ruleset.Rules() {
		names = append(names, rule.Name())
	}
	return names
}

func (r *fileReader) file(root *yaml.Node) []*test {
	m := r.mapping(root, "the file", slices.Concat([]string{"rule", "tests"}, settingKeys)...)
	if m == nil {
		return nil
	}
	before := len(r.problems)
	above := r.setting(m, setting{now: defaultNow})
	r.about(m.get("rule"), &above)
	nodes := r.list(m.get("tests"), "tests")
	if len(nodes) == 0 && len(r.problems) == before {
		r.missing(root, "tests", "add a test under tests:", "the file has no test")
	}
	if len(nodes) > maxTests {
		r.problem(m.get("tests"), rules.ProblemLimit, "split the file", "%d tests, at most %d are allowed", len(nodes), maxTests)
		return nil
	}
	var tests []*test
	names := map[string]int{}
	for i, n := range nodes {
		t := r.test(n, i, above)
		if t == nil {
			continue
		}
		if first, taken := names[t.name]; taken && t.name != "" {
			r.problem(n, rules.ProblemName, fmt.Sprintf("the other is at line %d", first), "the name %q is taken", t.name)
		}
		names[t.name] = t.line
		tests = append(tests, t)
	}
	if !slices.ContainsFunc(tests, func(t *test) bool { return len(t.rules) == 0 }) && len(tests) == len(nodes) {
		r.checkDefaults(above, tests)
	}
	return tests
}

// checkDefaults reports facts and results of the whole file that no test can use.
func (r *fileReader) checkDefaults(above setting, tests []*test) {
	var about []*rules.Rule
	for _, t := range tests {
		for _, rule := range t.rules {
			if !slices.Contains(about, rule) {
				about = append(about, rule)
			}
		}
	}
	r.checkFacts(above.facts, about)
	r.checkResults(above.results, about)
}

func (r *fileReader) test(n *yaml.Node, i int, above setting) *test {
	what := fmt.Sprintf("tests[%d]", i)
	m := r.mapping(n, what, slices.Concat([]string{"name", "rule", "steps", "want"}, settingKeys)...)
	if m == nil {
		return nil
	}
	t := &test{file: r.name, line: n.Line}
	if name := m.get("name"); name == nil {
		r.missing(n, "name", "add name:, what the test shows", "%s has no name", what)
	} else if text, ok := r.text(name, what+".name"); ok {
		t.name, t.line = text, name.Line
		if len([]rune(text)) > maxName || strings.ContainsAny(text, "\n\r") {
			r.problem(name, rules.ProblemValue, fmt.Sprintf("use one line of up to %d characters", maxName), "%s: the name is too long", what)
		}
	}
	r.about(m.get("rule"), &above)
	s := r.setting(m, above)
	if steps := m.get("steps"); steps != nil {
		if w := m.get("want"); w != nil {
			r.problem(m.key("want"), rules.ProblemKey, "move it into a step", "%s has steps, and want beside them", what)
		}
		r.steps(t, steps, what, s)
	} else {
		if m.get("want") == nil {
			r.missing(n, "want", "add want:, what is to come of it", "%s expects nothing", what)
		}
		r.step(t, m, s)
	}
	r.finish(t, m, s, above)
	return t
}

// finish completes the steps of a test, once it is known which rules it is about.
func (r *fileReader) finish(t *test, m *mapping, s, above setting) {
	defer func() {
		for i, st := range t.steps {
			st.event, st.view = r.event(t, st, i)
			st.mapping, st.setting = nil, setting{}
		}
	}()
	named := map[*rules.Rule]bool{}
	for _, st := range t.steps {
		for name := range st.want {
			named[r.ruleset.Rule(name)] = true
		}
	}
	for _, rule := range r.ruleset.Rules() {
		if named[rule] {
			t.rules = append(t.rules, rule)
		}
	}
	if len(t.rules) == 0 {
		if !s.lost && len(t.steps) > 0 && !slices.ContainsFunc(t.steps, func(st *step) bool { return st.misread }) {
			r.missing(m.node, "want", "name a rule under want:", "the test is about no rule")
		}
		return
	}
	r.checkFacts(given(s.facts, above.facts), t.rules)
	r.checkResults(given(s.results, above.results), t.rules)
	for _, st := range t.steps {
		r.checkFacts(given(st.facts, s.facts), t.rules)
		r.checkResults(given(st.results, s.results), t.rules)
	}
}

// given is what one level says that the one above does not.
func given[T comparable](here, above map[string]T) map[string]T {
	out := map[string]T{}
	for name, v := range here {
		if above[name] != v {
			out[name] = v
		}
	}
	return out
}

func (r *fileReader) steps(t *test, n *yaml.Node, what string, above setting) {
	nodes := r.list(n, what+".steps")
	if len(nodes) == 0 || len(nodes) > maxSteps {
		r.problem(n, rules.ProblemLimit, "", "%s: %d steps, wanted 1 to %d", what, len(nodes), maxSteps)
		return
	}
	own := above.own
	now := above.now
	for i, e := range nodes {
		m := r.mapping(e, fmt.Sprintf("%s.steps[%d]", what, i), slices.Concat([]string{"after", "want"}, settingKeys)...)
		if m == nil {
			continue
		}
		above.now, above.own = now, own
		s := r.setting(m, above)
		if d, ok := r.duration(m.get("after"), "after"); ok {
			if m.get("now") != nil {
				r.problem(m.key("after"), rules.ProblemKey, "leave one out", "%s.steps[%d]: now and after say the same", what, i)
			}
			s.now = now.Add(d)
		}
		now, own = s.now, s.own
		r.step(t, m, s)
	}
}

// step makes one step of what its mapping and those above say, but for its event.
func (r *fileReader) step(t *test, m *mapping, s setting) {
	st := &step{line: m.node.Line, facts: s.facts, results: s.results, own: s.own, now: s.now, want: map[string]*want{}, mapping: m, setting: s}
	if w := m.get("want"); w != nil {
		before := len(r.problems)
		st.wanted = true
		st.want = r.wants(w, s)
		st.misread = len(r.problems) > before
	} else if s.rule != nil {
		st.want[s.rule.Name()] = &want{} // it is about the rule all the same
	}
	t.steps = append(t.steps, st)
}

// ownCommits reads which commits are ours.
func (r *fileReader) ownCommits(n *yaml.Node, above map[string]events.Chain) map[string]events.Chain {
	out := maps.Clone(above)
	if out == nil {
		out = map[string]events.Chain{}
	}
	for i, e := range r.list(n, "own_commits") {
		what := fmt.Sprintf("own_commits[%d]", i)
		chain := events.Chain{Depth: 1}
		id := e
		if e.Kind == yaml.MappingNode {
			m := r.mapping(e, what, "id", "depth", "origin", "action")
			if id = m.get("id"); id == nil {
				r.problem(e, rules.ProblemKey, "add id:, the commit", "%s: id is missing", what)
				continue
			}
			if d := m.get("depth"); d != nil {
				chain.Depth = r.number(d, what+".depth", 1, 1000)
			}
			chain.Origin, _ = r.text(m.get("origin"), what+".origin")
			chain.Action, _ = r.text(m.get("action"), what+".action")
		}
		text, ok := r.text(id, what)
		if !ok {
			continue
		}
		if !commitID.MatchString(text) || strings.Trim(text, "0") == "" {
			r.problem(id, rules.ProblemValue, "write its whole id", "%s: %q is not the id of a commit", what, text)
			continue
		}
		if chain.Action == "" { // whichever it was
			chain.Action = rules.Hash("own commit", text)
		}
		out[text] = chain
	}
	return out
}

var commitID = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

func (r *reader) number(n *yaml.Node, what string, least, most int) int {
	v := 0
	if err := n.Decode(&v); err != nil || n.Tag != "!!int" || v < least || v > most {
		r.problem(n, rules.ProblemValue, fmt.Sprintf("a number from %d to %d", least, most), "%s: %q is out of range", what, n.Value)
		return least
	}
	return v
}
