package rules

import (
	"fmt"
	"io"
	"strings"
)

// Render writes the explanation as a tree for people. One without a label is of nothing, and writes nothing.
func (e Explanation) Render(w io.Writer) { e.render(w, 0) }

func (e *Explanation) render(w io.Writer, depth int) {
	if e.Label == "" {
		return
	}
	mark := map[string]string{True: "✓", False: "✗", Failed: "!", Unreached: "·"}[e.Verdict]
	if mark == "" {
		mark = "?"
	}
	fmt.Fprintf(w, "%s%s %s", strings.Repeat("  ", depth), mark, printable(e.Label))
	if len(e.Children) == 0 {
		if e.Wanted != "" {
			fmt.Fprintf(w, "  wanted %s", printable(e.Wanted))
		}
		if len(e.Seen) > 0 {
			fmt.Fprintf(w, "  saw %s", printable(string(e.Seen)))
		}
	}
	if e.Error != "" {
		fmt.Fprintf(w, "  error: %s", printable(e.Error))
	}
	fmt.Fprintln(w)
	for i := range e.Children {
		e.Children[i].render(w, depth+1)
	}
}
