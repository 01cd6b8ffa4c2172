package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// TestWorkerAndTrialAgree: for every event of the corpus, every ruleset and any facts, a worker's engine and internal/trial have the
// same candidates and decide the same, down to the record; and where the one leaves a dead letter, the other fails for the same reason.
// A backtest comes to the same of the records later; so do tests made of them: TestRecordedTestsPass.
func TestWorkerAndTrialAgree(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	corpus := agreeEvents(t)
	for name, live := range agreeRulesets(t) {
		again, problems := rules.Compile(live.Current().Files(), engine.Catalogue(nil, nil))
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		edited := agreeEdited(t, live.Current())
		none, _ := rules.Compile([]rules.File{{Name: "none.yaml", Data: []byte("rules: []\n")}}, engine.Catalogue(nil, nil))
		for i, event := range corpus {
			for seed := range uint64(8) {
				a := newAgreement(t, live, event, fmt.Sprintf("%s, event %d, seed %d", name, i, seed), seed)
				a.again, a.edited, a.none = again, edited, none
				a.compare(seen)
			}
			if t.Failed() {
				return
			}
		}
	}
	for _, outcome := range []string{
		rules.OutcomeActed, rules.OutcomeNoMatch, rules.OutcomeSkipped, rules.OutcomeShadow, rules.OutcomeOwnCommit, trial.NotCandidate, trial.Failed,
		"evaluation", "timeout", "refused", "waited", "own event", "explained", "explained without record",
		"backtested",
	} {
		if seen[outcome] == 0 {
			t.Errorf("nothing ended as %s, so nothing is known of it: %v", outcome, seen)
		}
	}
}

// agreeRulesets are rulesets as workers have loaded them.
func agreeRulesets(t *testing.T) map[string]*engine.Live {
	t.Helper()
	out := map[string]*engine.Live{}
	for _, path := range []string{
		"../../examples/rules", "../../cmd/millrace/demo/rules", "testdata/shop", "testdata/agree",
		"../../pkg/rules/testdata/record_failed_build.yaml", "../../pkg/rules/testdata/package_expiry.yaml",
	} {
		store := &agreeStore{}
		live := engine.NewLive(engine.Catalogue(nil, nil), store)
		if err := engine.NewLoader([]string{path}, live, store, zerolog.Nop()).Load(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		out[path] = live
	}
	return out
}

// agreeEvents are all bodies of the repository's tests and examples, as a receiver stores them, and the ticks of the examples.
func agreeEvents(t *testing.T) []*events.Event {
	t.Helper()
	var out []*events.Event
	at := time.Date(2026, 11, 20, 9, 42, 9, 123456789, time.UTC)
	for _, pattern := range []string{"../../pkg/events/testdata/bodies/*.json", "../../examples/events/*.json", "../ingest/testdata/*.json"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			scanned, err := events.Scan(body, "Push Hook")
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			out = append(out, &events.Event{
				ID: "shop/" + filepath.Base(path), Source: "shop", Type: scanned.Type, Time: at, Repository: scanned.Repository, Body: body,
			})
		}
	}
	for _, live := range agreeRulesets(t) {
		for _, s := range live.Current().Schedules() {
			out = append(out, events.NewTick(s.ID, s.Pattern, s.TimeZone, at))
		}
	}
	return out
}

// agreement is one event, one ruleset, and facts that follow from a seed.
type agreement struct {
	t     *testing.T
	what  string
	live  *engine.Live
	again *rules.Ruleset // the same rules, as somebody has them at hand: facts are found by what they ask for
	// edited means the same and reads otherwise; none has no rule.
	edited, none *rules.Ruleset
	event        *events.Event
	view         *events.View
	seed         uint64
	own          map[string]events.Chain
	store        *agreeStore
	now          time.Time
}

func newAgreement(t *testing.T, live *engine.Live, event *events.Event, what string, seed uint64) *agreement {
	t.Helper()
	view, err := events.Decode(event)
	if err != nil {
		t.Fatal(err)
	}
	a := &agreement{t: t, what: what, live: live, event: event, view: view, seed: seed, own: map[string]events.Chain{}, now: event.Time.Add(time.Second)}
	a.store = &agreeStore{records: map[string][]byte{}}
	ours := []string{}
	if head, _ := view.Head(); head != "" && seed%3 == 1 {
		ours = append(ours, head)
	}
	if seed%2 == 0 {
		ours = append(ours, agreeCommit)
	}
	for i, id := range ours {
		chain := events.Chain{Depth: 1 + int(seed/2+2*uint64(i))%4, Origin: "shop/first", Action: rules.Hash("action", id)}
		a.own[id] = chain
		a.store.records["commit."+rules.Hash(id)] = asJSON(t, map[string]any{"v": 1, "key": chain.Action, "depth": chain.Depth, "origin": chain.Origin})
	}
	return a
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// compare runs the event in a worker's engine, and each rule in a trial.
func (a *agreement) compare(seen map[string]int) {
	a.t.Helper()
	facts := &agreeFacts{agreement: a}
	eng, err := engine.New(engine.Stores{Records: a.store, Work: a.store, Events: a.store}, a.live, engine.Sources{Facts: facts, Fence: facts},
		engine.Limits{}, zerolog.Nop(), func() time.Time { return a.now })
	if err != nil {
		a.t.Fatal(err)
	}
	if err := eng.Match(a.t.Context(), engine.Message{Header: a.event.Header(), Data: a.event.Body}); err != nil {
		a.t.Fatalf("%s: %v", a.what, err)
	}
	var names []string
	for _, rule := range a.live.Current().Rules() {
		names = append(names, rule.Name())
	}
	orders := a.store.byRule(names, a.event.ID)
	if len(orders) != len(a.store.runs) {
		a.t.Fatalf("%s: %d runs, of which %d are known", a.what, len(a.store.runs), len(orders))
	}
	decisions := map[string]*rules.Decision{}
	for _, rule := range a.live.Current().Rules() {
		a.now = a.event.Time.Add(time.Second)
		in := trial.Input{
			Ruleset: a.live.Current(), Rule: rule, Event: a.event, View: a.view, Facts: &agreeReplies{agreement: a, rule: rule}, Now: a.now,
			OwnCommit: func(id string) events.Chain { return a.own[id] },
		}
		played := trial.Play(in)
		seen[played.Outcome]++
		seen[played.Class]++
		order, candidate := orders[rule.Name()]
		if !candidate {
			if played.Outcome != trial.NotCandidate && (played.Outcome != rules.OutcomeOwnCommit || played.Decision != nil) {
				a.t.Errorf("%s, rule %s: a worker has no run, a trial says %s", a.what, rule.Name(), played.Outcome)
			}
			if played.Outcome == rules.OutcomeOwnCommit {
				seen["own event"]++
			}
			continue
		}
		facts.rule = rule
		decision, err := a.run(eng, facts, order)
		if played.Waited > 0 {
			seen["waited"]++
		}
		a.same(rule, played, decision, err)
		decisions[rule.Name()] = decision
	}
	a.explain(orders, decisions, seen)
	a.backtest(decisions, seen)
}

// run hands a run to the engine, and again each time it is to wait.
func (a *agreement) run(eng *engine.Engine, facts *agreeFacts, order engine.Message) (*rules.Decision, error) {
	a.now = a.event.Time.Add(time.Second)
	facts.asks = map[string]int{}
	for range 1000 {
		facts.asked = map[string]bool{}
		err := eng.Run(a.t.Context(), order)
		var park interface {
			Park() (until time.Time, state string)
		}
		if errors.As(err, &park) {
			a.now, order.State = park.Park()
			continue
		}
		if err != nil {
			return nil, err
		}
		var d rules.Decision
		runID := rules.RunID(a.event.ID, facts.rule.Name())
		if err := json.Unmarshal(a.store.records["run."+runID], &d); err != nil {
			a.t.Fatalf("%s: record of %s: %v", a.what, facts.rule.Name(), err)
		}
		return &d, nil
	}
	a.t.Fatalf("%s: rule %s waits for ever", a.what, facts.rule.Name())
	return nil, nil
}

// same compares what a trial says with the record of a worker.
func (a *agreement) same(rule *rules.Rule, played *trial.Played, recorded *rules.Decision, failed error) {
	a.t.Helper()
	if failed != nil {
		var classed interface{ Class() string }
		if !errors.As(failed, &classed) {
			a.t.Fatalf("%s, rule %s: a worker would try for ever: %v", a.what, rule.Name(), failed)
		}
		if played.Outcome != trial.Failed || classed.Class() != played.Class || !strings.HasSuffix(failed.Error(), played.Err.Error()) {
			a.t.Errorf("%s, rule %s: a worker fails with %s: %v\na trial says %s %s: %v", a.what, rule.Name(), classed.Class(), failed, played.Outcome, played.Class, played.Err)
		}
		return
	}
	if played.Decision == nil {
		a.t.Errorf("%s, rule %s: a worker decides %s, a trial says %s: %s", a.what, rule.Name(), recorded.Outcome, played.Outcome, played.Reason)
		return
	}
	withoutFences(recorded)
	if d := cmp.Diff(recorded, asRecorded(a.t, played.Decision)); d != "" {
		a.t.Errorf("%s, rule %s (-worker +trial):\n%s", a.what, rule.Name(), d)
	}
}

// asRecorded is a decision as it comes back from its record, nil for none.
func asRecorded(t *testing.T, d *rules.Decision) *rules.Decision {
	t.Helper()
	var out *rules.Decision
	if err := json.Unmarshal(asJSON(t, d), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// withoutFences forgets what a worker asks CodeArts for beside facts.
func withoutFences(d *rules.Decision) {
	for i := range d.Items {
		for j := range d.Items[i].Actions {
			if c := d.Items[i].Actions[j].Commit; c != nil {
				for k := range c.Actions {
					if c.Actions[k].LastCommitID == agreeFence {
						c.Actions[k].LastCommitID = ""
					}
				}
			}
		}
	}
}

const (
	agreeCommit = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00" // that some facts name
	agreeFence  = "fence"
	agreeAsks   = 3 // after so many asks the answers stay the same
)

// reply is what a fact is, made of the seed, the fact, the call and how often it was asked for.
func (a *agreement) reply(rule *rules.Rule, call rules.Call, ask int) trial.Reply {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %s %s %d %d", a.seed, a.event.ID, rule.Name(), call.Fact, call.Index, min(ask, agreeAsks))
	r := rand.New(rand.NewPCG(h.Sum64(), a.seed))
	switch n := r.IntN(20); {
	case n < 4, n < 9 && ask < agreeAsks:
		return trial.Reply{NotReady: true}
	case n == 19 && r.IntN(3) == 0:
		return trial.Reply{Err: &trial.FetchError{Message: "refused by the test"}}
	}
	fact, _ := rule.Fact(call.Fact)
	head, _ := a.view.Head()
	data, err := json.Marshal(anyValue(r, fact.Kind.Result, "", head, 0))
	if err != nil {
		a.t.Fatal(err)
	}
	return trial.Reply{Value: data}
}

// anyValue is a value of a type, with the words that rules ask for. head is the commit of the event.
func anyValue(r *rand.Rand, t *rules.Type, name, head string, depth int) any {
	if t == nil || depth > 6 || r.IntN(12) == 0 {
		return nil
	}
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	switch t.Kind {
	case rules.Bool:
		return r.IntN(3) > 0
	case rules.Int:
		return r.IntN(5)
	case rules.Double:
		return float64(r.IntN(50)) / 10
	case rules.String:
		switch {
		case name == "outcome":
			return pick("failed", "failed", "succeeded", "running", "unknown")
		case name == "commit", name == "sha":
			return pick(agreeCommit, "0123456789012345678901234567890123456789", head)
		case strings.HasSuffix(name, "_id"):
			return pick("f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3", "2111000001")
		}
		return pick("main", "x", "a < b & \u00e9\n", "")
	case rules.List:
		out := []any{}
		for range r.IntN(3) {
			out = append(out, anyValue(r, t.Elem, name, head, depth+1))
		}
		return out
	case rules.Map:
		return map[string]any{"a": anyValue(r, t.Elem, name, head, depth+1)}
	case rules.Object:
		out := map[string]any{}
		for _, f := range t.Fields {
			out[f.Name] = anyValue(r, f.Type, f.Name, head, depth+1)
		}
		return out
	}
	return pick("any", "thing")
}

// agreeReplies answers a trial.
type agreeReplies struct {
	*agreement
	rule *rules.Rule
}

func (f *agreeReplies) Ask(call rules.Call, ask int) trial.Reply { return f.reply(f.rule, call, ask) }

func (f *agreeReplies) Settled(_ string, ask int) bool { return ask >= agreeAsks }

// agreeFacts answers an engine.
type agreeFacts struct {
	*agreement
	mu    sync.Mutex
	rule  *rules.Rule
	asks  map[string]int
	asked map[string]bool // in this pass
}

// noneYet is what a fetcher says of a fact that is not there yet.
type noneYet struct{}

func (noneYet) Error() string  { return "none yet" }
func (noneYet) NotReady() bool { return true }

func (f *agreeFacts) Fetch(_ context.Context, call rules.Call, _ time.Time) (json.RawMessage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.asked[call.Fact] {
		f.asked[call.Fact] = true
		f.asks[call.Fact]++
	}
	reply := f.reply(f.rule, call, f.asks[call.Fact])
	if reply.NotReady {
		return nil, noneYet{}
	}
	return reply.Value, reply.Err
}

func (f *agreeFacts) LastCommit(context.Context, string, string, string, string) (id string, found bool, err error) {
	return agreeFence, true, nil
}
