package notify

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// scrubber takes a target's own secrets out of what the target says.
type scrubber struct{ words concealed[[]string] }

func newScrubber(u *url.URL, secret string) scrubber {
	words := []string{u.String(), u.RawQuery, u.EscapedPath()}
	for _, values := range u.Query() {
		for _, value := range values {
			words = append(words, value, url.QueryEscape(value))
		}
	}
	words = slices.Concat(words, strings.Split(u.Path, "/"), strings.Split(u.EscapedPath(), "/"))
	// Shorter ones are ordinary words, as in /robot/send.
	words = slices.DeleteFunc(words, func(w string) bool { return len(w) < 6 })
	words = append(words, secret)
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	return scrubber{words: conceal(slices.Compact(words))}
}

// clean is what of a target's words goes into an error: one short line, without secrets, also without the further ones given.
func (s scrubber) clean(text string, further ...string) string {
	for _, word := range append(further, s.words()...) {
		if word != "" {
			text = strings.ReplaceAll(text, word, "…")
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	return cut(strings.Join(strings.Fields(text), " "), 160)
}
