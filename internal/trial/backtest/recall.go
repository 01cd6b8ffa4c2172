package backtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// recall is the facts that were recorded of an event, as they were asked for. A record has them by the name that the rule gave them, and
// another rule may give that name to something else: so the rule is played again as it was then, to see what it asked.
type recall struct {
	runs []recollection // by rule
	vain bool           // some fact was awaited in vain
}

// recollection is the facts of one run.
type recollection struct {
	rule   string
	calls  map[string]answer // by what was asked
	named  map[string]answer // by fact and place too: two calls may ask the same, and not wait or get the same
	groups []group
}

// answer is what one call brought.
type answer struct {
	value json.RawMessage
	size  int         // of a value that is too large to be recorded, in bytes
	vain  *rules.Wait // how it was waited for, in vain
	none  bool        // and there was none in the end
}

// group is what the calls of a for_each brought together.
type group struct {
	keys []string
	answer
}

// key is a call as it goes over the wire.
func key(c rules.Call) string {
	args, err := json.Marshal(c.Args)
	if err != nil {
		args = fmt.Append(nil, c.Args) // texts, numbers and bools always marshal
	}
	return c.Kind + "\x00" + c.Connection + "\x00" + string(args)
}

// recollect plays the runs of an event again that recorded facts.
func (r *run) recollect(ctx context.Context, it *item) (*recall, error) {
	out := &recall{}
	for _, name := range slices.Sorted(maps.Keys(it.recorded.Decisions)) {
		d := it.recorded.Decisions[name]
		if len(d.Facts) == 0 && d.Outcome != rules.OutcomeSkipped {
			continue
		}
		rs, err := r.world.Ruleset(ctx, d.Digest)
		if err != nil {
			return nil, fmt.Errorf("read ruleset %s, which decided about event %s: %w", d.Digest, it.ID, err)
		}
		if rs == nil || rs.Rule(name) == nil {
			continue // what it asked is not known any more
		}
		rec, vain, err := r.replay(ctx, it, rs, d)
		if err != nil {
			return nil, err
		}
		if rec != nil {
			out.runs = append(out.runs, *rec)
			out.vain = out.vain || vain
		}
	}
	return out, nil
}

// replay plays a run again; nil when it does not end as it did.
func (r *run) replay(ctx context.Context, it *item, rs *rules.Ruleset, d *rules.Decision) (rec *recollection, vain bool, err error) {
	rule := rs.Rule(d.Rule)
	values := map[string]json.RawMessage{}
	large := false
	for name, f := range d.Facts {
		if large = large || f.NotRecorded; !f.NotRecorded {
			values[name] = f.Value
		}
	}
	l := &listener{given: trial.GivenFacts(rule, values), rule: rule, decision: d, calls: map[string][]rules.Call{}, none: map[string]bool{}}
	own := ownCommits{ctx: ctx, world: r.world, it: it}
	p := trial.Play(trial.Input{
		Ruleset: rs, Rule: rule, Event: it.Event.Event, View: it.view, Facts: l, Now: d.At, OwnCommit: own.chain, ChainDepth: r.ChainDepth,
	})
	if own.err != nil {
		return nil, false, own.err
	}
	switch {
	case p.Outcome == d.Outcome:
	case d.Outcome == rules.OutcomeThrottled, d.Outcome == rules.OutcomeOvertaken: // what other events did is not played
	case p.Outcome == trial.NeedsFacts && large:
	default:
		return nil, false, nil
	}
	rec = &recollection{rule: d.Rule, calls: map[string]answer{}, named: map[string]answer{}}
	for _, name := range slices.Sorted(maps.Keys(l.calls)) {
		f, _ := rule.Fact(name)
		a := answer{value: values[name], size: d.Facts[name].Size, none: l.none[name]}
		// What was given up looks like what was there: then only who waits the same way gets the same.
		if f.Wait.OnTimeout == rules.OnTimeoutContinue || p.Waited > 0 && (f.Wait.Source != "" || a.none) {
			wait := f.Wait
			wait.Fact = ""
			a.vain, vain = &wait, true
		}
		if a.value == nil && a.size == 0 && !a.none {
			continue
		}
		rec.add(f, l.calls[name], a)
	}
	return rec, vain, nil
}

func (rec *recollection) add(f rules.Fact, calls []rules.Call, a answer) {
	if !f.Each {
		rec.one(calls[0], a)
		return
	}
	g := group{answer: a}
	for _, c := range calls {
		g.keys = append(g.keys, key(c))
	}
	rec.groups = append(rec.groups, g)
	var list []json.RawMessage
	if a.size > 0 || a.vain != nil || json.Unmarshal(a.value, &list) != nil || len(list) != len(calls) || brings(f) {
		return
	}
	for i, c := range calls { // one element each
		rec.one(c, answer{value: list[i]})
	}
}

func (rec *recollection) one(c rules.Call, a answer) {
	k := key(c)
	rec.calls[k], rec.named[named(c, k)] = a, a
}

func named(c rules.Call, k string) string { return fmt.Sprintf("%s\x00%d\x00%s", c.Fact, c.Index, k) }

// brings tells whether each call of a fact brings a list.
func brings(f rules.Fact) bool {
	return f.Kind != nil && f.Kind.Result != nil && f.Kind.Result.Kind == rules.List
}

// listener answers a run as it was answered, and notes what it asks.
type listener struct {
	given    trial.Facts
	rule     *rules.Rule
	decision *rules.Decision
	calls    map[string][]rules.Call
	none     map[string]bool
}

// Ask implements [trial.Facts].
func (l *listener) Ask(call rules.Call, ask int) trial.Reply {
	if call.Index == 0 {
		l.calls[call.Fact] = nil
	}
	l.calls[call.Fact] = append(l.calls[call.Fact], call)
	f, _ := l.rule.Fact(call.Fact)
	recorded, ok := l.decision.Facts[call.Fact]
	switch {
	case !ok && (l.decision.Outcome == rules.OutcomeSkipped || l.decision.Outcome == rules.OutcomeOwnCommit),
		ok && string(recorded.Value) == "null" && f.Wait.OnTimeout == rules.OnTimeoutContinue:
		l.none[call.Fact] = true
		return trial.Reply{NotReady: true}
	case !ok || recorded.NotRecorded:
		return trial.Reply{Missing: true}
	}
	return l.given.Ask(call, ask)
}

// Settled implements [trial.Facts]: what was recorded does not change.
func (l *listener) Settled(string, int) bool { return true }

// remembered answers a rule with what was recorded.
type remembered struct {
	*recall
	rule   *rules.Rule
	chosen map[string]*group // of facts with a for_each
	why    string            // of the first that cannot be answered
}

// Settled implements [trial.Facts].
func (f *remembered) Settled(string, int) bool { return true }

// Ask implements [trial.Facts].
func (f *remembered) Ask(call rules.Call, _ int) trial.Reply {
	fact, _ := f.rule.Fact(call.Fact)
	k := key(call)
	g := f.chosen[call.Fact]
	if fact.Each && call.Index == 0 {
		g = f.group(k)
		f.chosen[call.Fact] = g
	}
	a, ok := f.answer(call, k)
	if g != nil {
		if ok = call.Index < len(g.keys) && g.keys[call.Index] == k && call.Last == (call.Index == len(g.keys)-1); ok {
			a = g.part(fact, call.Index)
		}
	}
	wait := fact.Wait
	wait.Fact = ""
	switch {
	case !ok:
		return f.miss(call, "was not recorded")
	case a.size > 0:
		return f.miss(call, fmt.Sprintf("was not recorded: its %d bytes are over the %d that are", a.size, rules.MaxFactRecorded))
	case a.vain != nil && *a.vain != wait:
		return f.miss(call, fmt.Sprintf("was awaited up to %s, and the rule waits otherwise: what would have come is not known", a.vain.Timeout))
	case a.none:
		return trial.Reply{NotReady: true}
	}
	return trial.Reply{Value: a.value}
}

func (f *remembered) miss(call rules.Call, why string) trial.Reply {
	if f.why == "" {
		f.why = fmt.Sprintf("fact %s (%s) %s", call.Fact, describe(call), why)
	}
	return trial.Reply{Missing: true}
}

// own are the runs to look into, first that of the rule itself: of two answers to the same question that one is nearer.
func (f *remembered) own(yield func(*recollection) bool) {
	if f.recall == nil {
		return
	}
	for _, mine := range []bool{true, false} {
		for i := range f.runs {
			if (f.runs[i].rule == f.rule.Name()) == mine && !yield(&f.runs[i]) {
				return
			}
		}
	}
}

func (f *remembered) answer(call rules.Call, k string) (answer, bool) {
	for rec := range f.own {
		if a, ok := rec.named[named(call, k)]; ok && rec.rule == f.rule.Name() {
			return a, true
		}
		if a, ok := rec.calls[k]; ok {
			return a, true
		}
	}
	return answer{}, false
}

// group is the calls of a for_each that begin with one; nil when its calls are known one by one, or not at all.
func (f *remembered) group(first string) *group {
	for rec := range f.own {
		if _, ok := rec.calls[first]; ok {
			return nil
		}
		for i := range rec.groups {
			if rec.groups[i].keys[0] == first {
				return &rec.groups[i]
			}
		}
	}
	return nil
}

// part is what one call brings of the whole: of calls that bring lists the first brings it all, of others each brings one element.
func (g *group) part(f rules.Fact, index int) answer {
	a := g.answer
	if a.value == nil {
		return a
	}
	if brings(f) {
		if index > 0 {
			a.value = json.RawMessage("[]")
		}
		return a
	}
	var list []json.RawMessage
	if err := json.Unmarshal(a.value, &list); err != nil || index >= len(list) {
		a.value = json.RawMessage("null")
	} else {
		a.value = list[index]
	}
	return a
}

// describe is a call for people.
func describe(call rules.Call) string {
	words := []string{call.Kind}
	if call.Connection != "" {
		words = append(words, "connection="+call.Connection)
	}
	for _, name := range slices.Sorted(maps.Keys(call.Args)) {
		text := fmt.Sprint(call.Args[name])
		if len(text) > 80 {
			text = strings.ToValidUTF8(text[:80], "") + "…"
		}
		words = append(words, fmt.Sprintf("%s=%q", name, text))
	}
	return strings.Join(words, " ")
}

// ownCommits looks whether commits are ours, for one play.
type ownCommits struct {
	ctx   context.Context
	world World
	it    *item
	err   error
}

func (o *ownCommits) chain(id string) events.Chain {
	if id == o.it.head {
		return o.it.chain
	}
	chain, err := o.world.OwnCommit(o.ctx, id)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("look whether commit %s is ours: %w", id, err)
	}
	return chain
}
