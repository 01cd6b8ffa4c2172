package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

const (
	commitA = "1111111111111111111111111111111111111111"
	commitB = "2222222222222222222222222222222222222222"
	jobID   = "f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3"
)

// start is the time all tests begin at; not a whole second.
var start = time.Date(2026, 4, 1, 8, 30, 0, 250e6, time.UTC)

// fixture is an engine on memory.
type fixture struct {
	t      *testing.T
	store  *memory
	source *source
	clock  *clock
	log    *lines
	live   *Live
	engine *Engine
}

func newFixture(t *testing.T, ruleFile string, answers map[string]func(rules.Call) (string, error)) *fixture {
	t.Helper()
	f := &fixture{
		t: t, store: newMemory(), clock: &clock{at: start}, log: &lines{},
		source: &source{answers: answers, files: map[string]string{}},
	}
	f.live = NewLive(Catalogue([]string{"team", "ops"}, []string{rules.DefaultConnection, "other"}), f.store)
	f.load(ruleFile)
	f.limit(Limits{})
	return f
}

// limit replaces the engine by one with other limits.
func (f *fixture) limit(l Limits) {
	f.t.Helper()
	e, err := New(Stores{f.store, f.store, f.store}, f.live, Sources{f.source, f.source}, l, f.log.logger(), f.clock.now)
	if err != nil {
		f.t.Fatal(err)
	}
	f.engine = e
}

// load makes the file the current ruleset.
func (f *fixture) load(ruleFile string) *rules.Ruleset {
	f.t.Helper()
	l := NewLoader(nil, f.live, f.store, f.log.logger())
	if err := l.use(f.t.Context(), newFileSource(nil, f.live).offer([]rules.File{{Name: "rules.yaml", Data: []byte(ruleFile)}}), start); err != nil {
		f.t.Fatal(err)
	}
	return f.live.Current()
}

// push is the message of a push to main of shop/orders.
func push(id, after, message string) Message {
	commit := map[string]any{"id": after, "message": message}
	body, err := json.Marshal(map[string]any{
		"object_kind": "push", "ref": "refs/heads/main", "before": commitB, "after": after, "user_username": "mei",
		"project": map[string]any{
			"id": 7, "name": "orders", "path_with_namespace": "shop/orders",
			"web_url": "https://example.com/shop/orders", "default_branch": "main",
		},
		"commits": []any{commit},
	})
	if err != nil {
		panic(err)
	}
	return eventMessage(&events.Event{
		ID: "repo/" + id, Source: "repo", Type: "push", Time: start.Add(-time.Second), Repository: "shop/orders", Body: body,
	})
}

func eventMessage(e *events.Event) Message {
	return Message{Header: e.Header(), Data: e.Body, Stored: e.Time}
}

// match handles the event and returns the runs put for it.
func (f *fixture) match(m Message) []Message {
	f.t.Helper()
	before := len(f.store.put(subjectRun))
	if err := f.engine.Match(f.t.Context(), m); err != nil {
		f.t.Fatalf("Match: %v", err)
	}
	return f.runs()[before:]
}

func (f *fixture) runs() []Message {
	var all []Message
	for _, s := range f.store.put(subjectRun) {
		all = append(all, Message{Header: s.header, Data: s.data})
	}
	return all
}

// run matches a push, which must have one candidate, and hands its run to the engine.
func (f *fixture) run() error {
	f.t.Helper()
	return f.engine.Run(f.t.Context(), f.order())
}

// order is the one run of a push.
func (f *fixture) order() Message {
	f.t.Helper()
	runs := f.match(push("1", commitA, "fix totals"))
	if len(runs) != 1 {
		f.t.Fatalf("%d runs, want 1", len(runs))
	}
	return runs[0]
}

// decision is the run record of a message of work.run.
func (f *fixture) decision(m Message) rules.Decision {
	f.t.Helper()
	data, _, err := f.store.Get(f.t.Context(), runSubject(m.Header[headerRun]))
	if err != nil || data == nil {
		f.t.Fatalf("no run record: %v", err)
	}
	var d rules.Decision
	if err := json.Unmarshal(data, &d); err != nil {
		f.t.Fatal(err)
	}
	return d
}

// actions are the actions put under subjects with that prefix.
func (f *fixture) actions(prefix string) []rules.Action {
	f.t.Helper()
	var all []rules.Action
	for _, s := range f.store.put(prefix) {
		var a rules.Action
		if err := json.Unmarshal(s.data, &a); err != nil {
			f.t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// parked is the verdict of err, which must be to park.
func parked(t *testing.T, err error) (until time.Time, state string) {
	t.Helper()
	var p interface {
		Park() (time.Time, string)
	}
	if !errors.As(err, &p) {
		t.Fatalf("verdict is %v, want to be parked", err)
	}
	return p.Park()
}

// verdict reads the class of an error and whether it is final, as the stream does.
func verdict(err error) (class string, final bool) {
	var again interface{ Retryable() bool }
	var of interface{ Class() string }
	if errors.As(err, &of) {
		class = of.Class()
	}
	return class, errors.As(err, &again) && !again.Retryable()
}

// wantFinal checks that err is never to be tried again and of that class.
func wantFinal(t *testing.T, err error, class string) {
	t.Helper()
	if got, final := verdict(err); !final || got != class {
		t.Fatalf("verdict is %v (class %q, final %t), want final of class %s", err, got, final, class)
	}
}

func (f *fixture) wantLines(message string, n int) []map[string]any {
	f.t.Helper()
	found := f.log.all(f.t, message)
	if len(found) != n {
		f.t.Errorf("%d lines %q, want %d", len(found), message, n)
		for len(found) < n {
			found = append(found, map[string]any{})
		}
	}
	return found
}

func wantField(t *testing.T, line map[string]any, field, want string) {
	t.Helper()
	if got := fmt.Sprint(line[field]); got != want {
		t.Errorf("line %q: %s is %s, want %s", line["message"], field, got, want)
	}
}
