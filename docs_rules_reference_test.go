package millrace_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/rules"
)

// formDocs say what may stand under a key.
var formDocs = map[rules.Form]string{
	rules.FormText:       "[text](../rules.md#templates)",
	rules.FormConstant:   "text; `${{ }}` reads `vars` only",
	rules.FormLiteral:    "text, without `${{ }}`",
	rules.FormExpression: "[expression](../rules.md#expressions)",
	rules.FormBool:       "`true` or `false`",
	rules.FormDuration:   "duration, like `30s`, `5m` or `1h30m`",
	rules.FormConnection: "name; `${{ }}` reads `vars` only",
	rules.FormNames:      "name, or a list of names",
	rules.FormDays:       "list of whole numbers",
	rules.FormPatterns:   "text, or a list of texts; `${{ }}` reads `vars` only",
	rules.FormVars:       "mapping of names to constants",
	rules.FormFacts:      "mapping of names to [facts](#rulesfetchname)",
	rules.FormCount:      "whole number; `${{ }}` reads `vars` only",
	rules.FormNumber:     "whole number or time; `${{ }}` reads `vars` only",
	rules.FormMatch:      "[mapping](#rulesmatch)",
	rules.FormMatches:    "list of [mappings](#rulesmatch), none of them empty",

	rules.FormMatchOrMatches: "[mapping](#rulesmatch) that is not empty, or a list of them",
	rules.FormEvents:         "[type](events.md#types), a list of types, or [a schedule](#ruleson)",
	rules.FormParameters:     "mapping of names to [texts](../rules.md#templates)",
}

// rulesReference is the table of all keys.
func rulesReference(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Keys of rules\n\n" + generated + `
Every key a rule file may have, from the outside to the inside. What they do is in [the rule language](../rules.md); what editors read is
[a JSON Schema](rules.schema.json) made of the same table.
`)
	where := map[string]string{}
	for _, m := range rules.Mappings() {
		where[m.Name] = m.Where
	}
	for _, m := range rules.Mappings() {
		title := "`" + m.Where + "`"
		if m.Name == "file" {
			title = "The file"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n| Key | Needed | Value | Meaning |\n|---|---|---|---|\n", title, sentence(m.Doc))
		for _, k := range m.Keys {
			needed := ""
			if k.Needed {
				needed = "yes"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, needed, cell(formDoc(t, &k, where[k.Of])), cell(keyDoc(&k)))
		}
		if m.Name == "fact" {
			b.WriteString("\nBeside these, exactly one of [the kinds of fact](facts.md), with its arguments.\n")
		}
		if m.Name == "match" {
			b.WriteString("\nBeside these, [fields of events](events.md#fields): each with a value, a list of values, or [a mapping](#rulesmatchfield).\n")
		}
		if len(m.OneOf) > 0 {
			fmt.Fprintf(&b, "\nExactly one of `%s` has to be there.\n", strings.Join(m.OneOf, "`, `"))
		}
		if len(m.Cases) > 0 {
			fmt.Fprintf(&b, "\n| `%s` | Needs besides | Does not have |\n|---|---|---|\n", m.Cases[0].Key)
		}
		for _, c := range m.Cases {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Word, spans(c.Needs), spans(c.Without))
		}
	}
	return b.String()
}

func formDoc(t *testing.T, k *rules.Key, of string) string {
	doc := formDocs[k.Form]
	switch k.Form {
	case rules.FormWord:
		doc = spans(k.Words)
	case rules.FormMapping:
		doc = fmt.Sprintf("[mapping](#%s)", anchor(of))
	case rules.FormMappings:
		doc = fmt.Sprintf("list of [mappings](#%s)", anchor(of))
	}
	if doc == "" {
		t.Errorf("say in formDocs what may stand under %s", k.Name)
	}
	if k.Most > 0 {
		doc += fmt.Sprintf(", 1 to %d", k.Most)
	}
	return doc
}

func keyDoc(k *rules.Key) string {
	if k.Default == "" {
		return k.Doc
	}
	return k.Doc + ". Default: " + k.Default
}

func spans(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "`, `") + "`"
}

// TestProblemKinds: the language page says of every kind of problem what it is about.
func TestProblemKinds(t *testing.T) {
	data, err := os.ReadFile("docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(data), "\n## Problems\n")
	for _, k := range rules.ProblemKinds() {
		if !strings.Contains(table, "| `"+k.Name+"` |") && !strings.Contains(table, "| [`"+k.Name+"`](#checks) |") {
			t.Errorf("docs/rules.md, Problems, does not say what %s is about", k.Name)
		}
	}
}
