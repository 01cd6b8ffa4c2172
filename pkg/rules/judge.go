package rules

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// judgement is what can be said of an expression while there are no values for it.
type judgement struct {
	issues []issue      // it compares with what a value never is, or fails whatever it is given
	claims []claim      // what has to hold for it to be true
	closed []closedPart // what reads nothing but vars
	firm   []firmChain  // what it reads of the event in any case
	null   bool         // it is always null
}

// claim is a part of a condition, joined with the others by &&: a name is one of some values, or with not is none of them.
type claim struct {
	offset int
	name   string // "event.branch"
	values []any  // string, float64, bool or nil
	not    bool
}

// closedPart is the largest part of an expression that reads nothing but vars, and computes something.
type closedPart struct {
	offset int
	text   string
	joined bool // the others join it by &&: where it is false, all is
	firm   bool // it is evaluated in any case
	prog   cel.Program
}

// firmChain is a selection from the event that is evaluated in any case.
type firmChain struct {
	offset int
	path   []string
	whole  bool // it is all there is
}

// forgetJudgements lets go of what only loading needs.
func (s *space) forgetJudgements() {
	for _, e := range s.envs {
		for _, p := range e.progs {
			p.judged = nil
		}
	}
}

// judge goes through a checked expression.
func (e *env) judge(text string, checked *cel.Ast) *judgement {
	ast := checked.NativeRep()
	j := &judge{env: e, ast: ast, at: &explainer{prog: &program{env: e, text: text}, info: ast.SourceInfo()}}
	j.out.null = checked.OutputType().Kind() == types.NullTypeKind
	for _, part := range flatten(ast.Expr(), operators.LogicalAnd) {
		if d, ok := claimed(part); ok {
			d.offset = j.at.start(part)
			j.out.claims = append(j.out.claims, d)
		}
	}
	if path, ok := selection(ast.Expr()); ok && path[0] == rootEvent && ast.Expr().Kind() == celast.SelectKind && !ast.Expr().AsSelect().IsTestOnly() {
		j.out.firm = append(j.out.firm, firmChain{path: path, whole: true})
		return &j.out
	}
	k := kindOfExpr(checked.OutputType())
	j.walk(ast.Expr(), nil, true, k == Bool || k == Dyn)
	return &j.out
}

type judge struct {
	env *env
	ast *celast.AST
	at  *explainer
	out judgement
}

// walk visits a part. bound are the names that loops around it define; firm: it is evaluated in any case; joined: && joins it with
// the rest.
func (j *judge) walk(e celast.Expr, bound []string, firm, joined bool) {
	if len(bound) == 0 && (joined || computes(e)) && closed(e, nil) {
		j.addClosed(e, firm, joined)
		return
	}
	if path, ok := selection(e); ok {
		if firm && path[0] == rootEvent && !slices.Contains(bound, rootEvent) && len(path) > 1 && !e.AsSelect().IsTestOnly() {
			j.out.firm = append(j.out.firm, firmChain{offset: j.at.start(e), path: path})
		}
		return
	}
	switch e.Kind() {
	case celast.CallKind:
		j.call(e, bound, firm, joined)
	case celast.ComprehensionKind:
		over := e.AsComprehension().IterRange()
		j.walk(over, bound, firm, false)
		eachChild(e, bound, func(child celast.Expr, within []string) {
			if child.ID() != over.ID() {
				j.walk(child, within, false, false)
			}
		})
	default:
		eachChild(e, bound, func(child celast.Expr, bound []string) { j.walk(child, bound, firm, false) })
	}
}

func (j *judge) call(e celast.Expr, bound []string, firm, joined bool) {
	c := e.AsCall()
	j.neverEqual(e)
	if c.IsMemberFunction() {
		j.walk(c.Target(), bound, firm, false)
	}
	for i, a := range c.Args() {
		switch c.FunctionName() {
		case operators.LogicalAnd:
			j.walk(a, bound, false, joined)
		case operators.LogicalOr, "or", "orValue", operators.NotStrictlyFalse, operators.OptSelect, operators.OptIndex:
			j.walk(a, bound, false, false)
		case operators.Conditional:
			j.walk(a, bound, firm && i == 0, false)
		default:
			j.walk(a, bound, firm, false)
		}
	}
	if name := c.FunctionName(); firm && (name == operators.Divide || name == operators.Modulo) {
		if v, ok := constant(c.Args()[1]); ok && v == types.IntZero {
			j.issue(c.Args()[1], "", "division by zero")
		}
	}
}

func (j *judge) issue(e celast.Expr, hint, format string, args ...any) {
	j.out.issues = append(j.out.issues, issue{offset: j.at.start(e), message: fmt.Sprintf(format, args...), hint: hint})
}

// neverEqual reports a comparison with a text that a field never is: one with a closed set of values, or the type of the event.
func (j *judge) neverEqual(e celast.Expr) {
	c := e.AsCall()
	if name := c.FunctionName(); name != operators.Equals && name != operators.NotEquals && name != operators.In || len(c.Args()) != 2 {
		return
	}
	field, other := c.Args()[0], c.Args()[1]
	if c.FunctionName() != operators.In && field.Kind() == celast.LiteralKind {
		field, other = other, field
	}
	values, orUnknown := j.valuesOf(field)
	if len(values) == 0 {
		return
	}
	literals := []celast.Expr{other}
	if other.Kind() == celast.ListKind {
		literals = other.AsList().Elements()
	}
	for _, l := range literals {
		v, ok := constant(l)
		s, isText := v.(types.String)
		if ok && isText && !slices.Contains(values, string(s)) && (!orUnknown || !isUnknown(string(s))) {
			j.issue(l, didYouMean(string(s), values), "%s is never %q", j.at.source(field), string(s))
		}
	}
}

// valuesOf are all values a field may have, nil when they are not known; orUnknown: besides, types of events that nobody knows.
func (j *judge) valuesOf(e celast.Expr) (values []string, orUnknown bool) {
	if e.Kind() != celast.SelectKind || e.AsSelect().IsTestOnly() {
		return nil, false
	}
	if path, ok := selection(e); ok && len(path) == 2 && path[0] == rootEvent && path[1] == "type" {
		return j.env.types, true
	}
	t := j.ast.GetType(e.AsSelect().Operand().ID())
	if t == nil || t.Kind() != types.StructKind || j.env.objects[t.TypeName()] == nil {
		return nil, false
	}
	field, ok := j.env.objects[t.TypeName()].typ.Field(e.AsSelect().FieldName())
	if !ok {
		return nil, false
	}
	return field.Values, false
}

// addClosed keeps a part that reads nothing but vars, ready to be evaluated with those of each file.
func (j *judge) addClosed(e celast.Expr, firm, joined bool) {
	if !firm && !joined {
		return
	}
	prog, err := j.env.cel.PlanProgram(celast.NewCheckedAST(celast.NewAST(e, j.ast.SourceInfo()), j.ast.TypeMap(), j.ast.ReferenceMap()), cel.CostLimit(maxJudgedCost), cel.CostTracking(pricing{}))
	if err != nil {
		return // the whole is planned again when it is used, and says why it cannot be
	}
	j.out.closed = append(j.out.closed, closedPart{offset: j.at.start(e), text: j.at.source(e), joined: joined, firm: firm, prog: prog})
}

// computes tells whether a part is worth being evaluated: it is no mere literal or name.
func computes(e celast.Expr) bool {
	switch e.Kind() {
	case celast.LiteralKind, celast.IdentKind:
		return false
	case celast.SelectKind:
		path, ok := selection(e)
		return !ok || len(path) > 2 // a member of a mapping under vars may be missing
	case celast.ListKind:
		return slices.ContainsFunc(e.AsList().Elements(), computes)
	}
	return true
}

// closed tells whether a part reads nothing but vars; bound are the names that loops within it define.
func closed(e celast.Expr, bound []string) bool {
	if e.Kind() == celast.IdentKind {
		name, absolute := strings.CutPrefix(e.AsIdent(), ".")
		return name == rootVars || !absolute && slices.Contains(bound, name) || !isRoot(name)
	}
	all := true
	eachChild(e, bound, func(child celast.Expr, within []string) { all = all && closed(child, within) })
	return all
}

func constant(e celast.Expr) (ref.Val, bool) {
	if e.Kind() != celast.LiteralKind {
		return nil, false
	}
	return e.AsLiteral(), true
}

// claimed is what a part of a condition asks of one name.
func claimed(e celast.Expr) (d claim, ok bool) {
	if name, ok := named(e); ok { // a field that is true
		return claim{name: name, values: []any{true}}, true
	}
	if e.Kind() != celast.CallKind {
		return d, false
	}
	c := e.AsCall()
	switch c.FunctionName() {
	case operators.LogicalNot:
		d, ok = claimed(c.Args()[0])
		d.not = !d.not
		return d, ok
	case operators.LogicalOr:
		return claimedByAny(flatten(e, operators.LogicalOr))
	case operators.Equals, operators.NotEquals:
		d.not = c.FunctionName() == operators.NotEquals
		field, other := c.Args()[0], c.Args()[1]
		if field.Kind() == celast.LiteralKind {
			field, other = other, field
		}
		d.name, ok = named(field)
		v, isConstant := plainConstant(other)
		d.values = []any{v}
		return d, ok && isConstant
	case operators.In:
		if c.Args()[1].Kind() != celast.ListKind {
			return d, false
		}
		d.name, ok = named(c.Args()[0])
		for _, l := range c.Args()[1].AsList().Elements() {
			v, isConstant := plainConstant(l)
			if ok = ok && isConstant; ok {
				d.values = append(d.values, v)
			}
		}
		return d, ok
	}
	return d, false
}

// claimedByAny is what alternatives ask of the same name.
func claimedByAny(parts []celast.Expr) (all claim, ok bool) {
	for i, part := range parts {
		d, ok := claimed(part)
		if !ok || d.not || i > 0 && d.name != all.name {
			return all, false
		}
		all.name, all.values = d.name, append(all.values, d.values...)
	}
	return all, true
}

// named is the dotted path of a selection from a variable.
func named(e celast.Expr) (string, bool) {
	path, ok := selection(e)
	if !ok || len(path) < 2 || !isRoot(path[0]) || e.AsSelect().IsTestOnly() {
		return "", false
	}
	return strings.Join(path, "."), true
}

// plainConstant is a literal as claims compare it: numbers of every kind alike.
func plainConstant(e celast.Expr) (any, bool) {
	v, ok := constant(e)
	if !ok {
		return nil, false
	}
	out, err := native(v)
	if err != nil {
		return nil, false
	}
	if n, isInt := out.(int64); isInt {
		return float64(n), -1<<53 < n && n < 1<<53
	}
	return out, true
}

// maxJudgedCost bounds what evaluating one part may cost while rules are loaded; of what costs more nothing is said.
const maxJudgedCost = maxCost / 100

// value is what the part comes to with the constants of a file; failed says why it comes to nothing.
func (c *closedPart) value(vars map[string]any) (v any, failed string) {
	out, _, err := c.prog.Eval(map[string]any{rootVars: vars})
	switch {
	case err == nil:
		if v, err = native(out); err == nil {
			return v, ""
		}
	case limitExceeded(err):
		return nil, ""
	}
	return nil, strings.TrimPrefix(err.Error(), "internal error: ")
}
