package effects

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// TestCommitRefusedForGood: the failure is explained, nothing more is tried, and those that
// asked to hear of it do.
func TestCommitRefusedForGood(t *testing.T) {
	someone := func(r *repo, action, path string) {
		if _, err := r.land(codearts.CommitRequest{
			Message: "mine", AuthorName: "Ann", Actions: []codearts.FileAction{{Action: action, FilePath: path}},
		}, start); err != nil {
			t.Fatal(err)
		}
	}
	file := func(action, last string) func(*rules.Commit) {
		return func(c *rules.Commit) {
			c.Actions = []rules.FileAction{{Action: action, FilePath: "a.md", LastCommitID: last}}
		}
	}
	first := fmt.Sprintf("%040d", 1)
	for name, tt := range map[string]struct {
		prepare func(r *repo)
		change  func(c *rules.Commit)
		class   string
		reason  string
		calls   int
	}{
		"file exists": {
			func(r *repo) { someone(r, "create", "a.md") }, file("create", ""), ClassConflict,
			"a.md exists already (last changed by Ann in " + first + ")", 1,
		},
		"file exists, and the service says something else": {
			func(r *repo) {
				someone(r, "create", "a.md")
				r.faults = []fault{func(*repo, codearts.CommitRequest) (*codearts.Commit, error) {
					return nil, &refusal{text: "CH.4711"}
				}}
			},
			file("create", ""), ClassConflict, "a.md exists already", 1,
		},
		"file changed": {
			func(r *repo) { someone(r, "create", "a.md"); someone(r, "update", "a.md") }, file("update", first), ClassConflict,
			"a.md was changed since (last changed by Ann in " + fmt.Sprintf("%040d", 2) + ")", 1,
		},
		"file deleted": {
			func(r *repo) { someone(r, "create", "a.md"); someone(r, "delete", "a.md") }, file("update", first), ClassConflict,
			"a.md is not there any more", 1,
		},
		"conflict nobody can explain": {
			func(r *repo) {
				r.faults = []fault{func(*repo, codearts.CommitRequest) (*codearts.Commit, error) {
					return nil, &refusal{text: "no", kind: codearts.ErrConflict}
				}}
			},
			file("create", ""), ClassConflict, "a file was changed since, or exists already", 1,
		},
		"repository gone": {func(r *repo) { r.gone = true }, file("create", ""), ClassGone, "the repository or the branch is gone", 0},
		"branch to be made, repository gone": {
			func(r *repo) { r.gone = true },
			func(c *rules.Commit) { file("create", "")(c); c.StartBranch = "main" }, ClassGone, "is gone", 1,
		},
		"refused": {
			func(r *repo) {
				r.faults = []fault{func(*repo, codearts.CommitRequest) (*codearts.Commit, error) {
					return nil, &refusal{text: "protected branch"}
				}}
			},
			file("create", ""), "fake", "protected branch", 1,
		},
		"not fenced":         {func(*repo) {}, file("update", ""), ClassRefused, "no last_commit_id", 0},
		"nothing to fence":   {func(*repo) {}, file("chmod", ""), ClassRefused, "nothing in it fails", 0},
		"force":              {func(*repo) {}, func(c *rules.Commit) { c.Force = true }, ClassRefused, "nothing in it fails", 0},
		"unknown connection": {func(*repo) {}, func(c *rules.Commit) { c.Connection = "mars" }, "exhausted", `no connection "mars"`, 0},
		"no message":         {func(*repo) {}, func(c *rules.Commit) { c.Message = " \n" }, ClassRefused, "no message", 0},
		"long message":       {func(*repo) {}, func(c *rules.Commit) { c.Message = strings.Repeat("界", 1990) }, ClassSize, "CodeArts takes 2000", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.prepare(w.repo)
			note := commitAction("note", "a.md")
			tt.change(note.Commit)
			w.decide(note, waitingNotify("told", "", "note"), waitingNotify("sorry", "failed", "note"))
			w.run()
			w.wantDead(tt.class, tt.reason)
			if w.repo.calls != tt.calls {
				t.Errorf("%d calls, want %d", w.repo.calls, tt.calls)
			}
			rec := w.action(note.Key)
			if rec.State != stateFailed || rec.Class != tt.class || rec.inDoubt() {
				t.Errorf("record %+v", rec)
			}
			if len(w.sent) != 2 || w.sent[0].ID != "sorry" || !strings.Contains(w.sent[0].Notify.Text.Plain(), tt.reason) {
				t.Errorf("sent %+v", w.sent)
			}
			if told := w.action(rules.ActionKey(note.RunID, "", "told")); told.State != stateSkipped || !strings.Contains(told.Error, tt.reason) {
				t.Errorf("told: %+v", told)
			}
		})
	}
}

func TestAtLeastOnceNeedsNoFence(t *testing.T) {
	c := &rules.Commit{AtLeastOnce: true, Force: true, Actions: []rules.FileAction{{Action: "update", FilePath: "a"}}}
	if err := checkFences(c); err != nil {
		t.Error(err)
	}
	c = &rules.Commit{Actions: []rules.FileAction{
		{Action: "create", FilePath: "a"},
		{Action: "update", FilePath: "a"},
		{Action: "move", PreviousPath: "a", FilePath: "b"},
		{Action: "delete", FilePath: "b"},
		{Action: "chmod", FilePath: "c"},
	}}
	if err := checkFences(c); err != nil {
		t.Error(err)
	}
}

// TestExhausted: what was in doubt when it was given up says so.
func TestExhausted(t *testing.T) {
	w := newWorld(t)
	for range 30 {
		w.repo.faults = append(w.repo.faults, cutBefore)
	}
	note := w.theStory()
	w.run()
	w.wantDead("exhausted", "outcome unknown")
	rec := w.action(note.Key)
	if rec.State != stateFailed || rec.OutcomeKnown || rec.Attempt != 20 || !strings.Contains(rec.Error, "may have been carried out all the same") {
		t.Errorf("record %+v", rec)
	}
	if took := w.now.Sub(start); took < 19*90*time.Second {
		t.Errorf("20 attempts within %s: they did not wait for each other", took)
	}
	if second := w.action(rules.ActionKey(note.RunID, "", "second")); second.State != stateSkipped {
		t.Errorf("second: %+v", second)
	}
	if both := w.action(rules.ActionKey(note.RunID, "", "both")); both.State != stateSkipped {
		t.Errorf("both: %+v", both)
	}
}

// TestDeathWhileBurying: a message whose action failed comes again when the worker died before
// its dead letter was written, and fails again in the same way.
func TestDeathWhileBurying(t *testing.T) {
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			w, tw := newWorld(t), &tripwire{at: k, after: after}
			w.repo.gone = true
			note := w.theStory()
			w.run(tw)
			w.wantDead(ClassGone, "the repository or the branch is gone")
			if rec := w.action(note.Key); rec.State != stateFailed || rec.Class != ClassGone {
				t.Errorf("record %+v", rec)
			}
			got := map[string]bool{}
			for _, a := range w.sent {
				got[a.ID+" to "+a.Notify.To[0]] = true
			}
			if len(got) != 2 || !got["sorry to team"] || !got["sorry to ops"] {
				t.Errorf("sent %v", got)
			}
			for _, id := range []string{"second", "told", "both"} {
				if rec := w.action(rules.ActionKey(note.RunID, "", id)); rec.State != stateSkipped {
					t.Errorf("%s: %+v", id, rec)
				}
			}
			if t.Failed() {
				t.Fatalf("died at call %d, after=%t\n%s", k, after, w.log)
			}
			if !tw.dead {
				break
			}
		}
	}
}

// TestBuriedMessageFailsAgain: the same for what nothing waits for.
func TestBuriedMessageFailsAgain(t *testing.T) {
	n := action(rules.KindNotify, "notify1")
	n.Notify = &rules.Notify{To: []string{"nobody"}}
	for kind, a := range map[string]rules.Action{"notify": n, "alert": alertAction(start, "in effect", 7, 7)} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			w.putAction(a)
			m := w.queue[0]
			e := w.worker(new(tripwire))
			if err := e.Buried(t.Context(), m.msg, "given up", ClassTarget); err != nil {
				t.Fatal(err)
			}
			var f *FinalError
			if err := w.handle(e, m); !errors.As(err, &f) || f.Class() != ClassTarget || !strings.Contains(err.Error(), "given up") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBuriedLeavesWhatIsDone(t *testing.T) {
	w := newWorld(t)
	note := w.theStory()
	m := w.queue[0].msg
	w.run()
	if err := w.worker(new(tripwire)).Buried(t.Context(), m, "given up", "exhausted"); err != nil {
		t.Fatal(err)
	}
	if rec := w.action(note.Key); rec.State != stateDone {
		t.Errorf("record %+v", rec)
	}
}

func TestBuriedMarksMessagesAndAlerts(t *testing.T) {
	w := newWorld(t)
	w.notifyErr = final("auth", "the robot is gone")
	n := action(rules.KindNotify, "notify1")
	n.Notify = &rules.Notify{To: []string{"team", "nobody"}}
	w.putAction(n)
	w.run()
	if len(w.dead) != 2 || w.dead[0].class != "auth" || w.dead[1].class != ClassTarget {
		t.Errorf("dead letters %+v", w.dead)
	}
	for _, target := range n.Notify.To {
		if rec := w.action(rules.WorkKey(n.Key, target)); rec.State != stateFailed || rec.Key != n.Key {
			t.Errorf("record for %s: %+v", target, rec)
		}
	}
	a := alertAction(start, "in effect", 7, 7)
	data, _ := json.Marshal(a)
	if err := w.worker(new(tripwire)).Buried(t.Context(), Message{Data: data}, "given up", "exhausted"); err != nil {
		t.Fatal(err)
	}
	if rec := w.action(a.Key); rec.State != stateFailed || rec.Error != "given up" {
		t.Errorf("record %+v", rec)
	}
	if err := w.worker(new(tripwire)).Buried(t.Context(), Message{Data: []byte("{")}, "unreadable", "message"); err != nil {
		t.Errorf("a message that cannot be read: %v", err)
	}
}

// TestLateCommitOverridesFailure: a commit that is there is done, whatever was believed.
func TestLateCommitOverridesFailure(t *testing.T) {
	w := newWorld(t)
	note := w.theStory()
	e := w.worker(new(tripwire))
	c := &commitRun{once: once{e: e, a: &note, log: e.log}}
	c.message, _ = commitMessage(&note)
	if _, err := c.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.worker(new(tripwire)).Buried(t.Context(), w.queue[0].msg, "given up", "exhausted"); err != nil {
		t.Fatal(err)
	}
	if err := c.finish(t.Context(), &codearts.Commit{ID: "0123456789abcdef"}); err != nil {
		t.Fatal(err)
	}
	if rec := w.action(note.Key); rec.State != stateDone || rec.Result.ShortID != "01234567" {
		t.Errorf("record %+v", rec)
	}
}

func TestBreaker(t *testing.T) {
	w := newWorld(t)
	run := func(i int) rules.Action {
		a := commitAction("note", fmt.Sprintf("builds/%d.md", i))
		a.RunID = rules.RunID(fmt.Sprintf("src/%d", i), "record")
		a.Key = rules.ActionKey(a.RunID, "", "note")
		a.Accepted = w.now
		w.decide(a)
		return a
	}
	var actions []rules.Action
	for i := range 11 {
		actions = append(actions, run(i))
	}
	w.run()
	w.wantDead(ClassBreaker, "rule record has made 10 commits to 2111@main within 1h0m0s")
	if len(w.repo.list) != 10 || w.action(actions[10].Key).State != stateFailed {
		t.Fatalf("%d commits", len(w.repo.list))
	}
	// Another branch is another matter, and so is an hour later.
	other := commitAction("note", "other.md")
	other.RunID = rules.RunID("src/other", "record")
	other.Key, other.Commit.Branch = rules.ActionKey(other.RunID, "", "note"), "release"
	w.decide(other)
	w.run()
	w.now = start.Add(time.Hour + time.Second)
	run(12)
	w.run()
	if len(w.repo.list) != 12 || len(w.dead) != 1 {
		t.Errorf("%d commits, dead letters %+v", len(w.repo.list), w.dead)
	}
	var rec breakerRecord
	if !w.record("breaker."+rules.Hash("record", "", "2111", "main"), &rec) || len(rec.Commits) != 10 {
		t.Errorf("breaker record %+v", rec)
	}
	// An action that has been counted passes again.
	e := w.worker(new(tripwire))
	if err := e.pass(t.Context(), &actions[9]); err != nil {
		t.Error(err)
	}
}
