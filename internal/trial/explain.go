package trial

import (
	"slices"

	"github.com/millrace/millrace/pkg/rules"
)

// Off is the verdict on a rule that would be a candidate and is off.
const Off = rules.ModeOff

// Explained is what there is to say of one rule on one event.
type Explained struct {
	Rule     string `json:"rule"`
	Position string `json:"position"`
	// Verdict is Off, or an outcome as [Played] has it.
	Verdict string            `json:"verdict"`
	Reason  string            `json:"reason,omitempty"`
	Error   string            `json:"error,omitempty"` // with its place, of Failed
	Match   rules.Explanation `json:"match"`
	// Leaves counts the conditions of on, match and when; of when for the item with the most that hold.
	Leaves      Leaves             `json:"leaves"`
	FirstFailed *rules.Explanation `json:"first_failed,omitempty"` // the first of these that does not hold
	Item        string             `json:"item,omitempty"`         // the key of the item that FirstFailed is of
	Needs       []string           `json:"needs,omitempty"`        // facts that are not given, of NeedsFacts
	Decision    *rules.Decision    `json:"decision,omitempty"`
	// Recorded is what workers made of the rule, of a stored event; nil when they made nothing of it, or nothing is recorded any more.
	Recorded *PastRun `json:"recorded,omitempty"`

	rightType bool // on takes the type of the event
}

// Leaves is how many conditions hold, of how many.
type Leaves struct {
	True int `json:"true"`
	Of   int `json:"of"`
}

// ExplainRule plays a rule and says why it ends as it does.
func ExplainRule(in Input) *Explained {
	return Explain(in, Play(in))
}

// Explain says why a play ended as it did.
func Explain(in Input, p *Played) *Explained {
	e := &Explained{Rule: in.Rule.Name(), Position: in.Rule.Position().String(), Verdict: p.Outcome, Reason: p.Reason, Match: p.Match, Decision: p.Decision}
	e.Leaves.True, e.Leaves.Of = p.Match.Leaves()
	e.rightType = len(p.Match.Children) > 0 && p.Match.Children[0].Verdict == rules.True
	e.FirstFailed = p.Match.FirstFalse()
	switch {
	case p.Outcome == NotCandidate && e.FirstFailed == nil:
		e.Verdict = Off
	case p.Outcome == Failed:
		e.Error = p.Err.Error()
	case p.Outcome == NeedsFacts:
		e.Needs = needs(in, p)
	case p.Outcome == rules.OutcomeNoMatch && p.Decision != nil:
		e.countItems(p.Decision.Items)
	}
	return e
}

// needs are the facts that are not given: the one that was asked for, and those that would be.
func needs(in Input, p *Played) []string {
	given, ok := in.Facts.(scripted)
	if !ok {
		return []string{p.Missing}
	}
	return slices.DeleteFunc(in.Rule.Facts(), func(name string) bool { return given.facts[name] != nil })
}

// countItems adds what when came to for the item of which most holds.
func (e *Explained) countItems(items []rules.Item) {
	var best Leaves
	var first *rules.Explanation
	for i := range items {
		var of Leaves
		if of.True, of.Of = items[i].Explanation.Leaves(); first == nil || of.True > best.True {
			best, first, e.Item = of, items[i].Explanation.FirstFalse(), items[i].Key
		}
	}
	e.Leaves.True, e.Leaves.Of, e.FirstFailed = e.Leaves.True+best.True, e.Leaves.Of+best.Of, first
}

// Fits tells whether on, match and when hold as far as they were looked at, for a rule that is not off.
func (e *Explained) Fits() bool { return !e.missed() && e.Verdict != Off }

// missed tells whether the rule would have acted with other values.
func (e *Explained) missed() bool {
	return e.Verdict == NotCandidate || e.Verdict == rules.OutcomeNoMatch
}

// Failing is in one line the first condition that does not hold, else the reason of the verdict.
func (e *Explained) Failing() string {
	switch {
	case e.FirstFailed == nil:
		return e.Reason
	case e.Verdict == NotCandidate:
		return describe(e.FirstFailed)
	case e.Item != "":
		return "item " + e.Item + ": " + e.FirstFailed.Brief()
	}
	return e.FirstFailed.Brief()
}

// Summary is what rules make of an event, all together.
type Summary struct {
	EventID    string `json:"event_id"`
	Type       string `json:"type"`
	Repository string `json:"repository,omitempty"`
	Digest     string `json:"digest"` // of the ruleset
	Rules      int    `json:"rules"`  // that were looked at
	// Verdicts counts the rules by their verdicts.
	Verdicts map[string]int `json:"verdicts"`
	Fitting  []string       `json:"fitting"`       // rules that fit, in order
	Off      []string       `json:"off,omitempty"` // rules that would be candidates and are off
	// Nearest is the nearest miss, when no rule fits: of the rules that take the type of the event, else of all, the one with the most
	// conditions that hold; of several the first.
	Nearest *Nearest `json:"nearest,omitempty"`
}

// Nearest is a rule that does not fit, and why.
type Nearest struct {
	Rule        string             `json:"rule"`
	Position    string             `json:"position"`
	Leaves      Leaves             `json:"leaves"`
	FirstFailed *rules.Explanation `json:"first_failed,omitempty"`
	Item        string             `json:"item,omitempty"`
}

// Summarize sums up what was said of the rules of a ruleset, in their order.
func Summarize(in Input, all []*Explained) Summary {
	s := Summary{
		EventID: in.Event.ID, Type: in.View.Type, Repository: in.Event.Repository, Digest: in.Ruleset.Digest(), Rules: len(all),
		Verdicts: map[string]int{}, Fitting: []string{},
	}
	for _, e := range all {
		s.Verdicts[e.Verdict]++
		switch {
		case e.Verdict == Off:
			s.Off = append(s.Off, e.Rule)
		case e.Fits():
			s.Fitting = append(s.Fitting, e.Rule)
		}
	}
	if near := ByNearness(all); len(s.Fitting) == 0 && len(near) > 0 {
		n := near[0]
		s.Nearest = &Nearest{Rule: n.Rule, Position: n.Position, Leaves: n.Leaves, FirstFailed: n.FirstFailed, Item: n.Item}
	}
	return s
}

// ByNearness are those that missed, the nearest first: those of the right type before others, then by how many conditions hold, then in
// their order.
func ByNearness(all []*Explained) []*Explained {
	near := slices.DeleteFunc(slices.Clone(all), func(e *Explained) bool { return !e.missed() })
	slices.SortStableFunc(near, func(a, b *Explained) int {
		if a.rightType != b.rightType {
			if a.rightType {
				return -1
			}
			return 1
		}
		return b.Leaves.True - a.Leaves.True
	})
	return near
}
