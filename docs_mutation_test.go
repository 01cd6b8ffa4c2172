package millrace_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// TestMisspellings: every misspelling of one letter, in any key, field, fact, argument, type of event, function or word of a closed set
// in the examples, is an error. What is free is left alone: texts, names of parameters, what is under vars, and event.raw.
func TestMisspellings(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(exampleRules + "/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no examples", err)
	}
	var files []rules.File
	tokens := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := misspeller{t: t, path: path}
		m.file(data)
		files = append(files, m.out...)
		tokens += m.tokens
	}
	if tokens < 250 || len(files) < 15*tokens {
		t.Errorf("%d misspellings of %d words: the walk is broken", len(files), tokens)
	}
	bad := brokenFiles(files)
	for _, f := range files {
		if !bad[f.Name] {
			t.Errorf("not reported: %s", f.Name)
		}
	}
}

// misspeller makes rule files of one, each with one word misspelt.
type misspeller struct {
	t      *testing.T
	path   string
	doc    yaml.Node
	out    []rules.File
	tokens int
}

func (m *misspeller) file(data []byte) {
	if err := yaml.Unmarshal(data, &m.doc); err != nil {
		m.t.Fatal(err)
	}
	m.walk(m.doc.Content[0], nil)
}

// walk visits a node; path are the keys it stands under.
func (m *misspeller) walk(n *yaml.Node, path []string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			below := append(slices.Clip(path), n.Content[i].Value)
			if len(path) > 0 && path[len(path)-1] == "parameters" {
				m.walk(n.Content[i+1], below)
				continue
			}
			m.word(n.Content[i], 0, len(n.Content[i].Value))
			if below[0] != "vars" {
				m.walk(n.Content[i+1], below)
			}
		}
	case yaml.SequenceNode:
		for _, e := range n.Content {
			m.walk(e, path)
		}
	case yaml.ScalarNode:
		m.scalar(n, path)
	}
}

// expressionKeys hold expressions as they stand, wordKeys a word of a closed set.
var (
	expressionKeys = []string{"when", "until", "if", "in"}
	wordKeys       = []string{"mode", "on_timeout", "action", "encoding"}
)

func (m *misspeller) scalar(n *yaml.Node, path []string) {
	key := path[len(path)-1]
	switch {
	case slices.Contains(expressionKeys, key), key == "key" && slices.Contains(path, "for_each"):
		m.expression(n, 0, len(n.Value))
	case key == "on", slices.Contains(wordKeys, key):
		m.word(n, 0, len(n.Value))
	default:
		for _, at := range templateParts.FindAllStringSubmatchIndex(n.Value, -1) {
			m.expression(n, at[2], at[3])
		}
	}
}

var (
	templateParts = regexp.MustCompile(`\$\{\{(.*?)\}\}`)
	// expressionParts are a string, an access to event.raw, or a name.
	expressionParts = regexp.MustCompile(`"[^"]*"|'[^']*'|event\.raw[.a-z_]*|[A-Za-z_]+`)
)

// expression misspells the names in a part of a scalar.
func (m *misspeller) expression(n *yaml.Node, from, to int) {
	for _, at := range expressionParts.FindAllStringIndex(n.Value[from:to], -1) {
		part := n.Value[from+at[0] : from+at[1]]
		if strings.ContainsAny(part, `"'.`) || slices.Contains([]string{"in", "null", "true", "false"}, part) {
			continue
		}
		m.word(n, from+at[0], from+at[1])
	}
}

// word misspells a part of a scalar in every way one letter allows.
func (m *misspeller) word(n *yaml.Node, from, to int) {
	m.tokens++
	whole := n.Value
	word := whole[from:to]
	for _, other := range misspellings(word) {
		n.Value = whole[:from] + other + whole[to:]
		data, err := yaml.Marshal(&m.doc)
		if err != nil {
			m.t.Fatal(err)
		}
		m.out = append(m.out, rules.File{Name: fmt.Sprintf("%s:%d: %s as %q, %d", m.path, n.Line, word, other, len(m.out)), Data: data})
	}
	n.Value = whole
}

// otherNames are words that one letter away are the name of something else beside it, which nobody can tell from a misspelling.
var otherNames = map[string]string{"iid": "id"}

// misspellings of a word: a letter left out, one written twice, two swapped.
func misspellings(word string) []string {
	var out []string
	for i := range len(word) {
		out = append(out, word[:i]+word[i+1:], word[:i+1]+word[i:])
		if i > 0 {
			out = append(out, word[:i-1]+word[i:i+1]+word[i-1:i]+word[i+1:])
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(o string) bool { return o == word || o == otherNames[word] })
}

// TestMisspeltNames: the same of every type of event, field of match and kind of fact there is, and of the keys of the language.
func TestMisspeltNames(t *testing.T) {
	t.Parallel()
	catalogue := engine.Catalogue(nil, nil)
	var files []rules.File
	try := func(what string, known []string, format string) {
		for _, name := range known {
			for i, other := range misspellings(name) {
				if slices.Contains(known, other) {
					continue // another one of them
				}
				files = append(files, rules.File{Name: fmt.Sprintf("%s %s as %q %d", what, name, other, i), Data: fmt.Appendf(nil, format, other)})
			}
		}
	}
	const rest = "do: [{ notify: { to: team, title: t, text: x } }] }]\n"
	try("type", catalogue.EventTypes, "rules: [{ name: r, on: %q, "+rest)
	try("type in when", catalogue.EventTypes, "rules: [{ name: r, on: '*', when: 'event.type == %q', "+rest)
	try("type in a list", catalogue.EventTypes, "rules: [{ name: r, on: '*', when: 'event.type in [\"push\", %q]', "+rest)
	try("type in match", catalogue.EventTypes, "rules: [{ name: r, on: '*', match: { type: %q }, "+rest)
	var fields, facts []string
	for _, f := range events.Fields() {
		fields = append(fields, f.String())
	}
	try("field", fields, "rules: [{ name: r, on: '*', match: { %q: x }, "+rest)
	eachField(catalogue.Event, "", func(path string, f *rules.TypeField) {
		if !strings.HasPrefix(path, "raw") && !strings.Contains(path, "[]") && !slices.Contains(facts, path) {
			facts = append(facts, path)
		}
	})
	try("event field", facts, "rules: [{ name: r, on: '*', when: 'event.%s == event.author', "+rest)
	facts = nil
	for _, f := range catalogue.Facts {
		facts = append(facts, f.Name)
		var args []string
		for _, a := range f.Args {
			args = append(args, a.Name)
		}
		try("argument of "+f.Name, args, "rules: [{ name: r, on: push, fetch: { a: { "+f.Name+": { %q: x } } }, "+rest)
	}
	try("fact", facts, "rules: [{ name: r, on: push, fetch: { a: { %q: { } } }, "+rest)
	if len(files) < 5000 {
		t.Errorf("%d misspellings: the walk is broken", len(files))
	}
	bad := brokenFiles(files)
	for _, f := range files {
		if !bad[f.Name] {
			t.Errorf("not reported: %s\n%s", f.Name, f.Data)
		}
	}
}
