package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

const startRules = `
rules:
  - name: start-the-next
    on: push
    do:
      - id: next
        build: { job_id: ` + jobID + `, commit: "${{ event.after }}", parameters: { BRANCH: "${{ event.branch }}" } }
      - notify: { to: team, title: "Build ${{ results.next.build_no }}", text: "of ${{ results.next.job_id }}" }
`

// A build is put as work of its own kind; what names its result waits.
func TestRunPutsABuild(t *testing.T) {
	f := newFixture(t, startRules, nil)
	order := f.order()
	if err := f.engine.Run(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	key := rules.ActionKey(order.Header[headerRun], "", "next")
	if work := f.store.put("work.build"); len(work) != 1 || work[0].subject != "work.build" || work[0].header[headerKey] != key {
		t.Fatalf("work %+v", work)
	}
	if work := f.store.put(subjectNotify); len(work) != 0 {
		t.Errorf("what waits was put: %+v", work)
	}
	want := &rules.Build{JobID: jobID, Commit: commitA, Parameters: []rules.BuildParameter{{Name: "BRANCH", Value: "main"}}}
	if diff := cmp.Diff(want, f.actions("work.build")[0].Build); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"next"}, f.decision(order).Items[0].Actions[1].Waits); diff != "" {
		t.Error(diff)
	}
}

func TestShadowStartsNoBuild(t *testing.T) {
	f := newFixture(t, strings.Replace(startRules, "on: push", "on: push\n    mode: shadow", 1), nil)
	order := f.order()
	if err := f.engine.Run(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if d := f.decision(order); d.Outcome != rules.OutcomeShadow || len(d.Items[0].Actions) != 2 {
		t.Errorf("decision %+v", d)
	}
	if work := f.store.put("work.build"); len(work) != 0 {
		t.Errorf("work %+v", work)
	}
}

// A build of the branch stands for that of the commit only if it began after the event, unless the rule says from when.
func TestBranchOfABuildIsDated(t *testing.T) {
	for more, want := range map[string]any{
		"":               nil,
		", branch: main": start.Add(-time.Second),
		`, branch: main, since: "2026-04-01T00:00:00Z"`:  nil,
		`, branch: main, pushed: "2026-04-02T00:00:00Z"`: "2026-04-02T00:00:00Z",
	} {
		text := strings.Replace(buildRules, `commit: "${{ event.after }}"`, `commit: "${{ event.after }}"`+more, 1)
		f := newFixture(t, text, buildAnswers("failed"))
		if err := f.run(); err != nil {
			t.Fatal(err)
		}
		call := f.source.fetched[0]
		if got := call.Args[codearts.ArgPushed]; call.Kind != codearts.OpBuildOfCommit || !cmp.Equal(got, want) {
			t.Errorf("%q: pushed %v, want %v", more, got, want)
		}
	}
}
