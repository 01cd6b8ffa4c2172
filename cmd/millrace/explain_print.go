package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/rules"
)

const (
	// shownWhole is up to how many rules each is shown in full.
	shownWhole = 20
	// shownNear is how many of the nearest misses are, when there are more.
	shownNear = 5
)

// account says to people what rules make of an event.
type account struct {
	out     io.Writer
	ruleset *rules.Ruleset
	rules   []*trial.Explained
	summary trial.Summary
	all     bool    // each rule in full
	stored  *stored // of an event by its id, else nil
}

func (a *account) print() {
	a.printSummary()
	if a.all || len(a.rules) <= shownWhole {
		for _, e := range a.rules {
			a.printRule(e)
		}
		return
	}
	shown := map[*trial.Explained]bool{}
	near := trial.ByNearness(a.rules)
	near = near[:min(len(near), shownNear)]
	for _, e := range a.rules {
		if e.Fits() || e.Verdict == trial.Off {
			shown[e] = true
			a.printRule(e)
		}
	}
	for _, e := range near {
		shown[e] = true
		a.printRule(e)
	}
	if left := len(a.rules) - len(shown); left > 0 {
		fmt.Fprintf(a.out, "\n%s further off, which --all shows in full:\n", count(left, "rule"))
	}
	for _, e := range a.rules {
		if !shown[e] {
			fmt.Fprintf(a.out, "✗ %s (%s): %s\n", e.Rule, e.Position, e.Failing())
		}
	}
}

// printSummary says first what all of it comes to.
func (a *account) printSummary() {
	s := &a.summary
	fmt.Fprintf(a.out, "A %s", s.Type)
	if s.Repository != "" {
		fmt.Fprintf(a.out, " of %s", s.Repository)
	}
	fmt.Fprintf(a.out, ", event %s", s.EventID)
	if a.stored != nil {
		a.stored.print(a.out, a.ruleset.Digest())
	} else {
		fmt.Fprintln(a.out, ".")
	}
	switch {
	case len(s.Fitting) > 0:
		fmt.Fprintf(a.out, "Of %s %s: %s.\n", count(s.Rules, "rule"), fit(len(s.Fitting)), listed(s.Fitting, a.withVerdict))
	case s.Nearest != nil:
		fmt.Fprintf(a.out, "Of %s none fits. Nearest is %s, with %d of %s: %s\n",
			count(s.Rules, "rule"), s.Nearest.Rule, s.Nearest.Leaves.True, count(s.Nearest.Leaves.Of, "condition"), a.rule(s.Nearest.Rule).Failing())
	default:
		fmt.Fprintf(a.out, "Of %s none fits.\n", count(s.Rules, "rule"))
	}
	if len(s.Off) > 0 {
		fmt.Fprintf(a.out, "Off, and so passed over: %s.\n", listed(s.Off, func(name string) string { return name }))
	}
}

func fit(n int) string {
	if n == 1 {
		return "1 fits"
	}
	return fmt.Sprintf("%d fit", n)
}

// listed is names in a sentence, not too many.
func listed(names []string, as func(name string) string) string {
	var words []string
	for _, name := range names[:min(len(names), shownWhole)] {
		words = append(words, as(name))
	}
	if left := len(names) - len(words); left > 0 {
		words = append(words, fmt.Sprintf("and %d more", left))
	}
	return strings.Join(words, ", ")
}

func (a *account) withVerdict(name string) string {
	return fmt.Sprintf("%s (%s)", name, strings.ReplaceAll(a.rule(name).Verdict, "_", " "))
}

func (a *account) rule(name string) *trial.Explained {
	for _, e := range a.rules {
		if e.Rule == name {
			return e
		}
	}
	return nil
}

func (a *account) printRule(e *trial.Explained) {
	fmt.Fprintf(a.out, "\n%s (%s)\n", e.Rule, e.Position)
	e.Match.Render(a.out)
	a.printVerdict(e)
	if e.Recorded != nil {
		printRecorded(a.out, e.Recorded)
	}
}

func (a *account) printVerdict(e *trial.Explained) {
	switch e.Verdict {
	case trial.NotCandidate:
		fmt.Fprintf(a.out, "→ not a candidate: %s\n", e.Failing())
	case trial.NeedsFacts:
		if a.stored != nil {
			fmt.Fprintf(a.out, "→ a candidate; %s. Give --facts to go on.\n", e.Reason)
			return
		}
		fmt.Fprintf(a.out, "→ a candidate; a worker would now fetch %s. Give --facts to go on.\n", strings.Join(e.Needs, ", "))
	case trial.Off:
		fmt.Fprintln(a.out, "→ off: a worker passes it over")
	case trial.Waits:
		fmt.Fprintf(a.out, "→ a worker would wait: %s\n", e.Reason)
	case trial.Failed:
		fmt.Fprintf(a.out, "→ error, a dead letter in a worker: %s\n", e.Error)
	default:
		if e.Decision == nil { // the loop guard has ended it before there was one
			fmt.Fprintf(a.out, "→ %s: %s\n", e.Verdict, e.Reason)
			return
		}
		a.printDecision(e)
	}
}

func (a *account) printDecision(e *trial.Explained) {
	rule, d := a.ruleset.Rule(e.Rule), e.Decision
	would := "would "
	switch {
	case rule.Mode() == rules.ModeShadow:
		would = "in shadow, would "
	case a.past(e):
		would = ""
	}
	for i := range d.Items {
		item := &d.Items[i]
		if item.Key != "" {
			fmt.Fprintf(a.out, "item %s\n", item.Key)
		}
		item.Explanation.Render(a.out)
		for j := range item.Actions {
			printAction(a.out, would, &item.Actions[j])
		}
		if item.Throttle != "" {
			fmt.Fprintf(a.out, "  at most once in %s under the key %q\n", rule.Throttle(), item.Throttle)
		}
	}
	fmt.Fprintf(a.out, "→ %s", d.Outcome)
	if d.Reason != "" {
		fmt.Fprintf(a.out, ": %s", d.Reason)
	}
	if rule.OnOwnCommits() {
		fmt.Fprint(a.out, " (also on commits of its own)")
	}
	if rule.LatestOnly() {
		fmt.Fprint(a.out, " (unless a newer event has overtaken this one)")
	}
	fmt.Fprintln(a.out)
}

// past tells whether what is shown is what was done, and not what would be.
func (a *account) past(e *trial.Explained) bool {
	return e.Recorded != nil && e.Recorded.Outcome == rules.OutcomeActed && e.Recorded.Digest == a.ruleset.Digest()
}

func printAction(out io.Writer, would string, a *rules.Action) {
	name := a.ID
	if a.Deadline != "" {
		name += ", deadline " + a.Deadline
	}
	fmt.Fprintf(out, "  %s%s (%s)", would, a.Kind, name)
	switch {
	case a.Deferred != nil:
		fmt.Fprintf(out, ", when %s is done\n", strings.Join(a.Waits, " and "))
	case a.Commit != nil:
		fmt.Fprintf(out, " to repository %s, branch %s\n", a.Commit.RepoID, a.Commit.Branch)
		printIndented(out, a.Commit.Message)
		for _, f := range a.Commit.Actions {
			fmt.Fprintf(out, "    %s %s\n", f.Action, f.FilePath)
			if f.Content != "" {
				printIndented(out, f.Content)
			}
		}
	case a.Build != nil:
		fmt.Fprintf(out, " task %s%s\n", a.Build.JobID, builtOf(a.Build))
		for _, p := range a.Build.Parameters {
			fmt.Fprintf(out, "    %s = %q\n", p.Name, p.Value)
		}
	case a.Notify != nil:
		fmt.Fprintf(out, " %s\n", strings.Join(a.Notify.To, ", "))
		printIndented(out, strings.TrimSpace(a.Notify.Title.Plain()+"\n"+a.Notify.Text.Plain()+"\n"+a.Notify.Link))
	case a.Alert != nil:
		fmt.Fprintf(out, " %s: %d days left in phase %s, rungs %v\n", strings.Join(a.Alert.To, ", "), a.Alert.Countdown, a.Alert.Phase, a.Alert.At)
		printIndented(out, strings.TrimSpace(a.Alert.Title.Plain()+"\n"+a.Alert.Text.Plain()+"\n"+a.Alert.Link))
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
