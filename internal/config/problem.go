package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with the configuration. Messages name settings, files and variables, never the text of a secret.
type Problem struct {
	File      string // the file as it was given to Load, or "environment"
	Line, Col int    // from 1; 0 when the problem has no place in a file
	Message   string // what was found and what was expected
	Hint      string // what to do, may be empty
}

// Error is `file:line:col: message; hint [config]`, without the numbers when there are none.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Col)
	}
	b.WriteString(": ")
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; ")
		b.WriteString(p.Hint)
	}
	b.WriteString(" [config]")
	return b.String()
}

// Problems are all problems of one Load, the file's by position and then the environment's by name.
type Problems []Problem

// Error is one line per problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) sort() {
	rank := func(p Problem) int {
		if p.File == environment {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Message, b.Message))
	})
}

// environment stands where a file's name does for what came from a variable.
const environment = "environment"

// place is where a setting was given: a position in the file, or a variable. The zero place is "nowhere", a default.
type place struct {
	line, col int
	variable  string
}

// fault is a problem that does not know its place yet.
type fault struct{ message, hint string }

func faultf(hint, format string, args ...any) *fault {
	return &fault{message: fmt.Sprintf(format, args...), hint: hint}
}
