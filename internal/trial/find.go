package trial

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace/millrace/pkg/rules"
)

// maxTestFiles is how many bytes test files may have together.
const maxTestFiles = 64 << 20

// Find reads the test files that lie beside the rules of paths, sorted by name: of a folder all below it, of a rule file the one of its
// name, a.yaml and a_test.yaml. A test file stands for itself, and for the rules of its folder. rulePaths are the paths to read rules
// from.
func Find(paths []string) (rulePaths []string, files []rules.File, err error) {
	var names []string
	for _, p := range paths {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("look for tests: %w", err)
		case info.IsDir():
			if names, err = below(names, p); err != nil {
				return nil, nil, fmt.Errorf("look for tests in %s: %w", p, err)
			}
			rulePaths = append(rulePaths, p)
		case isTestFile(p):
			names = append(names, p)
			rulePaths = append(rulePaths, filepath.Dir(p))
		default:
			stem := strings.TrimSuffix(strings.TrimSuffix(p, ".yaml"), ".yml")
			for _, beside := range []string{stem + "_test.yaml", stem + "_test.yml"} {
				if _, err := os.Stat(beside); err == nil {
					names = append(names, beside)
				}
			}
			rulePaths = append(rulePaths, p)
		}
	}
	for i := range names {
		names[i] = filepath.Clean(names[i])
	}
	slices.Sort(names)
	total := 0
	for _, name := range slices.Compact(names) {
		data, err := ReadFile(name, rules.MaxFile+1) // one byte more is reported with its place
		if err != nil {
			return nil, nil, fmt.Errorf("read tests: %w", err)
		}
		if total += len(data); total > maxTestFiles {
			return nil, nil, fmt.Errorf("read tests: the files are larger than %d bytes together", maxTestFiles)
		}
		files = append(files, rules.File{Name: filepath.ToSlash(name), Data: data})
	}
	slices.Sort(rulePaths)
	return slices.Compact(rulePaths), files, nil
}

func below(names []string, folder string) ([]string, error) {
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != folder && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
		case !d.IsDir() && isTestFile(d.Name()):
			names = append(names, path)
		}
		return nil
	})
	return names, err
}

func isTestFile(name string) bool {
	return strings.HasSuffix(name, "_test.yaml") || strings.HasSuffix(name, "_test.yml")
}

// ReadFile is an [Open] of files on disk; a file over the limit is cut one byte behind it.
func ReadFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
