package engine

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// A fact about a commit of ours ends the run of a rule that has not asked for our own commits.
func TestFactsThatNameOurCommit(t *testing.T) {
	key := rules.ActionKey("run", "", "note")
	child := events.Chain{Depth: 2, Origin: "repo/0", Action: key}
	tests := []struct {
		name    string
		own     bool         // on_own_commits
		depth   int          // of the commit the fact names
		event   events.Chain // of the event
		outcome string
		chain   events.Chain // of the actions
	}{
		{name: "not asked for", depth: 2, outcome: rules.OutcomeOwnCommit},
		{name: "asked for", own: true, depth: 2, outcome: rules.OutcomeActed, chain: child},
		{name: "too deep", own: true, depth: 4, outcome: rules.OutcomeOwnCommit},
		{name: "the event is that child already", own: true, depth: 2, event: child, outcome: rules.OutcomeActed, chain: child},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ruleFile := buildRules
			if tt.own {
				ruleFile = strings.Replace(buildRules, "    on: push", "    on_own_commits: true\n    on: push", 1)
			}
			f := newFixture(t, ruleFile, buildAnswers("failed"))
			order := f.order()
			f.store.setRecord(t, commitSubject(commitA), map[string]any{"v": 1, "key": key, "depth": tt.depth, "origin": "repo/0"})
			if tt.event.Depth > 0 {
				o, err := readOrder(order)
				if err != nil {
					t.Fatal(err)
				}
				o.chain = tt.event
				order.Header = o.header(nil)
			}
			if err := f.engine.Run(t.Context(), order); err != nil {
				t.Fatal(err)
			}
			d := f.decision(order)
			if d.Outcome != tt.outcome {
				t.Fatalf("outcome %s, want %s", d.Outcome, tt.outcome)
			}
			for _, a := range f.actions(subjectCommit) {
				if a.Chain != tt.chain {
					t.Errorf("chain %+v, want %+v", a.Chain, tt.chain)
				}
			}
			if tt.outcome == rules.OutcomeOwnCommit {
				if n := len(f.store.put("")); n != 1 {
					t.Errorf("%d messages of work, want the run alone", n)
				}
				wantField(t, f.wantLines("own commit recognised", 1)[0], "commit", commitA)
				wantField(t, f.wantLines("run decided", 1)[0], "outcome", rules.OutcomeOwnCommit)
			}
		})
	}
}
