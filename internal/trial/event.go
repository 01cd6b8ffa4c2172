package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// defaultSource is the source of events whose test does not say which.
const defaultSource = "test"

// eventSpec is what a test says of its event.
type eventSpec struct {
	node     *yaml.Node // where, nil: nothing is said
	schedule *yaml.Node // true or a rule whose schedule ticks; nil: a delivery
	body     []byte     // as the sender wrote it; nil: none
	changes  []any      // parts of it that differ
	source   string
	kind     string // the sender's kind header
	id       string // delivery id
}

// eventSpec reads event: and schedule: on top of what the level above says.
func (r *fileReader) eventSpec(m *mapping, above eventSpec) eventSpec {
	e, s := m.get("event"), m.get("schedule")
	switch {
	case e != nil && s != nil:
		r.problem(m.key("schedule"), rules.ProblemKey, "leave one out", "an event comes from a sender or from a schedule, here are both")
		return above
	case s != nil:
		return eventSpec{node: s, schedule: s}
	case e == nil:
		return above
	}
	above.node, above.schedule = e, nil
	above.changes = slices.Clip(above.changes)
	if e.Kind == yaml.ScalarNode {
		above.body, _ = r.bytes(e, "event")
		above.changes = nil
		return above
	}
	em := r.mapping(e, "event", "file", "body", "change", "source", "kind", "id")
	if em == nil {
		return above
	}
	switch file, body := em.get("file"), em.get("body"); {
	case file != nil && body != nil:
		r.problem(em.key("body"), rules.ProblemKey, "leave one out", "event: there is one body, here are file and body")
	case file != nil:
		above.body, _ = r.bytes(file, "event.file")
		above.changes = nil
	case body != nil:
		above.changes = nil
		if above.body = []byte(body.Value); body.Kind != yaml.ScalarNode {
			v, _ := r.value(body, "event.body")
			above.body = asJSON(v)
		}
	}
	if c := em.get("change"); c != nil {
		if v, ok := r.value(c, "event.change"); ok {
			above.changes = append(above.changes, v)
		}
	}
	if text, ok := r.text(em.get("source"), "event.source"); ok {
		if above.source = text; !events.ValidSource(text) {
			r.problem(em.get("source"), rules.ProblemValue, "use up to 40 lower-case letters, digits and hyphens", "event.source: %q cannot be the name of a source", text)
		}
	}
	if text, ok := r.text(em.get("kind"), "event.kind"); ok {
		above.kind = text
	}
	if text, ok := r.text(em.get("id"), "event.id"); ok {
		above.id = text
	}
	return above
}

// event makes the event of a step; nil when it was reported why there is none.
func (r *fileReader) event(t *test, st *step, number int) (*events.Event, *events.View) {
	m, s := st.mapping, st.setting
	spec := s.event
	var e *events.Event
	switch {
	case spec.schedule != nil:
		at := spec.schedule
		if m.get("schedule") == nil { // it is what is said here that does not fit
			at = &yaml.Node{Kind: at.Kind, Tag: at.Tag, Value: at.Value, Line: m.node.Line, Column: m.node.Column}
		}
		e = r.tick(at, s, t)
	case spec.body == nil && spec.node == nil:
		r.missing(m.node, "event", "add event:, a file with the body of a delivery, or schedule: true", "there is no event")
	case spec.body == nil && !r.healthy(spec.node):
	case spec.body == nil && spec.node.Kind == yaml.MappingNode && spec.changes != nil:
		r.problem(spec.node, rules.ProblemKey, "add file: or body:", "event: there is nothing to be changed")
	case spec.body == nil:
		if len(r.problems) == 0 {
			r.problem(spec.node, rules.ProblemKey, "add file: or body:", "event: it has no body")
		}
	default:
		e = r.delivery(spec, s, number)
	}
	if e == nil {
		return nil, nil
	}
	view, err := events.Decode(e)
	if err != nil {
		r.problem(spec.node, rules.ProblemValue, "", "event: %v", err)
		return nil, nil
	}
	return e, view
}

// delivery makes the event of a body as a receiver does.
func (r *fileReader) delivery(spec eventSpec, s setting, number int) *events.Event {
	body := spec.body
	for _, change := range spec.changes {
		base, err := decodeJSON(body)
		if err == nil {
			base, err = merged(base, change)
		}
		if err != nil {
			r.problem(spec.node, rules.ProblemValue, "", "event: %v", err)
			return nil
		}
		body = asJSON(base)
	}
	if len(body) > events.MaxBody {
		r.problem(spec.node, rules.ProblemLimit, "", "event: the body has %d bytes, a receiver takes %d", len(body), events.MaxBody)
		return nil
	}
	scanned, err := events.Scan(body, spec.kind)
	if err != nil {
		r.problem(spec.node, rules.ProblemValue, "", "event: this is no body of a delivery: %v", err)
		return nil
	}
	e := &events.Event{Source: spec.source, Type: scanned.Type, Time: s.now, Repository: scanned.Repository, Body: body}
	if e.Source == "" {
		e.Source = defaultSource
	}
	if e.Type == events.TypeTick && e.Source != events.SourceSchedule {
		e.Type = "unknown.schedule" // no sender may set off a schedule's rules
	}
	id := spec.id
	if id == "" {
		id = scanned.DeliveryID
	}
	if id == "" {
		id = strconv.Itoa(number + 1)
	}
	e.ID = e.Source + "/" + id
	return e
}

// tick makes the event of a schedule.
func (r *fileReader) tick(n *yaml.Node, s setting, t *test) *events.Event {
	rule := s.rule
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		if rule = r.ruleset.Rule(n.Value); rule == nil {
			r.unknown(n, rules.ProblemName, r.ruleNames(), "schedule: there is no rule %q", n.Value)
			return nil
		}
	} else if yes, ok := r.boolean(n, "schedule"); !ok || !yes {
		if ok {
			r.problem(n, rules.ProblemValue, "write true, or the name of a rule", "schedule: false says nothing")
		}
		return nil
	}
	if rule == nil {
		rule = r.onlySchedule(n, t)
	}
	if rule == nil {
		return nil
	}
	sch, ok := r.ruleset.Schedule(rule)
	switch {
	case ok:
		return events.NewTick(sch.ID, sch.Pattern, sch.TimeZone, s.now)
	case rule.Mode() == rules.ModeOff:
		r.problem(n, rules.ProblemName, "", "schedule: rule %s is off", rule.Name())
	default:
		r.problem(n, rules.ProblemName, "add event:", "schedule: rule %s has no schedule", rule.Name())
	}
	return nil
}

// onlySchedule is a rule of the test with the one schedule that its rules have.
func (r *fileReader) onlySchedule(n *yaml.Node, t *test) *rules.Rule {
	var found *rules.Rule
	var id string
	for _, rule := range t.rules {
		sch, ok := r.ruleset.Schedule(rule)
		if !ok {
			continue
		}
		if found != nil && sch.ID != id {
			r.problem(n, rules.ProblemName, "write schedule: and the name of the rule", "schedule: rules %s and %s have different schedules", found.Name(), rule.Name())
			return nil
		}
		found, id = rule, sch.ID
	}
	if found == nil && len(t.rules) > 0 {
		r.problem(n, rules.ProblemName, "write schedule: and the name of the rule", "schedule: no rule under want has one")
	}
	return found
}

// decodeJSON reads one JSON value; numbers stay as they are written.
func decodeJSON(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: there is more than one value")
	}
	return v, nil
}
