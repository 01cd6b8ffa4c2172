package millrace_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFuzzTargetsHaveACorpus: the inputs that fuzzing found worth keeping are tried by every go test.
func TestFuzzTargetsHaveACorpus(t *testing.T) {
	target := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	n := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		for _, m := range target.FindAllSubmatch(data, -1) {
			n++
			folder := filepath.Join(filepath.Dir(path), "testdata", "fuzz", string(m[1]))
			if inputs, _ := os.ReadDir(folder); len(inputs) == 0 {
				t.Errorf("%s: %s has no inputs in %s: fuzz it, and copy some from the build cache", path, m[1], folder)
			}
		}
		return err
	})
	if err != nil || n < 30 {
		t.Errorf("%d targets found, %v", n, err)
	}
}
