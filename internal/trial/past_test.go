package trial

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

const pastRules = `
rules:
  - name: asks
    on: push
    fetch:
      build: { build_of_commit: { job_id: "1", commit: "${{ event.after }}" }, until: facts.build.finished, on_timeout: skip }
      each: { for_each: { in: '["a", "b"]' }, packages: { status: "${{ item }}" } }
    when: facts.build.outcome == "failed"
    do: [{ notify: { to: team, title: t, text: "${{ facts.each.size() }}" } }]
  - name: continues
    on: push
    fetch: { file: { file: { file_path: a }, until: facts.file.content != "", on_timeout: continue } }
    when: facts.file == null
    do: [{ notify: { to: team, title: t, text: x } }]
`

// otherRules ask for what asks asked for, or for something else.
const otherRules = `
rules:
  - name: one-of-each
    on: push
    fetch: { list: { for_each: { in: '["a"]' }, packages: { status: "${{ item }}" } } }
    do: [{ notify: { to: team, title: t, text: "${{ facts.list.size() }}" } }]
  - name: same-each
    on: push
    fetch: { list: { for_each: { in: '["a", "b"]' }, packages: { status: "${{ item }}" } } }
    do: [{ notify: { to: team, title: t, text: "${{ facts.list.size() }}" } }]
  - name: same-build
    on: push
    fetch: { b: { build_of_commit: { job_id: "1", commit: "${{ event.after }}" } } }
    do: [{ notify: { to: team, title: t, text: "${{ facts.b.outcome }}" } }]
  - name: other-task
    on: push
    fetch: { build: { build_of_commit: { job_id: "2", commit: "${{ event.after }}" } } }
    do: [{ notify: { to: team, title: t, text: x } }]
`

func compilePast(t *testing.T, text string) *rules.Ruleset {
	t.Helper()
	rs, problems := rules.Compile([]rules.File{{Name: "rules.yaml", Data: []byte(text)}}, testCatalogue())
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return rs
}

// TestPast explains rules with what one decision has recorded, and with what it has not.
func TestPast(t *testing.T) {
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	ev := &events.Event{
		ID: "repo/1", Source: "repo", Type: "push", Time: at,
		Body: []byte(`{"object_kind":"push","ref":"refs/heads/main","after":"85a0a9d5c6e43bc9c3e443ac01f789e24eeef02b","project":{"id":7}}`),
	}
	view, err := events.Decode(ev)
	if err != nil {
		t.Fatal(err)
	}
	failed := rules.FactRecord{Value: json.RawMessage(`{"outcome":"failed","finished":true}`)}
	two := rules.FactRecord{Value: json.RawMessage(`[{"id":"p"},{"id":"q"}]`)}
	large := rules.FactRecord{NotRecorded: true, Size: 70000}
	type facts = map[string]rules.FactRecord
	acted, none := facts{"build": failed, "each": two}, facts{}
	own, other := compilePast(t, pastRules), compilePast(t, otherRules)
	for name, tt := range map[string]struct {
		outcome, reason string
		facts           facts // nil: no decision
		given           string
		rule            string
		verdict         string
		text            string // of the message
		why             string // part of the reason
	}{
		"as it was": {outcome: "acted", facts: acted, rule: "asks", verdict: "acted", text: "2"},
		"too large": {
			outcome: "acted", facts: facts{"build": failed, "each": large},
			rule: "asks", verdict: "needs_facts", why: "fact each was not recorded: it had 70000 bytes, and records hold 65536",
		},
		"too large, and given": {
			outcome: "acted", facts: facts{"build": failed, "each": large}, given: `{"each":[{"id":"z"}]}`,
			rule: "asks", verdict: "acted", text: "1",
		},
		"given first": {
			outcome: "acted", facts: acted, given: `{"build":{"outcome":"succeeded","finished":true}}`,
			rule: "asks", verdict: "no_match", why: `saw "succeeded"`,
		},
		"given, and not ready": {
			outcome: "acted", facts: acted, given: `{"build":{"finished":false}}`,
			rule: "asks", verdict: "waits", why: "facts.build.finished",
		},
		"in vain": {
			outcome: "skipped", facts: none,
			rule: "asks", verdict: "skipped", why: "awaited for 1h0m0s in vain",
		},
		"in vain, with a value": {
			outcome: "skipped", facts: facts{"build": {Value: json.RawMessage(`{"finished":false}`)}},
			rule: "asks", verdict: "skipped", why: "in vain",
		},
		"given up": {
			outcome: "acted", facts: facts{"file": {Value: json.RawMessage("null")}},
			rule: "continues", verdict: "acted", text: "x",
		},
		"overtaken": {
			outcome: "overtaken", reason: "by repo/2", facts: none,
			rule: "asks", verdict: "overtaken", why: "by repo/2",
		},
		"throttled": {
			outcome: "throttled", reason: "by repo/0", facts: acted,
			rule: "asks", verdict: "throttled", why: "by repo/0",
		},
		"undecided": {
			rule: "asks", verdict: "needs_facts", why: "fact build was not recorded: no decision about this rule is",
		},
		"another asks the same": {outcome: "acted", facts: acted, rule: "same-build", verdict: "acted", text: "failed"},
		"the same of each":      {outcome: "acted", facts: acted, rule: "same-each", verdict: "acted", text: "2"},
		"one of each": {
			outcome: "acted", facts: acted,
			rule: "one-of-each", verdict: "needs_facts", why: "no rule asked for packages with status a then",
		},
		"another asks for others": {
			outcome: "acted", facts: acted,
			rule: "other-task", verdict: "needs_facts", why: "no rule asked for build_of_commit with commit 85a0a9d5c6e43bc9c3e443ac01f789e24eeef02b, job_id 2 then",
		},
		"another asks, overtaken": {
			outcome: "overtaken", facts: none,
			rule: "same-build", verdict: "needs_facts", why: "no rule asked for build_of_commit",
		},
		"another asks, in vain": {
			outcome: "skipped", facts: none,
			rule: "same-build", verdict: "skipped", why: "there is none yet",
		},
		"another asks, undecided": {rule: "same-build", verdict: "needs_facts", why: "no rule asked for build_of_commit"},
		"another asks, large": {
			outcome: "acted", facts: facts{"build": large, "each": two},
			rule: "same-build", verdict: "needs_facts", why: "it had 70000 bytes",
		},
		"another asks, given a b": {
			outcome: "acted", facts: acted, given: `{"b":{"outcome":"x"}}`,
			rule: "same-build", verdict: "acted", text: "x",
		},
		"of a list without values": {
			outcome: "acted", facts: facts{"build": failed, "each": {Value: json.RawMessage("[]")}},
			rule: "same-each", verdict: "acted", text: "0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ruleset := own
			if own.Rule(tt.rule) == nil {
				ruleset = other
			}
			decisions := map[string]*rules.Decision{}
			if tt.facts != nil {
				by := "asks"
				if own.Rule(tt.rule) != nil {
					by = tt.rule
				}
				decisions[by] = &rules.Decision{Outcome: tt.outcome, Reason: tt.reason, At: at.Add(2 * time.Hour), Facts: tt.facts}
			}
			past := NewPast(Input{Ruleset: own, Event: ev, View: view}, decisions)
			var given map[string]json.RawMessage
			if tt.given != "" {
				if err := json.Unmarshal([]byte(tt.given), &given); err != nil {
					t.Fatal(err)
				}
			}
			e := past.Explain(Input{Ruleset: ruleset, Rule: ruleset.Rule(tt.rule), Event: ev, View: view}, given)
			if e.Verdict != tt.verdict || !strings.Contains(e.Reason, tt.why) {
				t.Fatalf("%s: %s %s", e.Verdict, e.Reason, e.Error)
			}
			if tt.text != "" && (e.Decision == nil || len(e.Decision.Items[0].Actions) == 0 || e.Decision.Items[0].Actions[0].Notify.Text.Plain() != tt.text) {
				t.Errorf("decision %+v", e.Decision)
			}
			if d := e.Decision; d != nil && tt.facts != nil && tt.given == "" && !d.At.Equal(at.Add(2*time.Hour)) && ruleset == own {
				t.Errorf("decided at %s", d.At)
			}
		})
	}
}

// TestNearness: rules of the right type come before others, however much of these holds; of equals the first.
func TestNearness(t *testing.T) {
	e := func(rule, verdict string, rightType bool, held int) *Explained {
		return &Explained{Rule: rule, Verdict: verdict, rightType: rightType, Leaves: Leaves{True: held, Of: 9}}
	}
	all := []*Explained{
		e("wrong-type", NotCandidate, false, 8), e("off", Off, true, 9), e("little", NotCandidate, true, 1), e("more", NotCandidate, true, 2),
		e("as-much", rules.OutcomeNoMatch, true, 2),
	}
	var names []string
	for _, e := range ByNearness(all) {
		names = append(names, e.Rule)
	}
	if got := strings.Join(names, " "); got != "more as-much little wrong-type" {
		t.Error(got)
	}
	in := Input{Event: &events.Event{}, View: &events.View{}, Ruleset: compilePast(t, otherRules)}
	if s := Summarize(in, all); s.Nearest == nil || s.Nearest.Rule != "more" || len(s.Off) != 1 || s.Rules != 5 {
		t.Errorf("%+v", s)
	}
	for _, verdict := range []string{rules.OutcomeActed, rules.OutcomeShadow, NeedsFacts, Waits, Failed, rules.OutcomeSkipped, rules.OutcomeOwnCommit} {
		if s := Summarize(in, append(all[:5:5], e("fits", verdict, true, 3))); s.Nearest != nil || len(s.Fitting) != 1 {
			t.Errorf("with one that %s: %+v", verdict, s)
		}
	}
}
