package rules

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestProblems compiles every file of testdata/problems and compares what is said about it with the .out file beside it.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/problems/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			file := readFile(t, filepath.Join("problems", name))
			file.Name = name
			rs, problems := Compile([]File{file}, testCatalogue())
			if rs != nil || !problems.HasErrors() {
				t.Fatal("the file must not load")
			}
			var b strings.Builder
			problems.Render(&b, []File{file}, false)
			golden(t, filepath.Join("problems", strings.TrimSuffix(name, ".yaml")+".out"), b.String())
		})
	}
}

// TestFindings compares what is said about files that are YAML, and whose rules cannot do what they are written for, with the .out file
// beside it. What is marked as fine in them is not complained about.
func TestFindings(t *testing.T) {
	files, err := filepath.Glob("testdata/checks/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			file := readFile(t, filepath.Join("checks", name))
			file.Name = name
			_, problems := Compile([]File{file}, testCatalogue())
			var b strings.Builder
			problems.Render(&b, []File{file}, false)
			golden(t, filepath.Join("checks", strings.TrimSuffix(name, ".yaml")+".out"), b.String())
		})
	}
}
