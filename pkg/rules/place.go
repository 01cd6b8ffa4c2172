package rules

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// place is where the offset-th character of a scalar's value stands in the file. It follows quotes, escapes, folding and the
// indentation of blocks. Asking for one place after the other goes through the scalar once.
func (s *source) place(n *yaml.Node, offset int) Position {
	if s.lines == nil {
		s.lines = splitLines(string(s.data))
	}
	w := &s.walk
	if w.node != n || offset < w.offset {
		c := cursor{lines: s.lines, line: n.Line - 1, col: n.Column - 1, loaded: w.loaded, runes: w.runes, end: w.end}
		*w = walk{node: n, value: []rune(n.Value), cursor: c}
		switch {
		case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
			w.enterBlock()
		case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
			w.col++
		}
	}
	for ; w.offset < min(offset, len(w.value)); w.offset++ {
		switch r := w.value[w.offset]; {
		case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
			w.block(r)
		case n.Style&yaml.DoubleQuotedStyle != 0:
			w.quoted(r, '"')
		case n.Style&yaml.SingleQuotedStyle != 0:
			w.quoted(r, '\'')
		default:
			w.quoted(r, 0)
		}
	}
	at := w.cursor
	at.settle()
	return Position{File: s.name, Line: at.line + 1, Col: at.col + 1}
}

// walk is how far place has gone through a scalar.
type walk struct {
	cursor
	node   *yaml.Node
	value  []rune
	offset int
}

// splitLines cuts a text where YAML does: also at a lone carriage return and at the line breaks of Unicode.
func splitLines(text string) []string {
	var lines []string
	from := 0
	for i, r := range text {
		switch r {
		case '\n':
			if i > 0 && text[i-1] == '\r' {
				from = i + 1 // the line ended at the carriage return
				continue
			}
		case '\r', '\u0085', '\u2028', '\u2029':
		default:
			continue
		}
		lines = append(lines, text[from:i])
		from = i + utf8.RuneLen(r)
	}
	return append(lines, text[from:])
}

// cursor goes through the source text along with the characters of a value.
type cursor struct {
	lines  []string
	line   int
	col    int
	indent int
	loaded int // the line runes is of, counted from 1
	runes  []rune
	end    int // where of runes nothing but blanks follows
}

func (c *cursor) text() []rune {
	if c.line < 0 || c.line >= len(c.lines) {
		return nil
	}
	if c.loaded != c.line+1 {
		c.loaded, c.runes = c.line+1, []rune(c.lines[c.line])
		c.end = utf8.RuneCountInString(strings.TrimRightFunc(c.lines[c.line], unicode.IsSpace))
	}
	return c.runes
}

// atEnd tells whether nothing but blanks follows on the line.
func (c *cursor) atEnd() bool {
	t := c.text()
	return c.col >= min(c.end, len(t))
}

func (c *cursor) blankLine() bool { return len(c.text()) == 0 || c.end == 0 }

// settle keeps the cursor within the file.
func (c *cursor) settle() {
	c.line = min(max(c.line, 0), max(len(c.lines)-1, 0))
	c.col = min(max(c.col, 0), len(c.text()))
}

// enterBlock goes from the | or > to the first line of the block.
func (c *cursor) enterBlock() {
	c.line++
	first := c.line
	for c.line < len(c.lines) && c.blankLine() {
		c.line++
	}
	t := c.text()
	for c.indent < len(t) && t[c.indent] == ' ' {
		c.indent++
	}
	c.line, c.col = first, c.indent
}

// block steps over one character of a literal or folded block.
func (c *cursor) block(r rune) {
	if c.col < len(c.text()) && r != '\n' {
		c.col++
		return
	}
	c.line, c.col = c.line+1, c.indent
}

// quoted steps over one character of a flow scalar: quote is 0 for a plain one.
func (c *cursor) quoted(r, quote rune) {
	for quote == '"' && c.continues() {
		c.nextLine()
	}
	t := c.text()
	escape := quote == '"' && c.col < len(t) && t[c.col] == '\\'
	if (r == ' ' || r == '\n') && c.atEnd() && !escape {
		c.nextLine()
		for c.line < len(c.lines)-1 && c.blankLine() {
			c.nextLine()
		}
		return
	}
	switch {
	case escape && c.col+1 < len(t):
		c.col += escapeLength(t[c.col+1])
	case quote == '\'' && c.col < len(t) && t[c.col] == '\'':
		c.col += 2
	case c.col < len(t):
		c.col++
	}
}

// continues tells whether a line of a double-quoted scalar is joined with the next by a backslash.
func (c *cursor) continues() bool {
	t := c.text()
	return c.col == len(t)-1 && t[c.col] == '\\' && c.line < len(c.lines)-1
}

func (c *cursor) nextLine() {
	c.line++
	c.col = 0
	for t := c.text(); c.col < len(t) && (t[c.col] == ' ' || t[c.col] == '\t'); {
		c.col++
	}
}

func escapeLength(r rune) int {
	switch r {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}
