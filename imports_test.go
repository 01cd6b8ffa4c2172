package millrace

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/millrace/millrace/"

// An importRule says which packages may not import what, and why. The first path prefix that fits `of` decides who is meant.
type importRule struct {
	of      string   // folder prefix the rule is about
	except  []string // folder prefixes it is not about
	imports string   // forbidden import path prefix
	tests   bool     // test files are meant too
	why     string
}

var importRules = []importRule{
	{of: "pkg/", imports: module + "internal/", tests: true, why: "pkg is what others may import: it cannot lean on internal"},
	{of: "pkg/", imports: module + "cmd/", tests: true, why: "commands import packages, never the other way"},
	{of: "internal/", imports: module + "cmd/", tests: true, why: "commands import packages, never the other way"},
	{of: "pkg/events", imports: module + "pkg/", tests: true, why: "events is the inbound vocabulary and stands alone"},
	{of: "pkg/codearts", imports: module + "pkg/events", tests: true, why: "the CodeArts client is fit to be used without Millrace"},
	{of: "pkg/codearts", imports: module + "pkg/rules", tests: true, why: "the CodeArts client is fit to be used without Millrace"},
	{of: "pkg/rules", imports: module + "pkg/codearts", why: "rules is pure: facts come in as finished values"},
	{of: "pkg/rules", imports: "net/http", why: "rules is pure: no network"},
	{of: "pkg/rules", imports: "os", why: "rules is pure: no files, no environment"},
	{of: "pkg/rules", imports: "github.com/rs/zerolog", why: "pkg never logs"},
	{of: "internal/trial", imports: module + "pkg/codearts", tests: true, why: "a rule is tried without any client: facts are given"},
	{of: "internal/trial", imports: "net", why: "a rule is tried without any network"},
	{of: "pkg/", imports: "github.com/rs/zerolog", tests: true, why: "pkg never logs"},
	{of: "", except: []string{"internal/stream"}, imports: "github.com/nats-io/nats.go", tests: true, why: "JetStream's types stop at internal/stream"},
	{of: "", except: []string{"internal/stream/streamtest", "cmd/millrace"}, imports: "github.com/nats-io/nats-server", why: "the embedded server is for the demo and for tests"},
	{of: "", except: []string{"internal/ingest"}, imports: "github.com/labstack/echo", tests: true, why: "Echo's types stop at internal/ingest"},
	{of: "", except: []string{"internal/egress"}, imports: "code.dny.dev/ssrf", tests: true, why: "which addresses may be dialled is decided in one place"},
	{of: "", except: []string{"internal/telemetry"}, imports: "github.com/prometheus", tests: true, why: "Prometheus's types stop at internal/telemetry"},
	{of: "", except: []string{"pkg/rules"}, imports: "cel.dev/cel-go", tests: true, why: "CEL's types stop at pkg/rules"},
}

// TestImports keeps the import table of docs/architecture.md.
func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "tools" || d.Name() == "testdata" || (strings.HasPrefix(d.Name(), ".") && path != ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		files++
		checkImports(t, filepath.ToSlash(path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("saw %d Go files: the walk is broken", files)
	}
}

func checkImports(t *testing.T, path string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	isTest := strings.HasSuffix(path, "_test.go")
	folder := filepath.ToSlash(filepath.Dir(path))
	for _, spec := range f.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		for _, r := range importRules {
			if (!isTest || r.tests) && r.forbids(folder, imported) {
				t.Errorf("%s imports %s: %s", path, imported, r.why)
			}
		}
		if why := internalToInternal(folder, imported); why != "" {
			t.Errorf("%s imports %s: %s", path, imported, why)
		}
	}
}

func (r importRule) forbids(folder, imported string) bool {
	if !strings.HasPrefix(folder+"/", r.of) && folder != strings.TrimSuffix(r.of, "/") {
		return false
	}
	for _, e := range r.except {
		if folder == e || strings.HasPrefix(folder, e+"/") {
			return false
		}
	}
	return imported == strings.TrimSuffix(r.imports, "/") || strings.HasPrefix(imported, strings.TrimSuffix(r.imports, "/")+"/")
}

// internalToInternal says why one internal package may not import another; app wires them, torture stands outside of all of them, a
// …test package belongs to its parent.
func internalToInternal(folder, imported string) string {
	rest, ok := strings.CutPrefix(imported, module+"internal/")
	if !ok || !strings.HasPrefix(folder, "internal/") || strings.HasPrefix(folder, "internal/app") || folder == "internal/torture" {
		return ""
	}
	mine, _, _ := strings.Cut(strings.TrimPrefix(folder, "internal/"), "/")
	theirs, _, _ := strings.Cut(rest, "/")
	if mine == theirs {
		return ""
	}
	return "internal packages meet through interfaces that the consumer declares and internal/app wires"
}

// TestBacktestCannotAct: nothing that a backtest is made of, however far down, is a client, a target or an effect, or opens a connection.
func TestBacktestCannotAct(t *testing.T) {
	seen := map[string]bool{}
	var visit func(folder string)
	visit = func(folder string) {
		if seen[folder] {
			return
		}
		seen[folder] = true
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(files), err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range f.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				if imported == "net" || imported == "net/http" || imported == "os/exec" {
					t.Errorf("%s imports %s: a backtest has no way out", path, imported)
				}
				if own, ok := strings.CutPrefix(imported, module); ok {
					visit(own)
				}
			}
		}
	}
	visit("internal/trial/backtest")
	for _, active := range []string{"pkg/codearts", "internal/notify", "internal/effects", "internal/egress", "internal/stream", "internal/engine"} {
		if seen[active] {
			t.Errorf("a backtest is made of %s too: it is to be unable to act", active)
		}
	}
	if !seen["pkg/rules"] {
		t.Errorf("saw only %v: the walk is broken", seen)
	}
}

// TestEveryPackageHasADocComment keeps the promise that a package says what it owns.
func TestEveryPackageHasADocComment(t *testing.T) {
	for _, top := range []string{"cmd", "internal", "pkg"} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return needDoc(t, path)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func needDoc(t *testing.T, folder string) error {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	goFiles, documented := 0, false
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		goFiles++
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, e.Name()), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		documented = documented || f.Doc != nil
	}
	if goFiles > 0 && !documented {
		t.Errorf("package %s has no doc comment: say what it owns and what it never does", folder)
	}
	return nil
}
