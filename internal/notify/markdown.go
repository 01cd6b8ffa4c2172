package notify

import (
	"cmp"
	"strings"
	"unicode"

	"github.com/millrace/millrace/pkg/rules"
)

// markdown writes a text in the markdown DingTalk and Feishu share: the author's parts as they are, the values so that they are
// only ever words. Where the author put a value matters: a link's target takes an address, a tag takes a name.
func markdown(t rules.Text) string {
	var b strings.Builder
	for _, part := range t {
		if endsWWW(b.String()) && strings.HasPrefix(part.Literal, ".") {
			b.WriteString(breaker) // the value before may have ended so
		}
		b.WriteString(strings.ToValidUTF8(part.Literal, "\ufffd"))
		if part.Value != "" {
			b.WriteString(between(b.String(), part.Value))
		}
	}
	return b.String()
}

// between writes a value after what is written already.
func between(before, value string) string {
	if target, ok := openLink(before); ok {
		if target != "" {
			return segment(value)
		}
		if address := destination(value); address != "" {
			return address
		}
		return "#"
	}
	if openTag(before) {
		return name(before[strings.LastIndexAny(before, "<= \"'")+1:], value)
	}
	text := escape(value)
	if joins(before, text) || blockStart(before, text) {
		text = breaker + text
	}
	if strings.HasSuffix(text, "!") {
		text += breaker // or a link after it would become an image
	}
	return text
}

// joins reports whether the end of one text and the start of the other would be read together.
func joins(before, text string) bool {
	if before == "" {
		return false
	}
	return endsWWW(before) && strings.HasPrefix(text, ".") || strings.ContainsRune("]@<&:", rune(before[len(before)-1]))
}

// endsWWW reports whether a dot after the text would make the beginning of an address.
func endsWWW(text string) bool { return len(text) >= 3 && strings.EqualFold(text[len(text)-3:], "www") }

// openLink reports whether the text ends inside the target of a link, and with how much of it.
func openLink(text string) (target string, ok bool) {
	i := strings.LastIndex(text, "](")
	if i < 0 || strings.ContainsAny(text[i+2:], ") \t\n") {
		return "", false
	}
	return text[i+2:], true
}

// openTag reports whether the text ends inside a tag, as in `<at id=`.
func openTag(text string) bool {
	i := strings.LastIndexByte(text, '<')
	if i < 0 || i+1 == len(text) || strings.ContainsAny(text[i:], ">\n") {
		return false
	}
	c := rune(text[i+1])
	return unicode.IsLetter(c) || c == '/'
}

// name writes a value inside a tag: a user's id or mail address, never everybody. begun is what of the name is written already.
func name(begun, value string) string {
	value = strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._@", r)) {
			return r
		}
		return -1
	}, value)
	if strings.EqualFold(begun+value, "all") {
		return ""
	}
	return value
}

// blockStart reports whether the text would begin a heading, a list or a line after what is before it.
func blockStart(before, text string) bool {
	line := before[strings.LastIndexByte(before, '\n')+1:]
	if strings.Trim(line, " \t>*+-.)#0123456789"+breaker) != "" {
		return false
	}
	rest := strings.TrimLeft(text, " ")
	if rest == "" {
		return false
	}
	if strings.ContainsRune("#-+=", rune(rest[0])) {
		return true
	}
	number := strings.TrimLeft(rest, "0123456789")
	return len(number) < len(rest) && number != "" && (number[0] == '.' || number[0] == ')')
}

// titles writes a message's title twice: for where no markdown is read, and for where it is. No product takes an empty one.
func titles(m Message) (plain, rich string) {
	plain, rich = flatTitle(m.Title), cutMarkdown(oneLine(markdown(m.Title)), 3*maxTitle)
	if strings.TrimSpace(plain) == "" {
		plain = flatTitle(rules.Text{{Value: cmp.Or(m.Rule, "Millrace")}})
		rich = escape(plain)
	}
	return plain, rich
}

func flatTitle(t rules.Text) string {
	var b strings.Builder
	for _, part := range t {
		b.WriteString(part.Literal)
		b.WriteString(strings.ReplaceAll(flat(part.Value), "@", "@"+breaker))
	}
	return cut(oneLine(b.String()), maxTitle)
}

// oneLine collapses the line ends an author may have put into a title.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\ufffd"), func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}
