package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// deferredNode is the JSON of Deferred.Node: the action's templates, what they need beside their variables, and the results that
// were known when the action was deferred.
type deferredNode struct {
	actionSpec
	surroundings
	Results map[string]Result `json:"results,omitempty"`
}

// RenderDeferred renders an action that waited, given the results of the actions it waited for, by action id. It gives either the
// action, ready, or why it is skipped; an error is final. It needs neither facts nor the ruleset. An action that does not wait is
// given back as it is.
//
// When an action it waited for failed, it is skipped, unless its `if` asks about that failure (Deferred.Asks) and is true.
func RenderDeferred(a *Action, results map[string]Result) (ready *Action, skipped string, err error) {
	return RenderDeferredWatched(a, results, nil)
}

// RenderDeferredWatched is RenderDeferred that tells what the action's `if` came to, as the part "<id of the action>.if".
func RenderDeferredWatched(a *Action, results map[string]Result, watch Watcher) (ready *Action, skipped string, err error) {
	if a.Deferred == nil {
		return a, "", nil
	}
	sp, err := newSpace()
	if err != nil {
		return nil, "", err
	}
	return sp.renderDeferred(a, results, watch, &budget{maxRunCost})
}

// renderDeferred renders an action that waited. What the space has compiled it need not compile again for the next one.
func (s *space) renderDeferred(a *Action, results map[string]Result, watch Watcher, left *budget) (ready *Action, skipped string, err error) {
	var node deferredNode
	if err := json.Unmarshal(a.Deferred.Node, &node); err != nil {
		return nil, "", &EvalError{Field: a.ID, Message: "the deferred action cannot be read: " + err.Error()}
	}
	all := maps.Clone(node.Results)
	if all == nil {
		all = map[string]Result{}
	}
	for _, id := range a.Waits {
		r, ok := results[id]
		if !ok {
			return nil, "", &EvalError{Field: a.ID, Message: "the result of " + id + " is not there"}
		}
		all[id] = r
	}
	e, act, err := s.deferredEnv(a.Deferred.Bindings, all)
	if err != nil {
		return nil, "", &EvalError{Field: a.ID, Message: err.Error()}
	}
	act[budgetKey] = left
	if skipped, err = skipDeferred(a, e, act, all, watch); skipped != "" || err != nil {
		return nil, skipped, err
	}
	for _, t := range node.templates() {
		if err := t.tmpl.bindTo(e, a.ID+"."+t.name); err != nil {
			return nil, "", err
		}
	}
	out := *a
	out.Waits, out.Deferred = nil, nil
	if err := node.render(&out, act, node.surroundings); err != nil {
		return nil, "", err
	}
	return &out, "", nil
}

// skipDeferred says why a deferred action is not to be done, "" when it is.
func skipDeferred(a *Action, e *env, act activation, results map[string]Result, watch Watcher) (string, error) {
	for _, id := range slices.Sorted(maps.Keys(results)) {
		if r := results[id]; r.Failed && !slices.Contains(a.Deferred.Asks, id) {
			return strings.TrimSuffix(fmt.Sprintf("%s failed: %s", id, r.Error), ": "), nil
		}
	}
	if a.Deferred.If == "" {
		return "", nil
	}
	p := e.program(a.Deferred.If)
	if len(p.issues) > 0 {
		return "", &EvalError{Field: a.ID + ".if", Message: p.issues[0].message}
	}
	x := &expr{field: a.ID + ".if", prog: p}
	holds, err := watch.condition(x, act)
	if err != nil || holds {
		return "", err
	}
	return "if is false: " + a.Deferred.If, nil
}

// deferredEnv is an environment in which event, facts, vars and item are of any type, and the variables of one deferred action.
func (s *space) deferredEnv(bindings json.RawMessage, results map[string]Result) (*env, activation, error) {
	act, err := unbind(bindings, s.adapt)
	if err != nil {
		return nil, nil, err
	}
	result := TypeFor[Result]("result")
	named := &Type{Kind: Object, Name: rootResults}
	values := map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(results)) {
		named.Fields = append(named.Fields, TypeField{Name: id, Type: result})
		data, err := json.Marshal(results[id])
		if err != nil {
			return nil, nil, errors.New("a result cannot be read")
		}
		if values[id], err = result.Decode(data); err != nil {
			return nil, nil, err
		}
	}
	act[rootResults] = values
	free := &Type{Kind: Dyn}
	sc := scope{results: named, event: free, facts: free, vars: free, item: free}
	e, err := s.env(sc)
	return e, act, err
}
