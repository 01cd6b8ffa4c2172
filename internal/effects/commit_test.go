package effects

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// action is an action of the run on the event "src/1".
func action(kind, id string) rules.Action {
	run := rules.RunID("src/1", "record")
	return rules.Action{
		V: 1, Key: rules.ActionKey(run, "", id), ID: id, Kind: kind, EventID: "src/1", RunID: run, Rule: "record",
		Accepted: start, Chain: events.Chain{Depth: 1, Origin: "src/0", Action: "x"},
	}
}

func commitAction(id, path string) rules.Action {
	a := action(rules.KindCommit, id)
	a.Commit = &rules.Commit{
		RepoID: "2111", Branch: "main", Message: "note the failure", AuthorName: "bot", WebURL: "https://repo.example/shop/orders/",
		Actions: []rules.FileAction{{Action: "create", FilePath: path, Content: "x"}},
	}
	return a
}

func waitingNotify(id, condition string, waits ...string) rules.Action {
	a := action(rules.KindNotify, id)
	a.Waits, a.Deferred = waits, &rules.Deferred{If: condition}
	return a
}

// decide writes the run record and puts what waits for nothing, as the engine does.
func (w *world) decide(actions ...rules.Action) {
	w.t.Helper()
	d := rules.Decision{V: 1, RunID: actions[0].RunID, EventID: "src/1", Rule: "record", Outcome: rules.OutcomeActed, Items: []rules.Item{
		{Key: "other", Actions: []rules.Action{{Key: "other", ID: "note"}}},
		{Key: "", Fired: true, Actions: actions},
	}}
	w.write("run."+d.RunID, d)
	for _, a := range actions {
		if len(a.Waits) == 0 {
			w.putAction(a)
		}
	}
}

// theStory is one commit, and messages of each kind that wait for it.
func (w *world) theStory() rules.Action {
	note := commitAction("note", "builds/17.md")
	second := action(rules.KindCommit, "second")
	node, err := json.Marshal(commitAction("second", "builds/18.md").Commit)
	if err != nil {
		w.t.Fatal(err)
	}
	second.Waits, second.Deferred = []string{"note"}, &rules.Deferred{Node: node}
	w.decide(
		note, second,
		waitingNotify("told", "", "note"),
		waitingNotify("both", "", "note", "second"),
		waitingNotify("sorry", "failed", "note"),
	)
	return note
}

// wantStory checks what must be true at the end of theStory, whatever happened.
func (w *world) wantStory() {
	w.t.Helper()
	for _, id := range []string{"note", "second"} {
		key := rules.ActionKey(rules.RunID("src/1", "record"), "", id)
		if n := w.ours(key); n != 1 {
			w.t.Errorf("%d commits of %s, want 1", n, id)
		}
		rec := w.action(key)
		if rec.State != stateDone || rec.Result == nil {
			w.t.Errorf("record of %s: %+v", id, rec)
			continue
		}
		var own commitRecord
		if !w.record("commit."+rules.Hash(rec.Result.ID), &own) {
			w.t.Errorf("commit %s of %s has no record", rec.Result.ID, id)
		}
		want := commitRecord{
			V: 1, Key: key, EventID: "src/1", RunID: rules.RunID("src/1", "record"), Rule: "record",
			Chain: events.Chain{Depth: 1, Origin: "src/0", Action: "x"}, Depth: 2, Origin: "src/0",
		}
		if d := cmp.Diff(want, own); d != "" {
			w.t.Errorf("commit record of %s (-want +got):\n%s", id, d)
		}
	}
	got := map[string]int{}
	for _, a := range w.sent {
		got[a.ID+" to "+a.Notify.To[0]]++
	}
	for _, want := range []string{"told to team", "told to ops", "both to team", "both to ops"} {
		if got[want] == 0 {
			w.t.Errorf("%s was never sent", want)
		}
		delete(got, want)
	}
	if len(got) > 0 {
		w.t.Errorf("sent what should not be: %v", got)
	}
	if rec := w.action(rules.ActionKey(rules.RunID("src/1", "record"), "", "sorry")); rec.State != stateSkipped || rec.Error == "" {
		w.t.Errorf("record of sorry: %+v", rec)
	}
	if len(w.dead) > 0 {
		w.t.Errorf("dead letters: %+v", w.dead)
	}
}

func TestCommitOnceInEveryFailureMode(t *testing.T) {
	for name, tt := range map[string]struct {
		faults []string
		calls  int
	}{
		"nothing":                       {nil, 2},
		"cut after the effect":          {[]string{"cut after"}, 2},
		"cut before the effect":         {[]string{"cut before"}, 3},
		"late":                          {[]string{"late"}, 2},
		"late, each":                    {[]string{"late", "late"}, 2},
		"very late, refused by a fence": {[]string{"cut before", "overtaken"}, 3},
		"unknown error":                 {[]string{"unknown"}, 3},
		"throttled":                     {[]string{"throttled", "throttled"}, 4},
		"all of it":                     {[]string{"throttled", "cut before", "unknown", "late"}, 5},
		"cut after, again and again":    {[]string{"cut before", "cut after", "cut before", "cut after"}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			kinds := map[string]fault{
				"cut after": cutAfter, "cut before": cutBefore, "late": lands30sLate(w), "unknown": unknownError, "throttled": throttled,
				"overtaken": overtaken,
			}
			for _, f := range tt.faults {
				w.repo.faults = append(w.repo.faults, kinds[f])
			}
			w.theStory()
			w.run()
			w.wantStory()
			if w.repo.calls != tt.calls {
				t.Errorf("%d calls to commit, want %d", w.repo.calls, tt.calls)
			}
			if took := w.now.Sub(start); name == "throttled" && took != 14*time.Second {
				t.Errorf("took %s: what was refused for certain is not waited out", took)
			}
			if n := len(w.sent); n != 4 {
				t.Errorf("%d messages sent, want 4: nobody died", n)
			}
		})
	}
}

func TestCommitSurvivesTwoDeaths(t *testing.T) {
	const calls = 40
	for first := 1; first <= calls; first++ {
		for second := 1 + first%2; second <= calls; second += 2 {
			w := newWorld(t)
			w.theStory()
			w.run(&tripwire{at: first, after: first%2 == 0}, &tripwire{at: second, after: second%3 == 0})
			w.wantStory()
			if t.Failed() {
				t.Fatalf("died at calls %d and %d:\n%s", first, second, w.log)
			}
		}
	}
}

// TestUnfencedCommitIsWaitedOut: where no fence can help, waiting and looking back still do.
func TestUnfencedCommitIsWaitedOut(t *testing.T) {
	w := newWorld(t)
	w.repo.faults = []fault{lands30sLate(w), lands30sLate(w)}
	if _, err := w.repo.land(codearts.CommitRequest{Message: "m", Actions: []codearts.FileAction{{Action: "create", FilePath: "a.md"}}}, start); err != nil {
		t.Fatal(err)
	}
	note := commitAction("note", "a.md")
	note.Commit.AtLeastOnce = true
	note.Commit.Actions = []rules.FileAction{{Action: "chmod", FilePath: "a.md"}}
	w.decide(note)
	w.run()
	if w.repo.ours(note.Key) != 1 || w.action(note.Key).State != stateDone || w.repo.calls != 1 {
		t.Errorf("%d commits after %d calls", w.repo.ours(note.Key), w.repo.calls)
	}
}

func TestCommitTellsItsStory(t *testing.T) {
	w := newWorld(t)
	note := commitAction("note", "builds/17.md")
	w.decide(note, waitingNotify("told", "", "note"))
	w.run()
	var got []string
	for line := range strings.Lines(w.log.String()) {
		var l struct{ Level, Message, EventID, Key string }
		if err := json.Unmarshal([]byte(strings.ReplaceAll(line, "event_id", "EventID")), &l); err != nil {
			t.Fatal(err)
		}
		if l.EventID != "src/1" || l.Key == "" {
			t.Errorf("line without event or key: %s", line)
		}
		got = append(got, l.Level+" "+l.Message)
	}
	want := []string{
		"info action started", "debug commit sent", "debug commit answered", "info action done",
		"debug work put", "debug work put", "info message sent", "info message sent",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
	rec := w.action(note.Key)
	if got, want := rec.Result.WebURL, "https://repo.example/shop/orders/commits/detail/"+rec.Result.ID; got != want {
		t.Errorf("web_url %q, want %q", got, want)
	}
	if !slices.Equal(w.sent[0].Notify.To, []string{"team"}) || w.sentKeys[0] != rules.WorkKey(w.sent[0].Key, "team") {
		t.Errorf("message %+v under key %s", w.sent[0], w.sentKeys[0])
	}
}

func TestCommitWaitsForAnotherOwner(t *testing.T) {
	w := newWorld(t)
	note := w.theStory()
	rec := newActionRecord(&note, stateStarted, start)
	rec.Owner, rec.Attempt, rec.SentAt, rec.OutcomeKnown = "somebody else", 1, start.Add(-10*time.Second), false
	w.write(actionSubject(note.Key), rec)

	e := w.worker(new(tripwire))
	err := e.Commit(t.Context(), w.queue[0].msg)
	var park *ParkError
	if !errors.As(err, &park) {
		t.Fatalf("got %v, want to be parked", err)
	}
	if until, _ := park.Park(); !until.Equal(start.Add(80 * time.Second)) {
		t.Errorf("parked until %s, want client timeout and settle after it was sent", until)
	}
	if w.repo.calls != 0 {
		t.Error("sent while another attempt may land")
	}
	t.Run("it does land", func(t *testing.T) {
		if _, err := w.repo.land(codearts.CommitRequest{
			Message: rules.WithTrailer("note the failure", note.Key),
			Actions: []codearts.FileAction{{Action: "create", FilePath: "builds/17.md"}},
		}, w.now); err != nil {
			t.Fatal(err)
		}
		w.run()
		w.wantStory()
		if w.now.After(start.Add(time.Second)) {
			t.Errorf("waited until %s for what was there", w.now)
		}
	})
}

func TestCommitTakesOverWhatIsNotInDoubt(t *testing.T) {
	w := newWorld(t)
	note := w.theStory()
	rec := newActionRecord(&note, stateStarted, start)
	rec.Owner = "somebody else"
	w.write(actionSubject(note.Key), rec)
	w.run()
	w.wantStory()
	if w.now != start || w.action(note.Key).Owner != "worker-1" {
		t.Errorf("at %s, record %+v", w.now, w.action(note.Key))
	}
}

// TestPausedOwnerDoesNotSend is two workers in the same place: the one that was paused before
// it recorded its attempt cannot record it any more.
func TestPausedOwnerDoesNotSend(t *testing.T) {
	w := newWorld(t)
	note := w.theStory()
	slow := w.worker(new(tripwire))
	c := &commitRun{once: once{e: slow, a: &note, log: slow.log}}
	c.message, _ = commitMessage(&note)
	if over, err := c.begin(t.Context()); over || err != nil {
		t.Fatal(over, err)
	}
	w.run()
	w.wantStory()
	calls := w.repo.calls
	if err := c.send(t.Context()); err != errRaced { //nolint:errorlint // the very error is meant
		t.Errorf("send: %v", err)
	}
	if w.repo.calls != calls {
		t.Error("it sent")
	}
}

// slowStore lets time pass while an attempt is recorded.
type slowStore struct {
	Records
	pause func()
}

func (s slowStore) Update(ctx context.Context, subject string, data []byte, rev uint64) (uint64, error) {
	defer s.pause()
	return s.Records.Update(ctx, subject, data, rev)
}

func TestOwnerPausedAfterRecordingDoesNotSend(t *testing.T) {
	w := newWorld(t)
	note := w.theStory()
	e := w.worker(new(tripwire))
	e.seams.Records = slowStore{e.seams.Records, func() { w.now = w.now.Add(20 * time.Second) }}
	err := e.Commit(t.Context(), w.queue[0].msg)
	if err == nil || w.repo.calls != 0 {
		t.Fatalf("sent %d times: %v", w.repo.calls, err)
	}
	if rec := w.action(note.Key); rec.inDoubt() || rec.Error == "" {
		t.Errorf("record %+v", rec)
	}
	w.run()
	w.wantStory()
}

func TestLookBackPages(t *testing.T) {
	w := newWorld(t)
	note := w.theStory()
	w.repo.list = append(w.repo.list, landed{commit: codearts.Commit{ID: "old", Message: rules.WithTrailer("before the event", note.Key)}, at: start.Add(-time.Hour)})
	if _, err := w.repo.land(codearts.CommitRequest{Message: rules.WithTrailer("m", note.Key)}, start); err != nil {
		t.Fatal(err)
	}
	for i := range 250 {
		w.repo.list = append(w.repo.list, landed{commit: codearts.Commit{ID: strconv.Itoa(i), Message: "Millrace-Action: " + note.Key}, at: start})
	}
	w.run()
	if w.action(note.Key).Result.ID != fmt.Sprintf("%040d", 2) || w.repo.calls != 1 {
		t.Errorf("found %+v after %d calls", w.action(note.Key).Result, w.repo.calls)
	}
}

func TestLookBackIsBounded(t *testing.T) {
	w := newWorld(t)
	w.settings.LookbackPages = 2
	note := commitAction("note", "builds/17.md")
	w.decide(note, waitingNotify("sorry", "failed", "note"))
	for i := range 200 {
		w.repo.list = append(w.repo.list, landed{commit: codearts.Commit{ID: strconv.Itoa(i), Message: "m"}, at: start})
	}
	w.run()
	w.wantDead(ClassLookback, "more than 200 commits since")
	if w.repo.calls != 0 || len(w.sent) != 2 {
		t.Errorf("%d calls, %d messages", w.repo.calls, len(w.sent))
	}
}

func (w *world) wantDead(class, reason string) {
	w.t.Helper()
	if len(w.dead) != 1 || w.dead[0].class != class || !strings.Contains(w.dead[0].reason, reason) {
		w.t.Errorf("dead letters %+v, want one of class %s with %q", w.dead, class, reason)
	}
}
