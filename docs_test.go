package millrace_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/rules"
)

// The documents are tests. A fenced block is checked by the words after its fence:
//
//	yaml            a complete rule file, rules.yaml; it compiles, unless text problems follows
//	yaml fragment   keys of one rule; what a rule needs besides is added
//	text problems   all problems of the yaml before it, literally
//	yaml test       a test of the rule before it, or a list of them, as in a test file but without names; where nothing is
//	                said the event is examples/events/push.json from the source repo. They pass
//	yaml tests      a test file for the rules before it. Its tests pass, unless text test follows
//	text test       what millrace rules test says of the tests before it, literally
//	text explain    why, of the last test before it, literally
//	cel             expressions over examples/events/push.json, each with what it gives after //
//
// Other blocks are not looked at. -update rewrites what is literal.

var update = flag.Bool("update", false, "rewrite the generated references, and the literal blocks of the documents")

const rulesFile = "rules.yaml"

// block is one fenced block of a document.
type block struct {
	file string
	line int // of the first line within
	info string
	text string
}

func (b *block) at() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

var fence = regexp.MustCompile("^```+")

// blocks reads the fenced blocks of a document.
func blocks(t *testing.T, file string) []block {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []block
	open := ""
	for i, line := range strings.Split(string(data), "\n") {
		mark := fence.FindString(line)
		switch {
		case open == "" && mark != "":
			open = mark
			all = append(all, block{file: file, line: i + 2, info: strings.TrimSpace(line[len(mark):])})
		case open != "" && line == open:
			open = ""
		case open != "":
			all[len(all)-1].text += line + "\n"
		}
	}
	if open != "" {
		t.Fatalf("%s: a block is not closed", file)
	}
	return all
}

// TestDocuments checks every block of every document that holds rules.
func TestDocuments(t *testing.T) {
	for _, file := range []string{"README.md", "docs/rules.md", "docs/testing.md"} {
		t.Run(file, func(t *testing.T) {
			d := document{blocks: blocks(t, file), literal: map[int]string{}}
			for i := range d.blocks {
				b := &d.blocks[i]
				t.Run(fmt.Sprintf("%s:%d", filepath.Base(file), b.line), func(t *testing.T) { d.check(t, i) })
			}
			if d.checked < 1 {
				t.Error("no block was checked")
			}
			if *update {
				d.rewrite(t, file)
			}
		})
	}
}

// document is a document while its blocks are checked, in order.
type document struct {
	blocks   []block
	checked  int
	problems string // of the yaml before
	ruleset  *rules.Ruleset
	report   *trial.Report // of the last tests, nil when they cannot be read: wrong says why
	wrong    string
	why      string         // of the last test
	literal  map[int]string // with -update: what the blocks of these lines are to say
}

// rewrite puts what was found in the place of what the document says.
func (d *document) rewrite(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	skip := false
	for i, line := range strings.SplitAfter(string(data), "\n") {
		if text, ok := d.literal[i+1]; ok {
			out.WriteString(text)
			skip = true
		}
		if skip = skip && !fence.MatchString(line); !skip {
			out.WriteString(line)
		}
	}
	if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (d *document) check(t *testing.T, i int) {
	b := &d.blocks[i]
	switch b.info {
	case "yaml", "yaml fragment":
		d.compile(t, b)
		if next := i + 1; d.problems != "" && (next == len(d.blocks) || d.blocks[next].info != "text problems") {
			t.Errorf("%s does not compile:\n%s", b.at(), d.problems)
		}
	case "text problems":
		d.same(t, b, d.problems)
	case "yaml test", "yaml tests":
		d.trials(t, b)
		if next := i + 1; next == len(d.blocks) || d.blocks[next].info != "text test" {
			d.passed(t, b)
		}
	case "text test":
		d.same(t, b, d.said())
	case "text explain":
		d.same(t, b, d.why)
	case "cel":
		checkExpressions(t, b)
	default:
		if strings.HasPrefix(b.info, "yaml") || strings.HasPrefix(b.info, "cel") || strings.HasPrefix(b.info, "text ") {
			t.Errorf("%s: unknown kind of block %q", b.at(), b.info)
		}
		return
	}
	d.checked++
}

func (d *document) same(t *testing.T, b *block, got string) {
	t.Helper()
	got = strings.TrimRight(got, "\n") + "\n"
	if *update {
		d.literal[b.line] = got
		return
	}
	if diff := cmp.Diff(b.text, got); diff != "" {
		t.Errorf("%s (-document +got):\n%s", b.at(), diff)
	}
}

func (d *document) compile(t *testing.T, b *block) {
	text := b.text
	if b.info == "yaml fragment" {
		text = wholeRule(t, b)
	}
	rs, problems := rules.Compile([]rules.File{{Name: rulesFile, Data: []byte(text)}}, engine.Catalogue(nil, nil))
	d.ruleset, d.problems, d.why = rs, "", ""
	if len(problems) > 0 {
		d.problems = problems.Error()
	}
}

var ruleKey = regexp.MustCompile(`(?m)^([a-z_]+):`)

// wholeRule makes a rule file of some keys of a rule. vars come first in a fragment.
func wholeRule(t *testing.T, b *block) string {
	t.Helper()
	var keys []string
	for _, m := range ruleKey.FindAllStringSubmatch(b.text, -1) {
		keys = append(keys, m[1])
	}
	if len(keys) == 0 {
		t.Fatalf("%s: a fragment begins with a key of a rule", b.at())
	}
	var out strings.Builder
	rest := b.text
	if keys[0] == "vars" {
		from := len(rest)
		if len(keys) > 1 {
			from = strings.Index(rest, "\n"+keys[1]+":") + 1
		}
		out.WriteString(rest[:from])
		rest = rest[from:]
	}
	out.WriteString("rules:\n  - name: example\n")
	for _, line := range strings.Split(strings.TrimRight(rest, "\n"), "\n") {
		out.WriteString("    " + line + "\n")
	}
	for _, missing := range []struct{ key, text string }{
		{"on", "    on: push\n"},
		{"do", "    do: [{ notify: { to: team, title: t, text: x } }]\n"},
	} {
		if !slices.Contains(keys, missing.key) {
			out.WriteString(missing.text)
		}
	}
	return out.String()
}

// documents are all documents of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, ".md"):
			all = append(all, filepath.ToSlash(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 8 {
		t.Fatalf("saw %d documents: the walk is broken", len(all))
	}
	return all
}

var (
	link     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	codeSpan = regexp.MustCompile("`[^`\n]*`")
	outside  = regexp.MustCompile(`(^|[^a-z])(\.\./)*shared/|/tmp/|/home/|/root/`)
)

// prose is a document without its code.
func prose(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	open := false
	for line := range strings.SplitSeq(string(data), "\n") {
		switch {
		case fence.MatchString(line):
			open = !open
		case !open:
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// anchor is what a heading is linked by.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

func anchors(t *testing.T, file string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(prose(t, file), -1) {
		all = append(all, anchor(m[1]))
	}
	return all
}

// TestLinks resolves every link from document to document.
func TestLinks(t *testing.T) {
	for _, file := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(prose(t, file), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, name, _ := strings.Cut(m[1], "#")
			target := file
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(file), path))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", file, m[1])
				continue
			}
			if name != "" && !slices.Contains(anchors(t, target), name) {
				t.Errorf("%s links to %s: there is no such heading", file, m[1])
			}
		}
	}
}

var examplePath = regexp.MustCompile(`\bexamples/[a-z0-9_./-]*[a-z]`)

// TestExamplePaths: what a document names of the examples is there.
func TestExamplePaths(t *testing.T) {
	for _, file := range documents(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range examplePath.FindAllString(string(data), -1) {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s names %s, which is not there", file, path)
			}
		}
	}
}

// TestDocumentsStandAlone: nothing a reader of the repository gets may point outside it.
func TestDocumentsStandAlone(t *testing.T) {
	files := documents(t)
	err := filepath.WalkDir("examples", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(data), "\n") {
			if found := outside.FindString(line); found != "" {
				t.Errorf("%s:%d names %q, which readers do not have", file, i+1, found)
			}
		}
	}
}
