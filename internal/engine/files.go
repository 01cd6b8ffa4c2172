package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

const (
	maxRuleFile  = 4 << 20  // bytes
	maxRuleFiles = 32 << 20 // bytes, together
)

// fileStat is what a poll looks at before it reads.
type fileStat struct {
	name     string
	size     int64
	modified time.Time
}

// ReadFiles reads the rule files of paths: files as they are, folders with all below them.
// A rule file ends in .yaml or .yml and not in _test.yaml or _test.yml; names that begin
// with a dot are passed over. A file keeps the name it is found under, with slashes. Files come
// sorted by name, each once. That there is none at all is an error.
func ReadFiles(paths []string) ([]rules.File, error) {
	stats, err := statFiles(paths)
	if err != nil {
		return nil, err
	}
	return readFiles(stats)
}

// statFiles finds the rule files of paths without reading them.
func statFiles(paths []string) ([]fileStat, error) {
	var stats []fileStat
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("look for rules: %w", err)
		}
		if !info.IsDir() {
			stats = append(stats, fileStat{path, info.Size(), info.ModTime()})
			continue
		}
		if stats, err = statFolder(stats, path); err != nil {
			return nil, fmt.Errorf("look for rules in %s: %w", path, err)
		}
	}
	if len(stats) == 0 {
		return nil, fmt.Errorf("look for rules: there is no file *.yaml or *.yml in %s", strings.Join(paths, ", "))
	}
	slices.SortFunc(stats, func(a, b fileStat) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(stats, func(a, b fileStat) bool { return a.name == b.name }), nil
}

func statFolder(stats []fileStat, folder string) ([]fileStat, error) {
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != folder && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir() || !isRuleFile(d.Name()):
			return nil
		}
		info, err := os.Stat(path) // of what a link leads to, as in a mounted ConfigMap
		if err == nil && info.Mode().IsRegular() {
			stats = append(stats, fileStat{path, info.Size(), info.ModTime()})
		}
		return err
	})
	return stats, err
}

func isRuleFile(name string) bool {
	stem, yaml := strings.CutSuffix(name, ".yaml")
	if !yaml {
		stem, yaml = strings.CutSuffix(name, ".yml")
	}
	return yaml && stem != "" && !strings.HasSuffix(stem, "_test")
}

func readFiles(stats []fileStat) ([]rules.File, error) {
	files := make([]rules.File, 0, len(stats))
	total := 0
	for _, s := range stats {
		data, err := readFile(s.name)
		if err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
		if total += len(data); total > maxRuleFiles {
			return nil, fmt.Errorf("read rules: the files are larger than %d bytes together", maxRuleFiles)
		}
		files = append(files, rules.File{Name: filepath.ToSlash(s.name), Data: data})
	}
	return files, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, maxRuleFile+1))
	if err == nil && len(data) > maxRuleFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxRuleFile)
	}
	return data, err
}

// contentHash is the same for two readings exactly when they brought the same.
func contentHash(files []rules.File) [sha256.Size]byte {
	h := sha256.New()
	var n [8]byte
	write := func(b []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	for _, f := range files {
		write([]byte(f.Name))
		write(f.Data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
