package engine

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

const buildRules = `
vars: { job: ` + jobID + ` }
rules:
  - name: record-failed-build
    on: push
    match: { repository.path: shop/orders }
    fetch:
      build:
        build_of_commit: { job_id: "${{ vars.job }}", commit: "${{ event.after }}" }
        until: facts.build.finished
        every: 30s
        timeout: 1h
        on_timeout: skip
      job:
        job_config: { job_id: "${{ vars.job }}" }
    when: facts.build.outcome == "failed"
    do:
      - id: note
        commit:
          repo_id: "${{ facts.build.repo_id }}"
          branch: "${{ event.branch }}"
          message: "docs: record failed build ${{ facts.build.daily_build_num }}"
          actions:
            - { action: create, file_path: "builds/${{ facts.build.build_no }}.md", content: "failed" }
      - notify:
          to: [team, ops]
          title: "Build ${{ facts.build.build_no }} failed"
          text: "It will be recorded"
      - notify:
          to: [team]
          title: "Build ${{ facts.build.build_no }} recorded"
          text: "In [${{ results.note.short_id }}](${{ results.note.web_url }})"
`

// buildRecord is an answer of build_of_commit.
func buildRecord(outcome string) string {
	return fmt.Sprintf(`{"outcome":%q,"finished":%t,"build_no":17,"daily_build_num":"20260401.3","repo_id":"7","commit":%q}`,
		outcome, outcome != "running", commitA)
}

func buildAnswers(outcome string) map[string]func(rules.Call) (string, error) {
	return map[string]func(rules.Call) (string, error){
		"build_of_commit": always(buildRecord(outcome)),
		"job_config":      always(`{"job_name":"orders-ci","scms":[{"repo_id":"7"}]}`),
	}
}

func TestRunDecidesAndPutsItsWork(t *testing.T) {
	f := newFixture(t, buildRules, buildAnswers("failed"))
	order := f.order()
	if err := f.engine.Run(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	runID := rules.RunID("repo/1", "record-failed-build")
	note := rules.ActionKey(runID, "", "note")
	told := rules.ActionKey(runID, "", "notify1")
	want := []string{
		"work.commit " + note,
		"work.notify.ops " + rules.WorkKey(told, "ops"),
		"work.notify.team " + rules.WorkKey(told, "team"),
		"work.run.repo " + runID,
	}
	if diff := cmp.Diff(want, f.store.keys()); diff != "" {
		t.Error(diff)
	}
	for _, s := range f.store.put(subjectNotify) {
		if got := subjectNotify + s.header[headerTarget]; got != s.subject {
			t.Errorf("message of %s names the target of %s", s.subject, got)
		}
	}
	d := f.decision(order)
	if d.Outcome != rules.OutcomeActed || len(d.Items) != 1 || len(d.Items[0].Actions) != 3 {
		t.Errorf("decision %+v", d)
	}
	commit := f.actions(subjectCommit)[0]
	if diff := cmp.Diff(d.Items[0].Actions[0], commit); diff != "" {
		t.Errorf("work is not what was recorded: %s", diff)
	}
	if c := commit.Commit; c == nil || c.Branch != "main" || c.RepoID != "7" || c.WebURL != "https://example.com/shop/orders" {
		t.Errorf("commit %+v", commit.Commit)
	}
	if diff := cmp.Diff([]string{"note"}, d.Items[0].Actions[2].Waits); diff != "" {
		t.Error(diff)
	}
}

func TestRunTellsItsStory(t *testing.T) {
	f := newFixture(t, buildRules, buildAnswers("failed"))
	if err := f.run(); err != nil {
		t.Fatal(err)
	}
	for i, line := range f.wantLines("fact fetched", 2) {
		wantField(t, line, "fact", []string{"build", "job"}[i])
		wantField(t, line, "kind", []string{"build_of_commit", "job_config"}[i])
		if _, ok := line["took"]; !ok {
			t.Error("line without took")
		}
	}
	f.wantLines("run recorded", 1)
	line := f.wantLines("run decided", 1)[0]
	wantField(t, line, "outcome", "acted")
	wantField(t, line, "event_id", "repo/1")
	wantField(t, line, "rule", "record-failed-build")
	wantField(t, line, "run_id", rules.RunID("repo/1", "record-failed-build"))
	f.wantLines("work put", 4)
}

func TestRunSaysWhyItDidNotFire(t *testing.T) {
	f := newFixture(t, buildRules, buildAnswers("succeeded"))
	if err := f.run(); err != nil {
		t.Fatal(err)
	}
	line := f.wantLines("run decided", 1)[0]
	wantField(t, line, "outcome", "no_match")
	reason := fmt.Sprint(line["reason"])
	for _, part := range []string{"failed", "succeeded"} {
		if !strings.Contains(reason, part) {
			t.Errorf("reason %q does not name %q", reason, part)
		}
	}
	if work := f.store.put("work.commit"); len(work) != 0 {
		t.Errorf("%d commits", len(work))
	}
}

func TestRunUsesTheRecordItFinds(t *testing.T) {
	f := newFixture(t, buildRules, buildAnswers("failed"))
	order := f.order()
	if err := f.engine.Run(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	before := f.store.put("")
	f.source.answers = buildAnswers("succeeded") // facts have changed since
	f.load(strings.ReplaceAll(buildRules, "record-failed-build", "renamed"))
	fetched := len(f.source.fetched)
	if err := f.engine.Run(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if len(f.source.fetched) != fetched {
		t.Error("facts were fetched again")
	}
	all := f.store.put("")
	if diff := cmp.Diff(before[1:], all[len(before):], cmp.AllowUnexported(sent{})); diff != "" {
		t.Errorf("other work was put: %s", diff)
	}
	f.wantLines("run decided", 1)
}

func TestRunUsesTheRulesetOfItsEvent(t *testing.T) {
	f := newFixture(t, buildRules, buildAnswers("failed"))
	order := f.order()
	f.load(strings.ReplaceAll(buildRules, `== "failed"`, `== "canceled"`))
	f.live.kept = nil // as in another worker
	if err := f.engine.Run(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if d := f.decision(order); d.Outcome != rules.OutcomeActed || d.Digest != order.Header[headerDigest] {
		t.Errorf("outcome %s by ruleset %s", d.Outcome, d.Digest)
	}
}

func TestRunUsesTheRecordOfAnotherWorker(t *testing.T) {
	f := newFixture(t, buildRules, buildAnswers("failed"))
	order := f.order()
	runID := order.Header[headerRun]
	f.store.onCreate = func(subject string) {
		f.store.onCreate = nil
		f.store.setRecord(t, subject, rules.Decision{
			V: 1, RunID: runID, EventID: "repo/1", Rule: "record-failed-build", Outcome: rules.OutcomeActed,
			Items: []rules.Item{{Fired: true, Actions: []rules.Action{{V: 1, Key: "theirs", Kind: rules.KindAlert, Alert: &rules.Alert{}}}}},
		})
	}
	if err := f.engine.Run(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"work.alert theirs", "work.run.repo " + runID}, f.store.keys()); diff != "" {
		t.Error(diff)
	}
	f.wantLines("run decided", 0)
}

func TestRunInShadowCarriesNothingOut(t *testing.T) {
	f := newFixture(t, strings.Replace(buildRules, "    on: push", "    mode: shadow\n    on: push", 1), buildAnswers("failed"))
	order := f.order()
	for range 2 {
		if err := f.engine.Run(t.Context(), order); err != nil {
			t.Fatal(err)
		}
	}
	if d := f.decision(order); d.Outcome != rules.OutcomeShadow || len(d.Items[0].Actions) != 3 {
		t.Errorf("decision %+v", d)
	}
	if n := len(f.store.put("")); n != 1 {
		t.Errorf("%d messages of work, want the run alone", n)
	}
}

func TestRunFetchesIndependentFactsTogether(t *testing.T) {
	const ruleFile = `
rules:
  - name: two
    on: push
    fetch:
      a: { build_record: { job_id: a, build_no: 1 } }
      b: { build_record: { job_id: b, build_no: 1 } }
    when: facts.a.finished && facts.b.finished
    do: [ { notify: { to: [team], title: t, text: t } } ]
`
	var both sync.WaitGroup
	both.Add(2)
	f := newFixture(t, ruleFile, map[string]func(rules.Call) (string, error){
		"build_record": func(rules.Call) (string, error) {
			both.Done()
			both.Wait() // hangs unless the two are fetched at the same time
			return `{"finished":true}`, nil
		},
	})
	if err := f.run(); err != nil {
		t.Fatal(err)
	}
	f.wantLines("fact fetched", 2)
}

func TestRunAsksForBuildsSinceThePush(t *testing.T) {
	f := newFixture(t, buildRules, buildAnswers("failed"))
	if err := f.run(); err != nil {
		t.Fatal(err)
	}
	if want := start.Add(-time.Second); !f.source.since[0].Equal(want) {
		t.Errorf("asked since %s, want %s", f.source.since[0], want)
	}
	older := newFixture(t, strings.ReplaceAll(buildRules, "event.after", "event.before"), buildAnswers("failed"))
	if err := older.run(); err != nil {
		t.Fatal(err)
	}
	if want := start.Add(-time.Second - lookBack); !older.source.since[0].Equal(want) {
		t.Errorf("asked since %s, want %s", older.source.since[0], want)
	}
}

// throttled is a failure of CodeArts.
type throttled struct{}

func (throttled) Error() string             { return "too many requests" }
func (throttled) Retryable() bool           { return true }
func (throttled) RetryAfter() time.Duration { return time.Minute }
func (throttled) Class() string             { return "throttled" }

func TestRunHandsOnTheVerdictOfAFact(t *testing.T) {
	answers := buildAnswers("failed")
	answers["job_config"] = func(rules.Call) (string, error) { return "", fmt.Errorf("job_config: %w", throttled{}) }
	f := newFixture(t, buildRules, answers)
	err := f.run()
	var after interface{ RetryAfter() time.Duration }
	if class, final := verdict(err); class != "throttled" || final || !errors.As(err, &after) || after.RetryAfter() != time.Minute {
		t.Errorf("verdict of %v: class %s, final %t", err, class, final)
	}
	for _, part := range []string{"record-failed-build", "repo/1", "fact job", "too many requests"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %q", err, part)
		}
	}
	if len(f.store.put("work.commit")) != 0 || f.store.records[runSubject(rules.RunID("repo/1", "record-failed-build"))] != nil {
		t.Error("something was decided without a fact")
	}
}

func TestRunThatCannotBeEvaluatedIsFinal(t *testing.T) {
	tests := map[string]func(*fixture, *Message){
		ClassEvaluation: func(f *fixture, _ *Message) { // a null is selected from, or the rule meets what it cannot use
			f.source.answers["build_of_commit"] = always(`{"outcome":"failed","finished":true,"repo_id":null,"build_no":17}`)
		},
		ClassRuleset: func(f *fixture, m *Message) {
			f.store.rulesets["broken"] = []byte("{")
			m.Header[headerDigest] = "broken"
		},
		ClassMessage: func(_ *fixture, m *Message) { m.Header[headerRun] = "another" },
		ClassSize:    func(f *fixture, _ *Message) { f.limit(Limits{Record: 100}) },
	}
	for class, change := range tests {
		t.Run(class, func(t *testing.T) {
			f := newFixture(t, buildRules, buildAnswers("failed"))
			order := f.order()
			change(f, &order)
			err := f.engine.Run(t.Context(), order)
			wantFinal(t, err, class)
			if n := len(f.store.put("")); n != 1 {
				t.Errorf("%d messages of work, want the run alone", n)
			}
			if f.store.records[runSubject(rules.RunID("repo/1", "record-failed-build"))] != nil {
				t.Error("there is a run record")
			}
			if class == ClassSize && !strings.Contains(err.Error(), "limit is 100") {
				t.Errorf("error %q does not name the limit", err)
			}
		})
	}
}

const eachRules = `
rules:
  - name: each
    on: push
    fetch:
      packages: { package_status: { project_id: p, status: normal } }
      countdowns:
        for_each: { in: facts.packages }
        package_countdown: { service_type: "${{ item.service_type }}", resource_id: "${{ item.resource_id }}" }
    for_each: { in: facts.countdowns, key: item.resource_id }
    when: item.tips != null
    do: [ { notify: { to: [team], title: "${{ item.resource_id }}", text: t } } ]
`

func eachAnswers() map[string]func(rules.Call) (string, error) {
	return map[string]func(rules.Call) (string, error){
		"package_status": always(`[{"resource_id":"p1","service_type":"s"},{"resource_id":"p2","service_type":"s"},{"resource_id":"p3","service_type":"s"}]`),
		"package_countdown": func(c rules.Call) (string, error) {
			tips := "null"
			if c.Args["resource_id"] == "p2" {
				tips = `{"summary":{"status":2}}`
			}
			return fmt.Sprintf(`[{"resource_id":%q,"tips":%s}]`, c.Args["resource_id"], tips), nil
		},
	}
}

func TestRunForEach(t *testing.T) {
	f := newFixture(t, eachRules, eachAnswers())
	order := f.order()
	if err := f.engine.Run(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	var fired []string
	for _, item := range f.decision(order).Items {
		if item.Fired {
			fired = append(fired, item.Key)
		}
	}
	if diff := cmp.Diff([]string{"p2"}, fired); diff != "" {
		t.Error(diff)
	}
	if n := len(f.store.put(subjectNotify)); n != 1 {
		t.Errorf("%d messages", n)
	}
	f.wantLines("fact fetched", 2) // one line for a fact, however many calls it took
}

func TestRunIsBoundedInItsCalls(t *testing.T) {
	f := newFixture(t, eachRules, eachAnswers())
	f.limit(Limits{Calls: 3})
	wantFinal(t, f.run(), ClassEvaluation)
	if n := len(f.source.fetched); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestRunOfARuleThatIsNotInItsRuleset(t *testing.T) {
	f := newFixture(t, buildRules, buildAnswers("failed"))
	ev := &events.Event{ID: "repo/1", Source: "repo", Type: "push", Time: start, Body: []byte(`{"object_kind":"push"}`)}
	o := runOrder{event: ev, rule: "gone", runID: rules.RunID("repo/1", "gone"), digest: f.live.Current().Digest()}
	err := f.engine.Run(t.Context(), Message{Header: o.header(nil), Data: ev.Body})
	wantFinal(t, err, ClassRuleset)
}
