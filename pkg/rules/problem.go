package rules

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
)

// File is one rule file. Name is what problems and the digest call it; it is never opened.
type File struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// MaxFile is how many bytes a rule file may have.
const MaxFile = 1 << 20

// Severity of a problem.
type Severity uint8

const (
	// SeverityError keeps the ruleset from loading.
	SeverityError Severity = iota
	// SeverityWarning does not.
	SeverityWarning
)

// String is "error" or "warning".
func (s Severity) String() string {
	if s == SeverityWarning {
		return "warning"
	}
	return "error"
}

// Kinds of problem, the word in brackets at the end of its line.
const (
	ProblemSyntax     = "syntax"     // not YAML, or a value of the wrong kind
	ProblemKey        = "key"        // a key nobody knows, or one that is missing or there twice
	ProblemName       = "name"       // a name that is taken, malformed or names nothing
	ProblemValue      = "value"      // a value out of its range
	ProblemExpression = "expression" // CEL that does not compile
	ProblemFact       = "fact"       // a fact or an argument nobody knows
	ProblemLimit      = "limit"      // too large, too many, too deep
	ProblemSource     = "source"     // an event type that no configured source sends; a warning

	ProblemUnreachable = "unreachable" // what can never come about; a warning
	ProblemShadowed    = "shadowed"    // a rule that does what another does; a warning
	ProblemRender      = "render"      // a text that can never be made
	ProblemSecret      = "secret"      // a secret in plain text
)

// Problem is one thing wrong with a rule file. Line and Col count from 1, Col in characters; both are 0 when the problem is about
// the file as a whole. Hint is a remedy: the nearest right name alone, or a short sentence.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Col      int      `json:"col"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
	Kind     string   `json:"kind"`
	Severity Severity `json:"-"`
}

// String is "file:line:col: message; hint [kind]", of a warning with "warning: " before the message.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", p.File, p.Line, p.Col, p.marked())
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	b.WriteString(" [" + p.Kind + "]")
	return b.String()
}

// marked is the message, that of a warning as such.
func (p Problem) marked() string {
	if p.Severity == SeverityWarning {
		return "warning: " + p.Message
	}
	return p.Message
}

// Problems are all problems of all files, sorted by file and position.
type Problems []Problem

// Error is one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// HasErrors tells whether any of them keeps the ruleset from loading.
func (ps Problems) HasErrors() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Severity == SeverityError })
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Message, b.Message))
	})
}

// Count is how many of them are errors, and how many warnings.
func (ps Problems) Count() (errors, warnings int) {
	for _, p := range ps {
		if p.Severity == SeverityWarning {
			warnings++
		} else {
			errors++
		}
	}
	return errors, warnings
}

// Render writes each problem with the line it is on and a caret under the place, right also under wide characters. files are those
// given to Compile; color uses ANSI escapes.
func (ps Problems) Render(w io.Writer, files []File, color bool) {
	paint := func(code, s string) string {
		if !color {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	lines := map[string][]string{}
	for _, f := range files {
		lines[f.Name] = splitLines(string(f.Data))
	}
	for _, p := range ps {
		tone := "31;1"
		if p.Severity == SeverityWarning {
			tone = "33;1"
		}
		hint := ""
		if p.Hint != "" {
			hint = "; " + p.Hint
		}
		fmt.Fprintf(w, "%s %s%s %s\n", paint("1", fmt.Sprintf("%s:%d:%d:", p.File, p.Line, p.Col)), paint(tone, printable(p.marked())),
			printable(hint), paint("2", "["+p.Kind+"]"))
		if all := lines[p.File]; p.Line >= 1 && p.Line <= len(all) && p.Col >= 1 {
			renderLine(w, masked(all[p.Line-1]), p.Line, p.Col, func(s string) string { return paint("32;1", s) })
		}
	}
}

const (
	maxShownLine = 160 // columns of a source line that are shown
	tabWidth     = 4
)

// renderLine writes one source line and a caret under its col-th character, cutting a long line around it.
func renderLine(w io.Writer, line string, number, col int, paint func(string) string) {
	runes := []rune(line)
	at := min(col-1, len(runes))
	from := 0
	if len(runes) > maxShownLine && at > maxShownLine/2 {
		from = min(at-maxShownLine/2, len(runes)-maxShownLine)
	}
	to := min(len(runes), from+maxShownLine)
	before := display(runes[from:at])
	gutter := fmt.Sprintf("%4d | ", number)
	fmt.Fprintf(w, "%s%s%s\n", gutter, before, display(runes[at:max(at, to)]))
	blank := strings.Repeat(" ", len(gutter)-2) + "| "
	fmt.Fprintf(w, "%s%s%s\n", blank, strings.Repeat(" ", runewidth.StringWidth(before)), paint("^"))
}

// display replaces tabs and control characters, so that a file cannot command the terminal.
func display(rs []rune) string {
	var b strings.Builder
	for _, r := range rs {
		switch {
		case r == '\t':
			b.WriteString(strings.Repeat(" ", tabWidth))
		case r < 0x20, r >= 0x7f && r < 0xa0:
			b.WriteRune('�')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func printable(s string) string { return display([]rune(s)) }
