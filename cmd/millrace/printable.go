package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// printable writes text for a terminal. What came from an event may hold sequences that a terminal obeys, and marks that turn text
// around: they are shown, not sent. Each Write must hold whole characters.
type printable struct{ to io.Writer }

func (p printable) Write(data []byte) (int, error) {
	if _, err := io.WriteString(p.to, visible(string(data))); err != nil {
		return 0, err
	}
	return len(data), nil
}

// visible replaces control characters, line ends and tabs aside, and what is invisible by its escape; joiners stay, emoji need them.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r != '\n' && r != '\t' && r != '\u200c' && r != '\u200d' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
