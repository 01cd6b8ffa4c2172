package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/rules"
)

// An event that names a commit of an action which does not know yet what came of it is written down, whether a rule fits it or not.
func TestNoteLanded(t *testing.T) {
	key := rules.ActionKey("run", "", "note")
	record := func(state string, attempt int, result string) map[string]any {
		rec := map[string]any{"v": 1, "kind": "commit", "state": state, "attempt": attempt, "depth": 1, "origin": "repo/0"}
		if result != "" {
			rec["result"] = map[string]any{"id": result}
		}
		return rec
	}
	trailer := rules.WithTrailer("docs: note", key)
	for name, tt := range map[string]struct {
		message string
		record  map[string]any
		noted   bool
	}{
		"under way":                     {trailer, record("started", 1, ""), true},
		"given up":                      {trailer, record("failed", 1, ""), true},
		"never sent":                    {trailer, record("started", 0, ""), false},
		"done":                          {trailer, record("done", 1, commitA), false},
		"a trailer we never wrote":      {trailer, nil, false},
		"a build":                       {trailer, map[string]any{"v": 1, "kind": "build", "state": "started", "attempt": 1}, false},
		"a record nobody can read":      {trailer, map[string]any{"v": 1, "state": 7}, false},
		"the key, and not as a trailer": {"Millrace-Action: " + key + "\n\nis what it says", record("started", 1, ""), false},
		"no trailer":                    {"fix", record("started", 1, ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "rules: [{name: never, on: tag_push, do: [{notify: {to: [team], title: x, text: x}}]}]", nil)
			if tt.record != nil {
				f.store.setRecord(t, actionSubject(key), tt.record)
			}
			for range 2 {
				f.match(push("1", commitA, tt.message))
			}
			var got landedRecord
			found, err := f.engine.readRecord(t.Context(), landedSubject(key), &got)
			if err != nil || found != tt.noted {
				t.Fatalf("noted: %t, %v", found, err)
			}
			if want := (landedRecord{V: 1, ID: commitA}); found && got != want {
				t.Error(cmp.Diff(want, got))
			}
		})
	}
}
