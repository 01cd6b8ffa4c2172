package trial

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// The result of a commit or a build whose test says nothing of it.
const (
	madeUpCommit = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"
	madeUpBuild  = 1
)

// world is what lasts from step to step of a test.
type world struct {
	own    map[string]events.Chain // commits made
	alerts map[string]rules.AlertMemory
	memory *Memory
	steps  []*step // all of the test
	told   []bool  // of which memory has been told
	// foreign are commits of ours that no step names; nil: there are none.
	foreign func(id string) events.Chain
}

// newWorld is the world of a test before its first step.
func newWorld(t *test) *world {
	return &world{
		own: map[string]events.Chain{}, alerts: map[string]rules.AlertMemory{}, memory: NewMemory(), steps: t.steps, told: make([]bool, len(t.steps)),
	}
}

// arrived tells the memory of the event of a step, and, while a rule waits in it until now, of those of later steps that come meanwhile.
func (w *world) arrived(ruleset *rules.Ruleset, at *step, now time.Time) {
	for i, st := range w.steps {
		if w.told[i] || st != at && (!st.now.After(at.now) || st.now.After(now)) {
			continue
		}
		w.told[i] = true
		chain := events.Chain{}
		if id, _ := st.view.Head(); strings.Trim(id, "0") != "" {
			chain = w.ownCommit(st, id)
		}
		w.memory.Accept(ruleset, st.event, st.view, chain, DefaultChainDepth)
	}
}

// happened is what came of one rule in one step, as a test sees it.
type happened struct {
	*Played
	// actions are those that would be carried out, in order, as objects with id, kind, item and the fields of their kind.
	actions []map[string]any
	alerts  []map[string]any // what alerts say
	skipped map[string]any   // actions left out, by id: why
	broken  map[string]any   // actions that cannot be carried out, by id: why
	items   []any            // keys of the items that fired and were not throttled
}

// fired tells whether the rule acts, or would in shadow.
func (h *happened) fired() bool {
	return h.Outcome == rules.OutcomeActed || h.Outcome == rules.OutcomeShadow
}

// play plays a rule in a step and imagines its actions carried out.
func (w *world) play(ruleset *rules.Ruleset, rule *rules.Rule, st *step, impatient bool, seen *seen) *happened {
	h := &happened{skipped: map[string]any{}, broken: map[string]any{}}
	h.Played = Play(Input{
		Ruleset: ruleset, Rule: rule, Event: st.event, View: st.view, Now: st.now, Impatient: impatient,
		Facts:     scripted{rule, st.facts},
		OwnCommit: func(id string) events.Chain { return w.ownCommit(st, id) },
		Watch:     seen.condition,
		Memory:    w.memory,
		Arrived:   func(now time.Time) { w.arrived(ruleset, st, now) },
	})
	seen.matched(&h.Match)
	if h.Decision == nil {
		return h
	}
	seen.decided = true
	for i := range h.Decision.Items {
		w.item(h, &h.Decision.Items[i], st, seen)
	}
	return h
}

// item notes what was decided for an item and imagines it carried out.
func (w *world) item(h *happened, item *rules.Item, st *step, seen *seen) {
	if item.Fired && item.Throttled == "" {
		h.items = append(h.items, item.Key)
	}
	for _, s := range item.Skipped {
		h.skipped[ofItem(s.ID, item)] = s.Reason
	}
	w.carryOut(h, item, st, seen)
}

// ofItem names an action of an item.
func ofItem(id string, item *rules.Item) string {
	if item.Key == "" {
		return id
	}
	return id + " of " + item.Key
}

func (w *world) ownCommit(st *step, id string) events.Chain {
	if chain, ok := st.own[id]; ok {
		return chain
	}
	if chain, ok := w.own[id]; ok || w.foreign == nil {
		return chain
	}
	return w.foreign(id)
}

// carryOut imagines the actions of an item carried out: those that wait for results get them.
func (w *world) carryOut(h *happened, item *rules.Item, st *step, seen *seen) {
	results := map[string]rules.Result{}
	for i := range item.Actions {
		a := &item.Actions[i]
		ready, skipped, err := rules.RenderDeferredWatched(a, results, seen.watcher())
		switch {
		case err != nil:
			h.broken[ofItem(a.ID, item)] = err.Error()
			results[a.ID] = rules.Result{Failed: true, Error: err.Error()}
			continue
		case skipped != "":
			h.skipped[ofItem(a.ID, item)] = skipped
			results[a.ID] = rules.Result{Failed: true, Error: skipped}
			continue
		}
		seen.action(a.ID)
		result := st.results[a.ID].of(ready)
		results[a.ID] = result
		h.actions = append(h.actions, object(ready, a.Waits))
		switch {
		case ready.Alert != nil:
			w.alert(h, ready)
		case ready.Commit != nil && !result.Failed && h.Outcome == rules.OutcomeActed:
			chain := ready.Child()
			chain.Action = ready.Key
			w.own[result.ID] = chain
		}
	}
}

// alert asks the memory of an alert what a reading leads to.
func (w *world) alert(h *happened, a *rules.Action) {
	m := w.alerts[a.Alert.AlertKey]
	for {
		next, say, _ := m.Next(a)
		m = next
		if say == nil {
			break
		}
		said := plain(reflect.ValueOf(say.Action.Notify)).(map[string]any)
		maps.Copy(said, map[string]any{
			"key": a.Alert.AlertKey, "phase": a.Alert.Phase, "countdown": a.Alert.Countdown, "rung": say.Rung, "renewed": say.Renewed,
			"id": a.ID, "item": a.ItemKey, "deadline": a.Deadline,
		})
		h.alerts = append(h.alerts, said)
	}
	if h.Outcome == rules.OutcomeActed {
		w.alerts[a.Alert.AlertKey] = m
	}
}

// of is the result of a commit or a build: as the test says, else a made-up one.
func (s *resultSpec) of(a *rules.Action) rules.Result {
	var r rules.Result
	switch {
	case a.Commit != nil:
		r.ID, r.ShortID = madeUpCommit, madeUpCommit[:8]
	case a.Build != nil:
		r.BuildNo, r.JobID, r.DailyBuildNum = madeUpBuild, a.Build.JobID, a.Accepted.UTC().Format("20060102")+".1"
	}
	if s != nil {
		s.apply(&r, a.ItemKey)
	}
	if c := a.Commit; c != nil && c.WebURL != "" && r.WebURL == "" && !r.Failed {
		r.WebURL = strings.TrimRight(c.WebURL, "/") + "/commits/detail/" + r.ID
	}
	if r.Failed { // what would have come of it is empty
		r = rules.Result{Failed: true, Error: r.Error}
	}
	return r
}

// kindKeys are the keys of want for kinds of action whose name is not the kind's with an s.
var kindKeys = map[string]string{rules.KindNotify: "messages", rules.KindAlert: "readings"}

func kindKey(kind string) string {
	if key := kindKeys[kind]; key != "" {
		return key
	}
	return kind + "s"
}

// actionKinds are the kinds of action by their struct in rules.Action: every pointer to a struct but Deferred.
func actionKinds() map[string]reflect.StructField {
	out := map[string]reflect.StructField{}
	t := reflect.TypeFor[rules.Action]()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() == reflect.Pointer && f.Type != reflect.TypeFor[*rules.Deferred]() {
			out[jsonName(f)] = f
		}
	}
	return out
}

// object is an action as a test sees it.
func object(a *rules.Action, waits []string) map[string]any {
	out := map[string]any{}
	if f, ok := actionKinds()[a.Kind]; ok {
		if body, ok := plain(reflect.ValueOf(a).Elem().FieldByIndex(f.Index)).(map[string]any); ok {
			out = body
		}
	}
	out["id"], out["kind"], out["item"], out["deadline"] = a.ID, a.Kind, a.ItemKey, a.Deadline
	waited := []any{}
	for _, id := range waits {
		waited = append(waited, id)
	}
	out["waits"] = waited
	return out
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "alert_key" {
		return "key" // as the rule has it
	}
	return name
}

// plain is a value of pkg/rules as maps, lists and scalars, messages as the text they hold.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Slice:
		if text, ok := v.Interface().(rules.Text); ok {
			return text.Plain()
		}
		out := []any{}
		for i := range v.Len() {
			out = append(out, plain(v.Index(i)))
		}
		return out
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return t.UTC().Format(time.RFC3339Nano)
		}
		out := map[string]any{}
		for i := range v.NumField() {
			out[jsonName(v.Type().Field(i))] = plain(v.Field(i))
		}
		return out
	case reflect.Int, reflect.Int64:
		return v.Int()
	}
	return v.Interface()
}

// calls are how facts were asked for, as a test sees it.
func (h *happened) asked() []map[string]any {
	var out []map[string]any
	for _, c := range h.Calls {
		out = append(out, map[string]any{"fact": c.Fact, "kind": c.Kind, "with": c.Args, "connection": c.Connection})
	}
	return out
}

// of picks the actions of a kind.
func (h *happened) ofKind(kind string) []map[string]any {
	return slices.DeleteFunc(slices.Clone(h.actions), func(a map[string]any) bool { return a["kind"] != kind })
}

// short is a value in one line, for people.
func short(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	text := string(data)
	if r := []rune(text); len(r) > 300 {
		text = string(r[:299]) + "…"
	}
	return text
}
