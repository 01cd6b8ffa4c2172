package trial

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Limits of test files.
const (
	maxTests    = 1000     // of a file
	maxSteps    = 1000     // of a test
	maxName     = 200      // characters
	maxFactFile = 4 << 20  // bytes
	maxRead     = 64 << 20 // bytes of all files that the tests name
)

// defaultNow is when events are accepted whose test does not say so.
var defaultNow = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Suite is the tests of some files, ready to run.
type Suite struct {
	ruleset *rules.Ruleset
	files   []rules.File
	tests   []*test
}

// test is one test: one step or several.
type test struct {
	file  string
	line  int
	name  string
	rules []*rules.Rule // that it is about, in the order of the ruleset
	steps []*step
}

// step is one event, what is known around it, and what is to come of it.
type step struct {
	line    int
	event   *events.Event
	view    *events.View
	facts   map[string]*script
	results map[string]*resultSpec
	own     map[string]events.Chain // commits of ours
	now     time.Time
	wanted  bool // there is a want
	misread bool // something is wrong with it
	want    map[string]*want
	// What it was read from.
	mapping *mapping
	setting setting
}

// Open reads a file that a test names, by its name with slashes; an error says why it cannot be read.
type Open func(name string, limit int64) ([]byte, error)

// Read reads test files for a ruleset. It gives the suite, nil when anything is wrong, and all that is wrong with all files.
func Read(ruleset *rules.Ruleset, files []rules.File, open Open) (*Suite, rules.Problems) {
	s := &Suite{ruleset: ruleset, files: files}
	shared := &opened{open: open, files: map[string]*openedFile{}}
	var problems rules.Problems
	for _, f := range files {
		root, wrong := rules.ReadYAML(f)
		for i := range wrong {
			if strings.HasPrefix(wrong[i].Message, "aliases") {
				wrong[i].Hint = "write the value again, or say it once for all tests of the file"
			}
		}
		r := &fileReader{reader: reader{name: f.Name, problems: wrong}, opened: shared, ruleset: ruleset}
		switch {
		case root != nil:
			s.tests = append(s.tests, r.file(root)...)
		case len(wrong) == 0:
			r.problem(nil, rules.ProblemKey, "add a test under tests:", "the file is empty")
		}
		problems = append(problems, r.problems...)
	}
	problems = problems.Join()
	problems = slices.CompactFunc(problems, func(a, b rules.Problem) bool { return a == b })
	if problems.HasErrors() {
		return nil, problems
	}
	return s, problems
}

// Tests is how many tests there are.
func (s *Suite) Tests() int { return len(s.tests) }

// opened are the files that tests name, each read once.
type opened struct {
	open  Open
	files map[string]*openedFile
	size  int
}

type openedFile struct {
	data  []byte
	err   error
	value any // of JSON; set once it was asked for
	bad   error
	known bool
}

func (o *opened) read(name string) *openedFile {
	if f := o.files[name]; f != nil {
		return f
	}
	f := &openedFile{}
	if o.size >= maxRead {
		f.err = fmt.Errorf("the files that tests name are larger than %d bytes together", maxRead)
	} else if f.data, f.err = o.open(name, maxFactFile); f.err == nil && len(f.data) > maxFactFile {
		f.data, f.err = nil, fmt.Errorf("%s is larger than %d bytes", name, maxFactFile)
	}
	o.size += len(f.data)
	o.files[name] = f
	return f
}

// fileReader reads one test file.
type fileReader struct {
	reader
	*opened
	ruleset *rules.Ruleset
	bad     map[*yaml.Node]bool // names of files that were reported
}

// path is the name of a file that stands beside the test file.
func (r *fileReader) path(n *yaml.Node, what string) (string, bool) {
	text, ok := r.text(n, what)
	if !ok {
		return "", false
	}
	if path.IsAbs(text) || strings.Contains(text, `\`) || strings.Contains(text, "://") {
		r.spoil(n)
		r.problem(n, rules.ProblemValue, "write it with slashes, from the folder of this file", "%s: %q is not the path of a file beside this one", what, text)
		return "", false
	}
	return path.Join(path.Dir(r.name), text), true
}

func (r *fileReader) spoil(n *yaml.Node) {
	if r.bad == nil {
		r.bad = map[*yaml.Node]bool{}
	}
	r.bad[n] = true
}

// healthy tells that nothing was reported about the file a node names.
func (r *fileReader) healthy(n *yaml.Node) bool { return !r.bad[n] }

func (r *fileReader) bytes(n *yaml.Node, what string) ([]byte, bool) {
	name, ok := r.path(n, what)
	if !ok {
		return nil, false
	}
	f := r.read(name)
	if f.err != nil {
		r.spoil(n)
		if errors.Is(f.err, fs.ErrNotExist) {
			f.err = fmt.Errorf("there is no file %s", name)
		}
		r.problem(n, rules.ProblemValue, "", "%s: %v", what, f.err)
		return nil, false
	}
	return f.data, true
}

// jsonFile reads a file of JSON; nil when it was reported, or is null.
func (r *fileReader) jsonFile(n *yaml.Node, what string) any {
	if _, ok := r.bytes(n, what); !ok {
		return nil
	}
	name, _ := r.path(n, what)
	f := r.read(name)
	if !f.known {
		f.known = true
		f.value, f.bad = decodeJSON(f.data)
	}
	if f.bad != nil {
		r.spoil(n)
		r.problem(n, rules.ProblemValue, "", "%s: %s: %v", what, n.Value, f.bad)
	}
	return f.value
}
