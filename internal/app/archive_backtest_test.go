package app_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/trial/backtest"
	"github.com/millrace/millrace/pkg/rules"
)

// backtestTried are the rules of testdata/shop, each changed in another way.
const backtestTried = `vars: { job: f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3 }
rules:
  - name: record-failed-build
    on: push
    match: { repository.path: shop/*, branch: main }
    fetch:
      build:
        build_of_commit: { job_id: "${{ vars.job }}", commit: "${{ event.after }}" }
        until: facts.build.finished
        every: 1s
        timeout: 2m
    when: facts.build.outcome == "failed"
    do:
      - id: note
        commit:
          repo_id: "${{ facts.build.repo_id }}"
          branch: "${{ event.branch }}"
          message: "docs: note failed build ${{ facts.build.build_no }}"
          actions:
            - { action: create, file_path: "builds/${{ facts.build.build_no }}.md", content: "Failed.\n" }
      - notify: { to: [team], title: "Recorded", text: "[${{ results.note.short_id }}](${{ results.note.web_url }})" }
  - name: praise-build
    on: push
    fetch:
      run: { build_of_commit: { job_id: "${{ vars.job }}", commit: "${{ event.after }}" }, until: facts.run.finished }
    when: facts.run.outcome == "succeeded"
    do:
      - notify: { to: [hook], title: "Built", text: "${{ facts.run.build_no }}" }
  - name: announce-merge-request
    on: merge_request.open
    fetch: { job: { job_config: { job_id: "${{ vars.job }}" } } }
    do:
      - notify: { to: [team, ops], title: "Merge request !${{ event.merge_request.iid }}", text: "${{ facts.job.job_name }}" }
  - name: ask-for-a-kind
    description: The one rule that asks for a kind of event nobody knows.
    on: unknown.demo_probe
    do:
      - notify: { to: [hook], title: "Probe", text: "${{ event.type }}" }
`

// TestBacktest: what a real worker decided is compared with what other rules make of the same events, with the facts it recorded, and
// nothing is changed anywhere by that.
func TestBacktest(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "shop"})
	_, failed := w.push("totals", 0, "FAILED")
	_, built := w.push("taxes", 0, "SUCCESS")
	for _, body := range [][]byte{failed, built, mergeRequest(t, 7), probe("demo_probe", "p-1")} {
		w.deliver(body)
	}
	eventually(t, "everything to be done", w.settled)
	archive, err := app.OpenArchive(t.Context(), w.file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	tried, problems := rules.Compile([]rules.File{{Name: "tried.yaml", Data: []byte(backtestTried)}}, archive.Catalogue())
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	var live *rules.Ruleset
	eventually(t, "the live rules", func() error {
		live, err = archive.Baseline(t.Context(), "")
		return err
	})
	stored, told, made := w.counts(), w.told(), w.made()
	var reports []string
	for _, jobs := range []int{1, 4} {
		report, err := archive.Backtest(t.Context(), app.BacktestOptions{Before: live, After: tried, Examples: 5, Jobs: jobs})
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, string(data))
		if jobs == 1 {
			checkBacktest(t, archive, report, stored.Events)
		}
	}
	if diff := cmp.Diff(reports[0], reports[1]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(stored, w.counts()); diff != "" {
		t.Errorf("the stores are changed: %s", diff)
	}
	if cmp.Diff(told, w.told())+cmp.Diff(made, w.made()) != "" {
		t.Error("something was done")
	}
	for _, digest := range []string{live.Digest(), live.Digest()[:8]} {
		if rs, err := archive.Baseline(t.Context(), digest); err != nil || rs.Digest() != live.Digest() {
			t.Errorf("%s: %v", digest, err)
		}
	}
	if _, err := archive.Baseline(t.Context(), "00000000"); err == nil || !strings.Contains(err.Error(), "was ever live") {
		t.Errorf("%v", err)
	}
	none, err := archive.Backtest(t.Context(), app.BacktestOptions{Before: live, After: tried, To: time.Unix(1, 0)})
	if err != nil || none.Window.Read != 0 || none.Differs() {
		t.Errorf("before everything: %+v, %v", none, err)
	}
	other, err := archive.Backtest(t.Context(), app.BacktestOptions{Before: live, After: tried, Source: "schedule"})
	if err != nil || other.Window.Read != 0 {
		t.Errorf("of another source: %+v, %v", other, err)
	}
}

func checkBacktest(t *testing.T, archive *app.Archive, report *backtest.Report, events uint64) {
	t.Helper()
	got := map[string]map[string]int{}
	for _, r := range report.Rules {
		got[r.Name] = r.Counts
		for _, x := range r.Examples {
			checkBefore(t, archive, r.Name, x)
		}
	}
	want := map[string]map[string]int{
		"record-failed-build":    {backtest.DifferentCommit: 1, backtest.Unchanged: 1},
		"greet-push":             {backtest.NoLongerFires: 2},
		"praise-build":           {backtest.NewlyFires: 1, backtest.Unchanged: 1},
		"announce-merge-request": {backtest.NotComparable: 1},
	}
	var text bytes.Buffer
	report.Render(&text)
	if diff := cmp.Diff(want, got); diff != "" || report.Same != 1 || report.Window.Read != int(events) {
		t.Errorf("of %d events: %s\n%s", events, diff, text.String())
	}
	for _, line := range []string{
		"-   message: docs: record failed build ", "+   message: docs: note failed build ",
		"fact job (job_config job_id=\"" + jobID + "\") was not recorded",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("%q is missing:\n%s", line, text.String())
		}
	}
}

// checkBefore wants the side before to end as the worker ended.
func checkBefore(t *testing.T, archive *app.Archive, rule string, x *backtest.Example) {
	t.Helper()
	recorded, err := archive.Recorded(t.Context(), x.EventID)
	if err != nil || recorded == nil {
		t.Errorf("event %s: %+v, %v", x.EventID, recorded, err)
		return
	}
	if d := recorded.Decisions[rule]; d != nil && d.Outcome != x.Before.Outcome && x.Class != backtest.NotComparable {
		t.Errorf("rule %s, event %s: %s before, and a worker had decided %s", rule, x.EventID, x.Before.Outcome, d.Outcome)
	}
}
