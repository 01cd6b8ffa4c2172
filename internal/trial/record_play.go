package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// apart is how far from the event another one is that shows throttle and latest_only.
const apart = time.Second

// play runs a test as it would be read from the file, and tells what came of its last step.
func (r *recorder) play(t *recordedTest, own func(string) events.Chain) (*happened, error) {
	text, err := r.file([]*recordedTest{t})
	if err != nil {
		return nil, err
	}
	suite, problems := Read(r.Ruleset, []rules.File{{Name: "recorded_test.yaml", Data: text}}, noFiles)
	if suite == nil {
		return nil, fmt.Errorf("what is recorded of rule %s cannot be written as a test: %w", t.Rule.Name(), problems)
	}
	test := suite.tests[0]
	w := newWorld(test)
	w.foreign = own
	var last *happened
	for _, st := range test.steps {
		last = w.play(r.Ruleset, t.Rule, st, false, newSeen(t.Rule, rules.Outline{}))
	}
	return last, nil
}

func noFiles(name string, _ int64) ([]byte, error) {
	return nil, errors.New("a recorded test names no file")
}

// agree plays what was recorded, unmasked, and looks whether the rule decides what a worker decided.
func (r *recorder) agree(t *recordedTest) error {
	if err := r.findOwn(t); err != nil {
		return err
	}
	var first *happened
	for _, vary := range []func(){
		func() {},
		func() {
			if r.schedule == nil && t.Decision != nil {
				t.now = t.Decision.At
			}
		},
	} {
		vary()
		h, err := r.play(t, nil)
		if err != nil {
			return err
		}
		if first == nil {
			first = h
		}
		if t.decided(h) {
			t.plain = h
			if !t.now.Equal(r.Event.Time) {
				r.note(t, "the event was accepted at %s; the test is set at the time of the decision, which the rule looks at", r.Event.Time.Format(time.RFC3339))
			}
			return nil
		}
	}
	t.now, t.plain = r.Event.Time, first
	if t.other() != nil {
		t.alone = true
		h, err := r.play(t, nil)
		if err != nil {
			return err
		}
		t.plain, first = h, h
	}
	if len(t.missing) > 0 { // it is said already
		return nil
	}
	decided, reason := NotCandidate, ""
	if t.Decision != nil {
		decided, reason = t.Decision.Outcome, t.Decision.Reason
	}
	if reason != "" {
		reason = " (" + reason + ")"
	}
	switch decided {
	case rules.OutcomeThrottled, rules.OutcomeOvertaken:
		r.note(t, "a worker decided %s%s; that came of other events, and the test expects what the rule makes of this one alone", decided, reason)
	case first.Outcome:
		r.fault(t, "a worker decided %s too, with other actions: the rule or its facts look at what is not recorded; compare want with rules explain", decided)
	default:
		r.fault(t, "a worker decided %s%s; of what is recorded the rule makes %s: correct facts and want by hand", decided, reason, first.Outcome)
	}
	return nil
}

// findOwn finds the commits of ours that the event and the facts name.
func (r *recorder) findOwn(t *recordedTest) error {
	if r.Own == nil {
		return nil
	}
	own := listNode()
	asked := map[string]events.Chain{}
	var failed error
	_, err := r.play(t, func(id string) events.Chain {
		chain, known := asked[id]
		if known || failed != nil {
			return chain
		}
		if chain, failed = r.Own(id); failed != nil {
			return events.Chain{}
		}
		asked[id] = chain
		if chain.Depth == 0 || !commitID.MatchString(id) {
			return chain
		}
		m := mapNode(textNode("id"), textNode(id), textNode("depth"), plainNode(fmt.Sprint(chain.Depth)))
		if chain.Origin != "" {
			put(m, "origin", textNode(chain.Origin))
		}
		if chain.Action != "" {
			put(m, "action", textNode(chain.Action))
		}
		own.Content = append(own.Content, m)
		return chain
	})
	if len(own.Content) > 0 {
		t.own = own
	}
	return errors.Join(err, failed)
}

// decided tells whether a play came to what is recorded.
func (t *recordedTest) decided(h *happened) bool {
	if t.Decision == nil {
		return h.Outcome == NotCandidate || h.Outcome == rules.OutcomeOwnCommit && h.Decision == nil
	}
	if h.Decision == nil || h.Outcome != t.Decision.Outcome {
		return false
	}
	if h.Outcome == rules.OutcomeThrottled || h.Outcome == rules.OutcomeOvertaken {
		return true // by another event than the made-up one, which the reason names
	}
	return h.Reason == t.Decision.Reason && bytes.Equal(outlined(t.Decision), outlined(h.Decision))
}

// outlined is of a decision what does not depend on the moment it was made.
func outlined(d *rules.Decision) []byte {
	var all []any
	for i := range d.Items {
		item := &d.Items[i]
		actions := []any{}
		for j := range item.Actions {
			o := object(&item.Actions[j], item.Actions[j].Waits)
			delete(o, "observed_at")
			files, _ := o["actions"].([]any)
			for _, f := range files {
				if f, ok := f.(map[string]any); ok {
					delete(f, "last_commit_id") // a worker asks for it while it decides
				}
			}
			actions = append(actions, o)
		}
		all = append(all, []any{item.Key, item.Fired, item.Throttled != "", item.Skipped, actions})
	}
	data, err := json.Marshal(all)
	if err != nil {
		return nil // such values always marshal
	}
	return data
}

// mask masks everything that came with the event.
func (r *recorder) mask() {
	r.masks = newMasker(r.Ruleset.Files())
	var all []*yaml.Node
	all = append(all, r.event)
	for _, t := range r.tests {
		all = append(all, t.own, t.facts, t.results)
	}
	all = slices.DeleteFunc(all, func(n *yaml.Node) bool { return n == nil })
	for _, n := range all {
		r.masks.learn(n)
	}
	for _, n := range all {
		r.masks.mask(n)
	}
}

// expect plays a test with masked values and writes what is to come of it.
func (r *recorder) expect(t *recordedTest) error {
	h, err := r.play(t, nil)
	if err != nil {
		return err
	}
	if h.Outcome == NeedsFacts { // it is said already
		outcome := NotCandidate
		if t.Decision != nil {
			outcome = t.Decision.Outcome
		}
		t.want = mapNode(textNode("outcome"), textNode(outcome))
		return nil
	}
	if h.Outcome != t.plain.Outcome || !sameShape(h, t.plain) {
		r.fault(t, "with masked values the rule makes %s of it, with the true ones %s: write values by hand that decide the same, and correct want", h.Outcome, t.plain.Outcome)
	}
	t.want = wantNode(h)
	return nil
}

// sameShape tells whether two plays lead to the same actions, whatever they say.
func sameShape(a, b *happened) bool {
	return len(a.items) == len(b.items) && len(a.skipped) == len(b.skipped) && len(a.broken) == len(b.broken) &&
		slices.EqualFunc(a.actions, b.actions, func(x, y map[string]any) bool { return x["id"] == y["id"] })
}
