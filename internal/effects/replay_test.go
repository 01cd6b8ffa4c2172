package effects

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/rules"
)

func (w *world) reopen(a rules.Action, key string, force bool) Standing {
	w.t.Helper()
	if err := Reopen(w.t.Context(), w.store, &a, key, Reopening{Force: force, Now: w.now}); err != nil {
		w.t.Fatal(err)
	}
	s, err := ReadStanding(w.t.Context(), w.store, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// timesSent counts the messages by action.
func (w *world) timesSent() map[string]int {
	n := map[string]int{}
	for _, a := range w.sent {
		n[a.ID]++
	}
	return n
}

// A commit that failed is made after all, with what was skipped for want of it; the message that it failed is not sent again.
func TestReopen(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		w.repo.faults = append(w.repo.faults, cutBefore)
	}
	note := commitAction("note", "a.md")
	node, err := json.Marshal(commitAction("second", "b.md").Commit)
	if err != nil {
		t.Fatal(err)
	}
	second := action(rules.KindCommit, "second")
	second.Waits, second.Deferred = []string{"note"}, &rules.Deferred{Node: node}
	w.decide(note, second, waitingNotify("told", "", "note"), waitingNotify("sorry", "failed", "note"), waitingNotify("both", "", "second"))
	m := w.queue[0]
	w.run()
	w.wantDead("exhausted", "outcome unknown")
	if diff := cmp.Diff(map[string]int{"sorry": 2}, w.timesSent()); diff != "" {
		t.Fatalf("sent before (-want +got):\n%s", diff)
	}
	for range 2 { // once more than needed: who replays may die in between
		if s := w.reopen(note, note.Key, false); !s.InDoubt || s.State != stateStarted || s.Error != "" || s.Forced != nil {
			t.Errorf("%+v: the doubt must stay", s)
		}
		if rec := w.action(second.Key); rec.State != stateStarted {
			t.Errorf("what was skipped: %+v", rec)
		}
	}
	m.msg.Attempts = 0
	w.queue = append(w.queue, m)
	w.run()
	for range 2 {
		if rec := w.action(note.Key); rec.State != stateDone || w.repo.ours(note.Key) != 1 || w.repo.ours(second.Key) != 1 {
			t.Errorf("record %+v, %d and %d commits", rec, w.repo.ours(note.Key), w.repo.ours(second.Key))
		}
		if s := w.reopen(note, note.Key, false); !s.Done() || s.Result.ID == "" {
			t.Errorf("what is done: %+v", s)
		}
	}
	if diff := cmp.Diff(map[string]int{"sorry": 2, "told": 2, "both": 2}, w.timesSent()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if s := w.reopen(note, "absent", false); s.State != "" {
		t.Errorf("what was never begun: %+v", s)
	}
}

// What is done is done again only by force, which its record keeps to the end.
func TestReopenByForce(t *testing.T) {
	for _, tt := range []struct {
		name string
		a    rules.Action
		// times tells how often its effect is there; again how often after it was forced once.
		times func(w *world, a rules.Action) int
		again int
	}{
		{"commit, found by its trailer", commitAction("note", "a.md"), func(w *world, a rules.Action) int { return w.repo.ours(a.Key) }, 1},
		{"build", buildAction("next", builtCommit), func(w *world, _ rules.Action) int { return w.task.calls }, 2},
		{"message", notifyTo("ops"), func(w *world, _ rules.Action) int { return len(w.sent) }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.decide(tt.a)
			m := w.queue[0]
			_, key, err := ReadAction(m.msg)
			if err != nil {
				t.Fatal(err)
			}
			play := func(want, forced int) {
				t.Helper()
				w.queue = append(w.queue, m)
				w.run()
				s, err := ReadStanding(t.Context(), w.store, key)
				if n := tt.times(w, tt.a); err != nil || n != want || !s.Done() || len(s.Forced) != forced {
					t.Errorf("%d times, want %d; %+v, %v", n, want, s, err)
				}
			}
			w.run()
			w.reopen(tt.a, key, false)
			play(1, 0)
			w.reopen(tt.a, key, true)
			play(tt.again, 1)
			delete(w.store.data, actionSubject(key)) // after three weeks
			delete(w.store.rev, actionSubject(key))
			for i := range keptForced + 2 {
				w.now = w.now.Add(time.Hour)
				s := w.reopen(tt.a, key, true)
				if i == 0 && (s.State != stateStarted || len(s.Forced) != 1) {
					t.Errorf("forgotten: %+v", s)
				}
				w.queue = append(w.queue, m)
				w.run()
			}
			if s, _ := ReadStanding(t.Context(), w.store, key); len(s.Forced) != keptForced ||
				!slices.IsSortedFunc(s.Forced, func(a, b rules.Forced) int { return a.At.Compare(b.At) }) || !s.Forced[keptForced-1].At.Equal(w.now) {
				t.Errorf("%+v: want the last %d", s, keptForced)
			}
		})
	}
}

func notifyTo(target string) rules.Action {
	a := action(rules.KindNotify, "notify1")
	a.Notify = &rules.Notify{To: []string{target}, Text: rules.Text{{Literal: "hello"}}}
	return a
}

// An action that could not be put once its results were there is put after all, and what waited for it goes on.
func TestReplayOfWhatCouldNotBePut(t *testing.T) {
	w := newWorld(t)
	note := commitAction("note", "a.md")
	node, err := json.Marshal(commitAction("second", "b.md").Commit)
	if err != nil {
		t.Fatal(err)
	}
	second := action(rules.KindCommit, "second")
	second.Waits, second.Deferred = []string{"note"}, &rules.Deferred{Node: node}
	w.decide(note, second, waitingNotify("after", "", "second"))
	e := w.worker(new(tripwire))
	e.seams.Work = narrow{e.seams.Work, "second"}
	if err := e.Commit(t.Context(), w.queue[0].msg); err != nil {
		t.Fatal(err)
	}
	w.queue = w.queue[1:]
	e.seams.Work = mortal{w, new(tripwire)}
	failure := Message{Header: map[string]string{headerKey: second.Key, HeaderFailed: "too large"}, Data: encode(t, second)}
	if err := e.Commit(t.Context(), failure); err == nil {
		t.Fatal("a message that was put to become a dead letter does not")
	}
	a, key, err := ReadAction(failure)
	if err != nil || key != second.Key || a.Deferred == nil {
		t.Fatalf("%+v, key %q, %v", a, key, err)
	}
	again := failure
	again.Header = maps.Clone(failure.Header)
	delete(again.Header, HeaderFailed)
	if err := e.Commit(t.Context(), again); err == nil {
		t.Error("it is put although its record says that it has failed")
	}
	w.reopen(*a, key, false)
	if err := e.Commit(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	w.run()
	if rec := w.action(second.Key); rec.State != stateDone || w.repo.ours(second.Key) != 1 || w.timesSent()["after"] != 2 {
		t.Errorf("record %+v, sent %v, log:\n%s", rec, w.timesSent(), w.log)
	}
	if err := e.Commit(t.Context(), again); err != nil {
		t.Errorf("what is done: %v", err)
	}
}

func encode(t *testing.T, a rules.Action) []byte {
	t.Helper()
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadActionRefuses(t *testing.T) {
	for _, data := range []string{"", "{}", `{"v":1,"key":"k","kind":"commit"}`, `{"v":9,"key":"k","deferred":{}}`} {
		if a, key, err := ReadAction(Message{Data: []byte(data)}); err == nil {
			t.Errorf("%s: %+v, %q", data, a, key)
		}
	}
}
