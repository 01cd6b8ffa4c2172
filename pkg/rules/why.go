package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

// whyFailed says why an evaluation failed: which name was null, when that is the reason, else what the evaluator says.
func (p *program) whyFailed(act activation, details *cel.EvalDetails, cause error) string {
	w := &reason{act: act, ast: p.ast.NativeRep()}
	if details != nil {
		w.state = details.State()
	}
	if !limitExceeded(cause) && w.state != nil {
		w.visit(p.ast.NativeRep().Expr(), nil)
		w.missing(p.ast.NativeRep().Expr(), cause)
	}
	if w.found != "" {
		return w.found
	}
	msg := cause.Error()
	switch {
	case limitExceeded(cause):
		return "the expression costs too much: " + msg
	case errors.Is(cause, errNullSelect):
		return "null has no fields: " + p.text
	}
	return strings.TrimPrefix(msg, "internal error: ")
}

func limitExceeded(err error) bool {
	return strings.Contains(err.Error(), "limit exceeded")
}

// reason walks an expression in the order it is evaluated and stops at the first name that was null where it must not be.
type reason struct {
	act   activation
	ast   *celast.AST
	state interpreter.EvalState
	found string
}

func (w *reason) failed(id int64) bool {
	v, ok := w.state.Value(id)
	return ok && types.IsError(v)
}

func (w *reason) visit(e celast.Expr, bound []string) {
	if w.found != "" {
		return
	}
	if path, ok := selection(e); ok {
		if w.failed(e.ID()) {
			w.selection(e, path, bound)
		}
		return
	}
	eachChild(e, bound, w.visit)
	if w.found != "" || !w.failed(e.ID()) {
		return
	}
	switch e.Kind() {
	case celast.CallKind:
		w.call(e.AsCall(), bound)
	case celast.ComprehensionKind:
		if path, ok := w.nullPath(e.AsComprehension().IterRange(), bound); ok {
			w.found = fmt.Sprintf("%s is null: there is nothing to go through; test it with has(%s)", path, path)
			return
		}
	}
}

// selection is for a chain whose evaluation failed.
func (w *reason) selection(e celast.Expr, path, bound []string) {
	if slices.Contains(bound, path[0]) || !isRoot(path[0]) {
		if len(path) > 1 && w.nullError(e.ID()) {
			w.found = fmt.Sprintf("cannot read %s: a name before .%s is null", strings.Join(path, "."), path[len(path)-1])
		}
		return
	}
	if n := nullAt(w.act, path); n > 0 && n < len(path) {
		at := strings.Join(path[:n], ".")
		w.found = fmt.Sprintf("%s is null: cannot read %s; test it with %s", at, strings.Join(path, "."), at+" != null")
	}
}

func (w *reason) nullError(id int64) bool {
	v, ok := w.state.Value(id)
	if !ok {
		return false
	}
	err, ok := v.(*types.Err)
	return ok && errors.Is(err, errNullSelect)
}

// nullTest is how to ask for a name that may be null: a list or a map cannot be compared with null.
func (w *reason) nullTest(e celast.Expr, path string) string {
	if k := w.ast.GetType(e.ID()).Kind(); k == types.ListKind || k == types.MapKind {
		return "has(" + path + ")"
	}
	return path + " != null"
}

// call is for a function that failed while what it was given was there: one of its arguments was null.
func (w *reason) call(c celast.CallExpr, bound []string) {
	name := c.FunctionName()
	args := c.Args()
	switch name {
	case operators.Conditional:
		w.truth(args[:1], bound)
		return
	case operators.LogicalAnd, operators.LogicalOr:
		w.truth(args, bound)
		return
	case operators.Index:
		name = "[…]"
	}
	if op, ok := operators.FindReverse(name); ok {
		name = strings.TrimSpace(op)
	}
	if c.IsMemberFunction() {
		args = append([]celast.Expr{c.Target()}, args...)
	}
	for _, a := range args {
		if path, ok := w.nullPath(a, bound); ok {
			w.found = fmt.Sprintf("%s is null: cannot be used with %s; test it with %s", path, name, w.nullTest(a, path))
			return
		}
	}
}

// truth is for operands that have to be true or false.
func (w *reason) truth(operands []celast.Expr, bound []string) {
	for _, o := range operands {
		if path, ok := w.nullPath(o, bound); ok {
			w.found = path + " is null: wanted true or false"
			return
		}
	}
}

// nullPath is the name of an expression that was evaluated to null.
func (w *reason) nullPath(e celast.Expr, bound []string) (string, bool) {
	path, ok := selection(e)
	if !ok {
		return "", false
	}
	if v, seen := w.state.Value(e.ID()); seen {
		_, null := v.(types.Null)
		return strings.Join(path, "."), null
	}
	if slices.Contains(bound, path[0]) || !isRoot(path[0]) {
		return "", false
	}
	return strings.Join(path, "."), nullAt(w.act, path) == len(path)
}

// nullAt is how many names of the path lead to a null, 0 when none is null.
func nullAt(act activation, path []string) int {
	var cur any = map[string]any(act)
	for i, name := range path {
		switch m := cur.(type) {
		case map[string]any:
			v, ok := m[name]
			if !ok && i > 0 {
				return 0
			}
			cur = v
		case *boundObject:
			cur = m.fields[name]
		default:
			return 0
		}
		if cur == nil {
			return i + 1
		}
	}
	return 0
}
