package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"go.yaml.in/yaml/v3"
)

// bare compiles a scalar that is an expression as a whole. It gives nil when there is none or it was reported.
func (f *fileCompiler) bare(n *yaml.Node, field string, sc scope) *expr {
	text, ok := f.scalar(n, field)
	if !ok {
		if n != nil && isNull(n) {
			f.problem(n, ProblemKey, "write an expression, or leave the key out", "%s is empty", field)
		}
		return nil
	}
	if strings.HasPrefix(strings.TrimSpace(text), openTemplate) {
		f.problem(n, ProblemExpression, "leave out ${{ and }}", "%s is an expression as it is", field)
		return nil
	}
	return f.expression(n, text, 0, field, sc)
}

// expression compiles a part of a scalar, which begins offset characters into its value.
func (f *fileCompiler) expression(n *yaml.Node, text string, offset int, field string, sc scope) *expr {
	trimmed := strings.TrimLeft(text, " \t\r\n")
	offset += utf8.RuneCountInString(text) - utf8.RuneCountInString(trimmed)
	trimmed = strings.TrimRight(trimmed, " \t\r\n")
	p, err := f.space.program(sc, trimmed)
	if err != nil {
		f.problem(n, ProblemExpression, "", "%s: %v", field, err)
		return nil
	}
	for _, i := range p.issues {
		f.report(f.place(n, offset+i.offset), ProblemExpression, i.hint, "%s: %s", field, i.message)
	}
	if len(p.issues) > 0 {
		return nil
	}
	// Where only vars can be read the value is made at once.
	if sc.event != nil && !f.varsBroken && !f.evaluates(n, p, offset, field) {
		return nil
	}
	return &expr{pos: f.place(n, offset), field: field, prog: p}
}

// evaluates reports the parts of an expression that fail whatever the event is, which reading vars alone can tell.
func (f *fileCompiler) evaluates(n *yaml.Node, p *program, offset int, field string) bool {
	for i := range p.judged.closed {
		c := &p.judged.closed[i]
		if !c.firm {
			continue
		}
		if _, why := c.value(f.vars); why != "" {
			f.report(f.place(n, offset+c.offset), ProblemRender, "", "%s: %s always fails: %s", field, c.text, why)
			return false
		}
	}
	return true
}

// wants reports an expression that cannot come to a value of the kind.
func (f *fileCompiler) wants(x *expr, k Kind) bool {
	if x == nil {
		return false
	}
	got := kindOfExpr(x.prog.out).String()
	if x.prog.judged.null {
		got = "null"
	}
	if got == Dyn.String() || got == k.String() {
		return true
	}
	want := map[Kind]string{Bool: "true or false", List: "a list", String: "a string or a number"}[k]
	if k == String && got == Int.String() {
		return true
	}
	f.report(x.pos, ProblemExpression, "", "%s: wanted %s, the expression gives %s", x.field, want, got)
	return false
}

// kindOfExpr is our kind of a checked type.
func kindOfExpr(t *types.Type) Kind {
	switch t.Kind() {
	case types.BoolKind:
		return Bool
	case types.IntKind, types.UintKind:
		return Int
	case types.DoubleKind:
		return Double
	case types.StringKind, types.TimestampKind, types.DurationKind:
		return String
	case types.ListKind:
		return List
	case types.MapKind:
		return Map
	case types.StructKind:
		if t.IsExactType(types.TimestampType) || t.IsExactType(types.DurationType) {
			return String
		}
		return Object
	}
	return Dyn
}

// elementOf is the type of the elements of a list expression.
func (f *fileCompiler) elementOf(x *expr) *Type {
	out := x.prog.out
	if out.Kind() != types.ListKind || len(out.Parameters()) != 1 {
		return &Type{Kind: Dyn}
	}
	return f.typeOf(out.Parameters()[0], x.prog.env)
}

func (f *fileCompiler) typeOf(t *types.Type, e *env) *Type {
	switch k := kindOfExpr(t); k {
	case Object:
		if o := e.objects[t.TypeName()]; o != nil {
			return o.typ
		}
	case List:
		return f.listOf(f.typeOf(t.Parameters()[0], e))
	case Map:
		if len(t.Parameters()) == 2 && t.Parameters()[0].Kind() == types.StringKind {
			return &Type{Kind: Map, Elem: f.typeOf(t.Parameters()[1], e)}
		}
	case Bool, Int, Double, String:
		return &Type{Kind: k}
	}
	return &Type{Kind: Dyn}
}

// template compiles a scalar with ${{ }} in it. It gives nil when there is none or it was reported.
func (f *fileCompiler) template(n *yaml.Node, field string, sc scope) *template {
	src, ok := f.scalar(n, field)
	if !ok {
		return nil
	}
	t := &template{src: src, pos: f.position(n), field: field}
	pieces, unclosed := splitTemplate(src)
	if unclosed >= 0 {
		f.report(f.place(n, utf8.RuneCountInString(src[:unclosed])), ProblemExpression, "close it with }}", "%s: a ${{ is not closed", field)
		return nil
	}
	good := true
	from, characters := 0, 0
	for _, p := range pieces {
		characters += utf8.RuneCountInString(src[from:p.offset])
		from = p.offset
		if !p.isExpr {
			t.parts = append(t.parts, part{literal: p.text})
			continue
		}
		x := f.expression(n, p.text, characters, field, sc)
		if x == nil {
			good = false
			continue
		}
		if len(pieces) > 1 && x.prog.judged.null {
			f.report(x.pos, ProblemRender, "leave it out", "%s: null cannot be part of a text", field)
			good = false
		}
		if k := kindOfExpr(x.prog.out); len(pieces) > 1 && (k == List || k == Map || k == Object) {
			f.report(x.pos, ProblemExpression, "select a field of it, or join it", "%s: %s cannot be part of a text", field, k)
			good = false
		}
		t.add(x)
	}
	if !good {
		return nil
	}
	return t
}

// textTemplate is a template that stands where only text can.
func (f *fileCompiler) textTemplate(n *yaml.Node, field string, sc scope) *template {
	t := f.template(n, field, sc)
	if x := t.single(); x != nil {
		if k := kindOfExpr(x.prog.out); k == List || k == Map || k == Object {
			f.report(x.pos, ProblemExpression, "select a field of it, or join it", "%s: wanted text, the expression gives %s", field, k)
			return nil
		}
		if x.prog.judged.null {
			f.report(x.pos, ProblemRender, "", "%s: wanted text, the expression gives null", field)
			return nil
		}
	}
	return t
}

// constantText reads a scalar that must be known when the rule is loaded: its templates may read vars only.
func (f *fileCompiler) constantText(n *yaml.Node, field string) (string, bool) {
	text, ok := f.scalar(n, field)
	if !ok || !strings.Contains(text, openTemplate) {
		return text, ok
	}
	t := f.textTemplate(n, field, scope{vars: f.varsType})
	if t == nil {
		return "", false
	}
	out, err := t.text(activation{rootVars: f.vars})
	if err != nil {
		at, message := f.position(n), err.Error()
		if eval, ok := errors.AsType[*EvalError](err); ok {
			at, message = eval.Position, eval.Field+": "+eval.Message
		}
		f.report(at, ProblemExpression, "", "%s", message)
		return "", false
	}
	return out, true
}

// duration reads a duration of whole seconds within bounds; absent is fallback.
func (f *fileCompiler) duration(n *yaml.Node, field string, fallback, least, most time.Duration) time.Duration {
	text, ok := f.constantText(n, field)
	if !ok {
		return fallback
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		f.problem(n, ProblemValue, "write it like 30s, 5m or 1h30m", "%s: %q is not a duration", field, text)
		return fallback
	case d < least || d > most:
		f.problem(n, ProblemValue, fmt.Sprintf("it must lie within %s and %s", least, brief(most)), "%s: %s is out of range", field, text)
		return fallback
	}
	return d
}

// oneOf reads a word of a closed set; absent is the first of them. A word that is not in it is reported and "".
func (f *fileCompiler) oneOf(n *yaml.Node, field string, words ...string) string {
	text, ok := f.scalar(n, field)
	if !ok {
		return words[0]
	}
	if !slices.Contains(words, text) {
		f.problem(n, ProblemValue, didYouMean(text, words), "%s: %q is not known", field, text)
		return ""
	}
	return text
}

// brief is a duration without zero minutes and seconds: 24h rather than 24h0m0s.
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
