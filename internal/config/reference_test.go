package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/config"
)

const referenceFile = "../../docs/reference/config.md"

// TestReference keeps docs/reference/config.md what Reference says; -update writes it.
func TestReference(t *testing.T) {
	want := config.Reference()
	if *update {
		if err := os.MkdirAll(filepath.Dir(referenceFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("run go test ./internal/config -update (-want +got):\n%s", diff)
	}
}

// TestReferenceExamples loads every YAML block of the reference.
func TestReferenceExamples(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(config.Reference(), -1)
	if len(blocks) == 0 {
		t.Fatal("no example")
	}
	for _, block := range blocks {
		folder := t.TempDir()
		path := filepath.Join(folder, "millrace.yaml")
		write(t, path, block[1])
		write(t, filepath.Join(folder, "codearts-password"), "x")
		if _, err := config.Load(path, []string{"REPO_TOKEN=x", "OPS_ROBOT_URL=https://example.com/x", "OPS_ROBOT_SECRET=x"}); err != nil {
			t.Errorf("%v in\n%s", err, block[1])
		}
	}
}
