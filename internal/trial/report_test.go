package trial

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/rules"
)

const smallRules = `rules:
  - name: a
    on: push
    match: { branch: main }
    when: event.total_commits > 1
    do: [{ notify: { to: team, title: "${{ event.branch }}", text: "${{ event.raw.text }}" } }]
`

const smallTests = `event: { body: { object_kind: push, ref: refs/heads/main, total_commits_count: 2, text: "a\x01b" } }
rule: a
tests:
  - { name: fires, want: acted }
  - { name: "fails <&>", want: { messages: [{ text: "]]>" }] } }
`

// TestJUnit: what is written is XML, whatever a text holds, and counts right.
func TestJUnit(t *testing.T) {
	var out bytes.Buffer
	if err := suite(t, smallRules, smallTests).Run(nil).WriteJUnit(&out); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if got.Tests != 2 || got.Failures != 1 || len(got.Suites) != 1 || got.Suites[0].Name != "r_test.yaml" || got.Suites[0].Failures != 1 {
		t.Errorf("%s", &out)
	}
	cases := got.Suites[0].Cases
	if cases[0].Failure != nil || cases[0].Line != 4 || cases[1].Name != "fails <&>" || cases[1].Failure == nil ||
		!strings.Contains(cases[1].Failure.Text, "expected  ]]>") || !strings.Contains(cases[1].Failure.Message, "messages[0].text") {
		t.Errorf("%s", &out)
	}
}

// TestRunPattern: only what fits is run, and only that reaches anything.
func TestRunPattern(t *testing.T) {
	s := suite(t, smallRules, smallTests)
	if r := s.Run(regexp.MustCompile("^fires")); len(r.Tests) != 1 || r.Failed != 0 || r.Passed != 1 || r.Coverage.Reached != 4 || r.Coverage.Total != 6 {
		t.Errorf("%+v %+v", r, r.Coverage)
	}
	if r := s.Run(regexp.MustCompile("none")); len(r.Tests) != 0 || r.Coverage.Reached != 0 {
		t.Errorf("%+v", r)
	}
	data, err := json.Marshal(s.Run(nil))
	if err != nil || !strings.Contains(string(data), `"what":"messages[0].text","expected":"]]\u003e","actual":"a\u0001b"`) {
		t.Errorf("%s %v", data, err)
	}
}

// TestPercent: it is 100 only when nothing is missing.
func TestPercent(t *testing.T) {
	for _, tt := range []struct {
		reached, total int
		want           float64
	}{{0, 0, 100}, {0, 3, 0}, {1, 3, 33.3}, {9999, 10000, 99.9}, {5, 5, 100}} {
		if got := percent(tt.reached, tt.total); got != tt.want {
			t.Errorf("%d of %d: %v", tt.reached, tt.total, got)
		}
	}
}

func TestDifference(t *testing.T) {
	for _, tt := range []struct{ a, b, want string }{
		{"a\nb\nc\n", "a\nx\nc\n", "  a|- b|+ x|  c↵"},
		{"a\nb", "a\nb\n", "  a|- b|+ b↵"},
		{"a\nb\nc\nd", "b\nc\ne", "- a|  b|  c|- d|+ e"},
		{"", "a\nb", "+ a|+ b"},
		{"a\nb\nc", "b", "- a|  b|- c"},
		{strings.Repeat("x\n", 2*maxCompared) + "y\nz", "z", ""},
	} {
		got := strings.Join(difference(lines(tt.a), lines(tt.b)), "|")
		if tt.want != "" && got != tt.want {
			t.Errorf("%q and %q: %s, wanted %s", tt.a, tt.b, got, tt.want)
		}
		if tt.want == "" && strings.Count(got, "- ") != 2*maxCompared+1 {
			t.Errorf("%q", got[:100])
		}
	}
}

// TestFind: tests lie beside their rules.
func TestFind(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{
		"rules/a.yaml", "rules/a_test.yaml", "rules/b.yml", "rules/b_test.yml", "rules/c.yaml", "rules/deep/d_test.yaml",
		"rules/.hidden/e_test.yaml", "rules/.f_test.yaml", "other/g_test.yaml",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	for _, tt := range []struct {
		paths, rules, tests string
	}{
		{"rules", "rules", "rules/a_test.yaml rules/b_test.yml rules/deep/d_test.yaml"},
		{"./rules/", "./rules/", "rules/a_test.yaml rules/b_test.yml rules/deep/d_test.yaml"},
		{"rules/a.yaml rules/a.yaml", "rules/a.yaml", "rules/a_test.yaml"},
		{"rules/b.yml", "rules/b.yml", "rules/b_test.yml"},
		{"rules/c.yaml", "rules/c.yaml", ""},
		{"rules/a_test.yaml other", "other rules", "other/g_test.yaml rules/a_test.yaml"},
	} {
		rulePaths, files, err := Find(strings.Fields(tt.paths))
		if err != nil {
			t.Errorf("%s: %v", tt.paths, err)
			continue
		}
		var names []string
		for _, f := range files {
			names = append(names, f.Name)
			if string(f.Data) != f.Name {
				t.Errorf("%s holds %q", f.Name, f.Data)
			}
		}
		if got := strings.Join(rulePaths, " "); got != tt.rules {
			t.Errorf("%s: rules of %q, wanted %q", tt.paths, got, tt.rules)
		}
		if got := strings.Join(names, " "); got != tt.tests {
			t.Errorf("%s: tests %q, wanted %q", tt.paths, got, tt.tests)
		}
	}
	if _, _, err := Find([]string{"nowhere"}); err == nil {
		t.Error("a path that is not there")
	}
	if data, err := ReadFile("rules/a.yaml", 3); err != nil || string(data) != "rule" {
		t.Errorf("%q %v: a file over the limit is cut behind it", data, err)
	}
}

// TestFilesThatTestsName have limits.
func TestFilesThatTestsName(t *testing.T) {
	a := &archive{rules: []rules.File{{Name: "r.yaml", Data: []byte(smallRules)}}}
	rs := a.compile(t)
	var asked []string
	open := func(name string, limit int64) ([]byte, error) {
		asked = append(asked, name)
		if strings.Contains(name, "large") {
			return make([]byte, limit+1), nil
		}
		return make([]byte, limit), nil
	}
	var file strings.Builder
	file.WriteString("rule: a\ntests:\n")
	names := []string{"large.json", "../rules/large.json"}
	for i := range maxRead/maxFactFile + 1 {
		names = append(names, strings.Repeat("x", i+1))
	}
	for i, name := range slices.Concat(names, names) {
		file.WriteString("- { name: t" + strings.Repeat("i", i) + ", event: " + name + ", want: acted }\n")
	}
	_, problems := Read(rs, []rules.File{{Name: "rules/r_test.yaml", Data: []byte(file.String())}}, open)
	text := problems.Error()
	if n := strings.Count(text, "rules/large.json is larger than 4194304 bytes"); n != 4 {
		t.Errorf("%d times too large:\n%s", n, text)
	}
	if n := strings.Count(text, "the files that tests name are larger than 67108864 bytes together"); n != 2 {
		t.Errorf("%d times too large together:\n%s", n, text)
	}
	slices.Sort(asked)
	if d := cmp.Diff(len(names)-2, len(slices.Compact(asked))); d != "" || len(asked) != len(slices.Compact(asked)) {
		t.Errorf("read %d files: %v", len(asked), asked)
	}
}
