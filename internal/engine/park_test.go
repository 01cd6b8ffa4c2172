package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// pass hands the order to the engine at a time, with the state of the pass before.
func (f *fixture) pass(order Message, at time.Time, state string) error {
	f.clock.set(at)
	order.State = state
	return f.engine.Run(f.t.Context(), order)
}

func TestRunWaitsForAFact(t *testing.T) {
	answers := buildAnswers("failed")
	answers["build_of_commit"] = func(rules.Call) (string, error) { return "", notYet{} }
	f := newFixture(t, buildRules, answers)
	order := f.order()

	until, state := parked(t, f.pass(order, start, ""))
	if want := start.Truncate(time.Second).Add(31 * time.Second); !until.Equal(want) {
		t.Errorf("parked until %s, want %s", until, want)
	}
	line := f.wantLines("facts awaited", 1)[0]
	wantField(t, line, "fact", "build")

	f.source.answers["build_of_commit"] = always(buildRecord("running"))
	until, state = parked(t, f.pass(order, until, state))
	wantField(t, f.wantLines("facts awaited", 2)[1], "reason", "facts.build.finished")
	f.wantLines("fact fetched", 0)
	for _, c := range f.source.fetched {
		if c.Fact == "job" {
			t.Error("a fact was fetched before the one that is awaited")
		}
	}

	f.source.answers = buildAnswers("failed")
	if err := f.pass(order, until, state); err != nil {
		t.Fatal(err)
	}
	if d := f.decision(order); d.Outcome != rules.OutcomeActed {
		t.Errorf("outcome %s", d.Outcome)
	}
}

func TestRunWaitsNoLongerThanItsTimeout(t *testing.T) {
	for _, kind := range []string{"none yet", "not finished"} {
		t.Run(kind, func(t *testing.T) {
			answers := buildAnswers("running")
			if kind == "none yet" {
				answers["build_of_commit"] = func(rules.Call) (string, error) { return "", notYet{} }
			}
			f := newFixture(t, buildRules, answers)
			order := f.order()
			at, state, passes := start, "", 0
			for {
				err := f.pass(order, at, state)
				if passes++; err == nil {
					break
				}
				if passes > 200 {
					t.Fatal("it waits for ever")
				}
				var until time.Time
				if until, state = parked(t, err); !until.After(at) {
					t.Fatalf("at %s parked until %s", at, until)
				}
				at = until
			}
			if waited := at.Sub(start); waited < time.Hour || waited > time.Hour+time.Second {
				t.Errorf("waited for %s", waited)
			}
			d := f.decision(order)
			if d.Outcome != rules.OutcomeSkipped || !strings.Contains(d.Reason, "fact build was awaited for 1h0m0s in vain") {
				t.Errorf("outcome %s, reason %q", d.Outcome, d.Reason)
			}
			if n := len(f.store.put("")); n != 1 {
				t.Errorf("%d messages of work, want the run alone", n)
			}
		})
	}
}

func TestRunOnTimeout(t *testing.T) {
	late := start.Add(2 * time.Hour)
	t.Run("fail", func(t *testing.T) {
		f := newFixture(t, strings.Replace(buildRules, "on_timeout: skip", "on_timeout: fail", 1), buildAnswers("running"))
		order := f.order()
		_, state := parked(t, f.pass(order, start, ""))
		err := f.pass(order, late, state)
		wantFinal(t, err, ClassTimeout)
		if !strings.Contains(err.Error(), "fact build") {
			t.Errorf("error %q does not name the fact", err)
		}
	})
	t.Run("continue", func(t *testing.T) {
		ruleFile := strings.Replace(buildRules, "on_timeout: skip", "on_timeout: continue", 1)
		f := newFixture(t, strings.Replace(ruleFile, `when: facts.build.outcome == "failed"`, `when: facts.build.outcome == "running"`, 1), buildAnswers("running"))
		order := f.order()
		_, state := parked(t, f.pass(order, start, ""))
		if err := f.pass(order, late, state); err != nil {
			t.Fatal(err)
		}
		if d := f.decision(order); d.Outcome != rules.OutcomeActed {
			t.Errorf("outcome %s", d.Outcome)
		}
	})
	t.Run("continue with nothing", func(t *testing.T) {
		answers := buildAnswers("running")
		answers["build_of_commit"] = func(rules.Call) (string, error) { return "", notYet{} }
		ruleFile := strings.Replace(buildRules, "on_timeout: skip", "on_timeout: continue", 1)
		f := newFixture(t, strings.Replace(ruleFile, `when: facts.build.outcome == "failed"`, `when: facts.build != null && facts.build.outcome == "failed"`, 1), answers)
		order := f.order()
		_, state := parked(t, f.pass(order, start, ""))
		if err := f.pass(order, late, state); err != nil {
			t.Fatal(err)
		}
		if d := f.decision(order); d.Outcome != rules.OutcomeNoMatch {
			t.Errorf("outcome %s", d.Outcome)
		}
	})
}

func TestEachFactHasItsOwnDeadline(t *testing.T) {
	const ruleFile = `
rules:
  - name: two
    on: push
    fetch:
      a: { build_record: { job_id: a, build_no: 1 }, until: facts.a.finished, every: 10s, timeout: 1m }
      b: { build_record: { job_id: b, build_no: 1 }, until: facts.b.finished, every: 10s, timeout: 1m }
    when: facts.a.finished && facts.b.finished
    do: [ { notify: { to: [team], title: t, text: t } } ]
`
	done := map[any]bool{}
	f := newFixture(t, ruleFile, map[string]func(rules.Call) (string, error){
		"build_record": func(c rules.Call) (string, error) {
			if done[c.Args["job_id"]] {
				return `{"finished":true}`, nil
			}
			return `{"finished":false}`, nil
		},
	})
	order := f.order()
	_, state := parked(t, f.pass(order, start, ""))
	done["a"] = true
	at := start.Add(50 * time.Second)
	_, state = parked(t, f.pass(order, at, state))
	at = at.Add(50 * time.Second) // past the deadline of a, not of b
	until, state := parked(t, f.pass(order, at, state))
	if until.Sub(at) > 11*time.Second {
		t.Errorf("parked for %s", until.Sub(at))
	}
	done["b"] = true
	if err := f.pass(order, until, state); err != nil {
		t.Fatal(err)
	}
	if d := f.decision(order); d.Outcome != rules.OutcomeActed {
		t.Errorf("outcome %s", d.Outcome)
	}
}

func TestStateThatCannotBeReadStartsAnew(t *testing.T) {
	for _, text := range []string{"", "{", `{"v":9,"until":{"a":1}}`, `[]`} {
		if s := readState(text); s.V != 1 || s.Deadlines == nil || len(s.Deadlines) != 0 {
			t.Errorf("state of %q: %+v", text, s)
		}
	}
	s := readState("")
	s.Deadlines["a"] = start.Unix()
	if got := readState(s.String()).Deadlines["a"]; got != start.Unix() {
		t.Errorf("deadline %d, want %d", got, start.Unix())
	}
}

func FuzzState(f *testing.F) {
	f.Add(`{"v":1,"until":{"build":1775032200}}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := readState(text)
		if again := readState(s.String()); len(again.Deadlines) != len(s.Deadlines) {
			t.Errorf("state %q is not read back as %q", text, s.String())
		}
	})
}

const jobsRules = `
vars: { jobs: [j1, j2] }
rules:
  - name: tell
    on: push
    fetch:
      builds:
        for_each: { in: vars.jobs }
        build_of_commit: { job_id: "${{ item }}", commit: "${{ event.after }}" }
        timeout: 1m
        on_timeout: continue
    do:
      - notify: { to: [team], title: "push", text: "${{ size(facts.builds) }} builds" }
`

// What is there of a for_each when its time is over is not thrown away because of the rest, and the loop guard looks at it.
func TestRunContinuesWithTheCallsThatAreReady(t *testing.T) {
	for _, own := range []bool{false, true} {
		answers := buildAnswers("failed")
		record := answers["build_of_commit"]
		answers["build_of_commit"] = func(c rules.Call) (string, error) {
			if c.Args["job_id"] == "j2" {
				return "", notYet{}
			}
			return record(c)
		}
		f := newFixture(t, jobsRules, answers)
		order := f.match(push("1", commitA, "fix totals"))[0]
		_, state := parked(t, f.pass(order, start, ""))
		if own {
			f.store.setRecord(t, commitSubject(commitA), map[string]any{"v": 1, "key": rules.ActionKey("run", "", "note"), "depth": 1, "origin": "repo/0"})
		}
		if err := f.pass(order, start.Add(2*time.Minute), state); err != nil {
			t.Fatal(err)
		}
		d := f.decision(order)
		if own {
			if d.Outcome != rules.OutcomeOwnCommit {
				t.Errorf("outcome %s of a fact that names our commit", d.Outcome)
			}
			continue
		}
		if d.Outcome != rules.OutcomeActed || d.Items[0].Actions[0].Notify.Text.Plain() != "1 builds" {
			t.Errorf("outcome %s, items %+v", d.Outcome, d.Items)
		}
	}
}
