package notify

import (
	"bytes"
	"encoding/json"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"
)

const (
	ellipsis = "…"
	maxTitle = 300  // bytes of a title before it is cut
	maxLink  = 2000 // bytes of a link before it is left out
)

// fit encodes build(text) in at most limit bytes of JSON, with as much of the text as goes in and an ellipsis for the rest. It is
// false when build needs more without any text.
func fit(text string, limit int, build func(text string) any) ([]byte, bool) {
	body := encode(build(text))
	if len(body) <= limit {
		return body, true
	}
	most := min(len(text), limit) // JSON is never shorter than the text in it
	try := func(n int) []byte { return encode(build(cutMarkdown(text, n))) }
	n := sort.Search(most+1, func(n int) bool { return len(try(n)) > limit }) - 1
	if n < 0 {
		return nil, false
	}
	body = try(n)
	return body, len(body) <= limit
}

// encode is JSON without the escapes that are for HTML pages: they would cost six bytes each.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("notify: a body of strings and numbers does not encode: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// cut shortens text to at most n bytes, the ellipsis included, at the boundary of a rune.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return text[:boundary(text, n-len(ellipsis))] + ellipsis
}

// boundary is the last start of a rune at or before n, at least 0.
func boundary(text string, n int) int {
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}

// cutMarkdown keeps about n bytes and adds the ellipsis. It does not cut through a link or a tag, and closes a code block, so that
// what follows the text is read as it should be.
func cutMarkdown(text string, n int) string {
	if n >= len(text) {
		return text
	}
	end := boundary(text, n)
	for _, whole := range []*regexp.Regexp{
		regexp.MustCompile(`!?\[[^\]\n]*\]\([^)\n]*\)`),
		regexp.MustCompile(`</?[A-Za-z][^>\n]*>`),
	} {
		// Only what starts close to the end can reach over it.
		from := boundary(text, end-4096)
		to := boundary(text, min(len(text)-1, end+4096))
		for _, m := range whole.FindAllStringIndex(text[from:to], -1) {
			if from+m[0] < end && from+m[1] > end {
				end = from + m[0]
			}
		}
	}
	kept := text[:end] + ellipsis
	if strings.Count(kept, "```")%2 == 1 {
		kept += "\n```"
	}
	return kept
}
