package effects

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// recordSeeds are whole, broken and hostile records of every kind.
func recordSeeds() []string {
	var seeds []string
	add := func(rec any) {
		data, _ := json.Marshal(rec)
		seeds = append(seeds, string(data))
	}
	note, alert := commitAction("note", "a.md"), alertAction(start, "in effect", 7, 7)
	for _, state := range []string{stateStarted, stateDone, stateFailed, stateSkipped, "else"} {
		rec := newActionRecord(&note, state, start)
		rec.Owner, rec.SentAt, rec.OutcomeKnown = "w", start, false
		rec.Result = &actionResult{ID: "1"}
		add(rec)
	}
	add(newCommitRecord(&note))
	add(breakerRecord{V: 1, Commits: []breakerEntry{{"k", start}}})
	add(breakerRecord{V: 1, Commits: []breakerEntry{{}}})
	next, _ := new(alertRecord).next(&alert)
	add(next)
	add(alertRecord{V: 1, AlertMemory: rules.AlertMemory{Generation: 1, Rungs: []int{7, 7}}, Pending: &rules.AlertStep{}})
	add(rules.Decision{V: 1, RunID: note.RunID, Items: []rules.Item{{Actions: []rules.Action{note, waitingNotify("told", "", "note", "lost")}}}})
	return append(seeds, "", "null", "{}", "[]", `{"v":2}`, `{"v":-1}`, `{"v":1}`, `{"v":"1"}`, `{"v":1,"state":"done","kind":"commit"}`,
		`{"v":1,"state":"started","sent_at":"yesterday"}`, `{"v":1,"generation":1,"pending":{"action":{"key":"k","kind":"notify","notify":{"to":["a b"]}}}}`,
		`{"v":1,"state":"started","attempt":-1}`, `{"v":1,"items":[{"actions":[{"key":"k","waits":["note"]}]}]}`)
}

// FuzzRecords puts anything where records should be and lets every handler meet it: none
// panics, none guesses, and whatever one does write can be read again.
func FuzzRecords(f *testing.F) {
	for _, s := range recordSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		note, alert := commitAction("note", "a.md"), alertAction(start, "in effect", 7, 7)
		notify := action(rules.KindNotify, "notify1")
		notify.Notify = &rules.Notify{To: []string{"team"}}
		subjects := []string{
			actionSubject(note.Key), "run." + note.RunID, "breaker." + rules.Hash("record", "", "2111", "main"),
			"alert." + rules.Hash("package/1"), actionSubject(alert.Key), actionSubject(rules.WorkKey(notify.Key, "team")),
		}
		for _, corrupt := range subjects {
			w := newWorld(t)
			for _, a := range []rules.Action{note, alert, notify} {
				w.decide(a)
			}
			if _, err := w.store.Update(t.Context(), corrupt, data, w.store.rev[corrupt]); err != nil {
				t.Fatal(err)
			}
			messages := slices.Clone(w.queue)
			e := w.worker(new(tripwire))
			for _, m := range messages {
				wantVerdict(t, w.handle(e, m))
				wantVerdict(t, e.Buried(t.Context(), m.msg, "given up", "exhausted"))
				wantVerdict(t, w.handle(e, m))
			}
			if w.repo.ours(note.Key) > 1 {
				t.Errorf("two commits with %s corrupt", corrupt)
			}
		}
	})
}

// wantVerdict checks that an error says what is to become of the message.
func wantVerdict(t *testing.T, err error) {
	t.Helper()
	var (
		f *FinalError
		p *ParkError
		r *RetryError
	)
	if err != nil && !errors.As(err, &f) && !errors.As(err, &p) && !errors.As(err, &r) {
		t.Errorf("error without a verdict: %v", err)
	}
}

func FuzzMessage(f *testing.F) {
	for _, a := range []rules.Action{commitAction("note", "a.md"), alertAction(start, "in effect", 7, 7), waitingNotify("told", "", "note")} {
		data, _ := json.Marshal(a)
		f.Add(data)
	}
	f.Add([]byte(`{"v":1,"key":"k","kind":"notify","notify":{}}`))
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t)
		e := w.worker(new(tripwire))
		m := Message{Data: data}
		for _, err := range []error{
			e.Commit(t.Context(), m), e.Alert(t.Context(), m), e.Notify(t.Context(), m), e.Buried(t.Context(), m, "given up", "exhausted"),
		} {
			var named interface{ Class() string }
			if err != nil && !errors.As(err, &named) {
				wantVerdict(t, err)
			}
		}
	})
}

func TestCorruptRecordIsFinal(t *testing.T) {
	for _, data := range []string{"{", `{"v":0,"state":"done"}`, `{"v":1,"state":"paused"}`, `{"v":1,"state":"done","kind":"commit"}`} {
		w := newWorld(t)
		note := w.theStory()
		if _, err := w.store.Create(t.Context(), actionSubject(note.Key), []byte(data)); err != nil {
			t.Fatal(err)
		}
		w.run()
		w.wantDead(ClassRecord, "record action."+note.Key+" is corrupt")
		if rec := w.action(note.Key); rec.State != stateFailed || w.repo.calls != 0 {
			t.Errorf("record %+v, %d calls", rec, w.repo.calls)
		}
	}
}

func TestNewerRecordIsLeftToANewerWorker(t *testing.T) {
	w := newWorld(t)
	note := w.theStory()
	if _, err := w.store.Create(t.Context(), actionSubject(note.Key), []byte(`{"v":2,"state":{"name":"started"}}`)); err != nil {
		t.Fatal(err)
	}
	e := w.worker(new(tripwire))
	m := w.queue[0].msg
	for _, err := range []error{e.Commit(t.Context(), m), e.Buried(t.Context(), m, "given up", "exhausted")} {
		var r *RetryError
		if !errors.As(err, &r) || !strings.Contains(err.Error(), "format 2, newer than this worker's 1") {
			t.Errorf("got %v", err)
		}
	}
}

func TestRunRecordGone(t *testing.T) {
	w := newWorld(t)
	note := commitAction("note", "a.md")
	w.putAction(note)
	w.run()
	w.wantDead(ClassRecord, "record run."+note.RunID+" is gone")
	if rec := w.action(note.Key); rec.State != stateDone || w.repo.ours(note.Key) != 1 {
		t.Errorf("record %+v: the commit is there all the same", rec)
	}
}

func TestDeferredThatCannotBeRendered(t *testing.T) {
	w := newWorld(t)
	note := commitAction("note", "a.md")
	w.decide(note, waitingNotify("told", "broken", "note"))
	w.run()
	rec := w.action(rules.ActionKey(note.RunID, "", "told"))
	if rec.State != stateFailed || rec.Class != ClassEvaluation || rec.Error != "render action told: no such field" {
		t.Errorf("record %+v", rec)
	}
	w.wantDead(ClassEvaluation, "render action told: no such field")
	if !strings.Contains(w.log.String(), `"reason":"render action told: no such field","class":"evaluation","message":"action failed"`) {
		t.Error(w.log)
	}
}

func TestNotify(t *testing.T) {
	n := action(rules.KindNotify, "notify1")
	n.Notify = &rules.Notify{To: []string{"team", "ops", "team"}, Title: rules.Text{{Literal: "hello"}}}
	t.Run("once", func(t *testing.T) {
		w := newWorld(t)
		w.putAction(n)
		w.queue = append(w.queue, w.queue...)
		w.run()
		if len(w.sent) != 2 || len(w.dead) != 0 {
			t.Errorf("%d messages", len(w.sent))
		}
	})
	t.Run("retried", func(t *testing.T) {
		w := newWorld(t)
		w.putAction(n)
		w.notifyErr = &refusal{text: "busy", again: true, wait: 5 * time.Second}
		e := w.worker(new(tripwire))
		err := e.Notify(t.Context(), w.queue[0].msg)
		var r *refusal
		if !errors.As(err, &r) || err.Error() != "notify team: busy" {
			t.Errorf("got %v", err)
		}
		w.notifyErr = nil
		w.run()
		if len(w.sent) != 2 {
			t.Errorf("%d messages", len(w.sent))
		}
	})
	t.Run("repeated only in the window", func(t *testing.T) {
		for _, after := range []bool{false, true} {
			for k := 1; k <= 8; k++ {
				w := newWorld(t)
				w.putAction(n)
				w.run(&tripwire{at: k, after: after})
				w.wantLadder()
				if len(w.sent) < 2 || len(w.sent) > 3 {
					t.Errorf("died at %d, after=%t: %d messages", k, after, len(w.sent))
				}
			}
		}
	})
}
