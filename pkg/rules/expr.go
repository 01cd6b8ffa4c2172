package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

var errNullSelect = errors.New("null has no fields")

// expr is one expression at one place.
type expr struct {
	pos   Position
	field string // "when", "do[0].notify.text": what it is in the rule
	prog  *program
}

// program is one text compiled in one environment, shared by all places where it is written. After checking only what loading
// needs is kept; it is planned when it is first evaluated.
type program struct {
	env  *env
	text string

	out    *types.Type
	chains []chain    // what it reads from the variables
	issues []issue    // why it does not compile
	judged *judgement // nil when it was not compiled for a rule

	once    sync.Once
	ast     *cel.Ast
	planned cel.Program
	err     error
}

// chain is a maximal selection from a variable: event.repository.path.
type chain struct {
	id   int64 // of the outermost node
	path []string
	test bool // inside has()
}

func (c chain) String() string { return strings.Join(c.path, ".") }

// issue is one reason why a text does not compile. Offset is in characters from its beginning.
type issue struct {
	offset  int
	message string
	hint    string
}

// program checks a text once.
func (e *env) program(text string) *program {
	if p, ok := e.progs[text]; ok {
		return p
	}
	p := &program{env: e, text: text}
	e.progs[text] = p
	checked, issues := e.compile(text)
	if len(issues) > 0 {
		p.issues = issues
		return p
	}
	if e.types != nil {
		p.judged = e.judge(text, checked)
		if p.issues = p.judged.issues; len(p.issues) > 0 {
			return p
		}
	}
	p.out = checked.OutputType()
	p.chains = chainsOf(checked.NativeRep())
	for i := range p.chains {
		p.chains[i].id = 0
	}
	return p
}

func (e *env) compile(text string) (*cel.Ast, []issue) {
	if strings.TrimSpace(text) == "" {
		return nil, []issue{{message: "the expression is empty"}}
	}
	if n := len([]rune(text)); n > MaxExpression {
		return nil, []issue{{message: fmt.Sprintf("the expression has %d characters, at most %d are allowed", n, MaxExpression)}}
	}
	parsed, iss := e.cel.Parse(text)
	if iss.Err() != nil {
		return nil, e.explainIssues(text, nil, iss)
	}
	checked, iss := e.cel.Check(parsed)
	if iss.Err() != nil {
		return nil, e.explainIssues(text, parsed.NativeRep(), iss)
	}
	return checked, nil
}

// plan makes the program ready to run, once.
func (p *program) plan() error {
	p.once.Do(func() {
		checked, issues := p.env.compile(p.text)
		if len(issues) > 0 {
			p.err = errors.New(issues[0].message)
			return
		}
		p.ast = checked
		p.planned, p.err = p.env.cel.Program(checked, cel.EvalOptions(cel.OptTrackState),
			cel.CostLimit(maxCost), cel.CostTracking(pricing{}))
	})
	return p.err
}

// activation holds the values of the variables: map[string]any, []any, string, int64, float64, bool and nil; and the budget.
type activation map[string]any

// run evaluates and keeps what every part came to.
func (p *program) run(act activation) (ref.Val, *cel.EvalDetails, error) {
	if err := p.plan(); err != nil {
		return nil, nil, err
	}
	v, details, err := p.planned.Eval(map[string]any(act))
	spent := act.charge(details)
	switch {
	case err != nil:
		return nil, details, errors.New(p.whyFailed(act, details, err))
	case spent != nil:
		return nil, details, spent
	}
	return v, details, nil
}

// members are the second names of the chains that begin with root, sorted, each once; all is true when one has none.
func (p *program) members(root string) (names []string, all bool) {
	for _, c := range p.chains {
		switch {
		case c.path[0] != root:
		case len(c.path) == 1:
			all = true
		case !slices.Contains(names, c.path[1]):
			names = append(names, c.path[1])
		}
	}
	slices.Sort(names)
	return names, all
}

// asksFailure are the ids of the actions whose failure the expression reads, as results.<id>.failed or .error, sorted. has() of
// them does not count: they are always there.
func (x *expr) asksFailure() []string {
	if x == nil {
		return nil
	}
	var ids []string
	for _, c := range x.prog.chains {
		if len(c.path) < 3 || c.path[0] != rootResults || c.test || c.path[2] != "failed" && c.path[2] != "error" {
			continue
		}
		if !slices.Contains(ids, c.path[1]) {
			ids = append(ids, c.path[1])
		}
	}
	slices.Sort(ids)
	return ids
}

// EvalError is an evaluation that failed. It is final: the same event and facts fail again.
type EvalError struct {
	Position Position // zero for an action rendered later
	Field    string   // what failed in the rule: "when", "do[1].notify.text"
	Message  string
}

func (e *EvalError) Error() string {
	at := ""
	if e.Position.File != "" {
		at = e.Position.String() + ": "
	}
	return at + e.Field + ": " + e.Message
}

// Retryable is false.
func (e *EvalError) Retryable() bool { return false }

// Class is the class of the dead letter.
func (e *EvalError) Class() string { return "evaluation" }

func (x *expr) fail(format string, args ...any) error {
	return &EvalError{Position: x.pos, Field: x.field, Message: fmt.Sprintf(format, args...)}
}

// eval gives the value in Go's types.
func (x *expr) eval(act activation) (any, error) {
	v, _, err := x.prog.run(act)
	if err != nil {
		return nil, x.fail("%v", err)
	}
	out, err := native(v)
	if err != nil {
		return nil, x.fail("%v", err)
	}
	return out, nil
}

// condition evaluates to true or false; null is an error.
func (x *expr) condition(act activation) (bool, error) {
	v, err := x.eval(act)
	if err != nil {
		return false, err
	}
	return x.truth(v)
}

func (x *expr) truth(v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case nil:
		return false, x.fail("%s is null: wanted true or false", x.prog.text)
	}
	return false, x.fail("%s is %s: wanted true or false", x.prog.text, describe(v))
}

// list evaluates to a list; null is an error.
func (x *expr) list(act activation) ([]any, error) {
	v, err := x.eval(act)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case []any:
		return v, nil
	case nil:
		return nil, x.fail("%s is null: wanted a list; test it with has(%s)", x.prog.text, x.prog.text)
	}
	return nil, x.fail("%s is %s: wanted a list", x.prog.text, describe(v))
}

// chainsOf finds the maximal selections from the variables of a checked expression, in reading order.
func chainsOf(ast *celast.AST) []chain {
	var out []chain
	var walk func(e celast.Expr, bound []string)
	walk = func(e celast.Expr, bound []string) {
		if path, ok := selection(e); ok {
			// .event is the variable also where a loop calls something of its own event.
			name, absolute := strings.CutPrefix(path[0], ".")
			path[0] = name
			if isRoot(name) && (absolute || !slices.Contains(bound, name)) {
				test := e.Kind() == celast.SelectKind && e.AsSelect().IsTestOnly()
				out = append(out, chain{id: e.ID(), path: path, test: test})
			}
			return
		}
		eachChild(e, bound, walk)
	}
	walk(ast.Expr(), nil)
	return out
}

func isRoot(name string) bool {
	switch name {
	case rootEvent, rootFacts, rootVars, rootItem, rootResults:
		return true
	}
	return false
}

// selection is the path of an identifier or of fields selected from one.
func selection(e celast.Expr) ([]string, bool) {
	switch e.Kind() {
	case celast.IdentKind:
		return []string{e.AsIdent()}, true
	case celast.SelectKind:
		s := e.AsSelect()
		if path, ok := selection(s.Operand()); ok {
			return append(path, s.FieldName()), true
		}
	}
	return nil, false
}

// eachChild visits the parts of an expression; bound are the names that loops around them define.
func eachChild(e celast.Expr, bound []string, visit func(celast.Expr, []string)) {
	switch e.Kind() {
	case celast.SelectKind:
		visit(e.AsSelect().Operand(), bound)
	case celast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			visit(c.Target(), bound)
		}
		for _, a := range c.Args() {
			visit(a, bound)
		}
	case celast.ListKind:
		for _, el := range e.AsList().Elements() {
			visit(el, bound)
		}
	case celast.MapKind:
		for _, en := range e.AsMap().Entries() {
			visit(en.AsMapEntry().Key(), bound)
			visit(en.AsMapEntry().Value(), bound)
		}
	case celast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			visit(f.AsStructField().Value(), bound)
		}
	case celast.ComprehensionKind:
		c := e.AsComprehension()
		visit(c.IterRange(), bound)
		visit(c.AccuInit(), bound)
		within := append(slices.Clone(bound), c.IterVar(), c.AccuVar())
		if c.HasIterVar2() {
			within = append(within, c.IterVar2())
		}
		visit(c.LoopCondition(), within)
		visit(c.LoopStep(), within)
		visit(c.Result(), append(slices.Clone(bound), c.AccuVar()))
	}
}
