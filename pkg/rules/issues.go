package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// explainIssues says in our words why a text does not parse or check; parsed is nil when it does not parse.
func (e *env) explainIssues(text string, parsed *celast.AST, iss *cel.Issues) []issue {
	var out []issue
	lines := strings.Split(text, "\n")
	for _, err := range iss.Errors() {
		i := issue{offset: offsetOf(lines, err.Location.Line(), err.Location.Column()), message: err.Message}
		if parsed == nil {
			i.message = syntaxMessage(err.Message)
			i.hint = syntaxHint(text, i.offset)
		} else {
			node := &finder{id: err.ExprID, env: e}
			node.find(parsed.Expr(), nil)
			node.explain(&i)
		}
		if !slices.ContainsFunc(out, func(o issue) bool { return o.offset == i.offset && o.message == i.message }) {
			out = append(out, i)
		}
		if parsed == nil && len(out) == 1 {
			break // what follows the first syntax error is mostly its consequence
		}
	}
	return out
}

func offsetOf(lines []string, line, col int) int {
	n := 0
	for i := 0; i < line-1 && i < len(lines); i++ {
		n += len([]rune(lines[i])) + 1
	}
	return n + max(col, 0)
}

func syntaxMessage(msg string) string {
	msg = strings.TrimPrefix(msg, "Syntax error: ")
	if i := strings.Index(msg, " expecting "); i >= 0 {
		msg = msg[:i]
	}
	if strings.HasPrefix(msg, "token recognition error") {
		msg = "a character that has no meaning here" + strings.TrimPrefix(msg, "token recognition error")
	}
	msg = strings.ReplaceAll(msg, "'<EOF>'", "end")
	for _, prefix := range []string{"mismatched input ", "extraneous input ", "no viable alternative at input "} {
		if rest, ok := strings.CutPrefix(msg, prefix); ok {
			return "syntax: unexpected " + rest
		}
	}
	return "syntax: " + msg
}

// syntaxHint is the remedy for what is written otherwise elsewhere; offset is where the parser stopped, in characters.
func syntaxHint(text string, offset int) string {
	runes := []rune(text)
	rest := strings.TrimLeft(string(runes[min(offset, len(runes)):]), " \t\n")
	before := strings.TrimRight(string(runes[:min(offset, len(runes))]), " \t\n")
	word := rest
	if n := strings.IndexFunc(rest, func(r rune) bool { return r >= utf8.RuneSelf || !isWord(byte(r)) }); n >= 0 {
		word = rest[:n]
	}
	switch {
	case strings.EqualFold(word, "and"), strings.HasPrefix(rest, "&"):
		return "write && for and"
	case strings.EqualFold(word, "or"), strings.HasPrefix(rest, "|"):
		return "write || for or"
	case strings.EqualFold(word, "is"), strings.HasPrefix(rest, "="):
		return "compare with =="
	case before == "not" || strings.HasSuffix(before, " not") || strings.HasSuffix(before, "(not"):
		return "write ! for not"
	case strings.HasPrefix(rest, "'"), strings.HasPrefix(rest, `"`):
		return "a text ends with the quote it begins with, on the same line"
	}
	return ""
}

// finder looks for the node an error is about, and keeps the loops around it.
type finder struct {
	id    int64
	env   *env
	found celast.Expr
	loops []loop
}

// loop is one name a comprehension defines, and what it ranges over.
type loop struct {
	name string
	over celast.Expr
}

func (f *finder) find(e celast.Expr, loops []loop) {
	if f.found != nil {
		return
	}
	if e.ID() == f.id {
		f.found, f.loops = e, loops
		return
	}
	if e.Kind() == celast.ComprehensionKind {
		c := e.AsComprehension()
		f.find(c.IterRange(), loops)
		f.find(c.AccuInit(), loops)
		within := append(slices.Clone(loops), loop{c.IterVar(), c.IterRange()})
		f.find(c.LoopCondition(), within)
		f.find(c.LoopStep(), within)
		f.find(c.Result(), loops)
		return
	}
	eachChild(e, nil, func(child celast.Expr, _ []string) { f.find(child, loops) })
}

// typeOf is the type of an expression as far as it can be told without the checker; nil when not.
func (f *finder) typeOf(e celast.Expr) *Type {
	switch e.Kind() {
	case celast.IdentKind:
		for _, l := range slices.Backward(f.loops) {
			if l.name == e.AsIdent() {
				if t := f.typeOf(l.over); t != nil {
					return t.Elem
				}
				return nil
			}
		}
		t, _ := f.env.scope.root(e.AsIdent())
		return t
	case celast.SelectKind:
		if field, ok := f.typeOf(e.AsSelect().Operand()).Field(e.AsSelect().FieldName()); ok {
			return field.Type
		}
	case celast.CallKind:
		if c := e.AsCall(); c.FunctionName() == operators.Index && len(c.Args()) == 2 {
			if t := f.typeOf(c.Args()[0]); t != nil {
				return t.Elem
			}
		}
	}
	return nil
}

var (
	undefinedField = regexp.MustCompile(`^undefined field '(.*)'$`)
	undeclared     = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	noOverload     = regexp.MustCompile(`^found no matching overload for '(.*)' applied to '(.*)'$`)
	noFields       = regexp.MustCompile(`^type '(.*)' does not support field selection$`)
	wrongType      = regexp.MustCompile(`^expected type '(.*)' but found '(.*)'$`)
)

func (f *finder) explain(i *issue) {
	if f.found != nil && f.found.Kind() == celast.StructKind {
		i.message, i.hint = "an object cannot be constructed", "a map is written {\"key\": value}"
		return
	}
	if m := undefinedField.FindStringSubmatch(i.message); m != nil {
		f.explainField(i, m[1])
		return
	}
	if m := undeclared.FindStringSubmatch(i.message); m != nil {
		f.explainName(i, m[1])
		return
	}
	if m := noOverload.FindStringSubmatch(i.message); m != nil {
		f.explainCall(i, m[1], m[2])
		return
	}
	if m := wrongType.FindStringSubmatch(i.message); m != nil {
		i.message = fmt.Sprintf("wanted %s, got %s", kindsInWords(m[1]), kindsInWords(m[2]))
		if kindsInWords(m[1]) == Bool.String() && kindsInWords(m[2]) == String.String() {
			i.hint = `compare it with something; of several texts, x in ["a", "b"]`
		}
		return
	}
	if m := noFields.FindStringSubmatch(i.message); m != nil {
		i.message = fmt.Sprintf("%s has no fields", kindsInWords(m[1]))
		if strings.HasPrefix(m[1], "list(") {
			i.hint = "x.size() is how many elements a list has, x[0] the first; x.exists(e, …) asks each"
		}
		return
	}
	i.message = kindsInWords(i.message)
}

// explainField is for a field that an object does not have.
func (f *finder) explainField(i *issue, name string) {
	i.message = fmt.Sprintf("there is no field %q", name)
	if f.found == nil || f.found.Kind() != celast.SelectKind {
		return
	}
	operand := f.found.AsSelect().Operand()
	path, ok := selection(operand)
	i.offset++ // the place is the dot
	t := f.typeOf(operand)
	var names []string
	if t != nil {
		for _, field := range t.Fields {
			names = append(names, field.Name)
		}
	}
	i.hint = didYouMean(name, names)
	switch {
	case ok && len(path) == 1 && path[0] == rootFacts && len(names) == 0:
		i.message, i.hint = fmt.Sprintf("facts.%s: this rule fetches nothing", name), "add it under fetch:"
	case ok && len(path) == 1 && path[0] == rootFacts:
		i.message = fmt.Sprintf("this rule fetches no fact named %q", name)
	case ok && len(path) == 1 && path[0] == rootVars:
		i.message = fmt.Sprintf("vars has no %q", name)
		if len(names) == 0 {
			i.hint = "add it under vars: at the top of the file"
		}
	case ok && len(path) == 1 && path[0] == rootResults:
		i.message = fmt.Sprintf("results.%s names no commit or build before this action", name)
	case ok:
		i.message = fmt.Sprintf("%s has no field %q", strings.Join(path, "."), name)
	}
}

// functionHints are remedies for functions that other languages have.
var functionHints = map[string]string{
	"len": "write x.size()", "length": "write x.size()", "count": "write x.size()",
	"now": "there is no clock; event.time is when the event came", "today": "there is no clock; event.time is when the event came",
	"lower": "write x.lowerAscii()", "upper": "write x.upperAscii()", "toLower": "write x.lowerAscii()", "toUpper": "write x.upperAscii()",
	"includes": "write x.contains(y), or y in x for a list", "str": "write string(x)", "toString": "write string(x)", "match": "write x.matches(y)",
	"any": "write x.exists(e, …)", "some": "write x.exists(e, …)", "every": "write x.all(e, …)",
}

// explainName is for a variable or a function nobody knows.
func (f *finder) explainName(i *issue, name string) {
	isCall := f.found != nil && f.found.Kind() == celast.CallKind
	if isCall {
		if f.found.AsCall().IsMemberFunction() {
			i.offset = max(0, i.offset-len([]rune(name))) // the place is the bracket
		}
		i.message = fmt.Sprintf("there is no function %q", name)
		var names []string
		for n := range f.env.cel.Functions() {
			if !strings.ContainsAny(n, "_@") {
				names = append(names, n)
			}
		}
		i.hint = ""
		if n := Nearest(name, names); n != "" {
			i.hint = "did you mean " + n + "?"
		}
		if hint := functionHints[name]; hint != "" {
			i.hint = hint
		}
		return
	}
	roots := f.env.scope.roots()
	first, _, _ := strings.Cut(name, ".")
	i.message = fmt.Sprintf("unknown name %q", first)
	if n := Nearest(first, roots); n != "" {
		i.hint = "did you mean " + n + "?"
		return
	}
	for _, root := range roots {
		t, _ := f.env.scope.root(root)
		if _, ok := t.Field(first); ok {
			i.hint = "did you mean " + root + "." + first + "?"
			return
		}
	}
	switch first {
	case rootItem:
		i.hint = "item is there only with a for_each"
	case rootResults:
		i.hint = "results are there only in an action after a commit or a build"
	default:
		i.hint = "an expression begins with one of: " + strings.Join(roots, ", ") + "; text stands in quotes"
	}
}
