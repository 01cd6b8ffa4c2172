package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
)

// TestExplainShowsWhatATerminalWouldObey explains an event whose every text holds escape sequences.
func TestExplainShowsWhatATerminalWouldObey(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	event := write("event.json", `{"object_kind":"push","uuid":"\u001b[31mred\u001b]0;title\u0007","ref":"refs/heads/\u001b[2Jx",
"user_name":"\u009b5mname\u202eevil","commits":[{"id":"1","message":"line 1\n\tline 2\u001b[31m 👩\u200d💻\r"}]}`)
	rules := write("rules.yaml", `
rules:
  - name: r
    on: push
    when: event.branch != "x" && event.author.name != "y"
    do:
      - commit: { repo_id: "1", branch: main, message: "${{ event.commits[0].message }}", actions: [{ action: create, file_path: a, content: "${{ event.commits[0].message }}" }] }
      - notify: { to: ops, title: "${{ event.author.name }}", text: "${{ event.branch }}" }
`)
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&out)
	if err := (explainOptions{event: event, source: "file"}).run(cmd, []string{rules}); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && r != '\t' && unicode.IsControl(r) || r == '\u202e' {
			t.Fatalf("%U is sent to the terminal:\n%q", r, out.String())
		}
	}
	for _, want := range []string{`file/\u001b[31mred`, `\u202eevil`, "line 2\\u001b[31m 👩\u200d💻", "→ acted"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
