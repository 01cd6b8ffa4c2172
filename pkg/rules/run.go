package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// Input is what a run starts from.
type Input struct {
	Event    *events.View
	EventID  string
	RunID    string    // "" becomes RunID(EventID, rule name)
	Digest   string    // of the ruleset the rule is of
	Accepted time.Time // when a rule without facts is said to have observed what it says
	Now      time.Time // the decision's time, and when facts are said to have been observed
	Chain    events.Chain
	Watch    Watcher // nil: nobody watches
}

// Run is one evaluation of one rule on one event. It is used by one goroutine:
//
//	for calls, err := run.Next(); len(calls) > 0; calls, err = run.Next() {
//		fetch each call and Provide it, then ask Pending for each fact
//	}
//	decision, err := run.Decide()
type Run struct {
	rule  *Rule
	in    Input
	event any
	facts map[string]*fact
	size  int // of the explanations and actions decided so far
	// budget is what all its evaluations may still cost.
	budget budget
	space  *space // for actions whose results are known while deciding; made when first needed
}

// fact is how far the fetching of one fact is.
type fact struct {
	*fetch
	calls    int // how many there are, -1 while that is not known
	provided []any
	have     []bool
	value    any
	ready    bool // all calls provided, and until held or was given up
}

// Call is one fact to fetch, or the part of it for one element of its for_each.
type Call struct {
	Fact       string         // name in the rule
	Kind       string         // of the catalogue
	Connection string         // "" is the default one
	Args       map[string]any // under the API's names, as string, int64, float64 or bool after the argument's type
	Index      int            // of the element of for_each
	Last       bool           // the last call of this fact
}

// Wait says that a fact is not there yet and when to ask again.
type Wait struct {
	Fact      string
	Every     time.Duration
	Timeout   time.Duration // since the run was first tried
	OnTimeout string        // OnTimeoutSkip, OnTimeoutFail or OnTimeoutContinue
	Source    string        // the until text, "" when the fact has none
}

// What to do when a fact is awaited in vain.
const (
	OnTimeoutSkip     = "skip"     // decide nothing
	OnTimeoutFail     = "fail"     // a dead letter
	OnTimeoutContinue = "continue" // go on with what is there
)

// Begin starts a run of the rule on an event.
func (r *Rule) Begin(in Input) (*Run, error) {
	if in.Event == nil {
		return nil, errors.New("rules: a run needs an event")
	}
	if in.RunID == "" {
		in.RunID = RunID(in.EventID, r.name)
	}
	view := *in.Event
	view.Chain = in.Chain
	data, err := json.Marshal(&view)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", in.EventID, err)
	}
	event, err := r.cat.Event.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", in.EventID, err)
	}
	x := &Run{rule: r, in: in, event: event, facts: map[string]*fact{}, budget: budget{maxRunCost}}
	for _, f := range r.fetches {
		x.facts[f.name] = &fact{fetch: f, calls: -1}
	}
	return x, nil
}

// Next gives the calls that can be made now, none when all facts are ready. A fact with until comes alone and before those that do
// not lead to it. Calls that were given and not provided are given again.
func (x *Run) Next() ([]Call, error) {
	for {
		wanted := x.wanted()
		if len(wanted) == 0 {
			return nil, nil
		}
		var calls []Call
		empty := false
		for _, f := range wanted {
			cs, err := x.callsOf(f)
			if err != nil {
				return nil, err
			}
			calls = append(calls, cs...)
			empty = empty || f.calls == 0
		}
		if !empty {
			return calls, nil
		}
		// A for_each over nothing is a fact without calls: an empty list.
		for _, f := range wanted {
			if f.calls == 0 {
				f.value = []any{}
				if wait, err := x.Pending(f.name); err != nil {
					return nil, err
				} else if wait != nil {
					return nil, &EvalError{Position: f.until.pos, Field: f.until.field, Message: "false, and there is nothing to ask again: for_each is empty"}
				}
			}
		}
	}
}

// wanted are the facts to fetch now, in the order of the file.
func (x *Run) wanted() []*fact {
	first := ""
	for _, f := range x.rule.fetches {
		if f.until != nil && !x.facts[f.name].ready {
			first = f.name
			break
		}
	}
	var out []*fact
	for _, f := range x.rule.fetches {
		switch state := x.facts[f.name]; {
		case state.ready || !x.allReady(f.after):
		case first == "" || x.leadsTo(f.name, first):
			out = append(out, state)
		}
	}
	if i := slices.IndexFunc(out, func(f *fact) bool { return f.until != nil }); i >= 0 {
		return out[i : i+1]
	}
	return out
}

func (x *Run) allReady(names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return !x.facts[n].ready })
}

// leadsTo tells whether fact to is, or needs, the fact name.
func (x *Run) leadsTo(name, to string) bool {
	return name == to || slices.ContainsFunc(x.facts[to].after, func(n string) bool { return x.leadsTo(name, n) })
}

// callsOf are the calls of a fact that are not provided yet.
func (x *Run) callsOf(f *fact) ([]Call, error) {
	act := x.activation()
	items := []any{nil}
	if f.forEach != nil {
		list, err := f.forEach.list(act)
		if err != nil {
			return nil, err
		}
		if len(list) > MaxItems {
			return nil, f.forEach.fail("%d elements, at most %d are allowed", len(list), MaxItems)
		}
		items = list
	}
	if f.calls < 0 {
		f.calls, f.provided, f.have = len(items), make([]any, len(items)), make([]bool, len(items))
	}
	var calls []Call
	for i, item := range items {
		if f.have[i] {
			continue
		}
		if f.forEach != nil {
			act[rootItem] = item
		}
		c := Call{Fact: f.name, Kind: f.kind.Name, Connection: f.connection, Args: map[string]any{}, Index: i, Last: i == len(items)-1}
		for _, a := range f.args {
			v, err := a.value.value(act)
			if err != nil {
				return nil, err
			}
			if v == nil {
				if a.arg.Required {
					return nil, a.fail(nullInText(a.value.single().prog, act))
				}
				continue
			}
			if c.Args[a.arg.Name], err = convert(v, a.arg.Type); err != nil {
				return nil, a.fail(err.Error())
			}
		}
		calls = append(calls, c)
	}
	return calls, nil
}

func (a *argument) fail(message string) error {
	return &EvalError{Position: a.value.pos, Field: a.value.field, Message: message}
}

// Provide takes what a call of Next brought, JSON or null.
func (x *Run) Provide(c Call, value json.RawMessage) error {
	f := x.facts[c.Fact]
	if f == nil || c.Index < 0 || c.Index >= len(f.have) {
		return fmt.Errorf("rules: fact %s, call %d was not asked for", c.Fact, c.Index)
	}
	t := f.kind.Result
	v, err := t.Decode(value)
	if err != nil {
		return &EvalError{Position: f.pos, Field: "fetch." + f.name, Message: err.Error()}
	}
	f.provided[c.Index], f.have[c.Index] = v, true
	if slices.Contains(f.have, false) {
		return nil
	}
	f.value = v
	if f.forEach != nil {
		f.value = concatenate(f.provided, t)
	}
	f.ready = f.until == nil
	return nil
}

// concatenate joins what the calls of a for_each brought: lists end to end, other values one element each, null none.
func concatenate(values []any, t *Type) []any {
	out := []any{}
	for _, v := range values {
		list, isList := v.([]any)
		switch {
		case v == nil:
		case isList && t != nil && t.Kind == List:
			out = append(out, list...)
		default:
			out = append(out, v)
		}
	}
	return out
}

// Pending tells, after all calls of a fact are provided, whether its until holds: nil when it does or there is none.
func (x *Run) Pending(name string) (*Wait, error) {
	f := x.facts[name]
	if f == nil {
		return nil, fmt.Errorf("rules: the rule fetches no fact %s", name)
	}
	if f.ready {
		return nil, nil
	}
	if f.calls < 0 || slices.Contains(f.have, false) {
		return nil, fmt.Errorf("rules: fact %s is not provided", name)
	}
	holds := true
	if f.until != nil {
		var err error
		if holds, err = x.in.Watch.condition(f.until, x.activation()); err != nil {
			return nil, err
		}
	}
	if !holds {
		w := f.wait()
		return &w, nil
	}
	f.ready = true
	return nil, nil
}

func (f *fetch) wait() Wait {
	w := Wait{Fact: f.name, Every: f.every, Timeout: f.timeout, OnTimeout: f.onTimeout}
	if f.until != nil {
		w.Source = f.until.prog.text
	}
	return w
}

// NotReady is how to wait for a fact whose fetcher says that there is none yet: as its until would, by default every 30 s for at
// most an hour, and then skip.
func (x *Run) NotReady(name string) Wait {
	f := x.facts[name]
	if f == nil {
		return Wait{Fact: name, Every: DefaultEvery, Timeout: DefaultTimeout, OnTimeout: OnTimeoutSkip}
	}
	return f.wait()
}

// GiveUp goes on with what is there of a fact, or null.
func (x *Run) GiveUp(name string) {
	if f := x.facts[name]; f != nil {
		f.ready = true
		if f.value == nil && f.forEach != nil {
			f.value = concatenate(f.provided, f.kind.Result)
		}
	}
}

// Skip ends the run without a decision about its items. The facts that are there are recorded.
func (x *Run) Skip(reason string) *Decision {
	d := x.decision()
	d.Outcome, d.Reason = OutcomeSkipped, reason
	return d
}

// Commits are the ids of the commits that the provided facts name, for the loop guard, sorted and each once.
func (x *Run) Commits() []string {
	var out []string
	for _, f := range x.facts {
		if f.kind == nil || f.kind.Commit == "" {
			continue
		}
		path := strings.Split(f.kind.Commit, ".")
		values := []any{f.value}
		if list, ok := f.value.([]any); ok {
			values = list
		}
		for _, v := range values {
			for _, name := range path {
				m, _ := v.(map[string]any)
				v = m[name]
			}
			if id, ok := v.(string); ok && id != "" && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return out
}

// activation holds the variables as far as they are known.
func (x *Run) activation() activation {
	facts := make(map[string]any, len(x.facts))
	for name, f := range x.facts {
		facts[name] = f.value
	}
	return activation{rootEvent: x.event, rootFacts: facts, rootVars: x.rule.vars, budgetKey: &x.budget}
}
