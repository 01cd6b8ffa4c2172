package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// recordingOf decides a push with rules as a worker does, and gives it to be recorded. body is changed by edit.
func recordingOf(t *testing.T, ruleText, body string, values map[string]json.RawMessage) Recording {
	t.Helper()
	ruleset, problems := rules.Compile([]rules.File{{Name: "rules.yaml", Data: []byte(ruleText)}}, testCatalogue())
	if ruleset == nil {
		t.Fatal(problems)
	}
	scanned, err := events.Scan([]byte(body), "")
	if err != nil {
		t.Fatal(err)
	}
	ev := &events.Event{
		ID: "shop/42", Source: "shop", Type: scanned.Type, Time: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), Repository: scanned.Repository, Body: []byte(body),
	}
	view, err := events.Decode(ev)
	if err != nil {
		t.Fatal(err)
	}
	in := Recording{Ruleset: ruleset, Event: ev}
	for _, rule := range ruleset.Rules() {
		played := Play(Input{Ruleset: ruleset, Rule: rule, Event: ev, View: view, Facts: GivenFacts(rule, values), Now: ev.Time.Add(time.Second)})
		in.Runs = append(in.Runs, RecordedRun{Rule: rule, Decision: played.Decision})
	}
	return in
}

// passes runs a recorded file with the rules it came from.
func passes(t *testing.T, in Recording, r *Recorded) *Report {
	t.Helper()
	suite, problems := Read(in.Ruleset, []rules.File{{Name: "rules_test.yaml", Data: r.Text}}, noFiles)
	if suite == nil {
		t.Fatalf("%v\n%s", problems, r.Text)
	}
	report := suite.Run(nil)
	if report.Failed > 0 {
		var b strings.Builder
		report.Render(&b, false)
		t.Errorf("%s\n%s", b.String(), r.Text)
	}
	return report
}

const recordedRules = `
rules:
  - name: told
    on: push
    fetch:
      file: { file: { file_path: OWNERS } }
    when: event.author.name == "Li Wei"
    do:
      - id: note
        commit:
          repo_id: 1
          branch: main
          message: "by ${{ event.author.name }} <${{ event.commits[0].author.email }}>"
          actions: [{ action: create, file_path: a.md, content: "${{ facts.file.content }}\n\n${{ event.commits[0].message }}" }]
      - notify: { to: [team], title: "${{ event.commits[0].author.email.split('@')[0] }}", text: "${{ results.note.error }}" }
`

const recordedPush = `{"object_kind":"push","ref":"refs/heads/main","after":"9f8e7d6c5b9f8e7d6c5b9f8e7d6c5b9f8e7d6c5b","user_name":"Li Wei",
"project":{"id":7,"path_with_namespace":"shop/orders"},"commits":[{"id":"9f8e7d6c5b9f8e7d6c5b9f8e7d6c5b9f8e7d6c5b","message":"call 13812345678\n\npassword: hunter2hunter2 ","author":{"name":"Li Wei","email":"li@shop.cn"}}]}`

// TestRecord writes a file as people see it.
func TestRecord(t *testing.T) {
	in := recordingOf(t, recordedRules, recordedPush, map[string]json.RawMessage{"file": json.RawMessage(`{"content":"by li@shop.cn"}`)})
	in.Name = "a push of Li Wei"
	in.Runs[0].Results = map[string]rules.Result{in.Runs[0].Decision.Items[0].Actions[0].Key: {Failed: true, Error: "refused to li@shop.cn"}}
	r, err := Record(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Notes)+len(r.Faults) > 0 {
		t.Errorf("notes %q, faults %q", r.Notes, r.Faults)
	}
	passes(t, in, r)
	const golden = "testdata/recorded_test.yaml"
	text := strings.ReplaceAll(string(r.Text), in.Ruleset.Digest()[:12], "0123456789ab")
	if *update {
		if err := os.WriteFile(golden, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), text); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestRecordFaults: what cannot be played again is said, in the file too, and is not passed over.
func TestRecordFaults(t *testing.T) {
	small := map[string]json.RawMessage{"file": json.RawMessage(`{"content":"x"}`)}
	for name, tt := range map[string]struct {
		rules, body string
		facts       map[string]json.RawMessage
		change      func(*Recording)
		want        string // among the faults; "" none
		fails       int    // tests
	}{
		"a large fact": {
			rules: recordedRules, body: recordedPush, facts: map[string]json.RawMessage{"file": asJSON(map[string]any{"content": strings.Repeat("x", rules.MaxFactRecorded)})},
			want: "fact file was not recorded", fails: 1,
		},
		"other facts": {
			rules: recordedRules, body: recordedPush, facts: small,
			change: func(in *Recording) {
				in.Runs[0].Decision.Facts["file"] = rules.FactRecord{Value: json.RawMessage(`{"content":"y"}`)}
			},
			want: "a worker decided acted too, with other actions",
		},
		"another outcome": {
			rules: recordedRules, body: recordedPush, facts: small, change: func(in *Recording) { in.Runs[0].Decision.Outcome = rules.OutcomeNoMatch },
			want: "a worker decided no_match; of what is recorded the rule makes acted",
		},
		"a candidate that was none": {
			rules: recordedRules, body: recordedPush, facts: small, change: func(in *Recording) { in.Runs[0].Decision = nil },
			want: "a worker decided not_candidate", fails: 1,
		},
		"decided by what is masked": {
			rules: strings.ReplaceAll(recordedRules, `when: event.author.name == "Li Wei"`, `when: event.commits[0].author.email.startsWith("li")`), body: recordedPush, facts: small,
			want: "with masked values the rule makes no_match of it, with the true ones acted",
		},
		"decided by what the rule itself names": {
			rules: strings.ReplaceAll(recordedRules, `event.author.name == "Li Wei"`, `event.commits[0].author.email == "li@shop.cn"`), body: recordedPush, facts: small,
		},
		"too deep for YAML": {
			rules: recordedRules, body: strings.Replace(recordedPush, `{`, `{"deep":`+strings.Repeat("[", 40)+`"li@shop.cn"`+strings.Repeat("]", 40)+`,`, 1), facts: small,
		},
		"numbers": {
			rules: recordedRules, body: strings.Replace(recordedPush, `{`, `{"n":[1e400,123456789012345678901234567890,1.0,-0,0.1],`, 1), facts: small,
		},
		"texts that look like something else": {
			rules: recordedRules, body: strings.Replace(recordedPush, `{`, `{"<<":"<<","y":["yes","null","~","0x1f","1_000","- a",": b","  \n a\n","\u0000\u2028\ufeff","2026-01-01","\ttab\nx"],`, 1), facts: small,
		},
		"facts that look like something else": {
			rules: recordedRules, body: recordedPush, facts: map[string]json.RawMessage{"file": json.RawMessage(`{"content":"\tall:\n\t\tmake"}`)},
		},
		"a reason with control characters": {
			rules: recordedRules, body: recordedPush, facts: small,
			change: func(in *Recording) {
				in.Runs[0].Decision.Outcome, in.Runs[0].Decision.Reason = rules.OutcomeNoMatch, "a\u001b[31m\u2028b\x00"
			},
			want: "a worker decided no_match (a\ufffd[31m b\ufffd); of what is recorded the rule makes acted",
		},
		"a reason with what is private": {
			rules: recordedRules, body: recordedPush, facts: small,
			change: func(in *Recording) {
				in.Runs[0].Decision.Outcome, in.Runs[0].Decision.Reason = rules.OutcomeNoMatch, "call 13812345678 or li@shop.cn"
			},
			want: "a worker decided no_match (call 10000000001 or person-1@example.com); of what",
		},
		"keys that are there twice": {rules: recordedRules, body: strings.Replace(recordedPush, `{`, `{"user_name":"Wu",`, 1), facts: small},
	} {
		t.Run(name, func(t *testing.T) {
			in := recordingOf(t, tt.rules, tt.body, tt.facts)
			if tt.change != nil {
				tt.change(&in)
			}
			r, err := Record(in)
			if err != nil {
				t.Fatal(err)
			}
			faults := oneLine(strings.Join(r.Faults, "\n"))
			if !strings.Contains(faults, tt.want) || tt.want == "" && faults != "" {
				t.Errorf("faults %q\n%s", faults, r.Text)
			}
			if tt.want != "" && !strings.Contains(string(r.Text), "# "+tt.want) {
				t.Errorf("the file does not say it:\n%s", r.Text)
			}
			suite, problems := Read(in.Ruleset, []rules.File{{Name: "rules_test.yaml", Data: r.Text}}, noFiles)
			if suite == nil {
				t.Fatalf("%v\n%s", problems, r.Text)
			}
			if got := suite.Run(nil).Failed; got != tt.fails {
				t.Errorf("%d tests fail, want %d\n%s", got, tt.fails, r.Text)
			}
			if name := strings.Count(string(r.Text), "li@shop"); name > 0 && !strings.Contains(tt.rules, "li@shop") {
				t.Errorf("an e-mail is left:\n%s", r.Text)
			}
		})
	}
}

// TestRecordMemory: what came of other events is shown with another event, or said.
func TestRecordMemory(t *testing.T) {
	const text = `
rules:
  - name: slow
    on: push
    throttle: { key: "${{ event.branch }}", per: 1h }
    do: [{ notify: { to: team, title: t, text: x } }]
  - name: last
    on: push
    latest_only: true
    do: [{ notify: { to: team, title: t, text: x } }]
  - name: once
    on: push
    throttle: { key: "${{ event.id }}", per: 1h }
    do: [{ notify: { to: team, title: t, text: x } }]
`
	in := recordingOf(t, text, recordedPush, nil)
	other := &rules.ThrottleSlot{RunID: "r", EventID: "shop/41", At: in.Event.Time.Add(-time.Minute)}
	for i := range in.Runs {
		run := &in.Runs[i]
		if run.Rule.LatestOnly() {
			run.Decision.Outcome, run.Decision.Items, run.Decision.Reason = rules.OutcomeOvertaken, nil, "by shop/43"
			continue
		}
		run.Decision.Throttled(run.Decision.Items[0].Throttle, time.Hour, other)
	}
	r, err := Record(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Faults) > 0 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "rule once: a worker decided throttled") {
		t.Errorf("notes %q, faults %q", r.Notes, r.Faults)
	}
	var outcomes []string
	for _, result := range passes(t, in, r).Tests {
		outcomes = append(outcomes, result.Played[len(result.Played)-1].Outcome)
	}
	if d := cmp.Diff([]string{rules.OutcomeThrottled, rules.OutcomeOvertaken, rules.OutcomeActed}, outcomes); d != "" {
		t.Errorf("(-want +got):\n%s\n%s", d, r.Text)
	}
}

// TestRecordOwnCommits: commits of ours that facts name are in the file; one that cannot be looked up ends it.
func TestRecordOwnCommits(t *testing.T) {
	const text = `
rules:
  - name: told
    on: push
    fetch:
      last: { build_of_commit: { commit: main, job_id: j } }
    do: [{ notify: { to: team, title: t, text: x } }]
`
	ours := strings.Repeat("ab", 20)
	in := recordingOf(t, text, recordedPush, map[string]json.RawMessage{"last": fmt.Appendf(nil, `{"commit":%q}`, ours)})
	in.Runs[0].Decision.Outcome, in.Runs[0].Decision.Items = rules.OutcomeOwnCommit, nil
	in.Runs[0].Decision.Reason = "a fact names our own commit " + ours
	in.Own = func(id string) (events.Chain, error) {
		if id == ours {
			return events.Chain{Depth: 1, Origin: "shop/1", Action: "k"}, nil
		}
		return events.Chain{}, nil
	}
	r, err := Record(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Faults) > 0 || !strings.Contains(string(r.Text), "own_commits:") {
		t.Errorf("faults %q\n%s", r.Faults, r.Text)
	}
	passes(t, in, r)
	away := errors.New("NATS is away")
	in.Own = func(string) (events.Chain, error) { return events.Chain{}, away }
	if _, err := Record(in); !errors.Is(err, away) {
		t.Errorf("error %v", err)
	}
}
