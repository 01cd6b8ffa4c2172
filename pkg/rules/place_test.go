package rules

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestPlace looks for the character § of a scalar's value in the file, in all the ways YAML can write a scalar.
func TestPlace(t *testing.T) {
	for name, doc := range map[string]string{
		"plain":            "a: one § two",
		"plain wide":       "a: 构建失败 § 了",
		"plain folded":     "a: one\n  two\n  three § four",
		"plain paragraphs": "a: one\n  two\n\n  three § four",
		"single":           "a: 'it''s § here'",
		"single folded":    "a: 'it''s\n    not § here'",
		"double":           `a: "tab\t\"quoted\" 中\u4e2d \x41 § x"`,
		"double wide":      `a: "\U0001F600 § x"`,
		"double folded":    "a: \"one\n   two\n\n   three § x\"",
		"double continued": "a: \"one\\\n   two § x\"",
		"literal":          "a: |\n  one\n\n    two § x\n",
		"literal indented": "b:\n  - a: |-\n      one\n      two § x\n",
		"folded":           "a: >-\n  one\n  two\n  three § x\n",
		"folded wide":      "a: >-\n  一\n  二 § 三\n",
		"literal blank":    "a: |\n\n  one\n  two § x\n",
		"crlf":             "a: |\r\n  one\r\n  two § x\r\n",
		"flow":             `b: [{ c: "x", a: "y § z" }]`,
		"at the beginning": "a: §x",
		"in a block":       "a: |\n  § x\n",
	} {
		t.Run(name, func(t *testing.T) {
			var root yaml.Node
			if err := yaml.Unmarshal([]byte(doc), &root); err != nil {
				t.Fatal(err)
			}
			n := findScalar(&root)
			if n == nil {
				t.Fatal("no scalar with the mark")
			}
			s := &source{name: "f", data: []byte(doc)}
			inValue, _, _ := strings.Cut(n.Value, "§")
			offset := len([]rune(inValue))
			got := s.place(n, offset)
			before, _, _ := strings.Cut(doc, "§")
			wantLine := 1 + strings.Count(before, "\n")
			wantCol := 1 + len([]rune(before[strings.LastIndex(before, "\n")+1:]))
			if got.Line != wantLine || got.Col != wantCol {
				t.Errorf("got %d:%d, want %d:%d", got.Line, got.Col, wantLine, wantCol)
			}
		})
	}
}

func findScalar(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "§") {
		return n
	}
	for _, c := range n.Content {
		if found := findScalar(c); found != nil {
			return found
		}
	}
	return nil
}

// TestPlaceOfMany: a file of one long line with very many expressions is gone through once, not once for each of them.
func TestPlaceOfMany(t *testing.T) {
	const n = 40_000
	text := `rules: [{ name: r, on: push, do: [{ notify: { to: ops, title: t, text: "` + strings.Repeat("${{ event.branch }}  ", n) + `${{ event.branhc }}" } }] }]`
	_, problems := Compile([]File{{Name: "r.yaml", Data: []byte(text)}}, testCatalogue())
	if len(problems) != 1 || problems[0].Col != 1+strings.Index(text, "branhc") {
		t.Errorf("%v", problems)
	}
}
