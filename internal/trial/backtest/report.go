package backtest

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Classes of what is different about a rule on an event. An event is of one class for a rule: of those that fit, the first.
const (
	NotComparable    = "not_comparable"    // a fact was not recorded
	NowFails         = "now_fails"         // it would be a dead letter
	NoLongerFails    = "no_longer_fails"   // it would have been one
	NewlyFires       = "newly_fires"       // in shadow too
	NoLongerFires    = "no_longer_fires"   // in shadow too
	DifferentOutcome = "different_outcome" // another reason for not firing, shadow and live, or other actions are skipped
	DifferentCommit  = "different_commit"  // both fire
	DifferentBuild   = "different_build"   // both fire
	DifferentAlert   = "different_alert"   // another reading, or another message
	DifferentMessage = "different_message" // another text, title, link or target
	Unchanged        = "unchanged"         // the same outcome, and the same actions
)

// Classes are all of them, in the order of a report.
func Classes() []string {
	return []string{
		NewlyFires, NoLongerFires, NowFails, NoLongerFails, DifferentCommit, DifferentBuild, DifferentAlert, DifferentMessage, DifferentOutcome,
		NotComparable, Unchanged,
	}
}

// What became of a rule.
const (
	Changed = "changed"
	Added   = "added"
	Removed = "removed"
)

// Report is what is different. The same rulesets and the same past give the same report.
type Report struct {
	Before string `json:"before"` // digest
	After  string `json:"after"`  // digest
	Window Window `json:"events"`
	// Same is how many rules read the same in both; they are not played, for they do the same.
	Same  int    `json:"same_rules"`
	Rules []Rule `json:"rules"` // the others, by name
	// Counts is the sum of those of the rules.
	Counts map[string]int `json:"counts"`
}

// Window is which events were read.
type Window struct {
	Read       int       `json:"read"`
	Unreadable int       `json:"unreadable"` // what is no event, or has a body that cannot be read
	First      uint64    `json:"first"`      // place in EVENTS; 0: there was none
	Last       uint64    `json:"last"`
	From       time.Time `json:"from"` // when the first was stored
	To         time.Time `json:"to"`   // and the last
}

func (w *Window) add(e Event) {
	if w.Read == 0 {
		w.First, w.From = e.Sequence, e.Stored
	}
	w.Read++
	w.Last, w.To = e.Sequence, e.Stored
	if e.Event == nil {
		w.Unreadable++
	}
}

// Rule is what is different about one rule.
type Rule struct {
	Name   string `json:"name"`
	Change string `json:"change"` // Changed, Added or Removed
	// Counts are the events that it fits before or after, by class; without those that have none.
	Counts map[string]int `json:"counts"`
	// Examples are the first of each class but Unchanged.
	Examples []*Example `json:"examples,omitempty"`
}

// Example is one event for which something is different.
type Example struct {
	Class      string    `json:"class"`
	EventID    string    `json:"event_id"`
	Type       string    `json:"type"`
	Repository string    `json:"repository,omitempty"`
	Accepted   time.Time `json:"accepted"`
	Before     Ending    `json:"before"`
	After      Ending    `json:"after"`
	// Unknown says why they cannot be compared.
	Unknown string `json:"unknown,omitempty"`
	// Difference is what both would do, line by line: "- " before what only the one before does, "+ " before what only the one after does.
	Difference []string `json:"difference,omitempty"`
}

// Ending is how a rule ends.
type Ending struct {
	Outcome string `json:"outcome"` // as a worker has it; not_candidate, failed, waits, needs_facts; absent: there is no such rule
	Reason  string `json:"reason,omitempty"`
	Class   string `json:"class,omitempty"` // of a dead letter
}

// count takes an event in and tells whether it is one of the first of its class, of which most are shown.
func (r *Rule) count(class string, most int) bool {
	if r.Counts == nil {
		r.Counts = map[string]int{}
	}
	r.Counts[class]++
	return class != Unchanged && r.Counts[class] <= most
}

func (r *run) report() *Report {
	out := &Report{Before: r.Before.Digest(), After: r.After.Digest(), Window: r.window, Same: r.same, Rules: []Rule{}, Counts: map[string]int{}}
	out.Window.Unreadable += int(r.broken.Load())
	order := Classes()
	for _, l := range r.lanes {
		rule := l.report
		if rule.Counts == nil {
			rule.Counts = map[string]int{}
		}
		slices.SortStableFunc(rule.Examples, func(a, b *Example) int { return slices.Index(order, a.Class) - slices.Index(order, b.Class) })
		for class, n := range rule.Counts {
			out.Counts[class] += n
		}
		out.Rules = append(out.Rules, rule)
	}
	return out
}

// Differs tells whether anything is not known to be the same.
func (r *Report) Differs() bool {
	for class, n := range r.Counts {
		if class != Unchanged && n > 0 {
			return true
		}
	}
	return false
}

// Render writes the report for people: first the counts, then the examples.
func (r *Report) Render(w io.Writer) {
	fmt.Fprintf(w, "before  %s\nafter   %s\n", short(r.Before), short(r.After))
	fmt.Fprintf(w, "events  %s", r.Window.words())
	if r.Window.Unreadable > 0 {
		fmt.Fprintf(w, ", %d of them unreadable", r.Window.Unreadable)
	}
	fmt.Fprintf(w, "\nrules   %s\n", r.words())
	var differ []*Rule
	for i := range r.Rules {
		if rule := &r.Rules[i]; len(rule.Counts) > 0 {
			differ = append(differ, rule)
		}
	}
	if len(differ) > 0 {
		fmt.Fprintln(w)
	}
	for _, rule := range differ {
		fmt.Fprintf(w, "%s (%s): %s\n", rule.Name, rule.Change, counted(rule.Counts))
	}
	for _, rule := range differ {
		for i, x := range rule.Examples {
			if i == 0 || rule.Examples[i-1].Class != x.Class {
				fmt.Fprintf(w, "\n%s %s%s\n", rule.Name, phrase(x.Class), rule.shown(x.Class))
			}
			x.render(w)
		}
	}
}

func (w *Window) words() string {
	if w.Read == 0 {
		return "none"
	}
	return fmt.Sprintf("%d, stored from %s to %s", w.Read, w.From.UTC().Format(time.RFC3339), w.To.UTC().Format(time.RFC3339))
}

func (r *Report) words() string {
	how := map[string]int{}
	idle := 0
	for i := range r.Rules {
		how[r.Rules[i].Change]++
		if len(r.Rules[i].Counts) == 0 {
			idle++
		}
	}
	words := []string{fmt.Sprintf("%d the same", r.Same)}
	for _, change := range []string{Changed, Added, Removed} {
		if how[change] > 0 {
			words = append(words, fmt.Sprintf("%d %s", how[change], change))
		}
	}
	text := strings.Join(words, ", ")
	if idle > 0 {
		text += fmt.Sprintf("; %d of those that are not the same fit no event", idle)
	}
	return text
}

// shown says how many there are when not all are shown.
func (r *Rule) shown(class string) string {
	n := 0
	for _, x := range r.Examples {
		if x.Class == class {
			n++
		}
	}
	if all := r.Counts[class]; all > n {
		return fmt.Sprintf(", the first %d of %d:", n, all)
	}
	return ":"
}

func phrase(class string) string { return strings.ReplaceAll(class, "_", " ") }

func counted(counts map[string]int) string {
	var words []string
	for _, class := range Classes() {
		if n := counts[class]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, phrase(class)))
		}
	}
	return strings.Join(words, ", ")
}

func (x *Example) render(w io.Writer) {
	fmt.Fprintf(w, "  %s  %s", x.EventID, x.Type)
	if x.Repository != "" {
		fmt.Fprintf(w, "  %s", x.Repository)
	}
	fmt.Fprintf(w, "  %s\n", x.Accepted.UTC().Format(time.RFC3339))
	if x.Unknown != "" {
		fmt.Fprintf(w, "    %s\n", x.Unknown)
		return
	}
	if x.Before != x.After {
		fmt.Fprintf(w, "    before  %s\n    after   %s\n", x.Before.words(), x.After.words())
	}
	for _, line := range x.Difference {
		fmt.Fprintf(w, "    %s\n", line)
	}
}

func (e Ending) words() string {
	text := phrase(e.Outcome)
	if e.Class != "" {
		text += " (" + e.Class + ")"
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return strings.ReplaceAll(text, "\n", " ")
}

// short is enough of a digest to tell it from others.
func short(digest string) string { return digest[:min(len(digest), 12)] }
