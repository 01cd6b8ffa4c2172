package rules

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

func readFile(t testing.TB, name string) File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return File{Name: name, Data: data}
}

func compileFiles(t testing.TB, files ...File) *Ruleset {
	t.Helper()
	rs, problems := Compile(files, testCatalogue())
	if problems.HasErrors() {
		t.Fatalf("problems:\n%v", problems)
	}
	return rs
}

// compileRule compiles one rule from the lines that follow its name and `on: push`.
func compileRule(t testing.TB, body string) *Rule {
	t.Helper()
	text := "rules:\n  - name: r\n    on: push\n" + indent(body, "    ")
	return compileFiles(t, File{Name: "r.yaml", Data: []byte(text)}).Rule("r")
}

func indent(s, by string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimLeft(s, "\n")) {
		b.WriteString(by + line)
	}
	return b.String()
}

const notifyAll = "do: [{notify: {to: ops, title: t, text: x}}]\n"

func ptr[T any](v T) *T { return &v }

func pushView() *events.View {
	return &events.View{
		Type: "push", ID: "main/1", Source: "main", Time: "2026-04-01T08:00:00Z",
		Repository: &events.Repository{ID: ptr("2111000001"), Path: ptr("shop/orders"), WebURL: ptr("https://forge.example.com/shop/orders")},
		Branch:     ptr("release/1.2"), After: ptr("85a0a9d5c6e43bc9c3e443ac01f789e24eeef02b"),
		Author:  &events.Person{Name: ptr("Wu Mei"), Username: ptr("wumei")},
		Commits: []events.Commit{{ID: ptr("85a0a9d5"), Message: ptr("fix totals"), Added: []string{"a.go"}}},
		Raw:     json.RawMessage(`{"ref":"refs/heads/release/1.2","extra":{"n":1,"f":1.0,"nothing":null}}`),
	}
}

var testNow = time.Date(2026, 4, 1, 8, 31, 0, 0, time.UTC)

func begin(t testing.TB, r *Rule, view *events.View) *Run {
	t.Helper()
	x, err := r.Begin(Input{Event: view, EventID: view.ID, Digest: "d", Accepted: testNow.Add(-time.Minute), Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// provide answers all calls from replies, which are by fact and index ("build", "packages 0"), until nothing more is wanted.
func provide(t testing.TB, x *Run, replies map[string]string) [][]string {
	t.Helper()
	var rounds [][]string
	for range 20 {
		calls, err := x.Next()
		if err != nil {
			t.Fatal(err)
		}
		if len(calls) == 0 {
			return rounds
		}
		var round []string
		for _, c := range calls {
			key := c.Fact
			if _, ok := replies[key]; !ok {
				key = c.Fact + " " + string(rune('0'+c.Index))
			}
			args, _ := json.Marshal(c.Args)
			round = append(round, key+" "+string(args))
			if err := x.Provide(c, json.RawMessage(replies[key])); err != nil {
				t.Fatal(err)
			}
			if c.Last {
				if w, err := x.Pending(c.Fact); err != nil || w != nil {
					t.Fatalf("pending %s: %v, %v", c.Fact, w, err)
				}
			}
		}
		rounds = append(rounds, round)
	}
	t.Fatal("the run never ends")
	return nil
}

func decide(t testing.TB, x *Run) *Decision {
	t.Helper()
	d, err := x.Decide()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const (
	failedBuild = `{"job_id":"j","build_no":17,"daily_build_num":"20260401.3","repo_id":"2111000001","commit":"85a0a9d5","outcome":"failed","finished":true}`
	ordersJob   = `{"name":"orders-ci","token":"s3cret","scms":[{"repo_id":"2111000001","branch":"main"}]}`
)

func TestRecordFailedBuild(t *testing.T) {
	rs := compileFiles(t, readFile(t, "record_failed_build.yaml"))
	view := pushView()
	flat := view.Flat()
	candidates := rs.Match(nil, &flat)
	if len(candidates) != 1 || candidates[0].Name() != "record-failed-build" {
		t.Fatalf("candidates: %v", candidates)
	}
	x := begin(t, candidates[0], view)
	calls, err := x.Next()
	if err != nil || len(calls) != 1 || calls[0].Fact != "build" {
		t.Fatalf("the fact with until must come first and alone: %v, %v", calls, err)
	}
	running := strings.NewReplacer(`"failed"`, `"running"`, "true", "false").Replace(failedBuild)
	if err := x.Provide(calls[0], json.RawMessage(running)); err != nil {
		t.Fatal(err)
	}
	wait, err := x.Pending("build")
	want := &Wait{Fact: "build", Every: 30 * time.Second, Timeout: time.Hour, OnTimeout: "skip", Source: "facts.build.finished"}
	if diff := cmp.Diff(want, wait); diff != "" || err != nil {
		t.Fatalf("pending: %v\n%s", err, diff)
	}

	x = begin(t, candidates[0], view)
	rounds := provide(t, x, map[string]string{"build": failedBuild, "job": ordersJob})
	wantRounds := [][]string{
		{`build {"commit":"85a0a9d5c6e43bc9c3e443ac01f789e24eeef02b","job_id":"f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3"}`},
		{`job {"job_id":"f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3"}`},
	}
	if diff := cmp.Diff(wantRounds, rounds); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"85a0a9d5"}, x.Commits()); diff != "" {
		t.Error(diff)
	}
	d := decide(t, x)
	golden(t, "record_failed_build.decision.json", d)

	var note, told Action
	roundTrip(t, d.Items[0].Actions[0], &note)
	roundTrip(t, d.Items[0].Actions[1], &told)
	if note.Commit == nil || note.Deferred != nil || len(note.Waits) != 0 {
		t.Errorf("the commit must be ready: %+v", note)
	}
	if diff := cmp.Diff([]string{"note"}, told.Waits); diff != "" {
		t.Error(diff)
	}
	ready, skipped, err := RenderDeferred(&told, map[string]Result{"note": {ID: "1f2e3d4c5b", ShortID: "1f2e3d4c", WebURL: "https://forge.example.com/c/1f2e"}})
	if err != nil || skipped != "" {
		t.Fatal(skipped, err)
	}
	wantNotify := &Notify{
		To: []string{"payments-dingtalk"}, Title: Text{{Literal: "Build "}, {Value: "17"}, {Literal: " failed"}},
		Text: Text{{Literal: "Recorded in ["}, {Value: "1f2e3d4c"}, {Literal: "]("}, {Value: "https://forge.example.com/c/1f2e"}, {Literal: ")"}},
	}
	if diff := cmp.Diff(wantNotify, ready.Notify); diff != "" {
		t.Error(diff)
	}
	if ready.Deferred != nil || ready.Waits != nil || ready.Key != told.Key {
		t.Errorf("ready: %+v", ready)
	}
	_, skipped, err = RenderDeferred(&told, map[string]Result{"note": {Failed: true, Error: "file exists"}})
	if skipped != "note failed: file exists" || err != nil {
		t.Error(skipped, err)
	}
}

func roundTrip(t testing.TB, from, to any) {
	t.Helper()
	data, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatal(err)
	}
}

// TestObserved: a reading is as old as what it was made from. An event that is decided late is no news.
func TestObserved(t *testing.T) {
	const alert = "do: [{ alert: { key: k, phase: p, countdown: 3, at: [3], to: [ops], title: t, text: t } }]\n"
	accepted := testNow.Add(-time.Hour)
	for _, tt := range []struct {
		name, body string
		want       time.Time
	}{
		{"event", alert, accepted},
		{"facts", "fetch: { build: { build_record: { job_id: j, build_no: 1 } } }\n" + alert, testNow},
	} {
		x, err := compileRule(t, tt.body).Begin(Input{Event: pushView(), EventID: "shop/1", Accepted: accepted, Now: testNow})
		if err != nil {
			t.Fatal(err)
		}
		provide(t, x, map[string]string{"build 0": `{"build_no": 1}`})
		if got := decide(t, x).Items[0].Actions[0].Alert.ObservedAt; !got.Equal(tt.want) {
			t.Errorf("%s: observed at %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestPackageExpiry(t *testing.T) {
	rs := compileFiles(t, readFile(t, "package_expiry.yaml"))
	if diff := cmp.Diff([]Schedule{{ID: Hash("schedule", "0 0 9 * * *", "Asia/Shanghai"), Pattern: "0 0 9 * * *", TimeZone: "Asia/Shanghai"}}, rs.Schedules()); diff != "" {
		t.Fatal(diff)
	}
	s := rs.Schedules()[0]
	view, err := events.Decode(events.NewTick(s.ID, s.Pattern, s.TimeZone, testNow))
	if err != nil {
		t.Fatal(err)
	}
	flat := view.Flat()
	if got := rs.Match(nil, &flat); len(got) != 1 {
		t.Fatalf("the tick matches %d rules", len(got))
	}
	x := begin(t, rs.Rule("package-expiry"), view)
	rounds := provide(t, x, map[string]string{
		"packages 0":   `[{"service_type":"s","resource_id":"p1"},{"service_type":"s","resource_id":"p2"}]`,
		"packages 1":   `null`,
		"packages 2":   `[{"service_type":"s","resource_id":"p1"}]`,
		"countdowns 0": `[{"resource_id":"p1","tips":{"summary":{"status":2,"next_action":1,"next_action_remain_day":7,"next_action_url":"https://example.com/renew"}}}]`,
		"countdowns 1": `[{"resource_id":"p2","tips":null}]`,
		"countdowns 2": `[{"resource_id":"p1","tips":{"summary":{"status":9}}}]`,
	})
	if len(rounds) != 2 || len(rounds[0]) != 3 || len(rounds[1]) != 3 {
		t.Fatalf("rounds: %v", rounds)
	}
	if want := `countdowns 0 {"reminder_day":"-1","resource_id":"p1","service_type":"s"}`; rounds[1][0] != want {
		t.Errorf("got %s", rounds[1][0])
	}
	d := decide(t, x)
	if len(d.Items) != 2 || !d.Items[0].Fired || d.Items[1].Fired {
		t.Fatalf("of equal keys the first counts, and p2 does not fire: %+v", d.Items)
	}
	a := d.Items[0].Actions[0].Alert
	if a.AlertKey != "package/p1" || a.Phase != "2/1" || a.Countdown != 7 || a.Link != "https://example.com/renew" || !a.ObservedAt.Equal(testNow) {
		t.Errorf("alert: %+v", a)
	}
}
