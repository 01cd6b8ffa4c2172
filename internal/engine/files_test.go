package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReadFilesFindsRuleFiles(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{
		"b.yaml", "a.yml", "sub/c.yaml", "a_test.yaml", "sub/c_test.yml", "notes.md", ".hidden.yaml", ".git/d.yaml", ".yaml",
		"..data/linked.yaml",
	} {
		writeFile(t, filepath.Join(folder, name), name)
	}
	// As in a mounted ConfigMap: the files are links into a hidden folder.
	if err := os.Symlink(filepath.Join("..data", "linked.yaml"), filepath.Join(folder, "linked.yaml")); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "any.name")
	writeFile(t, other, "a file that is named is taken as it is")

	files, err := ReadFiles([]string{folder, filepath.Join(folder, "b.yaml"), other})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, f := range files {
		name, err := filepath.Rel(folder, f.Name)
		if err != nil || strings.HasPrefix(name, "..") {
			name = filepath.Base(f.Name)
		}
		names[name] = string(f.Data)
	}
	want := map[string]string{
		"a.yml": "a.yml", "b.yaml": "b.yaml", "sub/c.yaml": "sub/c.yaml", "linked.yaml": "..data/linked.yaml",
		"any.name": "a file that is named is taken as it is",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestReadFilesWithoutAny(t *testing.T) {
	folder := t.TempDir()
	if _, err := ReadFiles([]string{folder}); err == nil || !strings.Contains(err.Error(), "there is no file *.yaml or *.yml in "+folder) {
		t.Errorf("error %v", err)
	}
	if _, err := ReadFiles([]string{filepath.Join(folder, "gone")}); err == nil {
		t.Error("no error for a path that is not there")
	}
}

func TestReadFilesIsBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "big.yaml")
	writeFile(t, name, strings.Repeat("#", maxRuleFile+1))
	if _, err := ReadFiles([]string{name}); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("error %v", err)
	}
}
