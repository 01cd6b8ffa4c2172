package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

const rememberedRules = `
rules:
  - name: r
    on: [push, tag_push]
    latest_only: true
    throttle: { key: "${{ event.?branch.orValue('tags') }}", per: 3m }
    limit: { matches_per_minute: 4, pause: 1m }
    do: [ { notify: { to: ops, title: t, text: x } } ]
  - name: each
    on: push
    on_own_commits: true
    match: { not: { branch: b } }
    latest_only: true
    for_each: { in: event.commits, key: item.id }
    throttle: { key: "${{ item.title }}", per: 10m }
    do: [ { notify: { to: ops, title: t, text: x } } ]
`

// remembering is a worker and a trial that hear of the same events.
type remembering struct {
	*testing.T
	live   *engine.Live
	store  *agreeStore
	eng    *engine.Engine
	memory *trial.Memory
	own    map[string]events.Chain
	now    time.Time
}

func newRemembering(t *testing.T) *remembering {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rememberedRules), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &remembering{T: t, store: &agreeStore{records: map[string][]byte{}}, memory: trial.NewMemory(), own: map[string]events.Chain{}}
	r.live = engine.NewLive(engine.Catalogue(nil, nil), r.store)
	if err := engine.NewLoader([]string{file}, r.live, r.store, zerolog.Nop()).Load(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	eng, err := engine.New(engine.Stores{Records: r.store, Work: r.store, Events: r.store}, r.live, engine.Sources{Facts: nothing{}, Fence: nothing{}},
		engine.Limits{}, zerolog.Nop(), func() time.Time { return r.now })
	if err != nil {
		t.Fatal(err)
	}
	r.eng = eng
	return r
}

// hear matches an event and runs what fits.
func (r *remembering) hear(ev *events.Event) {
	if err := r.eng.Match(r.Context(), engine.Message{Header: ev.Header(), Data: ev.Body}); err != nil {
		r.Fatal(err)
	}
	for _, m := range r.store.runs {
		if err := r.eng.Run(context.WithoutCancel(r.Context()), m); err != nil {
			r.Fatal(err)
		}
	}
	r.store.runs = nil
}

// compare compares what both decided about an event and counts the outcomes.
func (r *remembering) compare(ev *events.Event, seen map[string]int) {
	view, err := events.Decode(ev)
	if err != nil {
		r.Fatal(err)
	}
	head, _ := view.Head()
	r.memory.Accept(r.live.Current(), ev, view, r.own[head], trial.DefaultChainDepth)
	for _, rule := range r.live.Current().Rules() {
		played := trial.Play(trial.Input{
			Ruleset: r.live.Current(), Rule: rule, Event: ev, View: view, Now: r.now, Memory: r.memory,
			OwnCommit: func(id string) events.Chain { return r.own[id] },
		})
		seen[played.Outcome]++
		data := r.store.records["run."+rules.RunID(ev.ID, rule.Name())]
		if played.Decision == nil {
			if data != nil {
				r.Errorf("%s, %s: a trial says %s, a worker has decided %s", ev.ID, rule.Name(), played.Outcome, data)
			}
			continue
		}
		var recorded, decided rules.Decision
		if err := errors.Join(json.Unmarshal(data, &recorded), json.Unmarshal(asJSON(r.T, played.Decision), &decided)); err != nil {
			r.Fatalf("%s, %s: %s: %v", ev.ID, rule.Name(), played.Outcome, err)
		}
		if d := cmp.Diff(recorded, decided); d != "" {
			r.Errorf("%s, %s (-worker +trial):\n%s", ev.ID, rule.Name(), d)
		}
		in := trial.Input{
			Ruleset: r.live.Current(), Rule: rule, Event: ev, View: view, OwnCommit: func(id string) events.Chain { return r.own[id] },
		}
		e := trial.NewPast(in, map[string]*rules.Decision{rule.Name(): &recorded}).Explain(in, nil)
		if d := cmp.Diff(&recorded, asRecorded(r.T, e.Decision)); d != "" || e.Verdict != recorded.Outcome {
			r.Errorf("%s, %s is explained as %s (-worker +explained):\n%s", ev.ID, rule.Name(), e.Verdict, d)
		}
	}
}

// TestWorkerAndTrialRemember: of events in any order, some of them twice, a worker and a trial act on the same, and drop others for the
// same reason.
func TestWorkerAndTrialRemember(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for seed := range uint64(20) {
		r := newRemembering(t)
		rnd := rand.New(rand.NewPCG(seed, 3))
		began := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
		for range 60 {
			n := rnd.IntN(50)
			kind, ref := "push", "refs/heads/"+string(rune('a'+n%3))
			if n%7 == 0 {
				kind, ref = "tag_push", "refs/tags/v1"
			}
			commit := fmt.Sprintf("%040x", 1+n%11)
			r.now = began.Add(time.Duration(n*n%40)*20*time.Second + time.Duration(n%5)*time.Second)
			ev := &events.Event{
				ID: fmt.Sprintf("repo/%d", n), Source: "repo", Type: kind, Time: r.now, Repository: "shop/orders",
				Body: fmt.Appendf(nil, `{"object_kind":%q,"ref":%q,"after":%q,"project":{"id":7},"commits":[{"id":%q,"message":"m%d"},{"id":"x%d","message":"m%d"}]}`,
					kind, ref, commit, commit, n%4, n, n%3),
			}
			if n%11 == 5 {
				chain := events.Chain{Depth: 1, Origin: "repo/first", Action: "k"}
				r.own[commit] = chain
				r.store.records["commit."+rules.Hash(commit)] = asJSON(t, map[string]any{"v": 1, "key": "k", "depth": 1, "origin": "repo/first"})
			}
			if r.store.records["run."+rules.RunID(ev.ID, "r")] != nil || r.store.records["run."+rules.RunID(ev.ID, "each")] != nil {
				r.hear(ev) // a worker decides once
				continue
			}
			r.hear(ev)
			r.compare(ev, seen)
		}
		if t.Failed() {
			return
		}
	}
	for _, outcome := range []string{rules.OutcomeActed, rules.OutcomeThrottled, rules.OutcomeOvertaken, rules.OutcomePaused, trial.NotCandidate, rules.OutcomeOwnCommit} {
		if seen[outcome] == 0 {
			t.Errorf("nothing ended as %s: %v", outcome, seen)
		}
	}
}
