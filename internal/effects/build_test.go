package effects

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

func buildAction(id, commit string) rules.Action {
	a := action(rules.KindBuild, id)
	a.Build = &rules.Build{JobID: jobID, Commit: commit, Parameters: []rules.BuildParameter{{Name: "AREA", Value: "shop"}, {Name: "EMPTY"}}}
	return a
}

// theBuild is one build, and messages of each kind that wait for it.
func (w *world) theBuild(commit string) rules.Action {
	next := buildAction("next", commit)
	w.decide(next, waitingNotify("told", "", "next"), waitingNotify("sorry", "failed", "next"))
	return next
}

// wantBuild checks what must be true at the end of theBuild, whatever happened: it is run number no.
func (w *world) wantBuild(no int) {
	w.t.Helper()
	key := buildAction("next", "").Key
	rec := w.action(key)
	if rec.State != stateDone || rec.Result == nil {
		w.t.Fatalf("record %+v, dead letters %+v", rec, w.dead)
	}
	want := &actionResult{BuildNo: int64(no), DailyBuildNum: fmt.Sprintf("20260401.%d", no), JobID: jobID}
	if d := cmp.Diff(want, rec.Result); d != "" {
		w.t.Errorf("result (-want +got):\n%s", d)
	}
	var own buildRecord
	if !w.record(ownRun(no), &own) || own.Key != key || own.Depth != 2 || own.Origin != "src/0" {
		w.t.Errorf("record of the run: %+v", own)
	}
	told := 0
	for _, a := range w.sent {
		if text := a.Notify.Text.Plain(); a.ID != "told" || text != fmt.Sprintf(" %d of %s", no, jobID) {
			w.t.Errorf("sent %s %q", a.ID, text)
		}
		told++
	}
	if told < 2 {
		w.t.Errorf("%d messages sent", told)
	}
	if len(w.dead) > 0 {
		w.t.Errorf("dead letters %+v", w.dead)
	}
}

func ownRun(no int) string {
	b := buildRun{once: once{a: &rules.Action{Build: &rules.Build{JobID: jobID}}}}
	return b.runSubject(int64(no))
}

func TestBuildOnceInEveryFailureMode(t *testing.T) {
	for name, tt := range map[string]struct {
		faults []string
		calls  int
	}{
		"nothing":                {nil, 1},
		"cut after the effect":   {[]string{"cut after"}, 1},
		"cut before the effect":  {[]string{"cut before"}, 2},
		"late":                   {[]string{"late"}, 1},
		"throttled":              {[]string{"throttled", "throttled"}, 3},
		"nameless":               {[]string{"nameless"}, 1},
		"cut before, then after": {[]string{"cut before", "cut after"}, 2},
		"cut before, then late":  {[]string{"cut before", "late"}, 2},
		"throttled, then late":   {[]string{"throttled", "late"}, 2},
		"late, then throttled":   {[]string{"cut before", "throttled", "cut after"}, 3},
	} {
		for _, commit := range []string{builtCommit, ""} {
			t.Run(fmt.Sprintf("%s, commit %.4s", name, commit), func(t *testing.T) {
				w := newWorld(t)
				kinds := map[string]startFault{
					"cut after": startCutAfter, "cut before": startCutBefore, "late": startsLate(w), "throttled": startThrottled, "nameless": startNameless,
				}
				w.task.begin("bbbb", "CODE_UPDATE", start.Add(-time.Hour)) // of somebody else
				for _, f := range tt.faults {
					w.task.faults = append(w.task.faults, kinds[f])
				}
				w.theBuild(commit)
				w.run()
				w.wantBuild(2)
				if w.task.calls != tt.calls || len(w.task.runs) != 2 || len(w.sent) != 2 {
					t.Errorf("%d calls, %d runs, %d messages", w.task.calls, len(w.task.runs), len(w.sent))
				}
				want := codearts.BuildRequest{JobID: jobID, Commit: commit, Parameters: []codearts.BuildParameter{{Name: "AREA", Value: "shop"}, {Name: "EMPTY"}}}
				if d := cmp.Diff(want, w.task.request); d != "" {
					t.Errorf("request (-want +got):\n%s", d)
				}
			})
		}
	}
}

func TestBuildSurvivesTwoDeaths(t *testing.T) {
	const calls = 24
	for first := 1; first <= calls; first++ {
		for second := 1; second <= calls; second++ {
			w := newWorld(t)
			w.theBuild(builtCommit)
			w.run(&tripwire{at: first, after: first%2 == 0}, &tripwire{at: second, after: second%3 == 0})
			w.wantBuild(1)
			if len(w.task.runs) != 1 || t.Failed() {
				t.Fatalf("died at calls %d and %d: %d runs\n%s", first, second, len(w.task.runs), w.log)
			}
		}
	}
}

func TestBuildBreaker(t *testing.T) {
	w := newWorld(t)
	run := func(i int, job string) rules.Action {
		a := buildAction("next", builtCommit)
		a.RunID = rules.RunID(fmt.Sprintf("src/%d", i), "record")
		a.Key, a.Build.JobID = rules.ActionKey(a.RunID, "", "next"), job
		w.decide(a)
		w.run()
		return a
	}
	for i := range 10 {
		run(i, jobID)
		w.now = w.now.Add(time.Minute)
	}
	eleventh := run(10, jobID)
	w.wantDead(ClassBreaker, "rule record has started 10 builds of task "+jobID+" within 1h0m0s; this one is not started")
	if rec := w.action(eleventh.Key); rec.State != stateFailed || w.task.calls != 10 {
		t.Errorf("%d calls, record %+v", w.task.calls, rec)
	}
	w.dead = nil
	if a := run(11, strings.Repeat("e", 32)); w.action(a.Key).State != stateDone {
		t.Errorf("another task: %+v", w.dead)
	}
	w.now = w.now.Add(51 * time.Minute)
	if a := run(12, jobID); w.action(a.Key).State != stateDone {
		t.Errorf("an hour later: %+v", w.dead)
	}
}

func TestRefusedBuild(t *testing.T) {
	for name, tt := range map[string]struct {
		change        func(w *world)
		class, reason string
	}{
		"invalid": {func(w *world) {
			w.task.faults = []startFault{func(*task, codearts.BuildRequest) (*codearts.StartedBuild, error) {
				return nil, &refusal{text: "the task is switched off", kind: codearts.ErrInvalid}
			}}
		}, "fake", "build of task " + jobID + ": the task is switched off"},
		"no such task": {func(w *world) { w.task.gone = true }, ClassGone, "there is no such task"},
		"gone since": {func(w *world) {
			w.task.faults = []startFault{func(*task, codearts.BuildRequest) (*codearts.StartedBuild, error) {
				return nil, &refusal{text: "no", kind: codearts.ErrNotFound}
			}}
		}, ClassGone, "there is no such task"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.change(w)
			next := w.theBuild(builtCommit)
			w.run()
			w.wantDead(tt.class, tt.reason)
			if rec := w.action(next.Key); rec.State != stateFailed || len(w.sent) != 2 || w.sent[0].ID != "sorry" {
				t.Errorf("record %+v, sent %+v", rec, w.sent)
			}
		})
	}
}

// TestUnknownConnectionOfABuild waits for a worker that has it.
func TestUnknownConnectionOfABuild(t *testing.T) {
	w := newWorld(t)
	next := buildAction("next", builtCommit)
	next.Build.Connection = "elsewhere"
	w.decide(next)
	err := w.worker(new(tripwire)).Build(t.Context(), w.queue[0].msg)
	var retry *RetryError
	if !errors.As(err, &retry) || !strings.Contains(err.Error(), `"elsewhere"`) {
		t.Errorf("got %v", err)
	}
}

// TestTooManyRunsToTell is a task so busy that its list is not read to its end.
func TestTooManyRunsToTell(t *testing.T) {
	w := newWorld(t)
	w.settings.LookbackPages = 1
	w.task.faults = []startFault{func(k *task, _ codearts.BuildRequest) (*codearts.StartedBuild, error) {
		for range lookbackPage + 1 {
			k.begin("dddd", "MANUAL", k.now())
		}
		return nil, &refusal{text: "connection reset", maybe: true, again: true}
	}}
	w.theBuild(builtCommit)
	w.run()
	w.wantDead(ClassLookback, "the task has more than 100 runs")
	if w.task.calls != 1 {
		t.Errorf("%d calls", w.task.calls)
	}
}

// TestBuildThatWaited: a build may need the result of another.
func TestBuildThatWaited(t *testing.T) {
	w := newWorld(t)
	w.realRender = true
	next, after := buildAction("next", builtCommit), action(rules.KindBuild, "after")
	after.Waits = []string{"next"}
	after.Deferred = &rules.Deferred{
		Node:     []byte(`{"build":{"job_id":"` + jobID + `","parameters":[{"name":"NEXT","value":"${{ results.next.build_no }}"}]},"observed_at":"2026-04-01T08:00:00Z"}`),
		Bindings: []byte(`{}`),
	}
	w.decide(next, after)
	w.run()
	if rec := w.action(after.Key); rec.State != stateDone || rec.Result.BuildNo != 2 || len(w.task.request.Parameters) != 1 || w.task.request.Parameters[0].Value != "1" {
		t.Errorf("record %+v, request %+v, dead letters %+v", rec, w.task.request, w.dead)
	}
}

func TestBuildTellsItsStory(t *testing.T) {
	w := newWorld(t)
	w.theBuild(builtCommit)
	w.run()
	var got []string
	for line := range strings.Lines(w.log.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l["event_id"] != "src/1" || l["key"] == "" || l["kind"] == "build" && l["job_id"] != jobID {
			t.Errorf("line without event, key or task: %s", line)
		}
		if strings.Contains(line, "AREA") {
			t.Errorf("line with a parameter: %s", line)
		}
		story := fmt.Sprint(l["level"], " ", l["message"])
		if n, ok := l["build_no"]; ok {
			story += fmt.Sprint(" ", n)
		}
		got = append(got, story)
	}
	want := []string{
		"info action started", "debug build sent", "debug build answered 1", "info action done 1",
		"debug work put", "debug work put", "info action skipped", "info message sent", "info message sent",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
}

// TestBuildsOfOneTaskWait: one at a time in a process; what is too many is parked.
func TestBuildsOfOneTaskWait(t *testing.T) {
	w := newWorld(t)
	w.settings.JobQueue = 1
	w.theBuild(builtCommit)
	e := w.worker(new(tripwire))
	release, err := e.jobs.acquire(t.Context(), rules.Hash("", jobID))
	if err != nil {
		t.Fatal(err)
	}
	var park *ParkError
	if err := e.Build(t.Context(), w.queue[0].msg); !errors.As(err, &park) {
		t.Errorf("got %v, want to be parked", err)
	}
	release()
	if err := e.Build(t.Context(), w.queue[0].msg); err != nil {
		t.Error(err)
	}
}

func TestBuildRefusesWhatIsNone(t *testing.T) {
	w := newWorld(t)
	e := w.worker(new(tripwire))
	note := commitAction("note", "a.md")
	w.decide(note)
	for name, m := range map[string]Message{"a commit": w.queue[0].msg, "no JSON": {Data: []byte("{")}} {
		var f *FinalError
		if err := e.Build(t.Context(), m); !errors.As(err, &f) || f.Class() != ClassMessage {
			t.Errorf("%s: %v", name, err)
		}
	}
	key := buildAction("next", "").Key
	w.write(actionSubject(key), map[string]any{"v": 1, "state": "done", "kind": "build", "key": key})
	var f *FinalError
	next := w.theBuild(builtCommit)
	if err := e.Build(t.Context(), w.queue[len(w.queue)-1].msg); !errors.As(err, &f) || f.Class() != ClassRecord || next.Key != key {
		t.Errorf("done without a number: %v", err)
	}
}
