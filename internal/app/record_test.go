package app_test

import (
	"fmt"
	"hash/fnv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// TestRecordedTestsPass: for every event of the corpus, every ruleset and any facts, what a worker's engine decided becomes a test file
// that passes with the same rules, expects the recorded outcome, and holds no e-mail.
func TestRecordedTestsPass(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	corpus := agreeEvents(t)
	for _, event := range corpus {
		if event.Type == events.TypeTick && event.Source != events.SourceSchedule {
			event.Type = "unknown.schedule" // as a receiver stores it
		}
	}
	for name, live := range agreeRulesets(t) {
		for i, event := range corpus {
			seed := uint64(i % 8)
			a := newAgreement(t, live, event, fmt.Sprintf("%s, event %d, seed %d", name, i, seed), seed)
			a.record(seen)
			if t.Failed() {
				return
			}
		}
	}
	for _, outcome := range []string{
		rules.OutcomeActed, rules.OutcomeNoMatch, rules.OutcomeSkipped, rules.OutcomeShadow, rules.OutcomeOwnCommit, trial.NotCandidate, "chain", "masked",
	} {
		if seen[outcome] == 0 {
			t.Errorf("nothing was recorded as %s: %v", outcome, seen)
		}
	}
}

// record runs the event in a worker's engine and records each rule that decided, and one that did not take it.
func (a *agreement) record(seen map[string]int) {
	a.t.Helper()
	facts := &agreeFacts{agreement: a}
	eng, err := engine.New(engine.Stores{Records: a.store, Work: a.store, Events: a.store}, a.live, engine.Sources{Facts: facts, Fence: facts},
		engine.Limits{}, zerolog.Nop(), func() time.Time { return a.now })
	if err != nil {
		a.t.Fatal(err)
	}
	if err := eng.Match(a.t.Context(), engine.Message{Header: a.event.Header(), Data: a.event.Body}); err != nil {
		a.t.Fatalf("%s: %v", a.what, err)
	}
	ruleset := a.live.Current()
	var names []string
	for _, rule := range ruleset.Rules() {
		names = append(names, rule.Name())
	}
	orders := a.store.byRule(names, a.event.ID)
	in := trial.Recording{Ruleset: ruleset, Event: a.event, Own: func(id string) (events.Chain, error) { return a.own[id], nil }}
	passed := false
	for _, rule := range ruleset.Rules() {
		order, candidate := orders[rule.Name()]
		if !candidate {
			if !passed && len(orders) > 0 {
				passed = true
				in.Runs = append(in.Runs, trial.RecordedRun{Rule: rule})
			}
			continue
		}
		facts.rule = rule
		decision, err := a.run(eng, facts, order)
		if err != nil {
			continue // a dead letter
		}
		in.Runs = append(in.Runs, trial.RecordedRun{Rule: rule, Decision: decision, Results: agreeResults(decision)})
	}
	if len(in.Runs) == 0 {
		return
	}
	recorded, err := trial.Record(in)
	if err != nil {
		a.t.Errorf("%s: %v", a.what, err)
		return
	}
	a.checkRecorded(&in, recorded, seen)
}

// agreeResults are results of about two of three commits and builds; of those some failed.
func agreeResults(d *rules.Decision) map[string]rules.Result {
	out := map[string]rules.Result{}
	for i := range d.Items {
		for _, a := range d.Items[i].Actions {
			h := fnv.New32a()
			h.Write([]byte(a.Key))
			switch n := h.Sum32() % 3; {
			case n == 1 && a.Kind == rules.KindCommit:
				out[a.Key] = rules.Result{ID: "feedbeef00feedbeef00feedbeef00feedbeef00", ShortID: "feedbeef", WebURL: "https://user:pa55w0rd@codearts.example/x"}
			case n == 1:
				out[a.Key] = rules.Result{BuildNo: 17, DailyBuildNum: "20261120.3", JobID: jobID}
			case n == 2:
				out[a.Key] = rules.Result{Failed: true, Error: "refused, ask ops@shop.example"}
			}
		}
	}
	return out
}

// checkRecorded runs a recorded file as rules test does.
func (a *agreement) checkRecorded(in *trial.Recording, recorded *trial.Recorded, seen map[string]int) {
	a.t.Helper()
	text := string(recorded.Text)
	if len(recorded.Faults) > 0 {
		a.t.Errorf("%s: faults %q\n%s", a.what, recorded.Faults, text)
	}
	suite, problems := trial.Read(in.Ruleset, []rules.File{{Name: "x_test.yaml", Data: recorded.Text}}, trial.ReadFile)
	if suite == nil {
		a.t.Fatalf("%s: %v\n%s", a.what, problems, text)
	}
	report := suite.Run(nil)
	if report.Failed > 0 || report.Passed != len(in.Runs) {
		a.t.Errorf("%s: %d passed, %d failed\n%s", a.what, report.Passed, report.Failed, text)
	}
	for i, result := range report.Tests {
		outcome := result.Played[len(result.Played)-1].Outcome
		seen[outcome]++
		switch run := in.Runs[i]; {
		case run.Decision == nil && (outcome == trial.NotCandidate || outcome == rules.OutcomeOwnCommit):
		case run.Decision == nil || outcome != run.Decision.Outcome:
			a.t.Errorf("%s, rule %s: the test ends as %s\n%s", a.what, run.Rule.Name(), outcome, text)
		}
	}
	if strings.Contains(text, "own_commits:") {
		seen["chain"]++
	}
	if strings.Contains(text, "person-1@example.com") {
		seen["masked"]++
	}
	for _, private := range []string{"li.wei@", "shop.example>", "ops@shop", "pa55w0rd"} {
		if strings.Contains(text, private) {
			a.t.Errorf("%s: the file holds %q\n%s", a.what, private, text)
		}
	}
	if a.seed > 0 {
		return
	}
	if again, err := trial.Record(*in); err != nil || string(again.Text) != text {
		a.t.Errorf("%s: recorded again it is another file: %v", a.what, err)
	}
}

// TestRecording: what a worker decided is read back from NATS and becomes a test that passes.
func TestRecording(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "shop"})
	w.fake.SetHook(w.receiver+"/hooks/shop", webhookToken)
	_, body := w.push("count totals in cents", 0, "FAILED")
	accepted := w.deliver(body)
	eventually(t, "the message", func() error { return w.atLeast("dingtalk: Recorded") })
	eventually(t, "the end of all work", w.settled)
	archive, err := app.OpenArchive(t.Context(), w.file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	in, leftOut, err := archive.Recording(t.Context(), accepted.EventID, nil)
	if err != nil || len(leftOut) > 0 || len(in.Runs) == 0 {
		t.Fatalf("%+v, %q: %v", in, leftOut, err)
	}
	recorded, err := trial.Record(in)
	if err != nil || len(recorded.Notes)+len(recorded.Faults) > 0 {
		t.Fatalf("%+v: %v", recorded, err)
	}
	suite, problems := trial.Read(in.Ruleset, []rules.File{{Name: "x_test.yaml", Data: recorded.Text}}, trial.ReadFile)
	if suite == nil {
		t.Fatalf("%v\n%s", problems, recorded.Text)
	}
	if report := suite.Run(nil); report.Failed > 0 || report.Passed != len(in.Runs) {
		t.Errorf("%+v\n%s", report.Tests, recorded.Text)
	}
	for want, there := range map[string]bool{"lina@example.com": false, "person-1@example.com": true, w.made()[0].ID: true, "outcome: acted": true} {
		if strings.Contains(string(recorded.Text), want) != there {
			t.Errorf("%q in the file: %t, want %t\n%s", want, !there, there, recorded.Text)
		}
	}
	for _, tt := range []struct {
		event, rule, want string
	}{
		{"shop/never", "", "there is no event shop/never"},
		{accepted.EventID, "greet-pull", `there is no rule "greet-pull" in the ruleset`},
	} {
		names := []string{tt.rule}
		if tt.rule == "" {
			names = nil
		}
		if _, _, err := archive.Recording(t.Context(), tt.event, names); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("event %s, rule %q: %v", tt.event, tt.rule, err)
		}
	}
}
