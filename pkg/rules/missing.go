package rules

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// noSuchKey begins what the evaluator says of a name that a map does not have. It does not say whose name it is.
const noSuchKey = "no such key: "

// missing finds, after an evaluation that failed for a name that is not there, the path to that name.
func (w *reason) missing(e celast.Expr, cause error) {
	key, ok := strings.CutPrefix(cause.Error(), noSuchKey)
	if !ok || w.found != "" {
		return
	}
	var failed, others []string
	var walk func(e celast.Expr, _ []string)
	walk = func(e celast.Expr, _ []string) {
		if step := w.stepTo(e, key); step != nil {
			if text := w.missingAt(step, e); w.failedFor(e.ID(), key) {
				failed = append(failed, text)
			} else if !slices.Contains(others, text) {
				others = append(others, text)
			}
		}
		eachChild(e, nil, walk)
	}
	walk(e, nil)
	switch {
	case len(failed) > 0:
		w.found = failed[0]
	case len(others) == 1: // within a loop only the last round was kept
		w.found = others[0]
	}
}

// stepTo is the step of an access that reads the key; one whose name is computed counts when no other does. nil: none.
func (w *reason) stepTo(e celast.Expr, key string) celast.Expr {
	var computed celast.Expr
	for _, step := range slices.Backward(accessSteps(e)) { // the innermost is read first
		switch name, known := member(step); {
		case known && name == key:
			return step
		case !known && w.failedFor(e.ID(), key):
			computed = step
		}
	}
	return computed
}

// failedFor tells whether a part of the expression failed for this key, as far as that was kept.
func (w *reason) failedFor(id int64, key string) bool {
	v, ok := w.state.Value(id)
	if !ok {
		return false
	}
	err, ok := v.(*types.Err)
	return ok && err.Error() == noSuchKey+key
}

// accessSteps are the selections and indexes that e nests, the outermost first: of a.b[0].c those of c, 0 and b.
func accessSteps(e celast.Expr) []celast.Expr {
	var steps []celast.Expr
	for {
		switch {
		case e.Kind() == celast.SelectKind && !e.AsSelect().IsTestOnly():
			steps = append(steps, e)
			e = e.AsSelect().Operand()
		case e.Kind() == celast.CallKind && e.AsCall().FunctionName() == operators.Index:
			steps = append(steps, e)
			e = e.AsCall().Args()[0]
		default:
			return steps
		}
	}
}

// member is the name a step reads; known is false when it is computed.
func member(step celast.Expr) (name string, known bool) {
	if step.Kind() == celast.SelectKind {
		return step.AsSelect().FieldName(), true
	}
	index := step.AsCall().Args()[1]
	if index.Kind() != celast.LiteralKind {
		return "", false
	}
	name, _ = index.AsLiteral().Value().(string)
	return name, true
}

// missingAt says that what a step reads is not there, and how to ask for it; whole is the access it is part of.
func (w *reason) missingAt(step, whole celast.Expr) string {
	var operand celast.Expr
	at := w.source(step)
	test := "has(" + at + ")"
	if step.Kind() == celast.SelectKind {
		operand = step.AsSelect().Operand()
	} else {
		args := step.AsCall().Args()
		operand, test = args[0], w.source(args[1])+" in "+w.source(args[0])
	}
	if path, ok := selection(operand); ok && isRoot(path[0]) {
		switch v := valueAt(w.act, path).(type) {
		case nil, map[string]any, *boundObject:
		default:
			return fmt.Sprintf("%s is %s: cannot read %s", w.source(operand), describe(v), w.source(whole))
		}
	}
	if step.ID() != whole.ID() {
		return fmt.Sprintf("%s is not there: cannot read %s; test it with %s", at, w.source(whole), test)
	}
	return fmt.Sprintf("%s is not there; test it with %s", at, test)
}

func (w *reason) source(e celast.Expr) string {
	s, err := cel.ExprToString(e, w.ast.SourceInfo(), cel.FormatWrapOnColumn(MaxExpression))
	if err != nil {
		return "a name"
	}
	return s
}
