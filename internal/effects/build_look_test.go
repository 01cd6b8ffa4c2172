package effects

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
)

// TestBuildsOfOthers: which run counts as ours after an answer was lost.
func TestBuildsOfOthers(t *testing.T) {
	other := strings.Repeat("c", 40)
	at := start.Add
	for name, tt := range map[string]struct {
		commit  string
		trigger string                                 // the setting
		fault   func(t *task, r codearts.BuildRequest) // what the service does with a request whose answer is lost
		want    int                                    // the run that is ours at the end
		runs    int                                    // there are at the end
	}{
		"another commit":                      {builtCommit, "", func(t *task, _ codearts.BuildRequest) { t.begin(other, "MANUAL", at(0)) }, 3, 3},
		"another commit, no commit asked for": {"", "", func(t *task, _ codearts.BuildRequest) { t.begin(other, "MANUAL", at(0)) }, 2, 2},                     // taken for ours
		"the same commit":                     {builtCommit, "", func(t *task, _ codearts.BuildRequest) { t.begin(builtCommit, "CODE_UPDATE", at(0)) }, 2, 2}, // taken for ours
		"the same commit by another trigger":  {builtCommit, "MANUAL", func(t *task, _ codearts.BuildRequest) { t.begin(builtCommit, "CODE_UPDATE", at(0)) }, 3, 3},
		"the same commit, and ours": {builtCommit, "MANUAL", func(t *task, r codearts.BuildRequest) {
			t.begin(builtCommit, "CODE_UPDATE", at(0))
			t.start(r, at(0))
		}, 3, 3},
		"no trigger is named":  {builtCommit, "MANUAL", func(t *task, _ codearts.BuildRequest) { t.begin(builtCommit, "", at(0)).TriggerType = nil }, 2, 2},
		"it began long before": {builtCommit, "", func(t *task, _ codearts.BuildRequest) { t.begin(builtCommit, "MANUAL", at(-time.Hour)) }, 3, 3},
		"no commit is named":   {builtCommit, "", func(t *task, _ codearts.BuildRequest) { t.begin("", "MANUAL", at(0)) }, 2, 2},
		"no commit is named, and ours": {builtCommit, "", func(t *task, r codearts.BuildRequest) {
			t.begin("", "MANUAL", at(0))
			t.start(r, at(0))
		}, 3, 3},
		"no time is named": {builtCommit, "", func(t *task, r codearts.BuildRequest) {
			t.start(r, at(0))
			t.runs[1].StartTime = nil
		}, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.settings.BuildTrigger = tt.trigger
			w.task.begin(builtCommit, "MANUAL", at(-time.Minute)) // before: never ours
			w.task.faults = []startFault{func(k *task, r codearts.BuildRequest) (*codearts.StartedBuild, error) {
				tt.fault(k, r)
				return nil, &refusal{text: "connection reset", maybe: true, again: true}
			}}
			w.theBuild(tt.commit)
			w.run()
			w.wantBuild(tt.want)
			if len(w.task.runs) != tt.runs {
				t.Errorf("%d runs, want %d", len(w.task.runs), tt.runs)
			}
		})
	}
}

// TestBuildsOfOurOwn: two actions start the same commit of the same task, and both answers are lost: each has a run of its own.
func TestBuildsOfOurOwn(t *testing.T) {
	for _, commit := range []string{builtCommit, ""} {
		w := newWorld(t)
		w.task.faults = []startFault{startCutBefore, startCutAfter, startCutAfter}
		first, second := buildAction("first", commit), buildAction("second", commit)
		w.decide(first, second)
		w.run()
		a, b := w.action(first.Key).Result, w.action(second.Key).Result
		if a == nil || b == nil || a.BuildNo == b.BuildNo || len(w.task.runs) != 2 {
			t.Errorf("results %+v and %+v of %d runs", a, b, len(w.task.runs))
		}
	}
}

// TestRefusedBuildForgetsWhatWasBefore: runs that others start while we are refused are never ours.
func TestRefusedBuildForgetsWhatWasBefore(t *testing.T) {
	w := newWorld(t)
	w.task.faults = []startFault{startThrottled, startCutBefore}
	w.onPause = func() {
		if len(w.task.faults) == 1 { // between the first and the second try
			w.task.begin(builtCommit, "CODE_UPDATE", w.now.Add(-time.Second))
		}
	}
	w.theBuild(builtCommit)
	w.run()
	w.wantBuild(2)
	if w.task.calls != 3 || len(w.task.runs) != 2 {
		t.Errorf("%d calls, %d runs", w.task.calls, len(w.task.runs))
	}
}

// TestLateRunIsFoundAfterARefusal: what an attempt in doubt has started counts for ever, also when a later attempt was refused.
func TestLateRunIsFoundAfterARefusal(t *testing.T) {
	w := newWorld(t)
	w.task.faults = []startFault{startCutBefore, func(k *task, r codearts.BuildRequest) (*codearts.StartedBuild, error) {
		k.start(r, k.now().Add(-time.Minute)) // of the first attempt, listed only now
		return startThrottled(k, r)
	}}
	w.theBuild(builtCommit)
	w.run()
	w.wantBuild(1)
	if w.task.calls != 2 || len(w.task.runs) != 1 {
		t.Errorf("%d calls, %d runs", w.task.calls, len(w.task.runs))
	}
}

// TestNamelessBuildIsNeverStartedAgain: the service said yes, and its list does not show the run.
func TestNamelessBuildIsNeverStartedAgain(t *testing.T) {
	w := newWorld(t)
	w.task.faults = []startFault{func(*task, codearts.BuildRequest) (*codearts.StartedBuild, error) {
		return &codearts.StartedBuild{}, nil
	}}
	next := w.theBuild(builtCommit)
	w.run()
	w.wantDead("exhausted", "it was started, but its number is not to be found yet")
	if rec := w.action(next.Key); w.task.calls != 1 || rec.State != stateFailed || !strings.Contains(rec.Error, "it was carried out all the same") {
		t.Errorf("%d calls, record %+v", w.task.calls, rec)
	}
	if len(w.sent) == 0 || w.sent[0].ID != "sorry" {
		t.Errorf("sent %+v", w.sent)
	}
	// A replay looks again, and starts nothing.
	w.task.begin(builtCommit, "MANUAL", start)
	w.dead, w.sent = nil, nil
	if err := Reopen(t.Context(), w.store, &next, next.Key, Reopening{Now: w.now}); err != nil {
		t.Fatal(err)
	}
	w.putAction(next)
	w.run()
	if rec := w.action(next.Key); rec.State != stateDone || rec.Result.BuildNo != 1 || w.task.calls != 1 {
		t.Errorf("after the replay: %d calls, record %+v", w.task.calls, rec)
	}
}

// TestBuildWaitsForAnotherOwner: while another worker's attempt may land nothing is looked at and nothing is started.
func TestBuildWaitsForAnotherOwner(t *testing.T) {
	w := newWorld(t)
	next := w.theBuild(builtCommit)
	rec := newActionRecord(&next, stateStarted, start)
	rec.Owner, rec.Attempt, rec.SentAt, rec.OutcomeKnown = "somebody else", 1, start.Add(-10*time.Second), false
	rec.Baseline = &baseline{BuildNo: 0, At: start.Add(-10 * time.Second)}
	w.write(actionSubject(next.Key), rec)
	w.task.begin(builtCommit, "MANUAL", start)

	err := w.worker(new(tripwire)).Build(t.Context(), w.queue[0].msg)
	var park *ParkError
	if !errors.As(err, &park) {
		t.Fatalf("got %v, want to be parked", err)
	}
	if until, _ := park.Park(); !until.Equal(start.Add(80*time.Second)) || w.task.lists != 0 || w.task.calls != 0 {
		t.Errorf("parked until %s, want client timeout and settle after it was sent; %d lists, %d calls", until, w.task.lists, w.task.calls)
	}
	w.run()
	w.wantBuild(1)
	if w.task.calls != 0 {
		t.Errorf("%d calls", w.task.calls)
	}
}

// TestOwnDoubtIsLookedAtAtOnce: who knows that its attempt has ended waits only while nothing is to be seen.
func TestOwnDoubtIsLookedAtAtOnce(t *testing.T) {
	w := newWorld(t)
	w.task.faults = []startFault{startCutAfter}
	w.theBuild(builtCommit)
	w.run()
	w.wantBuild(1)
	if w.now != start {
		t.Errorf("waited until %s for what was there", w.now)
	}
}

// TestAnotherCopyWaits: a second copy of the message, handed out while the outcome of the attempt is unknown, starts nothing.
func TestAnotherCopyWaits(t *testing.T) {
	w := newWorld(t)
	w.task.faults = []startFault{startCutBefore}
	w.theBuild(builtCommit)
	e := w.worker(new(tripwire))
	if err := e.Build(t.Context(), w.queue[0].msg); err == nil {
		t.Fatal("the answer was lost")
	}
	var park *ParkError
	if err := e.Build(t.Context(), w.queue[0].msg); !errors.As(err, &park) || w.task.calls != 1 {
		t.Errorf("%d calls, %v", w.task.calls, err)
	}
	w.run()
	w.wantBuild(1)
}

// lost is a start whose answer is lost, and what is there after it.
func lost(then func(k *task, r codearts.BuildRequest)) startFault {
	return func(k *task, r codearts.BuildRequest) (*codearts.StartedBuild, error) {
		then(k, r)
		return nil, &refusal{text: "connection reset", maybe: true, again: true}
	}
}

// TestRunWhoseCommitIsNamedLater: until the attempt can no longer land, a run whose commit is not named is not taken for ours.
func TestRunWhoseCommitIsNamedLater(t *testing.T) {
	for commit, want := range map[string]int{builtCommit: 1, strings.Repeat("c", 40): 2} {
		w := newWorld(t)
		var unnamed *codearts.JobRun
		w.task.faults = []startFault{lost(func(k *task, _ codearts.BuildRequest) { unnamed = k.begin("", "MANUAL", k.now()) })}
		w.onPause = func() { unnamed.CommitID = &commit }
		w.theBuild(builtCommit)
		w.run()
		w.wantBuild(want)
	}
}

// TestNamedCommitComesFirst: of a run whose commit is not named and one of the commit, the latter is ours.
func TestNamedCommitComesFirst(t *testing.T) {
	w := newWorld(t)
	late := startsLate(w)
	w.task.faults = []startFault{func(k *task, r codearts.BuildRequest) (*codearts.StartedBuild, error) {
		k.begin("", "MANUAL", k.now())
		return late(k, r)
	}}
	w.theBuild(builtCommit)
	w.run()
	w.wantBuild(2)
	if len(w.task.runs) != 2 {
		t.Errorf("%d runs", len(w.task.runs))
	}
}

// TestRunsBegunLongAfter: without a commit, what began when the attempt could no longer land is not ours.
func TestRunsBegunLongAfter(t *testing.T) {
	w := newWorld(t)
	w.task.faults = []startFault{startCutBefore}
	w.theBuild("")
	if err := w.worker(new(tripwire)).Build(t.Context(), w.queue[0].msg); err == nil {
		t.Fatal("the answer was lost")
	}
	w.task.begin("bbbb", "CODE_UPDATE", start.Add(time.Hour))
	w.now = start.Add(2 * time.Hour)
	w.run()
	w.wantBuild(2)
}

// TestLastRun: the number before the first attempt is the one the service names, or the greatest of the list.
func TestLastRun(t *testing.T) {
	number := func(s string) *codearts.Text { return new(codearts.Text(s)) }
	for name, tt := range map[string]struct {
		status *codearts.RunningStatus
		want   int64
		lists  int
	}{
		"named":             {&codearts.RunningStatus{LastBuildNo: number("7"), IsRunning: new(false)}, 7, 0},
		"one is under way":  {&codearts.RunningStatus{LastBuildNo: number("2"), IsRunning: new(true)}, 3, 1},
		"nothing is said":   {&codearts.RunningStatus{}, 3, 1},
		"not a number":      {&codearts.RunningStatus{LastBuildNo: number("x"), IsRunning: new(false)}, 3, 1},
		"greater than list": {&codearts.RunningStatus{LastBuildNo: number("9"), IsRunning: new(true)}, 9, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for range 3 {
				w.task.begin(builtCommit, "MANUAL", start.Add(-time.Minute))
			}
			w.task.last = tt.status
			w.task.faults = []startFault{func(*task, codearts.BuildRequest) (*codearts.StartedBuild, error) { return nil, errCrash }}
			next := w.theBuild(builtCommit)
			_ = w.worker(new(tripwire)).Build(t.Context(), w.queue[0].msg)
			if rec := w.action(next.Key); rec.Baseline == nil || rec.Baseline.BuildNo != tt.want || !rec.inDoubt() {
				t.Errorf("record %+v, baseline %+v", rec, rec.Baseline)
			}
			if got := w.task.lists - 1; got != tt.lists { // one is the look after the attempt
				t.Errorf("%d lists before the attempt, want %d", got, tt.lists)
			}
		})
	}
}
