package trial

import (
	"encoding/json"
	"fmt"

	"github.com/millrace/millrace/pkg/rules"
)

// GivenFacts answers with values by the names of facts: of a fact with a for_each the list of all that its calls bring. What is
// not JSON is null.
func GivenFacts(rule *rules.Rule, values map[string]json.RawMessage) Facts {
	facts := make(map[string]*script, len(values))
	for name, data := range values {
		v, err := decodeJSON(data)
		facts[name] = &script{name: name, asks: []answer{{given: err == nil, value: v}}}
	}
	return scripted{rule, facts}
}

// scripted answers one rule with what a test says of its facts.
type scripted struct {
	rule  *rules.Rule
	facts map[string]*script
}

// Ask implements [Facts].
func (f scripted) Ask(call rules.Call, ask int) Reply {
	s := f.facts[call.Fact]
	switch {
	case s == nil:
		return Reply{Missing: true}
	case s.notReady == always || ask <= s.notReady:
		return Reply{NotReady: true}
	}
	a := &s.asks[min(ask-s.notReady, len(s.asks))-1]
	if a.calls == nil {
		reply := a.reply()
		if reply.Value != nil {
			reply.Value, reply.Err = f.part(a, call)
		}
		return reply
	}
	c := a.call(call)
	switch {
	case c == nil:
		return Reply{Err: &FetchError{fmt.Sprintf("the test says nothing of call %d of fact %s: %v", call.Index, call.Fact, call.Args)}}
	case c.notReady == always || ask <= s.notReady+c.notReady:
		return Reply{NotReady: true}
	}
	return c.reply()
}

// Settled implements [Facts].
func (f scripted) Settled(fact string, ask int) bool {
	s := f.facts[fact]
	if s == nil || s.notReady == always {
		return true
	}
	last := s.notReady + len(s.asks)
	for i := range s.asks {
		for _, c := range s.asks[i].calls {
			last = max(last, s.notReady+c.notReady+1)
		}
	}
	return ask >= last
}

func (a *answer) reply() Reply {
	switch {
	case a.notReady:
		return Reply{NotReady: true}
	case a.err != "":
		return Reply{Err: &FetchError{a.err}}
	}
	return Reply{Value: asJSON(a.value)}
}

// call is the answer to one call, nil when none is for it.
func (a *answer) call(call rules.Call) *callAnswer {
	for i := range a.calls {
		c := &a.calls[i]
		if c.with == nil && i == call.Index || c.with != nil && fits(c.with, call.Args) {
			return c
		}
	}
	return nil
}

// fits tells whether arguments are as they are wanted, compared as texts.
func fits(want, args map[string]any) bool {
	for name, v := range want {
		got, ok := args[name]
		if !ok || fmt.Sprint(got) != fmt.Sprint(v) {
			return false
		}
	}
	return true
}

// part is what one call brings of the whole value of a fact. Of a for_each the value is the list of all that its calls bring: of
// calls that bring lists the first brings it all, of others each brings one element.
func (f scripted) part(a *answer, call rules.Call) (json.RawMessage, error) {
	fact, ok := f.rule.Fact(call.Fact)
	if !ok || !fact.Each {
		return asJSON(a.value), nil
	}
	if isList(fact.Kind.Result) {
		if call.Index == 0 {
			return asJSON(a.value), nil
		}
		return json.RawMessage("[]"), nil
	}
	list, _ := a.value.([]any)
	if call.Last && len(list) > call.Index+1 {
		return nil, &FetchError{fmt.Sprintf("the test has %d elements for fact %s, which takes %d calls of one each", len(list), call.Fact, call.Index+1)}
	}
	if call.Index < len(list) {
		return asJSON(list[call.Index]), nil
	}
	return json.RawMessage("null"), nil
}

func isList(t *rules.Type) bool { return t != nil && t.Kind == rules.List }

// asJSON is a value that came from JSON or YAML.
func asJSON(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null") // such values always marshal
	}
	return data
}
