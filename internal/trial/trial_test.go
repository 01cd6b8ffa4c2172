package trial

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The facts of the tests. Those of a worker are derived from the calls of CodeArts.
type (
	buildFact struct {
		Outcome  *string  `json:"outcome"`
		Finished *bool    `json:"finished"`
		BuildNo  *int64   `json:"build_no"`
		RepoID   *string  `json:"repo_id"`
		Commit   *string  `json:"commit"`
		Duration *float64 `json:"duration"`
		Token    *string  `json:"token" secret:"true"`
	}
	packageFact struct {
		ID   *string `json:"id"`
		Days *int64  `json:"days"`
	}
	fileFact struct {
		Content *string           `json:"content"`
		Labels  map[string]string `json:"labels"`
	}
)

func testCatalogue() *rules.Catalogue {
	text := func(names ...string) (args []rules.Arg) {
		for _, n := range names {
			args = append(args, rules.Arg{Name: n, Type: rules.String})
		}
		return args
	}
	return &rules.Catalogue{
		Event: rules.TypeFor[events.View]("Event"), EventTypes: events.Types(), Targets: []string{"team", "ops"},
		Facts: []rules.FactKind{
			{Name: "build_of_commit", Args: text("commit", "job_id"), Result: rules.TypeFor[buildFact]("Build"), Commit: "commit"},
			{Name: "packages", Args: text("status"), Result: rules.TypeFor[[]packageFact]("Packages")},
			{Name: "file", Args: text("file_path"), Result: rules.TypeFor[fileFact]("File")},
		},
	}
}

// archive is the files of a test: rules end in .yaml, tests in _test.yaml.
type archive struct {
	*txtar.Archive
	rules, tests []rules.File
}

func readArchive(t testing.TB, path string) *archive {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a := &archive{Archive: txtar.Parse(data)}
	for _, f := range a.Files {
		switch {
		case isTestFile(f.Name):
			a.tests = append(a.tests, rules.File{Name: f.Name, Data: f.Data})
		case strings.HasSuffix(f.Name, ".yaml"):
			a.rules = append(a.rules, rules.File{Name: f.Name, Data: f.Data})
		}
	}
	return a
}

func (a *archive) open(name string, _ int64) ([]byte, error) {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data, nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (a *archive) compile(t testing.TB) *rules.Ruleset {
	t.Helper()
	rs, problems := rules.Compile(a.rules, testCatalogue())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return rs
}

// TestArchives runs each testdata/*.txtar: out is all that is wrong with its tests, or what came of them and what they reached.
func TestArchives(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no archives", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a := readArchive(t, path)
			var out bytes.Buffer
			suite, problems := Read(a.compile(t), a.tests, a.open)
			for _, p := range problems {
				fmt.Fprintln(&out, p)
			}
			if suite != nil {
				report := suite.Run(nil)
				report.Render(&out, true)
				fmt.Fprintln(&out)
				report.Coverage.Render(&out)
			}
			for i := range a.Files {
				f := &a.Files[i]
				if f.Name != "out" {
					continue
				}
				if d := cmp.Diff(string(f.Data), out.String()); d != "" && !*update {
					t.Errorf("out (-want +got):\n%s", d)
				}
				f.Data = out.Bytes()
				if *update {
					if err := os.WriteFile(path, txtar.Format(a.Archive), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				return
			}
			t.Error("there is no file out")
		})
	}
}

// suite reads one test file for one rule file.
func suite(t testing.TB, ruleFile, testFile string) *Suite {
	t.Helper()
	a := &archive{Archive: &txtar.Archive{}, rules: []rules.File{{Name: "r.yaml", Data: []byte(ruleFile)}}}
	s, problems := Read(a.compile(t), []rules.File{{Name: "r_test.yaml", Data: []byte(testFile)}}, a.open)
	if problems != nil {
		t.Fatal(problems)
	}
	return s
}
