package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/rules"
)

const interruptedRules = `
rules:
  - name: first
    on: push
    fetch:
      build: { build_of_commit: { job_id: ` + jobID + `, commit: "${{ event.after }}" } }
      job: { job_config: { job_id: "${{ facts.build.codeci_job_id }}" } }
    when: facts.build.outcome == "failed"
    do:
      - id: note
        commit:
          repo_id: "7"
          branch: main
          message: note
          actions: [ { action: update, file_path: log.md, content: c } ]
      - notify: { to: [team, ops], title: t, text: t }
      - notify: { to: [team], title: t, text: "${{ results.note.short_id }}" }
  - name: second
    on: push
    do:
      - notify: { to: [ops], title: t, text: t }
`

// deliver hands the event, and then every run that was put and not finished, to the engine until
// all are done, as the stream does. It returns how many times a handler failed.
func (f *fixture) deliver(m Message) (failures int) {
	f.t.Helper()
	try := func(handle func() error) {
		for {
			err := handle()
			if err == nil {
				return
			}
			if !errors.Is(err, errBroken) {
				f.t.Fatal(err)
			}
			if failures++; failures > 10 {
				f.t.Fatalf("it fails again and again: %v", err)
			}
		}
	}
	try(func() error { return f.engine.Match(f.t.Context(), m) })
	for _, run := range f.runs() {
		try(func() error { return f.engine.Run(f.t.Context(), run) })
	}
	return failures
}

// interrupted is a fixture whose store and source count and break calls.
func interrupted(t *testing.T) *fixture {
	f := newFixture(t, interruptedRules, map[string]func(rules.Call) (string, error){
		"build_of_commit": always(`{"outcome":"failed","finished":true,"codeci_job_id":"j","commit":"` + commitA + `"}`),
		"job_config":      always(`{"job_name":"orders-ci"}`),
	})
	f.source.store = f.store
	f.source.files["/7@main:log.md"] = commitB
	f.store.calls = 0
	return f
}

// Whichever call fails, before or after it took effect, and whatever the rules are by the time
// the event is delivered again: the work is the same, and each run has one record.
func TestInterruptedAtAnyCall(t *testing.T) {
	whole := interrupted(t)
	whole.deliver(push("1", commitA, "x"))
	want, calls := whole.store.keys(), whole.store.calls
	if len(want) != 6 || calls < 15 {
		t.Fatalf("%d calls for %v", calls, want)
	}
	for k := 1; k <= calls; k++ {
		for _, afterwards := range []bool{false, true} {
			for _, reload := range []bool{false, true} {
				t.Run(fmt.Sprintf("call %d, afterwards %t, reload %t", k, afterwards, reload), func(t *testing.T) {
					interruptedOnce(t, k, afterwards, reload, want)
				})
			}
		}
	}
}

func interruptedOnce(t *testing.T, k int, afterwards, reload bool, want []string) {
	f := interrupted(t)
	f.store.breakAt, f.store.afterwards = k, afterwards
	m := push("1", commitA, "x")
	failures := 0
	if reload {
		failures += f.matchThenReload(m)
	}
	if failures += f.deliver(m); failures != 1 {
		t.Fatalf("%d failures, want 1", failures)
	}
	f.deliver(m) // and once more, now that all is done
	if diff := cmp.Diff(want, f.store.keys()); diff != "" {
		t.Errorf("other work than without the failure: %s", diff)
	}
	for subject, n := range f.store.creations {
		if n != 1 {
			t.Errorf("record %s was created %d times", subject, n)
		}
	}
	runs := 0
	for subject := range f.store.creations {
		if strings.HasPrefix(subject, "run.") {
			runs++
		}
	}
	if runs != 2 {
		t.Errorf("%d run records, want 2", runs)
	}
	for _, key := range want { // what is sent twice is the same
		copies := slices.DeleteFunc(f.store.put(""), func(s sent) bool { return s.subject+" "+s.header[headerKey] != key })
		for _, c := range copies[1:] {
			if string(c.data) != string(copies[0].data) {
				t.Errorf("two messages under %s differ", key)
			}
		}
	}
}

// matchThenReload hands the event over until its match record is there, and then changes the rules: one is
// renamed, one is gone, one is new. It returns how many times the handler failed.
func (f *fixture) matchThenReload(m Message) (failures int) {
	for f.store.records[matchSubject("repo/1")] == nil {
		if err := f.engine.Match(f.t.Context(), m); err != nil {
			failures++
		}
	}
	breakAt := f.store.breakAt
	f.store.breakAt = 0
	calls := f.store.calls
	f.load(strings.NewReplacer("name: first", "name: renamed", "name: second", "name: other", "failed", "canceled").Replace(interruptedRules))
	f.store.calls, f.store.breakAt = calls, breakAt
	return failures
}

const interruptedRestraints = `
rules:
  - name: r
    on: push
    latest_only: true
    limit: { matches_per_minute: 2 }
    throttle: { key: "${{ event.branch }}", per: 1h }
    do:
      - notify: { to: [ops], title: t, text: t }
`

// TestInterruptedRestraints: whichever call fails, before or after it took effect: of three events the first acts, the second is
// throttled and the third finds the rule paused; and an older one that is matched last is overtaken.
func TestInterruptedRestraints(t *testing.T) {
	want := map[string]string{"1": rules.OutcomeActed, "2": rules.OutcomeThrottled, "3": rules.OutcomePaused, "0": rules.OutcomeOvertaken}
	run := func(t *testing.T, breakAt int, afterwards bool) (calls int) {
		f := newFixture(t, interruptedRestraints, nil)
		f.store.calls, f.store.breakAt, f.store.afterwards = 0, breakAt, afterwards
		failures := 0
		for i, id := range []string{"1", "2", "3"} {
			failures += f.deliver(pushAt(id, time.Duration(i)*time.Second))
		}
		failures += f.deliver(pushAt("0", -time.Hour))
		calls = f.store.calls
		if breakAt > 0 && failures != 1 {
			t.Errorf("%d failures, want 1", failures)
		}
		for id, outcome := range want {
			d := f.decision(Message{Header: map[string]string{headerRun: rules.RunID("repo/"+id, "r")}})
			f.wantOutcome(d, outcome, "")
		}
		if keys := f.store.keys(); len(keys) != 4 { // three runs and one message
			t.Errorf("work: %v", keys)
		}
		for subject, n := range f.store.creations {
			if n != 1 {
				t.Errorf("record %s was created %d times", subject, n)
			}
		}
		return calls
	}
	calls := run(t, 0, false)
	if calls < 20 {
		t.Fatalf("%d calls", calls)
	}
	for k := 1; k <= calls; k++ {
		for _, afterwards := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d, afterwards %t", k, afterwards), func(t *testing.T) { run(t, k, afterwards) })
		}
	}
}
