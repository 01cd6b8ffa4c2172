package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// explainer says what rules make of one event.
type explainer struct {
	event   *events.Event
	view    *events.View
	flat    events.Flat
	facts   map[string]json.RawMessage // nil: none are given
	ruleset *rules.Ruleset
	asJSON  bool
	out     io.Writer
}

// explained is what there is to say of one rule.
type explained struct {
	Rule     string            `json:"rule"`
	Position string            `json:"position"`
	Match    rules.Explanation `json:"match"`
	// Verdict is no_match, off, needs_facts, waits, error, or the outcome of the decision.
	Verdict  string          `json:"verdict"`
	Needs    []string        `json:"needs,omitempty"` // facts that are not given
	Waits    string          `json:"waits,omitempty"` // what a worker would wait for
	Error    string          `json:"error,omitempty"`
	Decision *rules.Decision `json:"decision,omitempty"`
}

func (x *explainer) explain(rule *rules.Rule) error {
	e := explained{Rule: rule.Name(), Position: rule.Position().String(), Match: rule.ExplainMatch(&x.flat)}
	switch {
	case e.Match.Verdict != rules.True:
		e.Verdict = rules.OutcomeNoMatch
	case rule.Mode() == rules.ModeOff:
		e.Verdict = rules.ModeOff
	default:
		x.decide(rule, &e)
	}
	if x.asJSON {
		return json.NewEncoder(x.out).Encode(e)
	}
	x.print(rule, &e)
	return nil
}

// decide takes a candidate as far as the given facts carry.
func (x *explainer) decide(rule *rules.Rule, e *explained) {
	for _, name := range rule.Facts() {
		if _, given := x.facts[name]; !given {
			e.Needs = append(e.Needs, name)
		}
	}
	if len(e.Needs) > 0 {
		e.Verdict = "needs_facts"
		return
	}
	played := trial.Play(trial.Input{
		Ruleset: x.ruleset, Rule: rule, Event: x.event, View: x.view, Facts: trial.GivenFacts(rule, x.facts), Now: x.event.Time, Impatient: true,
	})
	e.Verdict, e.Decision = played.Outcome, played.Decision
	switch played.Outcome {
	case trial.Failed:
		e.Verdict, e.Error = "error", played.Err.Error()
	case trial.Waits:
		e.Waits = played.Reason
	}
}

func (x *explainer) print(rule *rules.Rule, e *explained) {
	fmt.Fprintf(x.out, "\n%s (%s)\n", e.Rule, e.Position)
	e.Match.Render(x.out)
	switch {
	case e.Match.Verdict != rules.True:
		fmt.Fprintln(x.out, "→ not a candidate")
	case e.Verdict == "needs_facts":
		fmt.Fprintf(x.out, "→ a candidate; a worker would now fetch %s. Give --facts to go on.\n", strings.Join(e.Needs, ", "))
	case e.Verdict == rules.ModeOff:
		fmt.Fprintln(x.out, "→ off: a worker passes it over")
	case e.Waits != "":
		fmt.Fprintf(x.out, "→ a worker would wait: %s\n", e.Waits)
	case e.Error != "":
		fmt.Fprintf(x.out, "→ error, a dead letter in a worker: %s\n", e.Error)
	default:
		x.printDecision(rule, e.Decision)
	}
}

func (x *explainer) printDecision(rule *rules.Rule, d *rules.Decision) {
	for i := range d.Items {
		item := &d.Items[i]
		if item.Key != "" {
			fmt.Fprintf(x.out, "item %s\n", item.Key)
		}
		item.Explanation.Render(x.out)
		for j := range item.Actions {
			x.printAction(rule, &item.Actions[j])
		}
		if item.Throttle != "" {
			fmt.Fprintf(x.out, "  at most once in %s under the key %q\n", rule.Throttle(), item.Throttle)
		}
	}
	fmt.Fprintf(x.out, "→ %s", d.Outcome)
	if d.Reason != "" {
		fmt.Fprintf(x.out, ": %s", d.Reason)
	}
	if rule.OnOwnCommits() {
		fmt.Fprint(x.out, " (also on commits of its own)")
	}
	if rule.LatestOnly() {
		fmt.Fprint(x.out, " (unless a newer event has overtaken this one)")
	}
	fmt.Fprintln(x.out)
}

func (x *explainer) printAction(rule *rules.Rule, a *rules.Action) {
	would := "would"
	if rule.Mode() == rules.ModeShadow {
		would = "in shadow, would"
	}
	fmt.Fprintf(x.out, "  %s %s (%s)", would, a.Kind, a.ID)
	switch {
	case a.Deferred != nil:
		fmt.Fprintf(x.out, ", when %s is done\n", strings.Join(a.Waits, " and "))
	case a.Commit != nil:
		fmt.Fprintf(x.out, " to repository %s, branch %s\n", a.Commit.RepoID, a.Commit.Branch)
		printIndented(x.out, a.Commit.Message)
		for _, f := range a.Commit.Actions {
			fmt.Fprintf(x.out, "    %s %s\n", f.Action, f.FilePath)
			if f.Content != "" {
				printIndented(x.out, f.Content)
			}
		}
	case a.Build != nil:
		fmt.Fprintf(x.out, " task %s%s\n", a.Build.JobID, builtOf(a.Build))
		for _, p := range a.Build.Parameters {
			fmt.Fprintf(x.out, "    %s = %q\n", p.Name, p.Value)
		}
	case a.Notify != nil:
		fmt.Fprintf(x.out, " %s\n", strings.Join(a.Notify.To, ", "))
		printIndented(x.out, strings.TrimSpace(a.Notify.Title.Plain()+"\n"+a.Notify.Text.Plain()+"\n"+a.Notify.Link))
	case a.Alert != nil:
		fmt.Fprintf(x.out, " %s: %d days left in phase %s, rungs %v\n", strings.Join(a.Alert.To, ", "), a.Alert.Countdown, a.Alert.Phase, a.Alert.At)
		printIndented(x.out, strings.TrimSpace(a.Alert.Title.Plain()+"\n"+a.Alert.Text.Plain()+"\n"+a.Alert.Link))
	}
}

// builtOf says what is built, "" when the task itself does.
func builtOf(b *rules.Build) string {
	switch {
	case b.Commit != "":
		return ", commit " + b.Commit
	case b.Tag != "":
		return ", tag " + b.Tag
	}
	return ""
}

func printIndented(w io.Writer, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(w, "      | %s\n", line)
	}
}
