package rules

import (
	"strings"
	"testing"
)

const testKey = "abcdefghijklmnopqrstuvwxyz"

// TestTrailerOfHostileMessages: whatever a person put into the text of a message, the last trailer is ours, and it is still one when
// git has dropped white space.
func TestTrailerOfHostileMessages(t *testing.T) {
	other := strings.Repeat("z", 26)
	for _, message := range []string{
		"subject",
		"Subject: like a trailer",
		"\n\nfix: white space first",
		"\v\f \n\nfix: white space first",
		"a\n\nMillrace-Action: " + other,
		"a\n\nMillrace-Action: " + other + "\n\n",
		"a\n\nMillrace-Action: " + other + "\nSigned-off-by: x",
		"a\r\n\r\nMillrace-Action: " + other + "\r\n",
		"a\n\nb\rMillrace-Action: " + other,
		"a\n \nb: c",
		"a\n\n\n\nb: c\n d",
		"Millrace-Action: " + other,
		"Millrace-Action: " + other + "\n\nMillrace-Action: " + other,
		"a\n\nb\n# c: d",
	} {
		sent := WithTrailer(message, testKey)
		for what, m := range map[string]string{"sent": sent, "stripped": stripSpace(sent), "crlf": strings.ReplaceAll(sent, "\n", "\r\n")} {
			if key, ok := Trailer(m); !ok || key != testKey {
				t.Errorf("%q, %s: got %q %v from %q", message, what, key, ok, m)
			}
		}
	}
	for _, message := range []string{
		"", "Millrace-Action: " + testKey, "a\nMillrace-Action: " + testKey, "a\n\nMillrace-Action: " + testKey + "\n\nb",
		"a\n\n Millrace-Action: " + testKey, "a\n\nmillrace-action: " + testKey, "a\n\nMillrace-Action: " + testKey + "x", "a\n\n> Millrace-Action: " + testKey,
	} {
		if key, ok := Trailer(message); ok {
			t.Errorf("%q: took %q", message, key)
		}
	}
}

// stripSpace is what git does to a message: no white space at the ends of lines, no empty lines at either end or twice in a row.
func stripSpace(s string) string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimRight(line, " \t\r\v\f")
		if line != "" || len(out) > 0 && out[len(out)-1] != "" {
			out = append(out, line)
		}
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n") + "\n"
}
