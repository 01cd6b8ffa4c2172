package app_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/trial/backtest"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// agreeEdited is a ruleset with another description of each rule: it means the same and does not read the same, so a backtest plays it.
func agreeEdited(t *testing.T, rs *rules.Ruleset) *rules.Ruleset {
	t.Helper()
	files := slices.Clone(rs.Files())
	for i := range files {
		var file struct {
			Vars  yaml.Node              `yaml:"vars,omitempty"`
			Rules []map[string]yaml.Node `yaml:"rules"` // the order of a rule's keys is nothing, below them it may be
		}
		if err := yaml.Unmarshal(files[i].Data, &file); err != nil {
			t.Fatal(err)
		}
		for _, rule := range file.Rules {
			rule["description"] = yaml.Node{Kind: yaml.ScalarNode, Value: "It reads otherwise."}
		}
		var err error
		if files[i].Data, err = yaml.Marshal(file); err != nil {
			t.Fatal(err)
		}
	}
	edited, problems := rules.Compile(files, engine.Catalogue(nil, nil))
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return edited
}

// backtest compares what workers decided with what a backtest plays later: the same as rules that mean the same, and, beside no rules at
// all, what the workers did.
func (a *agreement) backtest(decisions map[string]*rules.Decision, seen map[string]int) {
	a.t.Helper()
	report := a.try(a.edited)
	if report.Same != 0 || report.Window.Unreadable != 0 {
		a.t.Errorf("%s: %d rules are not played, of %d events the body is not read", a.what, report.Same, report.Window.Unreadable)
	}
	counts := map[string]map[string]int{}
	for i := range report.Rules {
		counts[report.Rules[i].Name] = report.Rules[i].Counts
	}
	removed := a.try(a.none)
	for name, decision := range decisions {
		if decision == nil { // a dead letter leaves no facts
			continue
		}
		seen["backtested"]++
		if c := counts[name]; len(c) != 1 || c[backtest.Unchanged] != 1 {
			a.t.Errorf("%s, rule %s: a worker decided %s, a backtest of the same says %v%s", a.what, name, decision.Outcome, c, unknownOf(report, name))
		}
		want := backtest.Unchanged
		if decision.Outcome == rules.OutcomeActed || decision.Outcome == rules.OutcomeShadow {
			want = backtest.NoLongerFires
		}
		i := slices.IndexFunc(removed.Rules, func(r backtest.Rule) bool { return r.Name == name })
		if i < 0 || removed.Rules[i].Counts[want] != 1 {
			a.t.Errorf("%s, rule %s: a worker decided %s, a backtest without it says %+v", a.what, name, decision.Outcome, removed.Rules)
		}
	}
}

// unknownOf says why a rule is not comparable, "" when it is.
func unknownOf(report *backtest.Report, name string) string {
	for i := range report.Rules {
		for _, x := range report.Rules[i].Examples {
			if report.Rules[i].Name == name {
				return ": " + x.Unknown
			}
		}
	}
	return ""
}

func (a *agreement) try(after *rules.Ruleset) *backtest.Report {
	a.t.Helper()
	report, err := backtest.Run(a.t.Context(), backtest.Options{Before: a.live.Current(), After: after, Examples: 1}, a)
	if err != nil {
		a.t.Fatalf("%s: %v", a.what, err)
	}
	return report
}

// Events implements [backtest.World].
func (a *agreement) Events(_ context.Context, fn func(backtest.Event) error) error {
	return fn(backtest.Event{Event: a.event, Sequence: 1, Stored: a.event.Time})
}

// Recorded implements [backtest.World].
func (a *agreement) Recorded(ctx context.Context, eventID string, _ bool) (*backtest.Recorded, error) {
	r, err := engine.ReadRecorded(ctx, a.store, eventID)
	if err != nil || r == nil {
		return nil, err
	}
	return &backtest.Recorded{Chain: r.Chain, At: r.At, Decisions: r.Decisions}, nil
}

// OwnCommit implements [backtest.World].
func (a *agreement) OwnCommit(_ context.Context, id string) (events.Chain, error) {
	return a.own[id], nil
}

// Ruleset implements [backtest.World].
func (a *agreement) Ruleset(_ context.Context, digest string) (*rules.Ruleset, error) {
	if digest != a.live.Current().Digest() {
		return nil, errors.New("no worker had this ruleset")
	}
	return a.live.Current(), nil
}
