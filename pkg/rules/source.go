package rules

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxNesting is how deep lists and mappings of a rule file may nest; the language itself needs less than half.
const maxNesting = 24

// source is one rule file while it is read: it knows where things stand, and collects what is wrong with them.
type source struct {
	name     string
	data     []byte
	lines    []string // filled when a place within a scalar is first looked for
	walk     walk     // to the last such place
	problems *Problems
}

// position is where a node begins.
func (s *source) position(n *yaml.Node) Position {
	if n == nil {
		return Position{File: s.name, Line: 1, Col: 1}
	}
	return Position{File: s.name, Line: max(n.Line, 1), Col: max(n.Column, 1)}
}

func (s *source) report(at Position, kind, hint, format string, args ...any) {
	*s.problems = append(*s.problems, Problem{
		File: s.name, Line: at.Line, Col: at.Col, Kind: kind, Hint: masked(hint), Message: masked(fmt.Sprintf(format, args...)),
	})
}

// problem reports something wrong with a node.
func (s *source) problem(n *yaml.Node, kind, hint, format string, args ...any) {
	s.report(s.position(n), kind, hint, format, args...)
}

var yamlLine = regexp.MustCompile(`line \d+(, column \d+)?: `)

// document parses the file; nil when it is empty or was refused.
func (s *source) document() *yaml.Node {
	whole := Position{File: s.name, Line: 1, Col: 1}
	switch {
	case len(s.data) > MaxFile:
		s.report(whole, ProblemLimit, "split it into several files", "the file has %d bytes, at most %d are allowed", len(s.data), MaxFile)
		return nil
	case !utf8.Valid(s.data):
		s.report(whole, ProblemSyntax, "save it as UTF-8", "the file is not UTF-8")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(s.data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			s.yamlError(err)
		}
		return nil
	}
	var next yaml.Node
	if err := dec.Decode(&next); err == nil {
		s.problem(&next, ProblemSyntax, "put it into a file of its own", "one file has one YAML document, here begins another")
	} else if !errors.Is(err, io.EOF) {
		s.yamlError(err)
		return nil
	}
	if len(doc.Content) == 0 || !s.sane(doc.Content[0], 0) {
		return nil
	}
	return doc.Content[0]
}

func (s *source) yamlError(err error) {
	msg := yamlLine.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), "")
	at := s.brokenLine()
	s.report(at, ProblemSyntax, s.yamlHint(msg, at.Line), "%s", msg)
}

// yamlHint is the remedy for the commonest mistakes in YAML.
func (s *source) yamlHint(msg string, line int) string {
	lines := splitLines(string(s.data))
	text := ""
	if line <= len(lines) {
		text = lines[line-1]
	}
	_, value, _ := strings.Cut(text, ": ")
	switch value = strings.TrimLeft(value, " [{"); {
	case strings.Contains(msg, "cannot start any token") && strings.Contains(text, "\t"):
		return "indent with spaces, not with tabs"
	case strings.HasPrefix(value, "*"), strings.HasPrefix(value, "&"), strings.HasPrefix(value, "!"), strings.HasPrefix(value, "%"), strings.HasPrefix(value, "@"), strings.HasPrefix(value, "`"):
		return fmt.Sprintf("put what begins with %s into quotes", value[:1])
	case strings.Contains(msg, "did not find expected ',' or '}'"):
		return "close what is open, and put text that has a colon in it into quotes"
	case strings.Contains(msg, "mapping values are not allowed"):
		return "put text that has a colon in it into quotes, and indent keys of one mapping alike"
	}
	return ""
}

// brokenLine is where a file stops being YAML: the line after the longest beginning that is. The parser's own errors name the place
// of the structure around it, mostly lines before.
func (s *source) brokenLine() Position {
	lines := bytes.SplitAfter(s.data, []byte("\n"))
	parses := func(n int) bool {
		var doc yaml.Node
		return yaml.Unmarshal(bytes.Join(lines[:n], nil), &doc) == nil
	}
	good := len(lines) - 1
	if len(lines) <= maxLinesTried {
		for good > 0 && !parses(good) {
			good--
		}
	} else {
		good = sort.Search(len(lines), func(n int) bool { return !parses(n + 1) })
	}
	line := string(lines[min(good, len(lines)-1)])
	return Position{File: s.name, Line: good + 1, Col: 1 + len(line) - len(strings.TrimLeft(line, " "))}
}

// maxLinesTried is up to how many lines brokenLine tries them one by one.
const maxLinesTried = 500

// sane refuses what a rule file never needs: aliases (a small file could stand for an enormous one), tags and deep nesting.
func (s *source) sane(n *yaml.Node, depth int) bool {
	if depth > maxNesting {
		s.problem(n, ProblemLimit, "", "nested too deep")
		return false
	}
	ok := true
	switch {
	case n.Kind == yaml.AliasNode:
		s.problem(n, ProblemSyntax, "write the value again, or put it under vars:", "aliases are not supported")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		s.problem(n, ProblemSyntax, "leave it out", "tags such as %s are not supported", n.Tag)
		ok = false
	}
	for _, c := range n.Content {
		if !s.sane(c, depth+1) {
			ok = false
		}
	}
	return ok
}

// kindOf names the kind of a node for people.
func kindOf(n *yaml.Node) string {
	switch {
	case n == nil || n.Kind == 0:
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "a number"
	case n.Tag == "!!bool":
		return "a bool"
	}
	return "a string"
}

func isNull(n *yaml.Node) bool { return n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// mapping is a YAML mapping by key, in order.
type mapping struct {
	node   *yaml.Node
	keys   []string
	key    map[string]*yaml.Node
	meant  []string // names that unknown keys are likely to mean
	values map[string]*yaml.Node
}

func (m *mapping) get(name string) *yaml.Node {
	if m == nil {
		return nil
	}
	return m.values[name]
}

// mapping reads a mapping; what names it in problems. Keys that are there twice are reported with both places.
func (s *source) mapping(n *yaml.Node, what string) *mapping {
	if n == nil || n.Kind != yaml.MappingNode {
		s.problem(n, ProblemSyntax, formHint(what, n), "%s: wanted a mapping, got %s", what, kindOf(n))
		return nil
	}
	m := &mapping{node: n, key: map[string]*yaml.Node{}, values: map[string]*yaml.Node{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			s.problem(k, ProblemSyntax, "", "%s: a key must be a word, got %s", what, kindOf(k))
			continue
		}
		if first, taken := m.key[k.Value]; taken {
			s.problem(k, ProblemKey, fmt.Sprintf("it is at line %d already", first.Line), "%s: %q is there twice", what, k.Value)
			continue
		}
		m.keys = append(m.keys, k.Value)
		m.key[k.Value], m.values[k.Value] = k, v
	}
	return m
}

// formHint is the remedy for what is no mapping.
func formHint(what string, n *yaml.Node) string {
	switch {
	case what == theFile && n != nil && n.Kind == yaml.SequenceNode:
		return "write rules: above it"
	case n != nil && n.Kind == yaml.SequenceNode:
		return "leave out the dash"
	}
	return ""
}

// level is a mapping further out: where a key of it belongs that is found too deep.
type level struct {
	beside string // the key of that mapping under which it was found
	keys   []string
}

// only reports the keys that are not in the table.
func (s *source) only(m *mapping, what string, known *keyTable) { s.onlyWithin(m, what, nil, known) }

// onlyWithin is only for a mapping within others, the nearest first.
func (s *source) onlyWithin(m *mapping, what string, outer []level, known *keyTable) {
	if m == nil {
		return
	}
	for _, k := range m.keys {
		if !slices.Contains(known.names, k) && !s.tooDeep(m.key[k], what, outer) {
			s.unknownKey(m.key[k], what, known.names)
			m.meant = append(m.meant, cmp.Or(byAnotherName(k, known.names), Nearest(k, known.names)))
		}
	}
}

// tooDeep reports a key that belongs to a mapping further out.
func (s *source) tooDeep(k *yaml.Node, what string, outer []level) bool {
	for _, l := range outer {
		if slices.Contains(l.keys, k.Value) {
			s.problem(k, ProblemKey, "move it beside "+l.beside+":", "%s: %q does not belong here", what, k.Value)
			return true
		}
	}
	return false
}

func (s *source) unknownKey(k *yaml.Node, what string, known []string) {
	if k.Value == "<<" {
		s.problem(k, ProblemKey, "write the keys again", "%s: merging with << is not supported", what)
		return
	}
	hint := didYouMean(k.Value, known)
	switch {
	case what == theFile && slices.Contains(ruleKeys.names, k.Value):
		hint = "put it under rules:, after a dash"
	case hint == "" && slices.Equal(known, ruleKeys.names) && slices.Contains(actionKeys.names, k.Value):
		hint = "put it under do:, into an action"
	}
	s.problem(k, ProblemKey, hint, "%s: unknown key %q", what, k.Value)
}

// required reports the needed keys that are missing or empty, except those that were only misspelt. It comes after only.
func (s *source) required(m *mapping, what string, known *keyTable) {
	for _, name := range known.needed {
		if v, ok := m.values[name]; !ok {
			if slices.Contains(m.meant, name) {
				continue
			}
			s.problem(m.node, ProblemKey, "add "+name+":", "%s: %s is missing", what, name)
		} else if isNull(v) {
			s.problem(m.key[name], ProblemKey, "give it a value", "%s: %s is empty", what, name)
		}
	}
}

// scalar reads a scalar as it is written; what names it in problems. An absent one is "", false without a problem.
func (s *source) scalar(n *yaml.Node, what string) (string, bool) {
	switch {
	case isNull(n):
		return "", false
	case n.Kind != yaml.ScalarNode:
		s.problem(n, ProblemSyntax, "", "%s: wanted one value, got %s", what, kindOf(n))
		return "", false
	}
	return n.Value, true
}

// boolean reads true or false; an absent one is false.
func (s *source) boolean(n *yaml.Node, what string) bool {
	if isNull(n) {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		s.problem(n, ProblemSyntax, "write true or false", "%s: wanted true or false, got %s", what, kindOf(n))
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

// sequence reads a list; with loose a single value is a list of one. An absent one is empty.
func (s *source) sequence(n *yaml.Node, what string, loose bool) []*yaml.Node {
	switch {
	case isNull(n):
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	case loose && n.Kind == yaml.ScalarNode:
		return []*yaml.Node{n}
	}
	s.problem(n, ProblemSyntax, "begin each element with a dash, or write [a, b]", "%s: wanted a list, got %s", what, kindOf(n))
	return nil
}

// filled leaves out the elements of a list that are empty, and reports them.
func (s *source) filled(nodes []*yaml.Node, what string) []*yaml.Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n *yaml.Node) bool {
		if isNull(n) {
			s.problem(n, ProblemValue, "give it a value, or leave it out", "%s: an element is empty", what)
		}
		return isNull(n)
	})
}

var identifier = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`)

// reserved are the words an expression cannot use as a name.
var reserved = []string{
	"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace", "null",
	"package", "return", "true", "var", "void", "while",
}

// identifier reports a name that expressions could not select.
func (s *source) identifier(n *yaml.Node, what string) bool {
	switch {
	case !identifier.MatchString(n.Value):
		s.problem(n, ProblemName, "use letters, digits and _, not beginning with a digit", "%s: %q cannot be a name in expressions", what, n.Value)
	case slices.Contains(reserved, n.Value):
		s.problem(n, ProblemName, "choose another", "%s: %q is a reserved word of expressions", what, n.Value)
	default:
		return true
	}
	return false
}
