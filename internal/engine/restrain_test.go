package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// pushAt is a push to main that was accepted so long after start.
func pushAt(id string, after time.Duration) Message {
	m := push(id, commitA, "x")
	e, err := readEvent(m)
	if err != nil {
		panic(err)
	}
	e.Time = start.Add(after)
	return eventMessage(e)
}

// by is the same push by somebody else.
func by(user string, m Message) Message {
	m.Data = []byte(strings.Replace(string(m.Data), `"user_username":"mei"`, `"user_username":"`+user+`"`, 1))
	return m
}

// decided matches an event, which must have one candidate, runs it, and gives the decision.
func (f *fixture) decided(m Message) rules.Decision {
	f.t.Helper()
	runs := f.match(m)
	if len(runs) != 1 {
		f.t.Fatalf("%d runs, want 1", len(runs))
	}
	if err := f.engine.Run(f.t.Context(), runs[0]); err != nil {
		f.t.Fatal(err)
	}
	return f.decision(runs[0])
}

func (f *fixture) wantOutcome(d rules.Decision, outcome, reason string) {
	f.t.Helper()
	if d.Outcome != outcome || !strings.Contains(d.Reason, reason) {
		f.t.Errorf("decision on %s: %s (%s), want %s (%s)", d.EventID, d.Outcome, d.Reason, outcome, reason)
	}
}

const throttledRules = `
rules:
  - name: r
    on: push
    throttle: { key: "${{ event.author.username }}", per: 1h }
    do:
      - commit: { repo_id: "7", branch: main, message: m, actions: [ { action: update, file_path: log.md, content: c } ] }
      - notify: { to: ops, title: t, text: t }
`

func throttledFixture(t *testing.T, ruleFile string) *fixture {
	f := newFixture(t, ruleFile, nil)
	f.source.files["/7@main:log.md"] = commitB
	return f
}

func TestThrottle(t *testing.T) {
	f := throttledFixture(t, throttledRules)
	f.wantOutcome(f.decided(pushAt("1", 0)), rules.OutcomeActed, "")
	d := f.decided(pushAt("2", 59*time.Minute))
	f.wantOutcome(d, rules.OutcomeThrottled, `the rule acts once in 1h under the key "mei", and did so for event repo/1, accepted 2026-04-01T08:30:00Z`)
	if len(d.Items[0].Actions) != 0 || d.Items[0].Throttled != d.Reason || !d.Items[0].Fired {
		t.Errorf("item %+v", d.Items[0])
	}
	f.wantOutcome(f.decided(by("lin", pushAt("3", time.Minute))), rules.OutcomeActed, "")
	f.wantOutcome(f.decided(pushAt("4", time.Hour)), rules.OutcomeActed, "")
	if n := len(f.store.put(subjectCommit)); n != 3 {
		t.Errorf("%d commits, want 3", n)
	}
	line := f.wantLines("run decided", 4)[1]
	wantField(t, line, "outcome", "throttled")
	wantField(t, line, "reason", d.Reason)
}

// TestThrottleAfterACrash: a run that has its slot and dies before it is recorded has it when it comes again, and nobody else in the
// meantime.
func TestThrottleAfterACrash(t *testing.T) {
	f := throttledFixture(t, throttledRules)
	first := f.match(pushAt("1", 0))[0]
	f.store.onCreate = func(subject string) {
		if strings.HasPrefix(subject, "run.") {
			f.store.breakAt = f.store.calls + 1
		}
	}
	if err := f.engine.Run(t.Context(), first); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	f.store.onCreate = nil
	f.wantOutcome(f.decided(pushAt("2", time.Minute)), rules.OutcomeThrottled, "repo/1")
	f.wantOutcome(f.decided(pushAt("3", 90*time.Minute)), rules.OutcomeActed, "") // while the first is still away
	if err := f.engine.Run(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	f.wantOutcome(f.decision(first), rules.OutcomeActed, "")
}

// TestThrottleRace: two runs ask at once; whatever the first record or its replacement, one of them acts.
func TestThrottleRace(t *testing.T) {
	for _, known := range []bool{false, true} {
		f := throttledFixture(t, throttledRules)
		at := time.Duration(0)
		if known { // the record is there, of long ago
			f.decided(pushAt("0", -10*time.Hour))
		}
		runs := append(f.match(pushAt("1", at)), f.match(pushAt("2", time.Minute))...)
		raced := false
		race := func(subject string) {
			if raced || !strings.HasPrefix(subject, "throttle.") {
				return
			}
			raced = true
			if err := f.engine.Run(t.Context(), runs[1]); err != nil {
				t.Error(err)
			}
		}
		f.store.onCreate, f.store.onUpdate = race, race
		if err := f.engine.Run(t.Context(), runs[0]); err != nil {
			t.Fatal(err)
		}
		if !raced {
			t.Fatal("nobody raced")
		}
		f.wantOutcome(f.decision(runs[1]), rules.OutcomeActed, "")
		f.wantOutcome(f.decision(runs[0]), rules.OutcomeThrottled, "repo/2")
	}
}

// TestThrottleInShadow: a rule that is tried out keeps nobody from acting, itself included.
func TestThrottleInShadow(t *testing.T) {
	f := throttledFixture(t, strings.Replace(throttledRules, "on: push", "on: push\n    mode: shadow", 1))
	f.wantOutcome(f.decided(pushAt("1", 0)), rules.OutcomeShadow, "")
	f.wantOutcome(f.decided(pushAt("2", 1)), rules.OutcomeThrottled, "repo/1")
	f.load(throttledRules)
	f.wantOutcome(f.decided(pushAt("3", 2)), rules.OutcomeActed, "")
}

const latestRules = `
rules:
  - name: r
    on: push
    latest_only: true
    match: { author.username: mei }
    fetch:
      build:
        build_of_commit: { job_id: ` + jobID + `, commit: "${{ event.after }}" }
        until: facts.build.finished
    throttle: { key: all, per: 1s }
    do:
      - notify: { to: ops, title: t, text: t }
`

func TestLatestOnly(t *testing.T) {
	outcome := "succeeded"
	f := newFixture(t, latestRules, map[string]func(rules.Call) (string, error){
		"build_of_commit": func(rules.Call) (string, error) { return buildRecord(outcome), nil },
	})
	run := func(m Message) rules.Decision {
		t.Helper()
		if err := f.engine.Run(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		return f.decision(m)
	}
	first := f.match(pushAt("1", 0))[0]
	second := f.match(pushAt("2", time.Second))[0]
	f.match(pushAt("1", 0)) // handed out again: it is not the newest by that
	f.wantOutcome(run(first), rules.OutcomeOvertaken, "overtaken by event repo/2, accepted 2026-04-01T08:30:01.25Z")
	if len(f.source.fetched) != 0 {
		t.Error("facts are fetched for an event that was overtaken")
	}
	f.wantOutcome(run(second), rules.OutcomeActed, "")

	// While a run waits for a fact, one comes that the rule does not even fit.
	outcome = "running"
	third := f.match(pushAt("3", time.Minute))[0]
	until, state := parked(t, f.engine.Run(t.Context(), third))
	if runs := f.match(by("lin", pushAt("4", 2*time.Minute))); len(runs) != 0 {
		t.Fatalf("%d runs", len(runs))
	}
	fetched := len(f.source.fetched)
	f.clock.set(until)
	third.State = state
	f.wantOutcome(run(third), rules.OutcomeOvertaken, "repo/4")
	if len(f.source.fetched) != fetched {
		t.Error("facts are fetched for a run that was overtaken while it waited")
	}

	// One that comes while the facts are fetched, and the newest is matched before an older one.
	f.source.answers["build_of_commit"] = func(rules.Call) (string, error) {
		f.source.answers["build_of_commit"] = always(buildRecord("succeeded"))
		f.match(pushAt("6", 4*time.Minute))
		return buildRecord("succeeded"), nil
	}
	f.wantOutcome(run(f.match(pushAt("5", 3*time.Minute))[0]), rules.OutcomeOvertaken, "repo/6")
	f.wantOutcome(run(f.match(pushAt("late", 3*time.Minute))[0]), rules.OutcomeOvertaken, "repo/6")
	if n := len(f.store.put(subjectNotify)); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	if keys := slices.Sorted(func(yield func(string) bool) {
		for subject := range f.store.records {
			if strings.HasPrefix(subject, "throttle.") && !yield(subject) {
				return
			}
		}
	}); len(keys) != 1 || strings.Contains(string(f.store.records[keys[0]]), "repo/5") {
		t.Errorf("who was overtaken has taken a slot: %s", f.store.records[keys[0]])
	}
}

// TestLatestOnlyAndOurOwn: a commit of ours overtakes nothing for rules that do not see it.
func TestLatestOnlyAndOurOwn(t *testing.T) {
	const file = `
rules:
  - { name: foreign, on: push, latest_only: true, do: [ { notify: { to: ops, title: t, text: t } } ] }
  - { name: own, on: push, latest_only: true, on_own_commits: true, do: [ { notify: { to: ops, title: t, text: t } } ] }
`
	f := newFixture(t, file, nil)
	runs := f.match(pushAt("1", 0))
	f.store.setRecord(t, commitSubject(commitA), map[string]any{"v": 1, "key": "k", "depth": 1, "origin": "repo/0"})
	f.match(pushAt("2", time.Second))
	for i, want := range []string{rules.OutcomeActed, rules.OutcomeOvertaken} {
		if err := f.engine.Run(t.Context(), runs[i]); err != nil {
			t.Fatal(err)
		}
		f.wantOutcome(f.decision(runs[i]), want, "")
	}
	// Deeper than any rule sees.
	f.limit(Limits{ChainDepth: -1})
	before := string(f.store.records[latestSubjectOf(t, f, pushAt("2", 0))])
	f.match(pushAt("3", time.Hour))
	if after := string(f.store.records[latestSubjectOf(t, f, pushAt("2", 0))]); after != before {
		t.Errorf("an event no rule sees is remembered: %s", after)
	}
}

func latestSubjectOf(t *testing.T, f *fixture, m Message) string {
	t.Helper()
	ev, err := readEvent(m)
	if err != nil {
		t.Fatal(err)
	}
	view, err := events.Decode(ev)
	if err != nil {
		t.Fatal(err)
	}
	id, ok := rules.LatestID(view)
	if !ok || f.store.records[latestSubject(id)] == nil {
		t.Fatal("there is no record of the latest event")
	}
	return latestSubject(id)
}

const limitedRules = `
rules:
  - { name: busy, on: push, limit: { matches_per_minute: 2, pause: 5m }, do: [ { notify: { to: ops, title: t, text: t } } ] }
  - { name: other, on: push, do: [ { notify: { to: team, title: t, text: t } } ] }
`

func TestLimit(t *testing.T) {
	f := newFixture(t, limitedRules, nil)
	names := func(runs []Message) (names []string) {
		for _, m := range runs {
			names = append(names, m.Header[headerRule])
		}
		return names
	}
	want := func(m Message, rules ...string) {
		t.Helper()
		if diff := cmp.Diff(rules, names(f.match(m))); diff != "" {
			t.Error(diff)
		}
	}
	minute := start.Truncate(time.Minute).Sub(start)
	want(pushAt("1", minute), "busy", "other")
	want(pushAt("2", minute+time.Second), "busy", "other")
	want(pushAt("3", minute+2*time.Second), "other")
	want(pushAt("4", minute+3*time.Second), "other")
	want(pushAt("1", minute), "busy", "other") // handed out again
	line := f.wantLines("rule paused", 1)[0]
	reason := "the rule is paused for events accepted from 2026-04-01T08:30:02Z until 2026-04-01T08:35:02Z: more than 2 fitted it within one minute"
	wantField(t, line, "rule", "busy")
	wantField(t, line, "reason", reason)
	wantField(t, line, "level", "error")
	for _, id := range []string{"repo/3", "repo/4"} {
		d := f.decision(Message{Header: map[string]string{headerRun: rules.RunID(id, "busy")}})
		f.wantOutcome(d, rules.OutcomePaused, reason)
		if d.EventID != id || d.Rule != "busy" || d.Digest != f.live.Current().Digest() {
			t.Errorf("%+v", d)
		}
	}
	decided := f.wantLines("run decided", 2)
	wantField(t, decided[0], "outcome", "paused")
	wantField(t, decided[0], "rule", "busy")

	// Another worker, which has counted nothing, finds what this one decided.
	f.limit(Limits{})
	want(pushAt("3", minute+2*time.Second), "other")
	f.wantLines("run decided", 2)
}

func TestLimitResumes(t *testing.T) {
	f := newFixture(t, limitedRules, nil)
	for i := range 3 {
		f.match(pushAt(fmt.Sprint(i), time.Duration(i)))
	}
	f.wantLines("rule resumed", 0)
	if runs := f.match(pushAt("later", 6*time.Minute)); len(runs) != 2 {
		t.Errorf("%d runs after the pause", len(runs))
	}
	line := f.wantLines("rule resumed", 1)[0]
	wantField(t, line, "rule", "busy")
	f.match(pushAt("again", 6*time.Minute))
	f.wantLines("rule resumed", 1)
}
