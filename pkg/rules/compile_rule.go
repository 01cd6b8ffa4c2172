package rules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	ruleName  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$`)
	eventType = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)?$`)
)

// rule reads one rule.
func (f *fileCompiler) rule(n *yaml.Node, number int) {
	m := f.mapping(n, fmt.Sprintf("rules[%d]", number))
	if m == nil {
		return
	}
	before := len(f.compiler.problems)
	r := &Rule{pos: f.position(n), vars: f.vars, cat: f.cat, fingerprint: fingerprint(n, f.varsNode)}
	what := f.ruleName(m, r, number)
	f.onlyWithin(m, what, []level{{"rules", []string{"vars"}}}, ruleKeys)
	f.required(m, what, ruleKeys)
	r.description, _ = f.scalar(m.get("description"), what+": description")
	r.mode = f.oneOf(m.get("mode"), "mode", ruleKeys.words("mode")...)
	r.ownCommits = f.boolean(m.get("on_own_commits"), "on_own_commits")
	f.on(m.get("on"), r)
	f.match(m.get("match"), r)
	b := &ruleCompiler{fileCompiler: f, rule: r, untils: map[string]*yaml.Node{}}
	b.fetches(m.get("fetch"))
	b.scope = scope{event: f.event, facts: b.factsType, vars: f.varsType}
	b.forEach(m.get("for_each"))
	b.restraints(m)
	if w := m.get("when"); w != nil {
		r.when = f.bare(w, "when", b.scope)
		f.wants(r.when, Bool)
	}
	b.do(m.get("do"))
	if !f.compiler.problems[before:].HasErrors() {
		b.warnUnreachable(m.get("when"))
		b.warnShadowed(m)
		b.warnEarly()
	}
	f.rules = append(f.rules, r)
}

func (f *fileCompiler) ruleName(m *mapping, r *Rule, number int) (what string) {
	what = fmt.Sprintf("rules[%d]", number)
	n := m.get("name")
	name, ok := f.scalar(n, what+": name")
	if !ok {
		return what
	}
	if !ruleName.MatchString(name) {
		f.problem(n, ProblemName, "use up to 100 letters, digits, - _ and .", "the rule name %q is not allowed", name)
		return what
	}
	r.pos = f.position(n)
	r.name = name
	if first, taken := f.byName[name]; taken {
		f.problem(n, ProblemName, "the other is at "+first.pos.String(), "the rule name %q is taken", name)
		return "rule " + name
	}
	f.byName[name] = r
	return "rule " + name
}

// on reads what the rule is for: event types, globs of them, or a schedule.
func (f *fileCompiler) on(n *yaml.Node, r *Rule) {
	if n != nil && n.Kind == yaml.MappingNode {
		f.onSchedule(n, r)
		return
	}
	nodes := f.sequence(n, "on", true)
	if len(nodes) == 0 && !isNull(n) && n.Kind == yaml.SequenceNode {
		f.problem(n, ProblemValue, "name at least one type of event", "on is empty")
	}
	for _, e := range f.filled(nodes, "on") {
		text, ok := f.constantText(e, "on")
		if !ok {
			continue
		}
		p, err := newTypePattern(text, f.types)
		switch {
		case errors.Is(err, errNoType):
			f.problem(e, ProblemName, didYouMean(text, f.typeGlobs()), "on: no event type matches %q", text)
			continue
		case err != nil:
			f.problem(e, ProblemValue, "", "on: %v", err)
			continue
		case !isGlob(text) && !f.knownType(text):
			f.problem(e, ProblemName, didYouMean(text, slices.Concat(f.types, f.typeGlobs())), "on: there is no event type %q", text)
			continue
		}
		f.warnUnsent(r, e, &p)
		r.criteria.types = append(r.criteria.types, p)
	}
}

// typeGlobs are the globs of each group of event types: "merge_request.*".
func (f *fileCompiler) typeGlobs() []string {
	var out []string
	for _, t := range f.types {
		if group, _, ok := strings.Cut(t, "."); ok && !slices.Contains(out, group+".*") {
			out = append(out, group+".*")
		}
	}
	return out
}

func (f *fileCompiler) knownType(text string) bool {
	if isUnknown(text) {
		return eventType.MatchString(text)
	}
	for _, t := range f.types {
		if t == text {
			return true
		}
	}
	return false
}

func (f *fileCompiler) onSchedule(n *yaml.Node, r *Rule) {
	m := f.mapping(n, "on")
	f.onlyWithin(m, "on", []level{{"on", ruleKeys.names}}, onKeys)
	if m.get("schedule") == nil {
		f.problem(n, ProblemKey, "write an event type, a list of them, or schedule:", "on: nothing to act on")
		return
	}
	s := f.mapping(m.get("schedule"), "on.schedule")
	if s == nil {
		return
	}
	f.onlyWithin(s, "on.schedule", []level{{"on", ruleKeys.names}}, scheduleKeys)
	var pattern, words string
	given := 0
	for _, kind := range []struct {
		key   string
		parse func(string) (string, error)
	}{{"cron", cronPattern}, {"every", everyPattern}, {"at", atPattern}} {
		text, ok := f.constantText(s.get(kind.key), "on.schedule."+kind.key)
		if !ok {
			continue
		}
		given++
		p, err := kind.parse(text)
		if err != nil {
			f.problem(s.get(kind.key), ProblemValue, "", "on.schedule: %v", err)
			continue
		}
		pattern, words = p, kind.key+" "+text
	}
	if given != 1 {
		f.problem(m.key["schedule"], ProblemKey, "", "on.schedule: wanted exactly one of cron, every and at")
		return
	}
	zone := f.scheduleZone(s)
	if pattern == "" {
		return
	}
	sch := newSchedule(pattern, zone)
	f.schedule[sch.ID] = sch
	r.criteria.schedule, r.criteria.words = sch.ID, words
	if zone != "" {
		r.criteria.words += ", " + zone
	}
}

func (f *fileCompiler) scheduleZone(s *mapping) string {
	text, ok := f.constantText(s.get("time_zone"), "on.schedule.time_zone")
	if !ok {
		return ""
	}
	zone, err := timeZone(text)
	if err != nil {
		f.problem(s.get("time_zone"), ProblemValue, "", "on.schedule: %v", err)
	} else if s.get("cron") == nil {
		f.problem(s.key["time_zone"], ProblemKey, "leave it out", "on.schedule: only cron has a time_zone")
	}
	return zone
}
