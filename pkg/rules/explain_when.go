package rules

import (
	"fmt"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

const (
	wantAll = "all of these"
	wantAny = "any of these"
	wantNot = "not this"
	// labelNot is of the lines of a clause under not that do not hold together.
	labelNot = "match not " + wantAll
)

// explain evaluates a condition and says why it holds or not: a tree over && || and !, whose leaves show the values they read.
func (x *expr) explain(label string, act activation) (Explanation, error) {
	v, details, err := x.prog.run(act)
	if err != nil {
		return Explanation{}, x.fail("%v", err)
	}
	out, err := native(v)
	if err != nil {
		return Explanation{}, x.fail("%v", err)
	}
	holds, err := x.truth(out)
	if err != nil {
		return Explanation{}, err
	}
	t := &explainer{prog: x.prog, act: act, info: x.prog.ast.NativeRep().SourceInfo()}
	if details != nil {
		t.state = details.State()
	}
	root := Explanation{Label: label, Wanted: x.prog.text, Verdict: verdict(holds)}
	top := t.node(x.prog.ast.NativeRep().Expr())
	top.Verdict = root.Verdict
	root.Children = []Explanation{top}
	if top.Wanted == wantAll {
		root.Children = top.Children // "all of these" goes without saying
	}
	return root, nil
}

func verdict(b bool) string {
	if b {
		return True
	}
	return False
}

type explainer struct {
	prog  *program
	act   activation
	state interpreter.EvalState
	info  *celast.SourceInfo
}

func (t *explainer) node(e celast.Expr) Explanation {
	out := Explanation{Label: t.source(e)}
	out.Verdict, out.Error = t.verdict(e.ID())
	if e.Kind() == celast.CallKind {
		switch c := e.AsCall(); c.FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr:
			out.Wanted = wantAll
			if c.FunctionName() == operators.LogicalOr {
				out.Wanted = wantAny
			}
			for _, arg := range flatten(e, c.FunctionName()) {
				out.Children = append(out.Children, t.node(arg))
			}
			out.Error = ""
			if out.Verdict == Unreached {
				out.Verdict = combine(c.FunctionName(), out.Children)
			}
			return out
		case operators.LogicalNot:
			out.Wanted = wantNot
			out.Children = []Explanation{t.node(c.Args()[0])}
			out.Error = ""
			return out
		}
	}
	out.Wanted = t.wanted(e)
	if out.Verdict != Unreached {
		out.Seen = t.seen(e)
	}
	return out
}

// flatten lists the operands of a chain of one operator.
func flatten(e celast.Expr, op string) []celast.Expr {
	if e.Kind() != celast.CallKind || e.AsCall().FunctionName() != op {
		return []celast.Expr{e}
	}
	var out []celast.Expr
	for _, a := range e.AsCall().Args() {
		out = append(out, flatten(a, op)...)
	}
	return out
}

// combine is the verdict of && or || whose own value was not kept.
func combine(op string, children []Explanation) string {
	decisive, rest := False, True
	if op == operators.LogicalOr {
		decisive, rest = True, False
	}
	failed, reached := false, false
	for _, c := range children {
		switch c.Verdict {
		case decisive:
			return decisive
		case Failed:
			failed = true
		}
		reached = reached || c.Verdict != Unreached
	}
	switch {
	case failed:
		return Failed
	case !reached:
		return Unreached
	}
	return rest
}

func (t *explainer) verdict(id int64) (string, string) {
	if t.state == nil {
		return Unreached, ""
	}
	v, ok := t.state.Value(id)
	if !ok {
		return Unreached, ""
	}
	switch v := v.(type) {
	case types.Bool:
		return verdict(bool(v)), ""
	case *types.Err:
		w := &reason{act: t.act, ast: t.prog.ast.NativeRep(), state: t.state}
		if e := t.find(id); e != nil {
			w.visit(e, nil)
			w.missing(e, v)
		}
		if w.found == "" {
			w.found = v.Error()
		}
		return Failed, w.found
	case types.Null:
		return Failed, "null"
	}
	return Failed, fmt.Sprintf("a %s", v.Type().TypeName())
}

func (t *explainer) find(id int64) celast.Expr {
	f := &finder{id: id, env: t.prog.env}
	f.find(t.prog.ast.NativeRep().Expr(), nil)
	return f.found
}

// source is the text of a part of the expression.
func (t *explainer) source(e celast.Expr) string {
	s, err := cel.ExprToString(e, t.info, cel.FormatWrapOnColumn(MaxExpression))
	if err != nil {
		return t.prog.text
	}
	return s
}

// comparison is a leaf that compares: op is the operator as if seen stood on its left, wanted the side that reads nothing.
type comparison struct {
	function, op string
	seen, wanted celast.Expr
}

// compared takes a leaf apart that compares what it reads with something else.
func (t *explainer) compared(e celast.Expr) (c comparison, ok bool) {
	if e.Kind() != celast.CallKind {
		return c, false
	}
	call := e.AsCall()
	op, isOperator := operators.FindReverse(call.FunctionName())
	if !isOperator || len(call.Args()) != 2 {
		return c, false
	}
	c = comparison{function: call.FunctionName(), op: op, seen: call.Args()[0], wanted: call.Args()[1]}
	switch c.function {
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.Equals, operators.NotEquals:
		if len(t.chains(c.seen)) == 0 {
			c.seen, c.wanted = c.wanted, c.seen
			if turned := map[string]string{"<": ">", ">": "<", "<=": ">=", ">=": "<="}[op]; turned != "" {
				c.op = turned
			}
		}
	case operators.In:
	default:
		return c, false
	}
	return c, len(t.chains(c.seen)) > 0
}

// wanted says what a leaf asks for: the constant side of a comparison.
func (t *explainer) wanted(e celast.Expr) string {
	c, ok := t.compared(e)
	if !ok {
		return "true"
	}
	switch c.function {
	case operators.Equals:
		return t.source(c.wanted)
	case operators.NotEquals:
		return "not " + t.source(c.wanted)
	case operators.In:
		return "one of " + t.source(c.wanted)
	}
	return c.op + " " + t.source(c.wanted)
}
