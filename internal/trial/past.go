package trial

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/millrace/millrace/pkg/rules"
)

// Past is what workers decided about one event. It answers rules with the facts that were recorded then: the rules of then by name,
// others where they ask for the same, operation and arguments, as one of those did. What was not recorded is never guessed.
type Past struct {
	then      Input // its ruleset is that of then
	decisions map[string]*rules.Decision
	asked     []askedFact
	nullsWait map[string]bool // rules whose facts that are null were given up
}

// askedFact is a fact that a rule asked for then.
type askedFact struct {
	rule  string
	calls []rules.Call // of the last pass, all of them
	each  bool
	there bool // else it was awaited in vain
	reply func(call rules.Call) Reply
}

// NewPast makes a past of decisions by the names of their rules. then has the ruleset they were made with, the event, and the chain of
// our own commits as it was.
func NewPast(then Input, decisions map[string]*rules.Decision) *Past {
	p := &Past{then: then, decisions: decisions, nullsWait: map[string]bool{}}
	for _, rule := range then.Ruleset.Rules() {
		if d := decisions[rule.Name()]; d != nil {
			p.learn(rule, d)
		}
	}
	return p
}

// learn finds out what a rule asked for: the same as it asks for now that it gets the same answers. A record does not tell a fact that was
// null from one that was given up: which it was is seen by what comes of it.
func (p *Past) learn(rule *rules.Rule, d *rules.Decision) {
	in := p.then
	in.Rule, in.Now, in.Facts, in.Impatient = rule, d.At, ownFacts{rule: rule, d: d}, false
	played := Play(in)
	if !cameTo(played, d) {
		in.Facts = ownFacts{rule: rule, d: d, nullsWait: true}
		if again := Play(in); cameTo(again, d) {
			played, p.nullsWait[rule.Name()] = again, true
		}
	}
	facts := ownFacts{rule, d, p.nullsWait[rule.Name()]}
	calls := map[string][]rules.Call{}
	for _, c := range played.Calls {
		calls[c.Fact] = append(calls[c.Fact], c)
	}
	for _, name := range rule.Facts() {
		_, recorded := d.Facts[name]
		if fact, _ := rule.Fact(name); len(calls[name]) > 0 && (recorded || awaited(d)) {
			p.asked = append(p.asked, askedFact{rule.Name(), calls[name], fact.Each, recorded, facts.reply})
		}
	}
}

// cameTo tells whether a play ended as a decision did.
func cameTo(p *Played, d *rules.Decision) bool {
	return p.Outcome == d.Outcome && p.Reason == d.Reason && p.Decision != nil && len(p.Decision.Facts) == len(d.Facts)
}

// Decision is what was decided about a rule of that name, nil when nothing is recorded.
func (p *Past) Decision(rule string) *rules.Decision { return p.decisions[rule] }

// own tells whether a rule is one of then, and not one of the same name.
func (p *Past) own(rule *rules.Rule) bool { return p.then.Ruleset.Rule(rule.Name()) == rule }

// Facts answers a rule with what was recorded. Facts that are given beside come first.
func (p *Past) Facts(rule *rules.Rule, given map[string]json.RawMessage) Facts {
	out := pastFacts{given: given, values: GivenFacts(rule, given), past: p, rule: rule, fitting: map[string][]*askedFact{}}
	if d := p.decisions[rule.Name()]; d != nil && p.own(rule) {
		out.own = &ownFacts{rule, d, p.nullsWait[rule.Name()]}
	}
	return out
}

// Explain says what a rule makes of the event, as [ExplainRule] does, with the facts of then and at the time of its decision. What came of
// other events, for rules with throttle, latest_only and limit, is what was recorded, for the rules of then.
func (p *Past) Explain(in Input, given map[string]json.RawMessage) *Explained {
	in.Facts, in.Now = p.Facts(in.Rule, given), p.then.Event.Time
	for _, name := range in.Rule.Facts() {
		if _, ok := given[name]; ok {
			in.Impatient = true // what was recorded had been waited for, what is given is looked at as it is
		}
	}
	d := p.decisions[in.Rule.Name()]
	if d != nil {
		in.Now = d.At
	}
	played := Play(in)
	if d != nil && played.Waited > 0 { // it was decided at the end of that time
		in.Now = d.At.Add(-played.Waited)
		played = Play(in)
	}
	if d != nil && p.own(in.Rule) && ofOthers(d) && played.Outcome != NotCandidate {
		played = &Played{Outcome: d.Outcome, Reason: d.Reason, Match: played.Match, Decision: d}
	}
	return Explain(in, played)
}

// ofOthers tells whether a decision came of other events.
func ofOthers(d *rules.Decision) bool {
	switch d.Outcome {
	case rules.OutcomeThrottled, rules.OutcomeOvertaken, rules.OutcomePaused:
		return true
	}
	return slices.ContainsFunc(d.Items, func(i rules.Item) bool { return i.Throttled != "" })
}

// ownFacts answers a rule with the facts of its own decision, by name.
type ownFacts struct {
	rule      *rules.Rule
	d         *rules.Decision
	nullsWait bool // what is null had been given up
}

// Ask implements [Facts].
func (f ownFacts) Ask(call rules.Call, _ int) Reply { return f.reply(call) }

// Settled implements [Facts].
func (f ownFacts) Settled(string, int) bool { return true }

func (f ownFacts) reply(call rules.Call) Reply {
	rec, ok := f.d.Facts[call.Fact]
	fact, _ := f.rule.Fact(call.Fact)
	switch {
	case !ok && awaited(f.d):
		return Reply{NotReady: true}
	case !ok:
		return Reply{Missing: true, Why: "was not fetched: the run was " + f.d.Outcome + " before"}
	case rec.NotRecorded:
		return Reply{Missing: true, Why: fmt.Sprintf("was not recorded: it had %d bytes, and records hold %d", rec.Size, rules.MaxFactRecorded)}
	case f.nullsWait && string(rec.Value) == "null" && fact.Wait.OnTimeout == rules.OnTimeoutContinue:
		return Reply{NotReady: true}
	}
	return GivenFacts(f.rule, map[string]json.RawMessage{call.Fact: rec.Value}).Ask(call, 1)
}

// awaited tells whether the run that came to a decision had asked for facts that it does not have.
func awaited(d *rules.Decision) bool {
	return d.Outcome == rules.OutcomeSkipped || d.Outcome == rules.OutcomeOwnCommit
}

// pastFacts answers a rule with facts that are given, with those of its own decision, and with those of others that asked for the same.
type pastFacts struct {
	given   map[string]json.RawMessage
	values  Facts
	own     *ownFacts // of a rule of then
	past    *Past
	rule    *rules.Rule
	fitting map[string][]*askedFact // by the fact, those that asked for the same so far
}

// Ask implements [Facts].
func (f pastFacts) Ask(call rules.Call, ask int) Reply {
	if _, ok := f.given[call.Fact]; ok {
		return f.values.Ask(call, ask)
	}
	switch {
	case f.own != nil:
		return f.own.Ask(call, ask)
	case f.past.own(f.rule):
		return Reply{Missing: true, Why: "was not recorded: no decision about this rule is"}
	}
	if found := f.find(call); found != nil {
		call.Fact = found.calls[0].Fact
		return found.reply(call)
	}
	return Reply{Missing: true, Why: "was not recorded: no rule asked for " + asking(call) + " then"}
}

// Settled implements [Facts].
func (f pastFacts) Settled(string, int) bool { return true }

// find is a fact whose calls are those of this one, as far as they are known; of several that of the same rule and name first.
func (f pastFacts) find(call rules.Call) *askedFact {
	fact, _ := f.rule.Fact(call.Fact)
	if call.Index == 0 {
		f.fitting[call.Fact] = nil
		for i := range f.past.asked {
			if a := &f.past.asked[i]; a.each == fact.Each {
				f.fitting[call.Fact] = append(f.fitting[call.Fact], a)
			}
		}
		slices.SortStableFunc(f.fitting[call.Fact], func(a, b *askedFact) int {
			return f.likeness(b, call) - f.likeness(a, call)
		})
	}
	f.fitting[call.Fact] = slices.DeleteFunc(f.fitting[call.Fact], func(a *askedFact) bool {
		return call.Index >= len(a.calls) || !sameCall(a.calls[call.Index], call)
	})
	if len(f.fitting[call.Fact]) == 0 {
		return nil
	}
	return f.fitting[call.Fact][0]
}

func (f pastFacts) likeness(a *askedFact, call rules.Call) (n int) {
	rule, name := a.rule == f.rule.Name(), a.calls[0].Fact == call.Fact
	for i, like := range []bool{name, a.there, rule, rule && name} {
		if like {
			n += 1 << i
		}
	}
	return n
}

// sameCall tells whether two calls are one question.
func sameCall(a, b rules.Call) bool {
	return a.Kind == b.Kind && a.Connection == b.Connection && a.Last == b.Last && maps.Equal(a.Args, b.Args)
}

// asking is a call in words.
func asking(c rules.Call) string {
	text := c.Kind
	for i, name := range slices.Sorted(maps.Keys(c.Args)) {
		text += map[bool]string{true: " with ", false: ", "}[i == 0] + fmt.Sprintf("%s %v", name, c.Args[name])
	}
	if c.Connection != "" {
		text += " of connection " + c.Connection
	}
	return text
}
