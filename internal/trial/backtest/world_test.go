package backtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

type build struct {
	No       int64  `json:"no"`
	Outcome  string `json:"outcome"`
	Finished bool   `json:"finished"`
	Log      string `json:"log"`
	Commit   string `json:"commit"`
}

type left struct {
	ID   string `json:"id"`
	Days int64  `json:"days"`
}

func testCatalogue() *rules.Catalogue {
	text := func(name string) rules.Arg { return rules.Arg{Name: name, Type: rules.String, Required: true} }
	return &rules.Catalogue{Event: rules.TypeFor[events.View]("event"), Facts: []rules.FactKind{
		{Name: "build_of", Args: []rules.Arg{text("job"), text("commit")}, Result: rules.TypeFor[build]("build"), Commit: "commit"},
		{Name: "days_left", Args: []rules.Arg{text("id")}, Result: rules.TypeFor[left]("left")},
		{Name: "packages", Args: []rules.Arg{text("status")}, Result: &rules.Type{Kind: rules.List, Elem: rules.TypeFor[left]("left")}},
	}}
}

func compiled(t testing.TB, text string) *rules.Ruleset {
	t.Helper()
	rs, problems := rules.Compile([]rules.File{{Name: "rules.yaml", Data: []byte(text)}}, testCatalogue())
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return rs
}

// past is a world in memory, whose workers decided with recordedWith.
type past struct {
	t            testing.TB
	recordedWith *rules.Ruleset
	events       []Event
	records      map[string]*Recorded
	own          map[string]events.Chain
}

func newPast(t testing.TB, recordedWith *rules.Ruleset) *past {
	return &past{t: t, recordedWith: recordedWith, records: map[string]*Recorded{}, own: map[string]events.Chain{}}
}

var begun = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// push is a push that a worker decided about, with facts by their names in the rules; without any, nothing was recorded.
func (p *past) push(id, branch string, at time.Duration, facts map[string]any) {
	p.t.Helper()
	body := fmt.Sprintf(`{"object_kind":"push","ref":"refs/heads/%s","after":"%040x","project":{"id":7,"path_with_namespace":"shop/orders","default_branch":"main"}}`,
		branch, len(p.events)+1)
	p.add(&events.Event{ID: "shop/" + id, Source: "shop", Type: "push", Repository: "shop/orders", Time: begun.Add(at), Body: []byte(body)}, facts)
}

func (p *past) add(e *events.Event, facts map[string]any) {
	p.t.Helper()
	p.events = append(p.events, Event{Event: e, Sequence: uint64(len(p.events) + 1), Stored: begun.Add(time.Duration(len(p.events)) * time.Second)})
	if facts == nil {
		return
	}
	view, err := events.Decode(e)
	if err != nil {
		p.t.Fatal(err)
	}
	given := map[string]json.RawMessage{}
	for name, v := range facts {
		if given[name], err = json.Marshal(v); err != nil {
			p.t.Fatal(err)
		}
	}
	rec := &Recorded{At: e.Time.Add(time.Second), Decisions: map[string]*rules.Decision{}}
	for _, rule := range p.recordedWith.Rules() {
		f := trial.GivenFacts(rule, given)
		played := trial.Play(trial.Input{
			Ruleset: p.recordedWith, Rule: rule, Event: e, View: view, Facts: absentFacts{f, facts}, Now: rec.At,
			OwnCommit: func(id string) events.Chain { return p.own[id] },
		})
		if d := played.Decision; d != nil {
			data, err := json.Marshal(d)
			if err != nil {
				p.t.Fatal(err)
			}
			again := new(rules.Decision)
			if err := json.Unmarshal(data, again); err != nil {
				p.t.Fatal(err)
			}
			rec.Decisions[rule.Name()] = again
		}
	}
	p.records[e.ID] = rec
}

// absentFacts are facts that never come, those that are named and nil.
type absentFacts struct {
	trial.Facts
	named map[string]any
}

func (f absentFacts) Ask(call rules.Call, ask int) trial.Reply {
	if v, ok := f.named[call.Fact]; ok && v == nil {
		return trial.Reply{NotReady: true}
	}
	return f.Facts.Ask(call, ask)
}

func (p *past) Events(_ context.Context, fn func(Event) error) error {
	for _, e := range p.events {
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

func (p *past) Recorded(_ context.Context, id string, decisions bool) (*Recorded, error) {
	rec := p.records[id]
	if rec == nil || decisions {
		return rec, nil
	}
	return &Recorded{Chain: rec.Chain, At: rec.At}, nil
}

func (p *past) OwnCommit(_ context.Context, id string) (events.Chain, error) { return p.own[id], nil }

func (p *past) Ruleset(_ context.Context, digest string) (*rules.Ruleset, error) {
	if digest != p.recordedWith.Digest() {
		return nil, nil
	}
	return p.recordedWith, nil
}

func (p *past) compare(o Options) *Report {
	p.t.Helper()
	if o.Examples == 0 {
		o.Examples = 2
	}
	report, err := Run(p.t.Context(), o, p)
	if err != nil {
		p.t.Fatal(err)
	}
	return report
}

func text(r *Report) string {
	var b bytes.Buffer
	r.Render(&b)
	return b.String()
}

// counts is the classes of a rule in one line.
func counts(t *testing.T, r *Report, name string) string {
	t.Helper()
	for i := range r.Rules {
		if r.Rules[i].Name == name {
			return counted(r.Rules[i].Counts)
		}
	}
	return "the same"
}

// swap replaces text that has to be there.
func swap(t testing.TB, in string, pairs ...string) string {
	t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(in, pairs[i]) {
			t.Fatalf("%q is not there", pairs[i])
		}
		in = strings.Replace(in, pairs[i], pairs[i+1], 1)
	}
	return in
}
