package trial

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/millrace/millrace/pkg/rules"
)

// seen is what the tests have reached of one rule.
type seen struct {
	rule    *rules.Rule
	outline rules.Outline
	match   []bothWays
	conds   []bothWays
	actions []bool
	decided bool // in some test it came to a decision
}

// bothWays is a condition that was seen to hold, and not to hold.
type bothWays struct{ held, failed bool }

func newSeen(rule *rules.Rule, o rules.Outline) *seen {
	return &seen{
		rule: rule, outline: o,
		match: make([]bothWays, len(o.Match)), conds: make([]bothWays, len(o.Conditions)), actions: make([]bool, len(o.Actions)),
	}
}

func (b *bothWays) add(verdict string) {
	b.held = b.held || verdict == rules.True
	b.failed = b.failed || verdict == rules.False
}

// matched takes the explanation of on and match in. Of an event of another type the lines of match say nothing.
func (s *seen) matched(e *rules.Explanation) {
	lines := e.Children[len(e.Children)-len(s.match):]
	for _, on := range e.Children[:len(e.Children)-len(s.match)] {
		if on.Verdict != rules.True {
			return
		}
	}
	for i := range lines {
		s.match[i].add(lines[i].Verdict)
	}
}

// watcher is nil when nobody asks what is reached.
func (s *seen) watcher() rules.Watcher {
	if s == nil {
		return nil
	}
	return s.condition
}

// condition is a [rules.Watcher].
func (s *seen) condition(part string, e rules.Explanation) {
	if id, ok := strings.CutSuffix(part, ".if"); ok { // of an action that waited, the part is named by the action's id
		if i := slices.IndexFunc(s.outline.Actions, func(a rules.ActionLine) bool { return a.ID == id }); i >= 0 {
			part = s.outline.Actions[i].If
		}
	}
	for i := range s.outline.Conditions {
		if l := &s.outline.Conditions[i]; l.Part == part && l.Number < len(e.Children) {
			s.conds[i].add(e.Children[l.Number].Verdict)
		}
	}
}

func (s *seen) action(id string) {
	if s == nil {
		return
	}
	if i := slices.IndexFunc(s.outline.Actions, func(a rules.ActionLine) bool { return a.ID == id }); i >= 0 {
		s.actions[i] = true
	}
}

// Coverage is how much of the rules the tests have reached: of each rule that it came to a decision, of each condition that it held
// and that it did not, of each action that it would be carried out.
type Coverage struct {
	Reached int            `json:"reached"`
	Total   int            `json:"total"`
	Percent float64        `json:"percent"` // cut to one decimal; 100 only when nothing is missing
	Files   []FileCoverage `json:"files"`
}

// FileCoverage is the coverage of one rule file.
type FileCoverage struct {
	File    string   `json:"file"`
	Reached int      `json:"reached"`
	Total   int      `json:"total"`
	Percent float64  `json:"percent"`
	Missing []Missed `json:"missing"`
}

// Missed is something no test reached.
type Missed struct {
	Line int    `json:"line"`
	Col  int    `json:"col"`
	Rule string `json:"rule"`
	What string `json:"what"` // "when event.branch == \"main\": never false", "action note: never carried out", "no test reaches it"
}

// coverage adds up what was seen of each rule.
func coverage(all []*seen) *Coverage {
	c := &Coverage{}
	for _, s := range all {
		if s.rule.Mode() == rules.ModeOff {
			continue
		}
		file := s.rule.Position().File
		i := slices.IndexFunc(c.Files, func(f FileCoverage) bool { return f.File == file })
		if i < 0 {
			i = len(c.Files)
			c.Files = append(c.Files, FileCoverage{File: file, Missing: []Missed{}})
		}
		c.Files[i].add(s)
	}
	for i := range c.Files {
		f := &c.Files[i]
		f.Percent = percent(f.Reached, f.Total)
		c.Reached += f.Reached
		c.Total += f.Total
	}
	c.Percent = percent(c.Reached, c.Total)
	return c
}

func percent(reached, total int) float64 {
	if total == 0 {
		return 100
	}
	return float64(reached*1000/total) / 10
}

func (f *FileCoverage) add(s *seen) {
	point := func(reached bool, at rules.Position, format string, args ...any) {
		f.Total++
		if reached {
			f.Reached++
			return
		}
		f.Missing = append(f.Missing, Missed{Line: at.Line, Col: at.Col, Rule: s.rule.Name(), What: fmt.Sprintf(format, args...)})
	}
	point(s.decided, s.rule.Position(), "no test takes it to a decision")
	both := func(line *rules.Line, way bothWays, what string) {
		if !way.held && !way.failed {
			f.Total++
			point(false, line.Position, "%s: never looked at", what)
			return
		}
		point(way.held, line.Position, "%s: never true", what)
		point(way.failed, line.Position, "%s: never false", what)
	}
	for i := range s.match {
		both(&s.outline.Match[i], s.match[i], s.outline.Match[i].Part)
	}
	for i := range s.conds {
		line := &s.outline.Conditions[i]
		both(line, s.conds[i], line.Part+" "+line.Text)
	}
	for i, a := range s.outline.Actions {
		point(s.actions[i], a.Position, "action %s: never carried out", a.ID)
	}
}

// Render writes the coverage for people: a line for each file, and one for everything no test reached.
func (c *Coverage) Render(w io.Writer) {
	width := 0
	for _, f := range c.Files {
		width = max(width, len(f.File))
	}
	for _, f := range c.Files {
		fmt.Fprintf(w, "%-*s  %5.1f%%  %d of %d\n", width, f.File, f.Percent, f.Reached, f.Total)
		for _, m := range f.Missing {
			fmt.Fprintf(w, "  %s:%d:%d: %s: %s\n", f.File, m.Line, m.Col, m.Rule, m.What)
		}
	}
}
