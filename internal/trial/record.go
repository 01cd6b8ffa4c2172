package trial

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Recording is what was decided about one event, to become a test.
type Recording struct {
	Ruleset *rules.Ruleset // that the event was matched with
	Event   *events.Event
	Runs    []RecordedRun // one test each, in this order; at least one
	// Own is the chain of a commit of ours, of depth 0 when it is not ours.
	Own func(commit string) (events.Chain, error)
	// Name is that of the test; with several runs the rule is added. "": rule and outcome.
	Name string
}

// RecordedRun is what came of one rule.
type RecordedRun struct {
	Rule *rules.Rule
	// Decision is as it was recorded; nil when the rule had no run: it was not a candidate, or does not see our own commits.
	Decision *rules.Decision
	// Results are what became of the commits and builds that others wait for, by the keys of their actions. What is missing has no end,
	// or is forgotten.
	Results map[string]rules.Result
}

// Recorded is a test file.
type Recorded struct {
	Text []byte
	// Notes are what the test leaves out, or says otherwise than it was; it passes all the same. Faults are why a test cannot stand for
	// what was decided, each with its remedy. Both are in the file as comments too.
	Notes, Faults []string
}

// Record writes a test file that expects of the rules what they decided. What comes with event, facts and results is masked as
// [docs/testing.md] says, and what is expected is what the rules make of the masked values, so no expectation holds more than these.
func Record(in Recording) (*Recorded, error) {
	r := &recorder{Recording: in, out: &Recorded{}}
	for i := range in.Runs {
		t := &recordedTest{RecordedRun: &in.Runs[i]}
		if err := r.gather(t); err != nil {
			return nil, err
		}
		r.tests = append(r.tests, t)
	}
	if err := r.readEvent(); err != nil {
		return nil, err
	}
	for _, t := range r.tests {
		if err := r.agree(t); err != nil {
			return nil, err
		}
	}
	r.mask()
	for _, t := range r.tests {
		if err := r.expect(t); err != nil {
			return nil, err
		}
	}
	return r.out, r.finish()
}

// recorder writes one file.
type recorder struct {
	Recording
	event, schedule *yaml.Node // what event: and schedule: say; one is nil
	masks           *masker
	tests           []*recordedTest
	out             *Recorded
}

// recordedTest is one test of the file.
type recordedTest struct {
	*RecordedRun
	name           string
	now            time.Time
	own            *yaml.Node // own_commits, a list; nil: none
	facts, results *yaml.Node // mappings; nil: none
	missing        []string   // facts whose values were not recorded
	want           *yaml.Node
	alone          bool // no other event is played before it
	comments       []string
	plain          *happened // what came of the values as they were
}

// readEvent writes the event as a test has it.
func (r *recorder) readEvent() error {
	ev := r.Event
	for _, t := range r.tests {
		if s, ok := r.Ruleset.Schedule(t.Rule); ok && bytes.Equal(events.NewTick(s.ID, s.Pattern, s.TimeZone, ev.Time).Body, ev.Body) {
			r.schedule = textNode(t.Rule.Name())
			return nil
		}
	}
	kind, ok := kindOfType(ev)
	if !ok {
		return fmt.Errorf("event %s was stored as %s, and its body is not read as that any more", ev.ID, ev.Type)
	}
	r.event = mapNode()
	put(r.event, "source", textNode(ev.Source))
	if kind != "" {
		put(r.event, "kind", textNode(kind))
	}
	put(r.event, "id", textNode(strings.TrimPrefix(ev.ID, ev.Source+"/")))
	body, err := jsonNode(ev.Body)
	if err != nil {
		return fmt.Errorf("the body of event %s: %w", ev.ID, err)
	}
	put(r.event, "body", body)
	return nil
}

// kindOfType is the kind header with which a body is of the type it was stored with; "" when it needs none.
func kindOfType(ev *events.Event) (kind string, ok bool) {
	hints := []string{"", strings.TrimPrefix(ev.Type, "unknown.")}
	for _, t := range events.Types() {
		first, _, _ := strings.Cut(t, ".")
		hints = append(hints, first)
	}
	for _, hint := range hints {
		if s, err := events.Scan(ev.Body, hint); err == nil && s.Type == ev.Type {
			return hint, true
		}
	}
	return "", false
}

// gather writes what was known around a run.
func (r *recorder) gather(t *recordedTest) error {
	t.now = r.Event.Time
	t.name = t.Rule.Name()
	switch {
	case r.Name != "" && len(r.Runs) == 1:
		t.name = r.Name
	case r.Name != "":
		t.name = r.Name + ": " + t.name
	case t.Decision != nil:
		t.name += ": " + t.Decision.Outcome
	}
	if t.Decision == nil {
		return nil
	}
	t.facts = mapNode()
	for _, name := range t.Rule.Facts() {
		fact, _ := t.Rule.Fact(name)
		record, ok := t.Decision.Facts[name]
		switch {
		case !ok, fact.Wait.OnTimeout == rules.OnTimeoutContinue && string(record.Value) == "null": // it was asked for in vain, or not at all
			put(t.facts, name, textNode("not_ready"))
		case record.NotRecorded:
			t.missing = append(t.missing, name)
			r.fault(t, "fact %s was not recorded: it has %d bytes, and records hold %d; write the value under facts, as docs/testing.md says, and complete want",
				name, record.Size, rules.MaxFactRecorded)
		default:
			value, err := jsonNode(record.Value)
			if err != nil {
				return fmt.Errorf("the record of fact %s: %w", name, err)
			}
			kind := fact.Kind.Result
			if fact.Each && !isList(kind) {
				kind = &rules.Type{Kind: rules.List, Elem: kind}
			}
			withoutNulls(value, kind)
			if isScript(value) || value.Value == "not_ready" {
				value = mapNode(textNode("value"), value)
			}
			put(t.facts, name, value)
		}
	}
	t.results = r.resultsOf(t)
	return nil
}

// resultsOf writes what became of the commits and builds that other actions of the run wait for.
func (r *recorder) resultsOf(t *recordedTest) *yaml.Node {
	byID := map[string]*yaml.Node{}
	out := mapNode()
	for i := range t.Decision.Items {
		item := &t.Decision.Items[i]
		if item.Throttled != "" || t.Decision.Outcome != rules.OutcomeActed {
			continue
		}
		for j := range item.Actions {
			a := &item.Actions[j]
			if !slices.ContainsFunc(item.Actions, func(o rules.Action) bool { return slices.Contains(o.Waits, a.ID) }) {
				continue
			}
			result, ended := t.Results[a.Key]
			if !ended {
				if a.Kind == rules.KindCommit || a.Kind == rules.KindBuild {
					r.note(t, "what became of %s is not recorded: it is taken to have succeeded", ofItem(a.ID, item))
				}
				continue
			}
			value := resultNode(result)
			if byID[a.ID] == nil {
				byID[a.ID] = mapNode()
				put(out, a.ID, byID[a.ID])
			}
			if item.Key == "" {
				byID[a.ID].Content = value.Content
				continue
			}
			items := byID[a.ID]
			if len(items.Content) == 0 {
				put(items, "items", mapNode())
			}
			put(items.Content[1], item.Key, value)
		}
	}
	return out
}

// resultNode is a result without its empty fields.
func resultNode(result rules.Result) *yaml.Node {
	n, err := jsonNode(asJSON(result))
	if err != nil {
		return mapNode()
	}
	var kept []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := n.Content[i+1]; v.Value != "" && v.Value != "0" && v.Value != "false" {
			kept = append(kept, n.Content[i], v)
		}
	}
	n.Content = kept
	return n
}

func (r *recorder) note(t *recordedTest, format string, args ...any) {
	t.comments = append(t.comments, fmt.Sprintf(format, args...))
	r.out.Notes = append(r.out.Notes, fmt.Sprintf("rule %s: %s", t.Rule.Name(), fmt.Sprintf(format, args...)))
}

func (r *recorder) fault(t *recordedTest, format string, args ...any) {
	t.comments = append(t.comments, fmt.Sprintf(format, args...))
	r.out.Faults = append(r.out.Faults, fmt.Sprintf("rule %s: %s", t.Rule.Name(), fmt.Sprintf(format, args...)))
}
