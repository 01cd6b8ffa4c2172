package trial

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/rules"
)

// reader reads one test file and collects what is wrong with it.
type reader struct {
	name     string
	problems rules.Problems
	meant    map[string]bool // keys that unknown ones are likely to mean
}

func (r *reader) problem(n *yaml.Node, kind, hint, format string, args ...any) {
	line, col := 1, 1
	if n != nil {
		line, col = max(n.Line, 1), max(n.Column, 1)
	}
	r.problems = append(r.problems, rules.Problem{
		File: r.name, Line: line, Col: col, Kind: kind, Hint: hint, Message: fmt.Sprintf(format, args...),
	})
}

// unknown reports a name that is none of names.
func (r *reader) unknown(n *yaml.Node, kind string, names []string, format string, args ...any) {
	hint := ""
	if near := rules.Nearest(n.Value, names); near != "" {
		hint = "did you mean " + near + "?"
	} else if len(names) > 0 && len(names) <= 12 {
		hint = "one of: " + strings.Join(slices.Sorted(slices.Values(names)), ", ")
	}
	r.problem(n, kind, hint, format, args...)
}

// mapping is a YAML mapping whose keys are known.
type mapping struct {
	node   *yaml.Node
	keys   []*yaml.Node
	values map[string]*yaml.Node
}

func (m *mapping) get(key string) *yaml.Node {
	if m == nil {
		return nil
	}
	return m.values[key]
}

// key is the node of a key that is there.
func (m *mapping) key(name string) *yaml.Node {
	for _, k := range m.keys {
		if k.Value == name {
			return k
		}
	}
	return m.node
}

// mapping reads a mapping; what names it in problems. With known keys given, others are reported.
func (r *reader) mapping(n *yaml.Node, what string, known ...string) *mapping {
	if n == nil || n.Kind != yaml.MappingNode {
		r.problem(n, rules.ProblemSyntax, "", "%s: wanted a mapping, got %s", what, kindOf(n))
		return nil
	}
	m := &mapping{node: n, values: map[string]*yaml.Node{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch _, twice := m.values[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			r.problem(k, rules.ProblemSyntax, "", "%s: a key must be a word, got %s", what, kindOf(k))
			continue
		case twice:
			r.problem(k, rules.ProblemKey, "leave one out", "%s: %q is there twice", what, k.Value)
			continue
		case len(known) > 0 && !slices.Contains(known, k.Value):
			r.unknown(k, rules.ProblemKey, known, "%s: unknown key %q", what, k.Value)
			if r.meant == nil {
				r.meant = map[string]bool{}
			}
			r.meant[rules.Nearest(k.Value, known)] = true
			continue
		}
		m.keys = append(m.keys, k)
		m.values[k.Value] = v
	}
	return m
}

// missing reports a key that is not there, unless one is that may mean it.
func (r *reader) missing(n *yaml.Node, key, hint, format string, args ...any) {
	if !r.meant[key] {
		r.problem(n, rules.ProblemKey, hint, format, args...)
	}
}

// list reads a list; an absent one is empty.
func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	switch {
	case isNull(n):
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	}
	r.problem(n, rules.ProblemSyntax, "", "%s: wanted a list, got %s", what, kindOf(n))
	return nil
}

// text reads one word or text; false when there is none.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	switch {
	case n == nil:
		return "", false
	case isNull(n):
		r.problem(n, rules.ProblemValue, "give it a value, or leave it out", "%s is empty", what)
		return "", false
	case n.Kind != yaml.ScalarNode:
		r.problem(n, rules.ProblemSyntax, "", "%s: wanted one value, got %s", what, kindOf(n))
		return "", false
	}
	return n.Value, true
}

func (r *reader) boolean(n *yaml.Node, what string) (value, ok bool) {
	if n == nil {
		return false, false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		r.problem(n, rules.ProblemSyntax, "write true or false", "%s: wanted true or false, got %s", what, kindOf(n))
		return false, false
	}
	return strings.EqualFold(n.Value, "true"), true
}

// moment reads a point in time.
func (r *reader) moment(n *yaml.Node, what string) *time.Time {
	text, ok := r.text(n, what)
	if !ok {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1971 || t.Year() > 9998 {
		r.problem(n, rules.ProblemValue, "write it like 2026-11-20T09:00:00+08:00", "%s: %q is not a point in time", what, text)
		return nil
	}
	t = t.UTC()
	return &t
}

// duration reads how long something takes.
func (r *reader) duration(n *yaml.Node, what string) (time.Duration, bool) {
	text, ok := r.text(n, what)
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	const most = 10 * 366 * 24 * time.Hour
	if err != nil || d < 0 || d > most {
		r.problem(n, rules.ProblemValue, "write it like 30s, 5m or 24h", "%s: %q is not a duration", what, text)
		return 0, false
	}
	return d, true
}

func isNull(n *yaml.Node) bool { return n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kindOf names the kind of a node for people.
func kindOf(n *yaml.Node) string {
	switch {
	case n == nil || n.Kind == 0 || isNull(n):
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "a number"
	case n.Tag == "!!bool":
		return "true or false"
	}
	return "a text"
}

// value is a node as JSON has it: map[string]any, []any, string, int64, uint64, float64, bool or nil. A date without quotes is text.
func (r *reader) value(n *yaml.Node, what string) (any, bool) {
	switch {
	case isNull(n):
		return nil, true
	case n.Kind == yaml.SequenceNode:
		out, ok := []any{}, true
		for i, e := range n.Content {
			v, good := r.value(e, fmt.Sprintf("%s[%d]", what, i))
			out, ok = append(out, v), ok && good
		}
		return out, ok
	case n.Kind == yaml.MappingNode:
		out, before := map[string]any{}, len(r.problems)
		for _, k := range r.mapping(n, what).keys {
			v, _ := r.value(valueOf(n, k), what+"."+k.Value)
			out[k.Value] = v
		}
		return out, len(r.problems) == before
	}
	return r.scalar(n, what)
}

func (r *reader) scalar(n *yaml.Node, what string) (any, bool) {
	switch n.Tag {
	case "!!int", "!!float", "!!bool":
		var v any
		if err := n.Decode(&v); err == nil {
			switch v := v.(type) {
			case int:
				return int64(v), true
			case float64:
				if math.IsNaN(v) || math.IsInf(v, 0) {
					break
				}
				return v, true
			default:
				return v, true
			}
		}
		r.problem(n, rules.ProblemValue, "put it into quotes", "%s: %s is not a value that JSON has", what, n.Value)
		return nil, false
	}
	return n.Value, true
}

// valueOf is the value of a key of a mapping.
func valueOf(n, key *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i] == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// merged is a value with some parts of it changed: mappings are merged, an element of a list is named by its number, from 0, and
// everything else is replaced. It shares nothing that changes with base.
func merged(base, change any) (any, error) {
	parts, ok := change.(map[string]any)
	if !ok {
		return change, nil
	}
	switch old := base.(type) {
	case map[string]any:
		out := make(map[string]any, len(old)+len(parts))
		for k, v := range old {
			out[k] = v
		}
		for k, v := range parts {
			below, err := merged(old[k], v)
			if err != nil {
				return nil, err
			}
			out[k] = below
		}
		return out, nil
	case []any:
		out := slices.Clone(old)
		for k, v := range parts {
			i, err := strconv.Atoi(k)
			if err != nil || i < 0 || i >= len(out) {
				return nil, fmt.Errorf("%q is not the number of an element of a list of %d", k, len(out))
			}
			if out[i], err = merged(out[i], v); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return change, nil
}
