package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// thousandFiles writes 1,000 rule files: those of examples/ in turn, each with names, numbers and texts of its own, and every second with
// constants of its own names. With mistakes every hundredth has some.
func thousandFiles(tb testing.TB, mistakes bool) string {
	tb.Helper()
	paths, err := filepath.Glob("../../examples/rules/*.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	var examples [][]byte
	for _, path := range paths {
		if matched, _ := filepath.Match("*_test.yaml", filepath.Base(path)); matched {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		examples = append(examples, data)
	}
	folder := tb.TempDir()
	name := regexp.MustCompile(`(?m)^  - name: .*`)
	title := regexp.MustCompile(`title: "`)
	vars := regexp.MustCompile(`(?m)^vars:.*\n`)
	for i := range 1000 {
		data := examples[i%len(examples)]
		data = name.ReplaceAll(data, fmt.Appendf(nil, "${0}-%d", i))
		data = title.ReplaceAll(data, fmt.Appendf(nil, "${0}%d ", i))
		if i%2 == 0 {
			data = vars.ReplaceAll(data, fmt.Appendf(nil, "${0}  own_%d: %d\n", i, i))
		}
		if mistakes && i%100 == 0 {
			data = bytes.ReplaceAll(data, []byte("event."), []byte("evnt."))
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("rules-%04d.yaml", i)), data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return folder
}

// BenchmarkCheck1000Files is rules check of a folder of 1,000 rule files, reading them included.
func BenchmarkCheck1000Files(b *testing.B) {
	for _, mistakes := range []bool{false, true} {
		b.Run(map[bool]string{false: "good", true: "mistakes"}[mistakes], func(b *testing.B) {
			folder := thousandFiles(b, mistakes)
			b.ReportAllocs()
			for b.Loop() {
				_, problems, files, err := loadRules("", []string{folder})
				if err != nil {
					b.Fatal(err)
				}
				if len(files) != 1000 || problems.HasErrors() != mistakes {
					b.Fatalf("%d files: %v", len(files), problems)
				}
				var out bytes.Buffer
				report(&out, problems, files)
			}
		})
	}
}
