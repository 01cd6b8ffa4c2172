package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/events"
)

// Warnings are about rules that load and yet cannot do what they are written for. One is given only where that is certain:
// a rule that might be meant as it stands gets none.

// UnknownTypes stands for all types unknown.… in a list of event types.
const UnknownTypes = unknownTypes + "*"

// TypesTaken are the event types that text means under `on`: a type, or a glob of types. What begins with "unknown." means
// UnknownTypes. Text that means none is an error that says so.
func TypesTaken(text string) ([]string, error) {
	if isUnknown(text) {
		return []string{UnknownTypes}, nil
	}
	known := events.Types()
	p, err := newTypePattern(text, known)
	switch {
	case errors.Is(err, errNoType), err == nil && !p.glob && !slices.Contains(known, text):
		return nil, fmt.Errorf("no event type matches %q", text)
	case err != nil:
		return nil, err
	}
	return p.taken(), nil
}

// taken are the types that a pattern of newTypePattern takes, those of unknown kind as UnknownTypes.
func (p *pattern) taken() []string {
	switch {
	case !p.glob && isUnknown(p.text), p.takesUnknown():
		return []string{UnknownTypes}
	case !p.glob:
		return []string{p.text}
	}
	return p.kinds
}

// warn is problem for what keeps no ruleset from loading. Of a rule that is off there are no warnings.
func (f *fileCompiler) warn(r *Rule, at Position, kind, hint, format string, args ...any) {
	if r.mode == ModeOff {
		return
	}
	f.report(at, kind, hint, format, args...)
	f.compiler.problems[len(f.compiler.problems)-1].Severity = SeverityWarning
}

// warnUnsent warns of a type under `on` that no configured source can send.
func (f *fileCompiler) warnUnsent(r *Rule, n *yaml.Node, p *pattern) {
	sent := f.cat.SentTypes
	if sent == nil || slices.ContainsFunc(p.taken(), func(kind string) bool { return slices.Contains(sent, kind) }) {
		return
	}
	hint := "name it under sends: of the source that does"
	switch finished := slices.Contains(sent, events.TypeBuildFinished); {
	case !strings.HasPrefix(p.text, "build."):
	case finished:
		hint = "a source with codearts_builds: sends " + events.TypeBuildFinished + ": write that, and match build.outcome"
	default:
		hint = "add a source with codearts_builds:, or name it under sends: of the one that gets build notifications"
	}
	f.warn(r, f.position(n), ProblemSource, hint, "on: no configured source sends %s, so this never comes", p.text)
}

// mayHave tells whether events of a type can have a field that match can name.
func mayHave(kind, field string) bool {
	if kind == UnknownTypes || field == "type" || field == "source" || field == "time" {
		return true
	}
	group, _, _ := strings.Cut(kind, ".")
	about, _, _ := strings.Cut(field, ".")
	switch {
	case about == "schedule" || kind == tickType:
		return about == "schedule" && kind == tickType
	case about == "merge_request":
		return group == "merge_request" || group == "note"
	case about == "note", about == "build":
		return group == about
	case about == "total_commits":
		return group == kind // of pushes and deletions, which have no dot
	case about == "tag":
		return kind == "tag_push" || kind == "tag_delete" || group == "build"
	case about == "branch":
		return kind != "tag_push" && kind != "tag_delete"
	}
	return true
}

// warnEarly warns of a rule that judges the build of a commit by its outcome when that commit has just come in, and does not
// wait for the build to end: it is queued then, or runs.
func (b *ruleCompiler) warnEarly() {
	r := b.rule
	for i := range r.criteria.types {
		for _, kind := range r.criteria.types[i].taken() {
			if kind != "push" && kind != "tag_push" {
				return
			}
		}
	}
	if len(r.criteria.types) == 0 || r.when == nil {
		return
	}
	for _, word := range []string{"queued", "running", "unknown", "finished"} {
		if strings.Contains(r.when.prog.text, word) {
			return // it knows
		}
	}
	for _, fe := range r.fetches {
		if fe.kind == nil || fe.kind.Name != "build_of_commit" || fe.until != nil || fe.forEach != nil || !fe.asksFor("commit", "event.after") {
			continue
		}
		if slices.ContainsFunc(r.when.prog.chains, func(c chain) bool { return slices.Equal(c.path, []string{rootFacts, fe.name, "outcome"}) }) {
			b.warn(r, fe.pos, ProblemFact, "add until: facts."+fe.name+".finished", "fetch.%s: the build of a commit that was just pushed has no outcome yet when this looks, and when: asks for it", fe.name)
		}
	}
}

// asksFor tells whether an argument is given, as that expression alone.
func (fe *fetch) asksFor(name, text string) bool {
	i := slices.IndexFunc(fe.args, func(a argument) bool { return a.arg.Name == name })
	if i < 0 {
		return false
	}
	x := fe.args[i].value.single()
	return x != nil && x.prog.text == text
}
