package rules

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

const (
	openTemplate  = "${{"
	closeTemplate = "}}"
)

// piece is a part of a template: literal text, or the text of an expression, which begins offset bytes into the template.
type piece struct {
	text   string
	isExpr bool
	offset int
}

// splitTemplate cuts a text at its ${{ … }}. The end of an expression is the first }} outside its strings and braces; if there is
// none, unclosed is where the expression opens, otherwise -1.
func splitTemplate(src string) (pieces []piece, unclosed int) {
	for at := 0; at < len(src); {
		open := strings.Index(src[at:], openTemplate)
		if open < 0 {
			return append(pieces, piece{text: src[at:], offset: at}), -1
		}
		if open > 0 {
			pieces = append(pieces, piece{text: src[at : at+open], offset: at})
		}
		begin := at + open + len(openTemplate)
		n := expressionEnd(src[begin:])
		if n < 0 {
			return pieces, at + open
		}
		pieces = append(pieces, piece{text: src[begin : begin+n], isExpr: true, offset: begin})
		at = begin + n + len(closeTemplate)
	}
	return pieces, -1
}

// expressionEnd is where the }} of an expression begins, -1 when there is none.
func expressionEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case '"', '\'':
			raw := i > 0 && (s[i-1] == 'r' || s[i-1] == 'R') && (i == 1 || !isWord(s[i-2]))
			n := stringEnd(s[i:], raw)
			if n < 0 {
				return -1
			}
			i += n
			continue
		case '{':
			depth++
		case '}':
			if depth == 0 {
				if strings.HasPrefix(s[i:], closeTemplate) {
					return i
				}
				return -1
			}
			depth--
		}
		i++
	}
	return -1
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// stringEnd is the length of the string literal s begins with, -1 when it does not end.
func stringEnd(s string, raw bool) int {
	quote := s[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s, triple) {
		quote = triple
	}
	for i := len(quote); i < len(s); i++ {
		switch {
		case s[i] == '\\' && !raw:
			i++
		case strings.HasPrefix(s[i:], quote):
			return i + len(quote)
		}
	}
	return -1
}

// template is a text with expressions in it. In JSON it is its source; bindTo makes it usable again.
type template struct {
	src   string
	pos   Position
	field string
	parts []part
}

// part is a literal, or an expression.
type part struct {
	literal string
	expr    *expr
	own     bool // the author's own words: an expression that reads nothing but vars
}

// MarshalJSON writes the source.
func (t *template) MarshalJSON() ([]byte, error) { return json.Marshal(t.src) }

// UnmarshalJSON reads the source; the parts are not there until bindTo.
func (t *template) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &t.src) }

// bindTo compiles the source in an environment of any types.
func (t *template) bindTo(e *env, field string) error {
	t.field, t.parts = field, nil
	pieces, unclosed := splitTemplate(t.src)
	if unclosed >= 0 {
		return &EvalError{Field: field, Message: "a ${{ is not closed"}
	}
	for _, p := range pieces {
		if !p.isExpr {
			t.parts = append(t.parts, part{literal: p.text})
			continue
		}
		prog := e.program(strings.TrimSpace(p.text))
		if len(prog.issues) > 0 {
			return &EvalError{Field: field, Message: prog.issues[0].message}
		}
		t.add(&expr{field: field, prog: prog})
	}
	return nil
}

func (t *template) add(x *expr) {
	own := !slices.ContainsFunc(x.prog.chains, func(c chain) bool { return c.path[0] != rootVars })
	t.parts = append(t.parts, part{expr: x, own: own})
}

// constant tells whether the template has no expression at all.
func (t *template) constant() bool {
	return t == nil || !slices.ContainsFunc(t.parts, func(p part) bool { return p.expr != nil })
}

// single is the expression of a template that is nothing else.
func (t *template) single() *expr {
	if t != nil && len(t.parts) == 1 {
		return t.parts[0].expr
	}
	return nil
}

func (t *template) exprs() []*expr {
	if t == nil {
		return nil
	}
	var out []*expr
	for _, p := range t.parts {
		if p.expr != nil {
			out = append(out, p.expr)
		}
	}
	return out
}

// value keeps the type of a template that is one expression; everything else is a string. A nil template is null.
func (t *template) value(act activation) (any, error) {
	if t == nil {
		return nil, nil
	}
	if x := t.single(); x != nil {
		return x.eval(act)
	}
	return t.text(act)
}

// text is the template as a string; null in it is an error. A nil template is "".
func (t *template) text(act activation) (string, error) {
	parts, err := t.compose(act, false)
	return parts.Plain(), err
}

// rich is the template as a message: the author's words and the values apart.
func (t *template) rich(act activation) (Text, error) { return t.compose(act, true) }

// compose evaluates the parts. Links are taken apart where they are for a message.
func (t *template) compose(act activation, links bool) (Text, error) {
	if t == nil {
		return nil, nil
	}
	var out Text
	for _, p := range t.parts {
		if p.expr == nil {
			out = appendLiteral(out, p.literal)
			continue
		}
		v, err := p.expr.eval(act)
		if err != nil {
			return nil, err
		}
		if l, ok := v.(Text); ok && links {
			out = append(out, l...)
			continue
		}
		s, ok := text(v)
		switch {
		case v == nil:
			return nil, p.expr.fail("%s", nullInText(p.expr.prog, act))
		case !ok:
			return nil, p.expr.fail("%s is %s: it cannot be part of a text; select a field or join it", strings.TrimSpace(p.expr.prog.text), describe(v))
		case p.own:
			out = appendLiteral(out, s)
		case s != "":
			out = append(out, Part{Value: s})
		}
	}
	return out, nil
}

func appendLiteral(t Text, s string) Text {
	if s == "" {
		return t
	}
	if n := len(t); n > 0 && t[n-1].Literal != "" {
		t[n-1].Literal += s
		return t
	}
	return append(t, Part{Literal: s})
}

// nullInText names what was null: the expression itself, or the name it ends in.
func nullInText(p *program, act activation) string {
	name := strings.TrimSpace(p.text)
	if len(p.chains) == 1 && p.chains[0].String() == name {
		if n := nullAt(act, p.chains[0].path); n > 0 {
			name = strings.Join(p.chains[0].path[:n], ".")
		}
	}
	return fmt.Sprintf("%s is null and cannot be part of a text; write ${{ %s == null ? \"\" : %s }}", name, name, name)
}
