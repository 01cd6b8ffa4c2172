package trial

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/millrace/millrace/pkg/rules"
)

// Report is what came of tests.
type Report struct {
	Tests    []Result  `json:"tests"` // by file and place
	Passed   int       `json:"passed"`
	Failed   int       `json:"failed"`
	Coverage *Coverage `json:"coverage"`
}

// Result is what came of one test.
type Result struct {
	File     string    `json:"file"`
	Line     int       `json:"line"`
	Name     string    `json:"name"`
	Passed   bool      `json:"passed"`
	Failures []Failure `json:"failures,omitempty"`
	// Played is what each rule of the test made of each step, in order.
	Played []*Played `json:"-"`
}

// Failure is one thing that is not as the test expects.
type Failure struct {
	Line int    `json:"line"` // of the test file
	Step int    `json:"step"` // from 1; 0 when the test has one
	Rule string `json:"rule"`
	// What is compared, as the keys under want lead to it: "commits[0].message".
	What     string `json:"what"`
	Expected string `json:"expected"`
	Actual   string `json:"actual"`
	Why      string `json:"why,omitempty"`     // the reason of the outcome
	Explain  string `json:"explain,omitempty"` // the conditions, of a rule that did not fire
}

// Run runs the tests whose names fit, all when fits is nil.
func (s *Suite) Run(fits *regexp.Regexp) *Report {
	r := &Report{Tests: []Result{}}
	all := map[*rules.Rule]*seen{}
	var order []*seen
	for _, rule := range s.ruleset.Rules() {
		sn := newSeen(rule, s.ruleset.Outline(rule))
		all[rule] = sn
		order = append(order, sn)
	}
	for _, t := range s.tests {
		if fits != nil && !fits.MatchString(t.name) {
			continue
		}
		result := s.run(t, all)
		if result.Passed {
			r.Passed++
		} else {
			r.Failed++
		}
		r.Tests = append(r.Tests, result)
	}
	r.Coverage = coverage(order)
	return r
}

// run runs one test, step by step.
func (s *Suite) run(t *test, all map[*rules.Rule]*seen) Result {
	out := Result{File: t.file, Line: t.line, Name: t.name}
	w := newWorld(t)
	for i, st := range t.steps {
		for _, rule := range t.rules {
			wanted := st.want[rule.Name()]
			h := w.play(s.ruleset, rule, st, wanted.impatient(), all[rule])
			out.Played = append(out.Played, h.Played)
			if !st.wanted {
				continue
			}
			c := &comparison{rule: rule, happened: h, line: st.line}
			if len(t.steps) > 1 {
				c.step = i + 1
			}
			c.compare(wanted)
			out.Failures = append(out.Failures, c.failures...)
		}
	}
	out.Passed = len(out.Failures) == 0
	return out
}

// comparison is of what one rule made of one step with what was expected.
type comparison struct {
	rule *rules.Rule
	*happened
	line, step int
	failures   []Failure
}

func (c *comparison) fail(line int, what, expected, actual string) {
	f := Failure{Line: line, Step: c.step, Rule: c.rule.Name(), What: what, Expected: expected, Actual: actual}
	if len(c.failures) == 0 { // once is enough
		f.Why = c.Reason
		if !c.fired() && c.Outcome != Failed && c.Outcome != NeedsFacts && c.Outcome != Waits {
			f.Explain = c.Explain()
		}
	}
	c.failures = append(c.failures, f)
}

// compare compares what happened with what was expected; nil: the rule is named elsewhere in the test, and is to do nothing here.
func (c *comparison) compare(w *want) {
	switch {
	case c.Outcome == NeedsFacts && w.word("outcome") != NeedsFacts:
		c.fail(c.at(w), "facts", "a value for facts."+c.Missing, "nothing: the rule asks for it, and the test does not say what is answered")
		return
	case w == nil && c.fired():
		c.fail(c.line, "outcome", "nothing: this step does not name the rule", c.Outcome)
		return
	case w == nil:
		return
	}
	c.ending(w)
	same := differ(c.fail).same
	for _, key := range w.keys {
		n := w.words[key]
		switch key {
		case "outcome", "fires":
		case "because":
			c.because(n)
		case "waited":
			if got := brief(c.Waited); !sameDuration(n.Value, c.Waited) {
				c.fail(n.Line, key, n.Value, got)
			}
		case "reason":
			same(n, c.Reason, key)
		case "class":
			same(n, c.Class, key)
		case "items":
			same(n, listOf(c.items), key)
		case "skipped":
			same(n, c.skipped, key)
		case "failed":
			same(n, c.broken, key)
		case "alerts":
			same(n, listOf(c.alerts), key)
		case "asks":
			same(n, listOf(c.asked()), key)
		case "actions":
			same(n, listOf(c.actions), key)
		default:
			for kind := range actionKinds() {
				if kindKey(kind) == key {
					same(n, listOf(c.ofKind(kind)), key)
				}
			}
		}
	}
	if len(c.broken) > 0 && w.words["failed"] == nil {
		for _, id := range slices.Sorted(maps.Keys(c.broken)) {
			c.fail(c.at(w), "failed", "every action can be carried out", fmt.Sprintf("%s: %s", id, c.broken[id]))
		}
	}
}

// at is the line of an expectation.
func (c *comparison) at(w *want) int {
	if w == nil || w.node == nil {
		return c.line
	}
	return w.node.Line
}

// ending compares how the rule ended. Who expects actions and says no outcome expects the rule to fire.
func (c *comparison) ending(w *want) {
	if n := w.words["outcome"]; n != nil {
		if n.Value != c.Outcome {
			c.fail(n.Line, "outcome", n.Value, c.Outcome)
		}
		return
	}
	if n := w.words["fires"]; n != nil {
		if want := n.Value; fmt.Sprint(c.fired()) != want {
			c.fail(n.Line, "fires", want, fmt.Sprintf("%t: %s", c.fired(), c.Outcome))
		}
	}
}

// listOf makes a list of any kind one of values.
func listOf[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
