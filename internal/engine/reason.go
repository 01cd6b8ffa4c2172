package engine

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/pkg/rules"
)

// maxReason is the length of a reason in a log line, in bytes. The record has it all.
const maxReason = 300

// reasonOf says in one line why a run was decided as it was: the decision's own reason, or of a
// rule that did not fire the first condition that did not hold, with what was wanted and seen.
func reasonOf(d *rules.Decision) string {
	if d.Reason != "" || d.Outcome != rules.OutcomeNoMatch {
		return shorten(d.Reason)
	}
	if len(d.Items) == 0 {
		return "there are no items"
	}
	reason := "no condition held"
	if leaf := d.Items[0].Explanation.FirstFalse(); leaf != nil {
		reason = describe(leaf)
	}
	if n := len(d.Items); n > 1 {
		reason = fmt.Sprintf("none of %d items, the first (%s): %s", n, d.Items[0].Key, reason)
	}
	return shorten(reason)
}

func describe(leaf *rules.Explanation) string {
	var b strings.Builder
	b.WriteString(leaf.Label)
	if leaf.Wanted != "" {
		b.WriteString(": wanted " + leaf.Wanted)
	}
	if len(leaf.Seen) > 0 {
		fmt.Fprintf(&b, ", seen %s", leaf.Seen)
	}
	if leaf.Error != "" {
		b.WriteString(": " + leaf.Error)
	}
	return b.String()
}

// shorten cuts text for a log line, between two characters.
func shorten(s string) string {
	if len(s) <= maxReason {
		return s
	}
	cut := maxReason
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
