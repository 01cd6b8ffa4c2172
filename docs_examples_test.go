package millrace_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/rules"
)

const (
	exampleConfig = "deploy/millrace.example.yaml"
	exampleRules  = "examples/rules"
	exampleEvents = "examples/events"
)

// credentialsOf are the credentials a configuration names, without those in comments.
func credentialsOf(data []byte) []string {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^[^#\n]*\{ credential: (\S+) \}`).FindAllStringSubmatch(string(data), -1) {
		names = append(names, m[1])
	}
	return names
}

// loadExample loads the example's configuration with the credentials it names.
func loadExample(t *testing.T) *config.Config {
	t.Helper()
	data, err := os.ReadFile(exampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "millrace.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range credentialsOf(data) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("https://"+name+".example.com/hook\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(path, []string{"CREDENTIALS_DIRECTORY=" + folder})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestExampleConfig: the configuration loads, and is enough for both servers.
func TestExampleConfig(t *testing.T) {
	cfg := loadExample(t)
	if err := cfg.CheckReceiver(); err != nil {
		t.Error(err)
	}
	if err := cfg.CheckWorker(); err != nil {
		t.Error(err)
	}
}

// exampleRuleset is the example's rules, with the targets and connections of its configuration.
func exampleRuleset(t *testing.T) *rules.Ruleset {
	t.Helper()
	cfg := loadExample(t)
	files, err := engine.ReadFiles([]string{exampleRules})
	if err != nil {
		t.Fatal(err)
	}
	catalogue := engine.Catalogue(slices.Sorted(maps.Keys(cfg.Targets)), slices.Sorted(maps.Keys(cfg.CodeArts)))
	rs, problems := rules.Compile(files, catalogue)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return rs
}

// TestExamples runs the tests of the examples, as millrace rules test does: they pass, reach all of every rule, and use every file.
func TestExamples(t *testing.T) {
	rs := exampleRuleset(t)
	_, files, err := trial.Find([]string{"examples"})
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	suite, problems := trial.Read(rs, files, func(name string, limit int64) ([]byte, error) {
		used[name] = true
		return trial.ReadFile(name, limit)
	})
	if suite == nil {
		t.Fatal(problems)
	}
	report := suite.Run(nil)
	var said strings.Builder
	report.Render(&said, false)
	report.Coverage.Render(&said)
	if report.Failed > 0 || report.Coverage.Percent < 100 || report.Passed < len(rs.Rules()) {
		t.Error(said.String())
	}
	names, err := filepath.Glob("examples/*/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal("no files", err)
	}
	for _, name := range names {
		if !used[filepath.ToSlash(name)] && filepath.Base(name) != "tick.json" { // what tests make themselves
			t.Errorf("%s shows no rule", name)
		}
	}
}
