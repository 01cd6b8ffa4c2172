package rules

import (
	"fmt"
	"regexp"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

var (
	wrappedKind = regexp.MustCompile(`wrapper\((\w+)\)`)
	objectKind  = regexp.MustCompile(`\{[^{}]*\}`) // see celName
	listKind    = regexp.MustCompile(`list\(([^()]*)\)`)
	mapKind     = regexp.MustCompile(`map\(\w+, ([^()]*)\)`)
	dynKind     = regexp.MustCompile(`\bdyn\b`)
)

// kindsInWords replaces how the checker writes types by how the reference does: list({Event.commits}) by list of object.
func kindsInWords(s string) string {
	s = objectKind.ReplaceAllString(wrappedKind.ReplaceAllString(s, "$1"), Object.String())
	s = dynKind.ReplaceAllString(s, Dyn.String())
	for {
		next := mapKind.ReplaceAllString(listKind.ReplaceAllString(s, "list of $1"), "map of $1")
		if next == s {
			return s
		}
		s = next
	}
}

// explainCall is for a function or an operator that does not take what it is given.
func (f *finder) explainCall(i *issue, function, args string) {
	args = kindsInWords(args)
	op, isOperator := operators.FindReverse(function)
	switch {
	case f.comparedWithNull(i, function, args):
	case function == operators.Index:
		i.message = "[…] cannot be applied to " + args
		i.hint = "a field of an object is read with a dot; an index needs a list and an int"
	case function == operators.Conditional:
		i.message = "? : cannot be applied to " + args
		i.hint = "the condition must be true or false, and both results of one kind"
	case function == operators.In && strings.HasSuffix(args, ", string)"):
		i.message = "in cannot be applied to " + args
		i.hint = `in asks a list, as ["a", "b"]; x.contains(y) asks a text`
	case isOperator:
		i.message = fmt.Sprintf("%s cannot be applied to %s", strings.Trim(op, " "), args)
	default: // a function of a value is written value.(arguments)
		args = strings.TrimSuffix(strings.Replace(args, ".(", " with (", 1), " with ()")
		i.message = fmt.Sprintf("%s cannot be applied to %s", function, args)
	}
}

// comparedWithNull explains that a list or a map does not compare with null.
func (f *finder) comparedWithNull(i *issue, function, args string) bool {
	kinds := strings.Split(strings.Trim(args, "()"), ", ")
	if function != operators.Equals && function != operators.NotEquals || len(kinds) != 2 || f.found == nil {
		return false
	}
	for n, kind := range kinds {
		word, _, _ := strings.Cut(kind, " ")
		operands := f.found.AsCall().Args()
		if kinds[1-n] != "null" || word != List.String() && word != Map.String() || len(operands) != 2 {
			continue
		}
		i.message = fmt.Sprintf("a %s cannot be compared with null", word)
		i.hint = "it is never null; test its size()"
		if path, ok := selection(operands[n]); ok && operands[n].Kind() == celast.SelectKind {
			i.hint = "test it with has(" + strings.Join(path, ".") + ")"
			if function == operators.Equals {
				i.hint = "test it with !has(" + strings.Join(path, ".") + ")"
			}
		}
		return true
	}
	return false
}
