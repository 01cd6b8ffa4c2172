package rules

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// maxText is how many bytes a text may have that one call makes. The cost of a call is counted when it is done, too late for one that
// makes gigabytes of two texts.
const maxText = 4 << 20

var errTextTooLong = fmt.Errorf("the text would have more than %d bytes", maxText)

// functions are ours, beside the standard ones; and those of the standard ones that could make very much of little, with a limit.
func functions() []cel.EnvOption {
	all := []cel.EnvOption{
		cel.ASTValidators(globChecker{}),
		cel.Function(globFunction, cel.Overload("glob_string_string", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType,
			cel.BinaryBinding(globs))),
		cel.Function("replace",
			cel.MemberOverload("string_replace_string_string", []*cel.Type{cel.StringType, cel.StringType, cel.StringType}, cel.StringType,
				cel.FunctionBinding(func(args ...ref.Val) ref.Val { return replace(args, -1) })),
			cel.MemberOverload("string_replace_string_string_int", []*cel.Type{cel.StringType, cel.StringType, cel.StringType, cel.IntType}, cel.StringType,
				cel.FunctionBinding(func(args ...ref.Val) ref.Val {
					n, ok := args[3].(types.Int)
					if !ok {
						return types.MaybeNoSuchOverloadErr(args[3])
					}
					return replace(args[:3], int(n))
				}))),
		cel.Function("distinct",
			cel.MemberOverload("list_distinct", []*cel.Type{cel.ListType(cel.TypeParamType("T"))}, cel.ListType(cel.TypeParamType("T")),
				cel.UnaryBinding(distinct))),
		cel.Function("short", cel.Overload("short_string", []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				s, ok := v.(types.String)
				if !ok {
					return types.MaybeNoSuchOverloadErr(v)
				}
				return types.String(firstRunes(string(s), shortLength))
			}))),
		cel.Function("truncate", cel.Overload("truncate_string_int", []*cel.Type{cel.StringType, cel.IntType}, cel.StringType,
			cel.BinaryBinding(func(v, n ref.Val) ref.Val {
				s, ok := v.(types.String)
				max, isInt := n.(types.Int)
				switch {
				case !ok:
					return types.MaybeNoSuchOverloadErr(v)
				case !isInt:
					return types.MaybeNoSuchOverloadErr(n)
				case max < 1:
					return types.NewErr("truncate: the length must be at least 1")
				}
				return types.String(truncate(string(s), int(max)))
			}))),
	}
	return slices.Concat(all, links(), daysUntil())
}

// globFunction is glob(text, pattern): whether a glob, as match has them, takes the text.
const globFunction = "glob"

func globs(text, glob ref.Val) ref.Val {
	s, ok := text.(types.String)
	g, isString := glob.(types.String)
	switch {
	case !ok:
		return types.MaybeNoSuchOverloadErr(text)
	case !isString:
		return types.MaybeNoSuchOverloadErr(glob)
	}
	p, err := newGlob(string(g))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Bool(p.match(string(s)))
}

// globChecker reports a glob that is wrong when the rule is loaded, if it is written out.
type globChecker struct{}

func (globChecker) Name() string { return "millrace.glob" }

func (globChecker) Validate(_ *cel.Env, _ cel.ValidatorConfig, ast *celast.AST, issues *cel.Issues) {
	for _, e := range celast.MatchDescendants(celast.NavigateAST(ast), celast.FunctionMatcher(globFunction)) {
		args := e.AsCall().Args()
		if len(args) != 2 || args[1].Kind() != celast.LiteralKind {
			continue
		}
		text, ok := args[1].AsLiteral().Value().(string)
		if !ok {
			continue
		}
		if _, err := newGlob(text); err != nil {
			issues.ReportErrorAtID(args[1].ID(), "%s", err)
		}
	}
}

// shortLength is how many characters of a commit id people are shown.
const shortLength = 8

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// truncate cuts s to at most n characters, the last of which is then an ellipsis.
func truncate(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	return firstRunes(s, n-1) + "…"
}

func replace(args []ref.Val, n int) ref.Val {
	var texts [3]string
	for i, a := range args {
		s, ok := a.(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(a)
		}
		texts[i] = string(s)
	}
	found := strings.Count(texts[0], texts[1])
	if n >= 0 {
		found = min(found, n)
	}
	if len(texts[2]) > 0 && found > maxText/len(texts[2]) {
		return types.WrapErr(errTextTooLong)
	}
	return types.String(strings.Replace(texts[0], texts[1], texts[2], n))
}
