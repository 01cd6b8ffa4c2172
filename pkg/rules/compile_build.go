package rules

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// build reads what a build starts.
func (w *actionCompiler) build(m *mapping) *buildSpec {
	w.onlyWithin(m, w.what, []level{{KindBuild, besideKind()}}, buildKeys)
	w.required(m, w.what, buildKeys)
	b := &buildSpec{
		Connection: w.connection(m.get("connection"), m.node, w.what),
		JobID:      w.text(m, "job_id"), Commit: w.text(m, "commit"), Tag: w.text(m, "tag"),
		Parameters: w.parameters(m.get("parameters")),
	}
	w.known(b.JobID, m.get("job_id"), checkJobID, "")
	w.known(b.Commit, m.get("commit"), checkBuiltCommit, "")
	w.known(b.Tag, m.get("tag"), checkTag, anything)
	for _, name := range []string{"commit", "tag"} {
		if n, there := m.values[name]; there && isNull(n) {
			w.problem(m.key[name], ProblemKey, "give it a value, or leave it out", "%s: %s is empty", w.what, name)
		}
	}
	if !isNull(m.get("commit")) && !isNull(m.get("tag")) {
		w.problem(m.key["tag"], ProblemKey, "leave one out", "%s: a build is of a commit or of a tag, not of both", w.what)
	}
	return b
}

// parameters reads the parameters of a run: names are literal, values are texts, which may be empty.
func (w *actionCompiler) parameters(n *yaml.Node) []parameterSpec {
	if isNull(n) {
		return nil
	}
	m := w.mapping(n, w.at("parameters"))
	if m == nil {
		return nil
	}
	if len(m.keys) > maxParameters {
		w.problem(n, ProblemLimit, "", "%s: %d parameters, at most %d are allowed", w.at("parameters"), len(m.keys), maxParameters)
		return nil
	}
	inner := &actionCompiler{ruleCompiler: w.ruleCompiler, what: w.at("parameters"), sc: w.sc}
	var out []parameterSpec
	for _, name := range m.keys {
		switch {
		case strings.Contains(name, openTemplate):
			w.problem(m.key[name], ProblemName, "write the parameter's name", "%s: the name of a parameter cannot be an expression", inner.what)
			continue
		case name == "" || utf8.RuneCountInString(name) > maxParameterName || checkPrintable("it", name) != nil:
			w.problem(m.key[name], ProblemName, "", "%s: %s cannot be the name of a parameter: 1 to %d characters", inner.what, quoted(name), maxParameterName)
			continue
		}
		v := m.values[name]
		if isNull(v) {
			w.problem(m.key[name], ProblemKey, `give it a value; "" is an empty one`, "%s: %s is empty", inner.what, name)
			continue
		}
		p := parameterSpec{Name: name, Value: inner.text(m, name)}
		if p.Value == nil && v.Kind == yaml.ScalarNode && v.Value == "" {
			p.Value = &template{pos: w.position(v), field: inner.at(name)}
		}
		w.known(p.Value, v, checkParameter, "")
		out = append(out, p)
	}
	return out
}
