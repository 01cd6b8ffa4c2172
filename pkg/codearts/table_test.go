package codearts_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// TestTableIsComplete: whatever one has to do for a new call and forgot, this says.
func TestTableIsComplete(t *testing.T) {
	fake, comments := codeartstest.Operations(), methodComments(t)
	examined := map[string]bool{}
	for _, e := range examples(t) {
		examined[e.op] = true
	}
	seen := map[string]bool{}
	for _, op := range codearts.Operations() {
		if seen[op.Name] || op.Name == "" {
			t.Errorf("there are two rows %q", op.Name)
		}
		seen[op.Name] = true
		if op.Method != "" && !slices.Contains(fake, op.Name) {
			t.Errorf("%s: the fake has no handler for it", op.Name)
		}
		if !examined[op.Name] {
			t.Errorf("%s: there is no example in testdata/answers/%s.json", op.Name, op.Name)
		}
		if op.Title == "" || op.TitleZH == "" || op.Doc == "" || op.Repeat == "" || op.Service == "" || (op.Path == "") != (op.Method == "") {
			t.Errorf("%s: its row is not complete: %+v", op.Name, op)
		}
		if title := op.Title + ", " + op.TitleZH + " (CodeArts page"; op.Callable() && op.Method != "" && !strings.Contains(comments, title) {
			t.Errorf("%s: no method of Client says %q in its comment", op.Name, title)
		}
		for _, arg := range op.Args {
			if arg.Name == "" || arg.Doc == "" || arg.Kind == "" {
				t.Errorf("%s: argument %q is not described", op.Name, arg.Name)
			}
		}
		if op.Result != nil {
			described(t, op.Name, op.Result)
		}
	}
	for name := range examined {
		if !seen[name] {
			t.Errorf("testdata/answers/%s.json belongs to no operation", name)
		}
	}
	for _, name := range fake {
		if !seen[name] {
			t.Errorf("the client does not know %s", name)
		}
	}
}

// methodComments are the comments of the client's methods, each on one line.
func methodComments(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.IsExported() {
				text.WriteString(strings.ReplaceAll(f.Doc.Text(), "\n", " "))
			}
		}
	}
	return text.String()
}

// described checks that every field of a result has a name and a meaning.
func described(t *testing.T, path string, rt reflect.Type) {
	t.Helper()
	switch rt.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		described(t, path, rt.Elem())
	case reflect.Struct:
		for i := range rt.NumField() {
			f := rt.Field(i)
			name := f.Tag.Get("json")
			if name == "-" || !f.IsExported() {
				continue
			}
			if name == "" || f.Tag.Get("doc") == "" {
				t.Errorf("%s: field %s is not described", path, f.Name)
			}
			described(t, path+"."+name, f.Type)
		}
	}
}
