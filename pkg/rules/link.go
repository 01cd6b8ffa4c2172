package rules

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// What link gives is no string: in a message the text and the address are values, which each channel escapes its own way, and the
// brackets around them are the author's. As a string all of it would be a value, and no channel would make a link of it.

var linkType = cel.OpaqueType("link")

// linkValue is a link, or several joined, in the expression language.
type linkValue struct{ parts Text }

var _ ref.Val = linkValue{}

func (l linkValue) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a link is not a %v", t)
}

func (l linkValue) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return linkType
	}
	return types.NewErr("a link cannot become a %s", t.TypeName())
}

func (l linkValue) Equal(other ref.Val) ref.Val {
	o, ok := other.(linkValue)
	return types.Bool(ok && slices.Equal(l.parts, o.parts))
}

func (l linkValue) Type() ref.Type { return linkType }
func (l linkValue) Value() any     { return l.parts }

// links are link(text, url), and join for lists of links.
func links() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Types(linkType),
		cel.Function("link", cel.Overload("link_string_string", []*cel.Type{cel.StringType, cel.StringType}, linkType,
			cel.BinaryBinding(func(text, url ref.Val) ref.Val {
				t, ok := text.(types.String)
				u, isString := url.(types.String)
				switch {
				case !ok:
					return types.MaybeNoSuchOverloadErr(text)
				case !isString:
					return types.MaybeNoSuchOverloadErr(url)
				}
				return linkValue{newLink(string(t), string(u))}
			}))),
		cel.Function("join",
			cel.MemberOverload("list_join_string", []*cel.Type{cel.ListType(cel.StringType), cel.StringType}, cel.StringType,
				cel.BinaryBinding(join)),
			cel.MemberOverload("list_link_join_string", []*cel.Type{cel.ListType(linkType), cel.StringType}, linkType,
				cel.BinaryBinding(join))),
	}
}

// newLink is a link as parts of a message; what is not the address of a web page makes no link, and leaves the text.
func newLink(text, url string) Text {
	if strings.TrimSpace(text) == "" {
		text = url
	}
	switch {
	case text == "":
		return nil
	case checkLink(url) != nil:
		return Text{{Value: text}}
	}
	return Text{{Literal: "["}, {Value: text}, {Literal: "]("}, {Value: url}, {Literal: ")"}}
}

// separators are the characters between links that stand as they are, also in a message: of them nothing can be made that matters,
// wherever they come from.
const separators = " \t\n,;.•·|/+-*"

// join joins strings, or links, or a mixture of them.
func join(list, separator ref.Val) ref.Val {
	l, ok := list.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(list)
	}
	sep, ok := separator.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(separator)
	}
	var out Text
	size, linked := 0, false
	between := Part{Value: string(sep)}
	if strings.Trim(string(sep), separators) == "" {
		between = Part{Literal: string(sep)} // a list stays one
	}
	for it, i := l.Iterator(), 0; it.HasNext() == types.True; i++ {
		if i > 0 && sep != "" {
			out = append(out, between)
			size += len(sep)
		}
		switch e := it.Next().(type) {
		case types.String:
			out = append(out, Part{Value: string(e)})
			size += len(e)
		case linkValue:
			out = append(out, e.parts...)
			size += e.parts.size()
			linked = true
		default:
			return types.NewErr("join: element %d is not a string but a %s", i, e.Type().TypeName())
		}
		if size > maxText {
			return types.WrapErr(errTextTooLong)
		}
	}
	if linked {
		return linkValue{out}
	}
	return types.String(out.Plain())
}

// markdown is a text as markdown for where no channel escapes it, as in a file: the author's words as they are, the values so that
// nothing in them is markup.
func (t Text) markdown() string {
	var b strings.Builder
	for i, p := range t {
		switch {
		case p.Value == "":
			b.WriteString(p.Literal)
		case i > 0 && t[i-1].Literal == "](":
			escapeAddress(&b, p.Value)
		default:
			escapeMarkdown(&b, p.Value)
		}
	}
	return b.String()
}

// escapeMarkdown writes words on one line; what markdown takes for markup is escaped.
func escapeMarkdown(b *strings.Builder, words string) {
	for _, r := range words {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			r = ' '
		case strings.ContainsRune("\\`*_[]<>|~&!#", r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
}

// escapeAddress writes an address that checkLink has passed, percent-encoding what would end the target of a link.
func escapeAddress(b *strings.Builder, address string) {
	for _, c := range []byte(address) {
		if c <= ' ' || c == 0x7f || strings.IndexByte("()<>[]\\\"`", c) >= 0 {
			fmt.Fprintf(b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
}
