package millrace_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/rules"
)

// testsFile is the name of the tests of a document's block, beside its rules: what they name is found from the root of the repository.
const testsFile = "rules_test.yaml"

// What tests in documents go on from.
const (
	defaultEvent  = "examples/events/push.json"
	defaultSource = "repo"
	defaultNow    = "2026-11-20T09:42:09Z"
)

// trials runs the tests of a block on the rules before it.
func (d *document) trials(t *testing.T, b *block) {
	t.Helper()
	if d.ruleset == nil {
		t.Fatalf("%s: there is no rule to test", b.at())
	}
	text := b.text
	if b.info == "yaml test" {
		text = d.wholeTests(t, b)
	}
	d.report, d.wrong = nil, ""
	suite, problems := trial.Read(d.ruleset, []rules.File{{Name: testsFile, Data: []byte(text)}}, trial.ReadFile)
	if suite == nil {
		d.wrong = problems.Error()
		return
	}
	d.report = suite.Run(nil)
	last := d.report.Tests[len(d.report.Tests)-1]
	d.why = last.Played[len(last.Played)-1].Explain()
}

// passed reports what is wrong with tests that are expected to be right.
func (d *document) passed(t *testing.T, b *block) {
	t.Helper()
	if d.wrong != "" {
		t.Errorf("%s: %s", b.at(), d.wrong)
	}
	if d.report != nil && d.report.Failed > 0 {
		var said bytes.Buffer
		d.report.Render(&said, false)
		t.Errorf("%s:\n%s", b.at(), &said)
	}
}

// said is what millrace rules test says of the last tests.
func (d *document) said() string {
	if d.report == nil {
		return d.wrong
	}
	var out strings.Builder
	d.report.Render(&out, false)
	return out.String()
}

// wholeTests makes a file of one test or a list of them: they get names, the event and the rule that goes without saying.
func (d *document) wholeTests(t *testing.T, b *block) string {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(b.text), &doc); err != nil {
		t.Fatalf("%s: %v", b.at(), err)
	}
	tests := doc.Content[0]
	if tests.Kind == yaml.MappingNode {
		tests = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{tests}}
	}
	word := func(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text} }
	for i, n := range tests.Content {
		n.Content = append([]*yaml.Node{word("name"), word(fmt.Sprintf("test %d", i+1))}, n.Content...)
	}
	event := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{word("file"), word(defaultEvent), word("source"), word(defaultSource)}}
	file := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{word("event"), event, word("now"), word(defaultNow), word("tests"), tests}}
	if all := d.ruleset.Rules(); len(all) == 1 {
		file.Content = append(file.Content, word("rule"), word(all[0].Name()))
	}
	data, err := yaml.Marshal(file)
	if err != nil {
		t.Fatalf("%s: %v", b.at(), err)
	}
	return string(data)
}
