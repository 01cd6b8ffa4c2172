package rules

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

// TestOrderOfFacts gives independent facts together, one with until alone and first, and only what leads to it before.
func TestOrderOfFacts(t *testing.T) {
	r := compileRule(t, `
fetch:
  last: { file: { repo_id: 1, file_path: "${{ facts.waited.outcome }}" } }
  other: { job_config: { job_id: j } }
  another: { job_config: { job_id: k } }
  before: { commit: { repo_id: 1, sha: x } }
  waited:
    build_of_commit: { job_id: j, commit: "${{ facts.before.id }}" }
    until: facts.waited.finished
`+notifyAll)
	x := begin(t, r, pushView())
	rounds := provide(t, x, map[string]string{
		"before": `{"id":"c1"}`, "waited": `{"finished":true,"outcome":"failed","commit":"c2"}`, "other": `{}`, "another": `null`, "last": `{"content":"x"}`,
	})
	want := [][]string{
		{`before {"repo_id":"1","sha":"x"}`},
		{`waited {"commit":"c1","job_id":"j"}`},
		{`last {"file_path":"failed","repo_id":"1"}`, `other {"job_id":"j"}`, `another {"job_id":"k"}`},
	}
	if diff := cmp.Diff(want, rounds); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"c1", "c2"}, x.Commits()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"last", "other", "another", "before", "waited"}, r.Facts()); diff != "" {
		t.Error(diff)
	}
}

func TestWaiting(t *testing.T) {
	r := compileRule(t, `
fetch:
  a:
    build_of_commit: { job_id: j, commit: x }
    until: facts.a.finished
    every: 5s
    timeout: 10m
    on_timeout: continue
  b: { build_of_commit: { job_id: j, commit: y } }
when: facts.a == null || !facts.a.finished
`+notifyAll)
	x := begin(t, r, pushView())
	if _, err := x.Decide(); err == nil {
		t.Error("decided without facts")
	}
	calls, err := x.Next()
	if err != nil || len(calls) != 1 {
		t.Fatal(calls, err)
	}
	if _, err := x.Pending("a"); err == nil {
		t.Error("pending before it is provided")
	}
	wantA := Wait{Fact: "a", Every: 5 * time.Second, Timeout: 10 * time.Minute, OnTimeout: OnTimeoutContinue, Source: "facts.a.finished"}
	if diff := cmp.Diff(wantA, x.NotReady("a")); diff != "" {
		t.Error(diff)
	}
	wantB := Wait{Fact: "b", Every: 30 * time.Second, Timeout: time.Hour, OnTimeout: OnTimeoutSkip}
	if diff := cmp.Diff(wantB, x.NotReady("b")); diff != "" {
		t.Error(diff)
	}
	if err := x.Provide(calls[0], json.RawMessage(`{"finished":false}`)); err != nil {
		t.Fatal(err)
	}
	if w, err := x.Pending("a"); err != nil || w == nil || *w != wantA {
		t.Error(w, err)
	}
	skipped := x.Skip("a was awaited in vain")
	if skipped.Outcome != OutcomeSkipped || skipped.Reason != "a was awaited in vain" || string(skipped.Facts["a"].Value) == "" {
		t.Errorf("%+v", skipped)
	}
	x.GiveUp("a")
	if calls, err = x.Next(); err != nil || len(calls) != 1 || calls[0].Fact != "b" {
		t.Fatal(calls, err)
	}
	x.GiveUp("b") // none yet
	if calls, err = x.Next(); err != nil || len(calls) != 0 {
		t.Fatal(calls, err)
	}
	d := decide(t, x)
	if d.Outcome != OutcomeActed || string(d.Facts["b"].Value) != "null" {
		t.Errorf("%+v", d)
	}
	if err := x.Provide(Call{Fact: "zz"}, nil); err == nil {
		t.Error("provided what was not asked for")
	}
	if err := x.Provide(Call{Fact: "a"}, json.RawMessage(`{"finished":"yes"}`)); err == nil || !strings.Contains(err.Error(), "fetch.a: finished: want bool, got string") {
		t.Error(err)
	}
}

func TestForEachOfFacts(t *testing.T) {
	r := compileRule(t, `
fetch:
  none: { for_each: { in: '[]' }, job_config: { job_id: "${{ item }}" } }
  jobs: { for_each: { in: event.commits }, job_config: { job_id: "${{ item.id }}" } }
when: size(facts.none) == 0 && facts.jobs[1].name == "b"
`+notifyAll)
	view := pushView()
	view.Commits = []events.Commit{{ID: ptr("c1")}, {ID: ptr("c2")}, {ID: ptr("c3")}}
	x := begin(t, r, view)
	calls, err := x.Next()
	if err != nil || len(calls) != 3 {
		t.Fatal(calls, err)
	}
	for _, i := range []int{2, 0, 1} { // in any order
		if calls[i].Last != (i == 2) || calls[i].Index != i {
			t.Errorf("%+v", calls[i])
		}
		name := []string{`{"name":"a"}`, `{"name":"b"}`, `null`}[i]
		if err := x.Provide(calls[i], json.RawMessage(name)); err != nil {
			t.Fatal(err)
		}
	}
	if calls, err := x.Next(); err != nil || len(calls) != 0 {
		t.Fatal(calls, err)
	}
	if d := decide(t, x); d.Outcome != OutcomeActed {
		t.Errorf("%+v", d)
	}
	view.Commits = make([]events.Commit, MaxItems+1)
	if _, err := begin(t, r, view).Next(); err == nil || !strings.Contains(err.Error(), "1001 elements, at most 1000") {
		t.Error(err)
	}
	view.Commits = []events.Commit{{}}
	if _, err := begin(t, r, view).Next(); err == nil || !strings.Contains(err.Error(), "fetch.jobs.job_config.job_id: item.id is null") {
		t.Error(err)
	}
}

func TestItems(t *testing.T) {
	r := compileRule(t, "for_each: { in: event.commits, key: item.id }\nwhen: item.title != \"skip\"\ndo: [{notify: {to: ops, title: \"${{ item.id }}\", text: x}}]\n")
	view := pushView()
	view.Commits = nil
	for _, id := range []string{"a", "b", "a", "c"} {
		view.Commits = append(view.Commits, events.Commit{ID: ptr(id), Title: ptr(map[string]string{"b": "skip"}[id])})
	}
	d := decide(t, begin(t, r, view))
	var got []string
	for _, i := range d.Items {
		got = append(got, fmt.Sprint(i.Key, " ", i.Fired, " ", len(i.Actions)))
	}
	if diff := cmp.Diff([]string{"a true 1", "b false 0", "c true 1"}, got); diff != "" {
		t.Error(diff)
	}
	if d.Items[0].Actions[0].Key == d.Items[2].Actions[0].Key || d.Items[0].Actions[0].Key != ActionKey(RunID("main/1", "r"), "a", "notify1") {
		t.Error("keys")
	}
	view.Commits = []events.Commit{}
	if d := decide(t, begin(t, r, view)); d.Outcome != OutcomeNoMatch || d.Reason != "for_each: the list is empty" {
		t.Errorf("%+v", d)
	}
	view.Commits = []events.Commit{{}}
	if _, err := begin(t, r, view).Decide(); err == nil || !strings.Contains(err.Error(), "for_each.key: the key of element 0 is null") {
		t.Error(err)
	}
	view.Commits = nil
	for i := range MaxItems + 1 {
		view.Commits = append(view.Commits, events.Commit{ID: ptr(fmt.Sprint(i))})
	}
	if _, err := begin(t, r, view).Decide(); err == nil || !strings.Contains(err.Error(), "more than 1000 items") {
		t.Error(err)
	}
}

// TestLargeFacts records a large fact by its hash, and decides with all of it.
func TestLargeFacts(t *testing.T) {
	r := compileRule(t, "fetch: { f: { file: { repo_id: 1, file_path: a } } }\nwhen: size(facts.f.content) > 70000\n"+notifyAll)
	x := begin(t, r, pushView())
	provide(t, x, map[string]string{"f": `{"content":"` + strings.Repeat("x", 70001) + `"}`})
	d := decide(t, x)
	f := d.Facts["f"]
	if d.Outcome != OutcomeActed || !f.NotRecorded || f.Size < 70000 || len(f.SHA256) != 64 || f.Value != nil {
		t.Errorf("%+v", f)
	}
	data, err := json.Marshal(d)
	if err != nil || len(data) > 4000 {
		t.Errorf("the record has %d bytes, %v", len(data), err)
	}
}

// TestAgain decides the same from the same, also from many goroutines at once.
func TestAgain(t *testing.T) {
	rs := compileFiles(t, readFile(t, "record_failed_build.yaml"))
	r := rs.Rule("record-failed-build")
	var records [8]string
	var wg sync.WaitGroup
	for i := range records {
		wg.Go(func() {
			x := begin(t, r, pushView())
			provide(t, x, map[string]string{"build": failedBuild, "job": ordersJob})
			data, err := json.Marshal(decide(t, x))
			if err != nil {
				t.Error(err)
			}
			records[i] = string(data)
		})
	}
	wg.Wait()
	for _, s := range records[1:] {
		if s != records[0] {
			t.Error(cmp.Diff(records[0], s))
		}
	}
}

func TestArgumentsConvert(t *testing.T) {
	for _, c := range []struct {
		in   any
		to   Kind
		want any
	}{
		{int64(17), String, "17"},
		{"17", Int, int64(17)},
		{17.0, Int, int64(17)},
		{17.5, Int, nil},
		{"017", Int, nil},
		{"1e3", Int, nil},
		{true, Int, nil},
		{"true", Bool, true},
		{"yes", Bool, nil},
		{int64(1), Bool, nil},
		{1e300, String, nil},
		{[]any{}, String, nil},
		{"1.5", Double, 1.5},
		{int64(2), Double, 2.0},
		{"x", Dyn, "x"},
	} {
		got, err := convert(c.in, c.to)
		if (err != nil) != (c.want == nil) || got != c.want {
			t.Errorf("%v to %v: %v, %v", c.in, c.to, got, err)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	rs := compileFiles(b, readFile(b, "record_failed_build.yaml"))
	view := pushView()
	for b.Loop() {
		x := begin(b, rs.Rule("record-failed-build"), view)
		provide(b, x, map[string]string{"build": failedBuild, "job": ordersJob})
		decide(b, x)
	}
}
