package main

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/app"
)

// TestPrintPlan: the only action of a decision is listed, too, unless a sentence says all about it.
func TestPrintPlan(t *testing.T) {
	plan := &app.Replay{Will: []string{"what happens"}, Effects: []app.Effect{{ActionID: "notify1", Kind: "notify", Target: "team", Will: app.WillKeep}}}
	const sentence, listed = "A replay would do this:\n  - what happens\n", "    notify (notify1) to team: done, not repeated\n"
	for told, want := range map[bool]string{true: sentence, false: sentence + listed} {
		var b strings.Builder
		plan.Told = told
		if printPlan(&b, plan); b.String() != want {
			t.Errorf("told %t:\n%swant:\n%s", told, b.String(), want)
		}
	}
}
