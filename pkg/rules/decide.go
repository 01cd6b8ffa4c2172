package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Decide evaluates the rule. An error is final: the evaluation failed, and it names the place in the rule and what was null.
func (x *Run) Decide() (*Decision, error) {
	for _, f := range x.rule.fetches {
		if !x.facts[f.name].ready {
			return nil, fmt.Errorf("rules: fact %s is not provided", f.name)
		}
	}
	act := x.activation()
	items, err := x.items(act)
	if err != nil {
		return nil, err
	}
	d := x.decision()
	fired := 0
	x.size = 0
	for _, it := range items {
		scoped := maps.Clone(act)
		if x.rule.forEach != nil {
			scoped[rootItem] = it.value
		}
		item, err := x.item(it.key, scoped)
		if err != nil {
			return nil, err
		}
		if item.Fired {
			fired++
		}
		d.Items = append(d.Items, item)
	}
	switch {
	case fired > 0 && x.rule.mode == ModeShadow:
		d.Outcome = OutcomeShadow
	case fired > 0:
		d.Outcome = OutcomeActed
	default:
		d.Outcome, d.Reason = OutcomeNoMatch, noMatchReason(d.Items)
	}
	return d, nil
}

// noMatchReason is one line of why nothing fired.
func noMatchReason(items []Item) string {
	if len(items) == 0 {
		return "for_each: the list is empty"
	}
	leaf := items[0].Explanation.FirstFalse()
	if leaf == nil {
		return "when is false"
	}
	reason := leaf.Brief()
	if len(items) > 1 {
		reason = fmt.Sprintf("when is false for all %d items; of the first: %s", len(items), reason)
	}
	return reason
}

// decision is an empty one with the facts so far.
func (x *Run) decision() *Decision {
	d := &Decision{
		V: FormatVersion, EventID: x.in.EventID, RunID: x.in.RunID, Rule: x.rule.name, Digest: x.in.Digest, At: x.in.Now,
		Facts: map[string]FactRecord{},
	}
	for name, f := range x.facts {
		if f.ready || f.value != nil {
			d.Facts[name] = recordFact(f.value)
		}
	}
	return d
}

func recordFact(v any) FactRecord {
	data, err := json.Marshal(v)
	if err != nil { // decoded JSON always marshals
		return FactRecord{NotRecorded: true}
	}
	if len(data) <= MaxFactRecorded {
		return FactRecord{Value: data}
	}
	sum := sha256.Sum256(data)
	return FactRecord{NotRecorded: true, Size: len(data), SHA256: hex.EncodeToString(sum[:])}
}

// keyed is one element of for_each with its key.
type keyed struct {
	key   string
	value any
}

// items are the elements of for_each, of equal keys the first; without for_each one with an empty key.
func (x *Run) items(act activation) ([]keyed, error) {
	fe := x.rule.forEach
	if fe == nil {
		return []keyed{{}}, nil
	}
	list, err := fe.in.list(act)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	scoped := maps.Clone(act)
	var out []keyed
	for i, v := range list {
		scoped[rootItem] = v
		k, err := fe.key.eval(scoped)
		if err != nil {
			return nil, err
		}
		key, ok := text(k)
		if !ok || key == "" {
			return nil, fe.key.fail("the key of element %d is %s: wanted a text or a number", i, describe(k))
		}
		if len(key) > 500 {
			return nil, fe.key.fail("the key of element %d is longer than 500 bytes", i)
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		if out = append(out, keyed{key, v}); len(out) > MaxItems {
			return nil, fe.in.fail("more than %d items in one decision", MaxItems)
		}
	}
	return out, nil
}

// item decides one item.
func (x *Run) item(key string, act activation) (Item, error) {
	item := Item{Key: key, Fired: true, Explanation: Explanation{Verdict: True}}
	if w := x.rule.when; w != nil {
		e, err := w.explain("when", act)
		if err != nil {
			if key != "" {
				return item, fmt.Errorf("item %s: %w", truncate(key, 80), err)
			}
			return item, err
		}
		item.Explanation, item.Fired = e, e.Verdict == True
		if x.size += e.size(); x.size > maxDecided {
			return item, w.fail("the explanations of one decision have more than %d bytes", maxDecided)
		}
		if x.in.Watch != nil {
			x.in.Watch(w.field, e)
		}
	}
	if !item.Fired {
		return item, nil
	}
	skipped := map[string]string{}
	for _, a := range x.rule.actions {
		made, reason, err := x.action(a, key, act, skipped)
		switch {
		case err != nil:
			return item, err
		case made == nil:
			skipped[a.id] = reason
			item.Skipped = append(item.Skipped, SkippedAction{ID: a.id, Kind: a.kind, Reason: reason})
		default:
			if x.size += made.size(); x.size > maxDecided {
				return item, &EvalError{Position: a.pos, Field: a.id, Message: fmt.Sprintf("the actions of one decision hold more than %d bytes", maxDecided)}
			}
			item.Actions = append(item.Actions, *made)
		}
	}
	if x.rule.throttle == nil || len(item.Actions) == 0 {
		return item, nil
	}
	var err error
	item.Throttle, err = x.rule.throttle.key.checked(act, checkAlertKey)
	return item, err
}

// action makes one action of an item, or says why it is skipped. skipped are those before it that were.
func (x *Run) action(a *action, itemKey string, act activation, skipped map[string]string) (*Action, string, error) {
	out := &Action{
		V: FormatVersion, Key: ActionKey(x.in.RunID, itemKey, a.id), ID: a.id, Kind: a.kind, EventID: x.in.EventID, RunID: x.in.RunID,
		Rule: x.rule.name, Digest: x.in.Digest, ItemKey: itemKey, Accepted: x.in.Accepted, Chain: x.in.Chain,
		Deadline: a.deadline,
	}
	if slices.ContainsFunc(x.rule.fetches, func(f *fetch) bool { return f.until != nil }) {
		out.Since = x.in.Now
	}
	ground := x.ground()
	out.Repository, out.Branch = ground.repository, ground.branch
	if len(a.waits) > 0 {
		return x.deferAction(a, out, act, ground, skipped)
	}
	if a.cond != nil {
		holds, err := x.in.Watch.condition(a.cond, act)
		if err != nil {
			return nil, "", err
		}
		if !holds {
			return nil, "if is false: " + a.cond.prog.text, nil
		}
	}
	return out, "", a.spec.render(out, act, ground.surroundings)
}

// deferAction keeps an action for when the results it names are there. Results of actions that were skipped are there already.
func (x *Run) deferAction(a *action, out *Action, act activation, g ground, skipped map[string]string) (*Action, string, error) {
	bindings, err := bind(a.chains, act, a.scope)
	if err != nil {
		return nil, "", fmt.Errorf("action %s: %w", a.id, err)
	}
	node := deferredNode{actionSpec: a.spec, surroundings: g.surroundings}
	for _, id := range a.waits {
		reason, known := skipped[id]
		if !known {
			out.Waits = append(out.Waits, id)
			continue
		}
		if node.Results == nil {
			node.Results = map[string]Result{}
		}
		node.Results[id] = Result{Failed: true, Error: "skipped: " + reason}
	}
	data, err := json.Marshal(&node)
	if err != nil {
		return nil, "", fmt.Errorf("action %s: %w", a.id, err)
	}
	out.Deferred = &Deferred{Node: data, Bindings: bindings}
	if a.cond != nil {
		out.Deferred.If, out.Deferred.Asks = a.cond.prog.text, a.asks
	}
	if len(out.Waits) > 0 {
		return out, "", nil
	}
	if x.space == nil {
		if x.space, err = newSpace(); err != nil {
			return nil, "", err
		}
	}
	return x.space.renderDeferred(out, nil, x.in.Watch, &x.budget)
}

// ground is what an action knows about the event it came from.
type ground struct {
	surroundings
	repository, branch string
}

// observed is the time of what the rule has seen: of its facts, which were fetched for this decision, or else of the event, however
// late it is decided. A rule without facts would otherwise take a delayed event for news.
func (x *Run) observed() time.Time {
	if len(x.rule.fetches) == 0 {
		return x.in.Accepted
	}
	return x.in.Now
}

func (x *Run) ground() ground {
	g := ground{surroundings: surroundings{ObservedAt: x.observed()}}
	if b := x.in.Event.Branch; b != nil {
		g.branch = *b
	}
	if r := x.in.Event.Repository; r != nil {
		for _, f := range []struct {
			from *string
			to   *string
		}{{r.Path, &g.repository}, {r.ID, &g.RepoID}, {r.WebURL, &g.WebURL}} {
			if f.from != nil {
				*f.to = *f.from
			}
		}
	}
	if checkLink(g.WebURL) != nil {
		g.WebURL = ""
	}
	return g
}
