package rules

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What is known of a value when a rule is loaded: all of it, when its templates read nothing but vars, else the text around them.

// anything stands for a value that is not known. It is taken wherever a text is.
const anything = "…"

// anyLink is anything in a link that says itself where it leads: what is written before its first value has the scheme.
func anyLink(t *template) string {
	if t != nil && len(t.parts) > 0 && strings.Contains(t.parts[0].literal, "://") {
		return anything
	}
	return ""
}

// known reports a value that check would refuse whatever the event is. some stands for what is not known; with "" only values that
// are known as a whole are checked.
func (w *actionCompiler) known(t *template, n *yaml.Node, check func(string) error, some string) {
	if t == nil || w.varsBroken {
		return
	}
	kind := ProblemRender
	if t.constant() {
		kind = ProblemValue
	}
	least, whole, ok := w.textOf(t, "")
	if !ok || !whole && some == "" {
		return
	}
	err := check(least)
	if err == nil {
		return
	}
	if !whole {
		most, _, _ := w.textOf(t, some)
		if err = check(most); err == nil {
			return
		}
	}
	w.problem(n, kind, "", "%s: %v", t.field, err)
}

// textOf is a template with some in the place of each value that is not known; whole: there is none. A value that is known and
// cannot be part of a text is reported.
func (f *fileCompiler) textOf(t *template, some string) (out string, whole, ok bool) {
	whole = true
	var b strings.Builder
	for _, p := range t.parts {
		switch {
		case p.expr == nil:
			b.WriteString(p.literal)
		case !p.own:
			whole = false
			b.WriteString(some)
		default:
			v, err := p.expr.eval(activation{rootVars: f.vars})
			s, isText := text(v)
			if err != nil || !isText {
				return "", false, false // it costs too much to know, or was reported
			}
			b.WriteString(s)
		}
	}
	return b.String(), whole, true
}

// valueOf is the value of a template that reads nothing but vars.
func (f *fileCompiler) valueOf(t *template) (any, bool) {
	if f.varsBroken || slices.ContainsFunc(t.parts, func(p part) bool { return p.expr != nil && !p.own }) {
		return nil, false
	}
	v, err := t.value(activation{rootVars: f.vars})
	return v, err == nil && v != nil
}

// onlyOnce reports a file that an action before it names in the same words.
func (w *actionCompiler) onlyOnce(path *template, before []fileSpec) {
	if path != nil && slices.ContainsFunc(before, func(f fileSpec) bool { return f.FilePath != nil && f.FilePath.src == path.src }) {
		w.report(path.pos, ProblemRender, "make one action of it", "%s: the file is there twice in one commit", path.field)
	}
}
