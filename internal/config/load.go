package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// loader is one Load.
type loader struct {
	file     string                 // as given
	folder   string                 // of file, for relative paths in it
	env      map[string]string      // variables that are not empty
	given    map[string]string      // dotted path → the variable that sets it
	named    map[string]bool        // variables named by {env: NAME}
	opens    func(path string) bool // which secrets are read; the others count as set
	places   map[string]place       // dotted path → where the file, or for an entry the environment, sets it
	bad      []string               // dotted paths at which something was wrong
	problems Problems
}

// Load reads the file at path and the variables of environ ("NAME=value", as os.Environ gives them), which win over it. An empty
// path means the file MILLRACE_CONFIG names, and without that variable no file: defaults and environment.
//
// A configuration that is not right in every part gives no Config and, as the error, Problems. A file that cannot be read is a
// Problems too, with that one problem.
//
// checks are asked about a configuration that is right otherwise; what they find becomes Problems at the settings' places.
func Load(path string, environ []string, checks ...Check) (*Config, error) {
	return open(path, environ, func(string) bool { return true }, checks...)
}

// A Check finds what is wrong with settings by knowledge that this package does not have.
type Check func(*Config) []Finding

// Finding is one thing a Check found wrong. Like any problem, it never has the text of a secret in it.
type Finding struct {
	Path    string // dotted, as in targets.ops.url
	Message string
	Hint    string // may be empty
}

// LoadSealed is Load for who needs the names and not the secrets, as a check of rules where no secret is at hand: what
// {env: NAME}, {file: PATH} and {credential: NAME} name is not read, and no secret in the Config is the true one.
func LoadSealed(path string, environ []string) (*Config, error) {
	return open(path, environ, func(string) bool { return false })
}

// LoadSection is LoadSealed but for the secrets of one section, named by its dotted path, as codearts.default: they are read.
func LoadSection(path string, environ []string, section string) (*Config, error) {
	return open(path, environ, func(p string) bool { return strings.HasPrefix(p, section+".") })
}

func open(path string, environ []string, opens func(string) bool, checks ...Check) (*Config, error) {
	env := environMap(environ)
	if path == "" {
		path = env[fileVariable]
	}
	var data []byte
	if path != "" {
		var err error
		if data, err = readFile(path); err != nil {
			return nil, Problems{{File: path, Message: "the file cannot be read: " + reason(err)}}
		}
	}
	return load(path, data, env, opens, checks...)
}

// load is open with the file already read.
func load(path string, data []byte, env map[string]string, opens func(string) bool, checks ...Check) (*Config, error) {
	l := &loader{
		file: path, env: env, opens: opens,
		given: map[string]string{}, named: map[string]bool{}, places: map[string]place{},
	}
	if path != "" {
		l.folder = filepath.Dir(path)
	}
	root := schema()
	var strangers []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		rest, ours := strings.CutPrefix(name, variablePrefix)
		if !ours {
			continue
		}
		if p, ok := match(root, rest); ok {
			l.given[p] = name
		} else {
			strangers = append(strangers, name)
		}
	}
	cfg := &Config{}
	v := reflect.ValueOf(cfg).Elem()
	l.fill(v, root.children)
	read := l.parse(data, v, root)
	l.overlay(v, root)
	if cfg.Receiver.Journal.Dir == "" {
		cfg.Receiver.Journal.Dir = filepath.Join(l.stateFolder(), "journal")
	}
	l.unknown(root, strangers)
	if read {
		l.check(cfg)
	}
	if len(l.problems) == 0 {
		l.ask(cfg, checks)
	}
	if len(l.problems) > 0 {
		l.problems.sort()
		return nil, l.problems
	}
	return cfg, nil
}

// stateVariable is set by systemd for a service with StateDirectory=: its folders, separated by colons.
const stateVariable = "STATE_DIRECTORY"

// stateFolder is where a server keeps what is its own: systemd's choice, or the folder of the file, or without a file the working one.
func (l *loader) stateFolder() string {
	if folder, _, _ := strings.Cut(l.env[stateVariable], ":"); folder != "" {
		return folder
	}
	return l.folder
}

// ask reports what the checks find.
func (l *loader) ask(cfg *Config, checks []Check) {
	for _, check := range checks {
		for _, f := range check(cfg) {
			l.reportAt(f.Path, &fault{message: f.Message, hint: f.Hint})
		}
	}
}

// report adds a problem.
func (l *loader) report(where place, f *fault) {
	p := Problem{File: l.file, Line: where.line, Col: where.col, Message: f.message, Hint: f.hint}
	if where.variable != "" {
		p.File, p.Message = environment, fmt.Sprintf("%s: %s", where.variable, f.message)
	}
	l.problems = append(l.problems, p)
}

// reportAt adds a problem of the setting at path: at the variable or the position that set it, else where the nearest thing
// around it was set.
func (l *loader) reportAt(path string, f *fault) {
	if variable, ok := l.given[path]; ok {
		l.report(place{variable: variable}, f)
		return
	}
	for p := path; ; {
		if where, ok := l.places[p]; ok {
			l.report(where, f)
			return
		}
		i := strings.LastIndexByte(p, '.')
		if i < 0 {
			break
		}
		p = p[:i]
	}
	l.report(place{variable: l.variableOf(path)}, f)
}

// fail adds a problem and remembers the path, so that check does not go on to complain about the same thing.
func (l *loader) fail(path string, where place, f *fault) {
	l.bad = append(l.bad, path)
	l.report(where, f)
}

// failed reports whether a problem was found in the section at path.
func (l *loader) failed(path string) bool {
	return slices.ContainsFunc(l.bad, func(p string) bool { return p == path || strings.HasPrefix(p, path+".") })
}
