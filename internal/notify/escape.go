package notify

import (
	"net/url"
	"strings"
	"unicode"
)

// breaker is the zero width space: invisible, and what stands on its two sides is not read together.
const breaker = "\u200b"

// escape writes a value so that no chat product reads markup, a mention or a link in it, wherever the author has put it: in a
// sentence, a heading, the text of a link or between backticks. What the products' markdown takes for markup becomes the full-width
// form of the same character, which no product interprets and which needs no rule of escaping; neither DingTalk nor Feishu documents one
// that holds everywhere.
func escape(value string) string {
	var b strings.Builder
	runes := []rune(flat(value))
	for i, r := range runes {
		switch r {
		case '[', ']', '<', '>', '`', '*', '~', '\\', '|':
			b.WriteRune(r - '!' + '！')
		case '_':
			// Inside a word, as in a branch's name, it is not markup.
			if i > 0 && i+1 < len(runes) && isWord(runes[i-1]) && isWord(runes[i+1]) {
				b.WriteRune(r)
			} else {
				b.WriteRune('＿')
			}
		case '&':
			if i+1 < len(runes) && (runes[i+1] == '#' || isWord(runes[i+1])) {
				r = '＆' // an entity could be any character
			}
			b.WriteRune(r)
		case '@':
			b.WriteString("@" + breaker)
		case ':':
			b.WriteRune(r)
			if i+1 < len(runes) && runes[i+1] == '/' {
				b.WriteString(breaker) // no product makes a link of what looks like an address
			}
		case '.':
			if i >= 3 && strings.EqualFold(string(runes[i-3:i]), "www") {
				b.WriteString(breaker)
			}
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// flat makes one line of a value: every run of white space and control characters is one space, and what is invisible or turns the
// direction of writing is left out.
func flat(value string) string {
	var b strings.Builder
	space := false
	for _, r := range strings.ToValidUTF8(value, "\ufffd") {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = true
			continue
		case r == '\u200d' || r == '\u200c': // joiners, of emoji and of some scripts
		case unicode.Is(unicode.Cf, r):
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	if space {
		b.WriteByte(' ')
	}
	return b.String()
}

// destination writes a whole address for the target of a link, "" when it is not one people may be sent to: only http and https, with a
// host, without a user, and at most maxLink bytes.
func destination(address string) string {
	address = strings.TrimSpace(address)
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return ""
	}
	address = percent(address, func(r rune) bool {
		return r > ' ' && r != 0x7f && !strings.ContainsRune("()<>[]\"\\`{}|^*~", r) && (r < 0x80 || unicode.IsLetter(r) || unicode.IsDigit(r))
	})
	if len(address) > maxLink {
		return ""
	}
	return address
}

// percent encodes the bytes of every rune that is not kept.
func percent(text string, keep func(rune) bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		if keep(r) {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

// segment writes a value that is a part of an address the author began.
func segment(value string) string {
	return percent(value, func(r rune) bool {
		return r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._~/", r))
	})
}
