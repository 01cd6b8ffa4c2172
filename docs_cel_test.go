package millrace_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// checkExpressions checks a cel block: each line is an expression, and after // an equal one, or error: or problem: with a text.
func checkExpressions(t *testing.T, b *block) {
	t.Helper()
	facts := map[string]json.RawMessage{}
	data, err := os.ReadFile(filepath.Join("examples", "facts", "failed-build.json"))
	if err == nil {
		err = json.Unmarshal(data, &facts)
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(b.text), "\n") {
		expr, want, ok := strings.Cut(line, " // ")
		if !ok {
			t.Errorf("%s: %q does not say what it gives", b.at(), line)
			continue
		}
		expr, want = strings.TrimSpace(expr), strings.TrimSpace(want)
		if got := evaluate(t, expr, want, facts); got != "" {
			t.Errorf("%s: %s: %s", b.at(), expr, got)
		}
	}
}

// evaluate says what is wrong about an expression giving want, "" if nothing is.
func evaluate(t *testing.T, expr, want string, facts map[string]json.RawMessage) string {
	t.Helper()
	problem, wantProblem := strings.CutPrefix(want, "problem: ")
	failure, wantFailure := strings.CutPrefix(want, "error: ")
	condition := "(" + expr + ") == (" + want + ")"
	if wantProblem || wantFailure {
		condition = "[" + expr + "].size() > 0"
	}
	file, err := yaml.Marshal(map[string]any{
		"vars": map[string]any{"job": "f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3", "areas": []string{"shop", "pay"}},
		"rules": []any{map[string]any{
			"name": "example", "on": "push", "when": condition,
			"fetch": map[string]any{
				"build": map[string]any{"build_of_commit": map[string]any{"job_id": "${{ vars.job }}", "commit": "${{ event.after }}"}, "until": "facts.build.finished"},
				"job":   map[string]any{"job_config": map[string]any{"job_id": "${{ vars.job }}"}},
			},
			"do": []any{map[string]any{"notify": map[string]any{"to": "team", "title": "t", "text": "x"}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rs, problems := rules.Compile([]rules.File{{Name: rulesFile, Data: file}}, engine.Catalogue(nil, nil))
	switch {
	case wantProblem && len(problems) == 1 && strings.HasSuffix(problems[0].Message, ": "+problem):
		return ""
	case wantProblem || len(problems) > 0:
		return fmt.Sprintf("problems %v", problems)
	}
	event := pushOfExamples(t)
	view, err := events.Decode(event)
	if err != nil {
		t.Fatal(err)
	}
	rule := rs.Rules()[0]
	played := trial.Play(trial.Input{Ruleset: rs, Rule: rule, Event: event, View: view, Facts: trial.GivenFacts(rule, facts), Now: event.Time})
	switch {
	case wantFailure && played.Outcome == trial.Failed && played.Reason == "when: "+failure:
		return ""
	case !wantFailure && played.Outcome == rules.OutcomeActed:
		return ""
	}
	return fmt.Sprintf("%s: %s", played.Outcome, played.Reason)
}

// pushOfExamples is examples/events/push.json as a receiver stores it.
func pushOfExamples(t *testing.T) *events.Event {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("examples", "events", "push.json"))
	if err != nil {
		t.Fatal(err)
	}
	scanned, err := events.Scan(body, "")
	if err != nil {
		t.Fatal(err)
	}
	return &events.Event{
		ID: "repo/" + scanned.DeliveryID, Source: "repo", Type: scanned.Type, Repository: scanned.Repository,
		Time: time.Date(2026, 11, 20, 9, 42, 9, 0, time.UTC), Body: body,
	}
}
