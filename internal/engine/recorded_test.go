package engine

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// TestReadRecorded reads what Match and Run wrote.
func TestReadRecorded(t *testing.T) {
	f := newFixture(t, buildRules+`
  - name: later
    on: push
    fetch: { build: { build_of_commit: { job_id: "1", commit: x }, until: facts.build.finished } }
    do: [{ notify: { to: team, title: t, text: t } }]
`, buildAnswers("failed"))
	order := f.match(push("1", commitA, "fix totals"))[0]
	none, err := ReadRecorded(t.Context(), f.store, "repo/none")
	if err != nil || none != nil {
		t.Errorf("%+v, %v", none, err)
	}
	if err := f.engine.Run(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	r, err := ReadRecorded(t.Context(), f.store, "repo/1")
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	d := r.Decisions["record-failed-build"]
	if len(r.Candidates) != 2 || len(r.Decisions) != 1 || d == nil || d.Outcome != rules.OutcomeActed || r.Digest != f.live.Current().Digest() || r.At.IsZero() {
		t.Errorf("%+v", r)
	}
	if chain, err := ReadOwnCommit(t.Context(), f.store, commitA); err != nil || chain.Depth != 0 {
		t.Errorf("%+v, %v", chain, err)
	}
	f.store.setRecord(t, commitSubject(commitA), map[string]any{"v": 1, "key": "k", "depth": 2, "origin": "o"})
	if chain, err := ReadOwnCommit(t.Context(), f.store, commitA); err != nil || chain.Depth != 2 || chain.Action != "k" || chain.Origin != "o" {
		t.Errorf("%+v, %v", chain, err)
	}
	f.store.setRecord(t, matchSubject("repo/2"), "no record")
	if r, err := ReadRecorded(t.Context(), f.store, "repo/2"); err == nil {
		t.Errorf("%+v", r)
	}
}

// TestReadRecordedPause reads what was decided about a rule that was paused.
func TestReadRecordedPause(t *testing.T) {
	f := newFixture(t, limitedRules, nil)
	for i := range 3 {
		f.match(pushAt(strconv.Itoa(i), time.Duration(i)))
	}
	r, err := ReadRecorded(t.Context(), f.store, "repo/2")
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	if d := r.Decisions["busy"]; !slices.Equal(r.Candidates, []string{"other", "busy"}) || d == nil || d.Outcome != rules.OutcomePaused {
		t.Errorf("%+v", r)
	}
}
