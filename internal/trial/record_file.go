package trial

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/rules"
)

// file writes tests of the event.
func (r *recorder) file(tests []*recordedTest) ([]byte, error) {
	root := mapNode()
	if len(tests) == 1 {
		put(root, "rule", textNode(tests[0].Rule.Name()))
	}
	if r.schedule != nil {
		put(root, "schedule", r.schedule)
	} else {
		put(root, "event", r.eventNode())
	}
	put(root, "now", plainNode(r.Event.Time.UTC().Format(time.RFC3339Nano)))
	list := listNode()
	for _, t := range tests {
		list.Content = append(list.Content, r.testNode(t, len(tests) > 1))
	}
	put(root, "tests", list)
	root.HeadComment = r.heading()
	return encode(root)
}

// heading says at the top where the test comes from.
func (r *recorder) heading() string {
	text := fmt.Sprintf("# What became of event %s, accepted %s, with ruleset %s.", r.Event.ID, r.Event.Time.UTC().Format(time.RFC3339), shortDigest(r.Ruleset.Digest()))
	if r.masks != nil {
		text = r.masks.text(text, true)
	}
	return text + "\n# E-mails, phone numbers and what looks like a secret are masked. docs/testing.md is the format.\n"
}

func shortDigest(digest string) string { return digest[:min(len(digest), 12)] }

// eventNode is the event, its body as text where YAML cannot say it.
func (r *recorder) eventNode() *yaml.Node {
	n := copied(r.event)
	body := n.Content[len(n.Content)-1]
	if body.Kind != yaml.ScalarNode && readsAs(body) {
		return n
	}
	text := textNode(indentedJSON(body))
	n.Content[len(n.Content)-1] = text
	return n
}

func (r *recorder) testNode(t *recordedTest, several bool) *yaml.Node {
	n := mapNode(textNode("name"), textNode(t.name))
	for _, c := range t.comments {
		if r.masks != nil {
			c = r.masks.text(c, false)
		}
		n.HeadComment += "# " + oneLine(c) + "\n"
	}
	if several {
		put(n, "rule", textNode(t.Rule.Name()))
	}
	if !t.now.Equal(r.Event.Time) {
		put(n, "now", plainNode(t.now.UTC().Format(time.RFC3339Nano)))
	}
	for _, part := range []struct {
		key   string
		value *yaml.Node
	}{{"own_commits", t.own}, {"facts", t.facts}, {"results", t.results}} {
		if part.value != nil && len(part.value.Content) > 0 {
			put(n, part.key, part.value)
		}
	}
	want := t.want
	if want == nil { // it is not known yet
		want = mapNode(textNode("outcome"), textNode(rules.OutcomeActed))
	}
	if other := t.other(); other != nil {
		put(n, "steps", listNode(other, mapNode(textNode("now"), plainNode(t.now.UTC().Format(time.RFC3339Nano)), textNode("want"), want)))
		return n
	}
	put(n, "want", want)
	return n
}

// oneLine is a text as a comment can hold it: reasons hold what came with the event, and YAML takes no control characters.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.Join(strings.Fields(text), " "))
}

// other is a step with another event of the same body, which this one is throttled or overtaken by; nil when there was none.
func (t *recordedTest) other() *yaml.Node {
	if t.Decision == nil || t.alone {
		return nil
	}
	id, at := "earlier", t.now.Add(-apart)
	switch t.Decision.Outcome {
	case rules.OutcomeThrottled:
	case rules.OutcomeOvertaken:
		id, at = "newer", t.now.Add(apart)
	default:
		return nil
	}
	return mapNode(textNode("event"), mapNode(textNode("id"), textNode(id)), textNode("now"), plainNode(at.UTC().Format(time.RFC3339Nano)))
}

// finish writes the file and runs it.
func (r *recorder) finish() error {
	text, err := r.file(r.tests)
	if err != nil {
		return err
	}
	if len(text) > rules.MaxFile {
		return fmt.Errorf("the test would have %d bytes, and test files have at most %d: record fewer rules, each in its own file", len(text), rules.MaxFile)
	}
	r.out.Text = text
	for i, note := range r.out.Notes {
		r.out.Notes[i] = r.masks.text(note, false)
	}
	for i, fault := range r.out.Faults {
		r.out.Faults[i] = r.masks.text(fault, false)
	}
	suite, problems := Read(r.Ruleset, []rules.File{{Name: "recorded_test.yaml", Data: text}}, noFiles)
	if suite == nil {
		return fmt.Errorf("the test that was written cannot be read: %w", problems)
	}
	for i, result := range suite.Run(nil).Tests {
		if len(r.tests[i].missing) > 0 {
			continue
		}
		for _, f := range result.Failures {
			r.out.Faults = append(r.out.Faults, fmt.Sprintf("rule %s: the test fails at %s: it expects %s, and there is %s; correct it by hand", f.Rule, f.What, f.Expected, f.Actual))
		}
	}
	return nil
}

// wantNode is what a test is to expect of a rule that came to this.
func wantNode(h *happened) *yaml.Node {
	n := mapNode(textNode("outcome"), textNode(h.Outcome))
	if h.Reason != "" && h.Decision != nil && h.Outcome != rules.OutcomeNoMatch && h.Outcome != rules.OutcomeThrottled && h.Outcome != rules.OutcomeOvertaken {
		put(n, "reason", textNode(h.Reason))
	}
	if h.Outcome == Failed {
		put(n, "class", textNode(h.Class))
	}
	if because := becauseNode(h); because != nil {
		put(n, "because", because)
	}
	if h.Waited > 0 {
		put(n, "waited", textNode(brief(h.Waited)))
	}
	if len(h.items) > 0 && h.items[0] != "" {
		put(n, "items", ordered(reflect.TypeFor[[]string](), h.items))
	}
	kinds := actionKinds()
	for _, kind := range []string{rules.KindCommit, rules.KindBuild, rules.KindNotify, rules.KindAlert} {
		list := listNode()
		for _, a := range h.ofKind(kind) {
			delete(a, "observed_at")
			e := mapNode()
			for _, key := range []string{"id", "item"} {
				if a[key] != "" {
					put(e, key, textNode(fmt.Sprint(a[key])))
				}
			}
			e.Content = append(e.Content, ordered(kinds[kind].Type, a).Content...)
			list.Content = append(list.Content, e)
		}
		if len(list.Content) > 0 {
			put(n, kindKey(kind), list)
		}
	}
	putReasons(n, "skipped", h.skipped)
	putReasons(n, "failed", h.broken)
	return n
}

func putReasons(n *yaml.Node, key string, reasons map[string]any) {
	m := mapNode()
	for _, id := range slices.Sorted(maps.Keys(reasons)) {
		put(m, id, textNode(fmt.Sprint(reasons[id])))
	}
	if len(m.Content) > 0 {
		put(n, key, m)
	}
}

// becauseNode is the condition that did not hold, nil when there is none to be named.
func becauseNode(h *happened) *yaml.Node {
	leaf := (*rules.Explanation)(nil)
	switch {
	case h.Outcome == NotCandidate:
		leaf = h.Match.FirstFalse()
	case h.Outcome == rules.OutcomeNoMatch && h.Decision != nil && len(h.Decision.Items) > 0:
		leaf = h.Decision.Items[0].Explanation.FirstFalse()
	}
	if leaf == nil || leaf.Verdict != rules.False || len(leaf.Children) > 0 {
		return nil
	}
	const most = 200 // bytes of what is shown
	saw, err := jsonNode(leaf.Seen)
	if err != nil || len(leaf.Seen) > most || string(leaf.Seen) == "null" {
		return textNode(leaf.Label)
	}
	return mapNode(textNode("condition"), textNode(leaf.Label), textNode("saw"), saw)
}

// ordered is a plain value of a type of pkg/rules as YAML, fields in the order of the type, without empty ones.
func ordered(t reflect.Type, v any) *yaml.Node {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case map[string]any:
		n := mapNode()
		for i := range t.NumField() {
			name := jsonName(t.Field(i))
			value := v[name]
			if value == nil || value == "" || value == false || fmt.Sprint(value) == "[]" {
				continue
			}
			put(n, name, ordered(t.Field(i).Type, value))
		}
		return n
	case []any:
		n := listNode()
		flat := true
		for _, e := range v {
			child := ordered(t.Elem(), e)
			flat = flat && child.Kind == yaml.ScalarNode
			n.Content = append(n.Content, child)
		}
		if flat {
			n.Style = yaml.FlowStyle
		}
		return n
	case string:
		return textNode(v)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return plainNode("null") // such values always marshal
	}
	return plainNode(string(data))
}
