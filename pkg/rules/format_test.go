package rules

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// formatFiles are two files with errors and a warning, whose names and texts other formats have to escape.
func formatFiles() []File {
	return []File{
		{Name: "rules/100%, a:b 构建.yaml", Data: []byte(`rules:
  - name: one
    on: pusch
    match: { brnach: main }
    when: "构建 == \"x\""
    do: [{ notify: { to: [opps], title: t, text: "x" } }]
`)},
		{Name: "rules/two.yaml", Data: []byte(`rules:
  - name: two
    on: tag_push
    match: { note.kind: commit }
    do: [{ notify: { to: ops, title: t, text: x } }]
`)},
	}
}

// TestFormats keeps what other programs read; each file is also read by what it is for.
func TestFormats(t *testing.T) {
	files := formatFiles()
	_, problems := Compile(files, testCatalogue())
	problems = append(problems, Problem{File: "rules/three.yaml", Message: "the file is gone\nand 100% of it", Kind: "other"})
	if errors, warnings := problems.Count(); errors < 4 || warnings != 1 {
		t.Fatalf("%d errors and %d warnings:\n%s", errors, warnings, problems.Error())
	}
	for name, write := range map[string]func(Problems, *strings.Builder) error{
		"json":   func(ps Problems, b *strings.Builder) error { return ps.WriteJSON(b, files) },
		"sarif":  func(ps Problems, b *strings.Builder) error { return ps.WriteSARIF(b, files) },
		"github": func(ps Problems, b *strings.Builder) error { return ps.WriteGitHub(b) },
	} {
		for part, ps := range map[string]Problems{"some": problems, "none": nil} {
			var b strings.Builder
			if err := write(ps, &b); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("formats", part+"."+name), b.String())
		}
	}
}

// TestSARIFIsWhole: what the standard wants of a log, beyond its syntax.
func TestSARIFIsWhole(t *testing.T) {
	files := formatFiles()
	_, problems := Compile(files, testCatalogue())
	var b strings.Builder
	if err := problems.WriteSARIF(&b, files); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal([]byte(b.String()), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	for i, r := range run.Results {
		if got := run.Tool.Driver.Rules[r.RuleIndex].ID; got != r.RuleID || r.RuleID != problems[i].Kind {
			t.Errorf("result %d is of rule %q and index %q", i, r.RuleID, got)
		}
		where := r.Locations[0].Physical
		if r.Level != "error" && r.Level != "warning" || where.Region.StartLine != problems[i].Line || where.Region.EndColumn > 0 && where.Region.EndColumn <= where.Region.StartColumn {
			t.Errorf("result %d: %+v", i, r)
		}
		if strings.ContainsAny(where.Artifact.URI, " 构") {
			t.Errorf("%q is no URI", where.Artifact.URI)
		}
	}
	if len(run.Results) != len(problems) {
		t.Errorf("%d results of %d problems", len(run.Results), len(problems))
	}
}

func TestFileURI(t *testing.T) {
	for name, want := range map[string]string{
		"rules/a.yaml": "rules/a.yaml", "./a.yaml": "a.yaml", "/srv/rules/a b.yaml": "file:///srv/rules/a%20b.yaml", "a:b.yaml": "./a:b.yaml",
		"100%.yaml": "100%25.yaml", "构.yaml": "%E6%9E%84.yaml", "a?#.yaml": "a%3F%23.yaml",
	} {
		if got := fileURI(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestEnds: what a problem is about, as far as it can be told from its line.
func TestEnds(t *testing.T) {
	for line, want := range map[string]string{
		"a ^pusch, x":          "pusch",
		"^repository.pth: x":   "repository.pth",
		"^merge_requests.*]":   "merge_requests.*",
		`^"it \"is\" so" # x`:  `"it \"is\" so"`,
		`^'it''s'`:             `'it'`,
		`^"not closed`:         "",
		"^构建 == x":             "构建",
		"^{ a: b }":            "",
		"x^":                   "",
		"^last":                "last",
		"^${{ event.branch }}": "",
	} {
		col := strings.Index(line, "^")
		text := strings.Replace(line, "^", "", 1)
		p := Problem{Line: 1, Col: len([]rune(line[:col])) + 1}
		got := ""
		if end := p.end([]string{text}); end > 0 {
			got = string([]rune(text)[p.Col-1 : end-1])
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	if (Problem{}).end([]string{"x"}) != 0 || (Problem{Line: 2, Col: 1}).end([]string{"x"}) != 0 {
		t.Error("there is no such place")
	}
}

// TestCaret: the caret stands under the place also after characters that take two columns or none.
func TestCaret(t *testing.T) {
	for _, line := range []string{"abc^x", "构建^x", "ｆｕｌｌ^x", "e\u0301^x", "👍^x", "\ta^x", "\x1b[2J^x", "👩\u200d💻^x"} {
		before, after, _ := strings.Cut(line, "^")
		file := File{Name: "f", Data: []byte(before + after)}
		var b strings.Builder
		Problems{{File: "f", Line: 1, Col: len([]rune(before)) + 1, Message: "m", Kind: "k"}}.Render(&b, []File{file}, false)
		shown := strings.Split(b.String(), "\n")
		golden := map[string]int{"abc": 3, "构建": 4, "ｆｕｌｌ": 8, "e\u0301": 1, "👍": 2, "\ta": 5, "\x1b[2J": 4, "👩\u200d💻": 2}
		if got := strings.Index(shown[2], "^") - len("   1 | "); got != golden[before] {
			t.Errorf("%q: the caret is under column %d, want %d\n%s", before, got, golden[before], b.String())
		}
		if strings.Contains(shown[1], "\x1b") {
			t.Error("a file commands the terminal")
		}
	}
}

func TestRenderColors(t *testing.T) {
	var b strings.Builder
	Problems{{File: "f", Line: 1, Col: 1, Message: "m", Hint: "h", Kind: "k", Severity: SeverityWarning}}.Render(&b, []File{{Name: "f", Data: []byte("x")}}, true)
	want := "\x1b[1mf:1:1:\x1b[0m \x1b[33;1mwarning: m\x1b[0m; h \x1b[2m[k]\x1b[0m\n   1 | x\n     | \x1b[32;1m^\x1b[0m\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
