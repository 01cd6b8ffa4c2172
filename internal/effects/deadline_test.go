package effects

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// late lets so much time go by before a worker comes.
func (w *world) late(d time.Duration) { w.now = w.now.Add(d) }

func message(targets ...string) rules.Action {
	n := action(rules.KindNotify, "notify1")
	n.Accepted = start
	n.Notify = &rules.Notify{To: targets, Title: rules.Text{{Literal: "Built"}}}
	return n
}

func TestDeadlines(t *testing.T) {
	kinds := map[string]time.Duration{rules.KindNotify: 24 * time.Hour}
	for name, tt := range map[string]struct {
		change func(*rules.Action)
		header string
		after  time.Duration
		want   string // the reason, "" when it is sent
	}{
		"in time":            {after: 24 * time.Hour},
		"a week old":         {after: 7 * 24 * time.Hour, want: "notify notify1 is too late: its event was accepted at 2026-05-04T03:02:01Z, 7d0h ago, and its deadline is 24h0m0s after that"},
		"as the rule says":   {change: func(a *rules.Action) { a.Deadline = "2h" }, after: 3 * time.Hour, want: "3h0m0s ago, and its deadline is 2h0m0s after that"},
		"longer, by rule":    {change: func(a *rules.Action) { a.Deadline = "336h" }, after: 7 * 24 * time.Hour},
		"it waited itself":   {change: func(a *rules.Action) { a.Since = start.Add(7 * 24 * time.Hour) }, after: 7*24*time.Hour + time.Hour},
		"it waited, and too": {change: func(a *rules.Action) { a.Since = start.Add(time.Hour) }, after: 26 * time.Hour, want: "what it waited for was there at"},
		"replayed":           {header: start.Add(7 * 24 * time.Hour).Format(time.RFC3339), after: 7*24*time.Hour + time.Hour},
		"replayed, and late": {header: start.Add(time.Hour).Format(time.RFC3339), after: 26 * time.Hour, want: "it was replayed at"},
		"odd header":         {header: "yesterday", after: 25 * time.Hour, want: "its event was accepted at"},
		"odd deadline":       {change: func(a *rules.Action) { a.Deadline = "soon" }, after: 25 * time.Hour, want: "its deadline is 24h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.settings.Deadline = kinds
			n := message("team")
			if tt.change != nil {
				tt.change(&n)
			}
			w.putAction(n)
			if tt.header != "" {
				w.queue[0].msg.Header[HeaderReplayed] = tt.header
			}
			w.late(tt.after)
			w.run()
			rec := w.action(rules.WorkKey(n.Key, "team"))
			if tt.want == "" {
				if len(w.sent) != 1 || len(w.dead) != 0 || rec.State != stateDone {
					t.Errorf("sent %v, dead %v, record %+v", w.sent, w.dead, rec)
				}
				return
			}
			if len(w.sent) != 0 || len(w.dead) != 1 || w.dead[0].class != ClassExpired || !strings.Contains(w.dead[0].reason, strings.ReplaceAll(tt.want, "2026-05-04T03:02:01Z", start.UTC().Format(time.RFC3339))) {
				t.Errorf("sent %v, dead %+v", w.sent, w.dead)
			}
			if rec.State != stateFailed || rec.Class != ClassExpired {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

// Who waits for a commit that came too late is told that it failed, and that message has a time of its own.
func TestExpiredCommitTellsWhoWaits(t *testing.T) {
	w := newWorld(t)
	w.settings.Deadline = map[string]time.Duration{rules.KindCommit: time.Hour, rules.KindNotify: time.Hour}
	note := commitAction("note", "a.md")
	note.Accepted = start
	sorry := waitingNotify("sorry", "failed", "note")
	sorry.Accepted = start
	w.decide(note, sorry)
	w.late(48 * time.Hour)
	w.run()
	w.wantDead(ClassExpired, "commit note is too late: its event was accepted at 2026-04-01T08:00:00Z, 2d0h ago, and its deadline is 1h0m0s after that")
	if rec := w.action(note.Key); rec.State != stateFailed || w.repo.calls != 0 {
		t.Errorf("%d calls, record %+v", w.repo.calls, rec)
	}
	if len(w.sent) != 2 || w.sent[0].ID != "sorry" {
		t.Errorf("sent %+v", w.sent)
	}
}

// What was sent comes first: a commit that was made by a worker that died is found, however late it is then; one that was not is never made.
func TestDeadlineOfACommitInDoubt(t *testing.T) {
	made, expired := 0, 0
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			w := newWorld(t)
			w.settings.Deadline = map[string]time.Duration{rules.KindCommit: time.Hour}
			note := commitAction("note", "a.md")
			w.decide(note)
			tw := &tripwire{at: at, after: after}
			if err := w.handle(w.worker(tw), w.queue[0]); !tw.dead {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			w.late(48 * time.Hour)
			w.run()
			rec := w.action(note.Key)
			switch w.ours(note.Key) {
			case 1:
				made++
				if rec.State != stateDone || len(w.dead) != 0 {
					t.Errorf("killed at call %d: made, dead letters %v, record %+v", at, w.dead, rec)
				}
			case 0:
				expired++
				if rec.State != stateFailed || len(w.dead) != 1 || w.dead[0].class != ClassExpired {
					t.Errorf("killed at call %d: not made, dead letters %v, record %+v", at, w.dead, rec)
				}
			default:
				t.Errorf("killed at call %d: made twice", at)
			}
		}
	}
	if made == 0 || expired == 0 {
		t.Errorf("made %d times, expired %d times: want both", made, expired)
	}
}

// dated is a reading of a day, of an event accepted then.
func dated(n, countdown int) rules.Action {
	a := alertAction(day(n), "in effect", countdown, rungs...)
	a.Accepted = day(n)
	return a
}

// A reading that comes too late changes nothing that is remembered: the next one says what is due.
func TestLateReadingIsNotTakenIn(t *testing.T) {
	w := newWorld(t)
	w.settings.Deadline = map[string]time.Duration{rules.KindAlert: 24 * time.Hour, rules.KindNotify: 24 * time.Hour}
	w.putAction(dated(0, 7))
	w.late(48 * time.Hour)
	w.run()
	w.wantDead(ClassExpired, "alert alert1 is too late")
	if m := w.memory(); m.Generation != 0 {
		t.Errorf("memory %+v", m)
	}
	w.putAction(dated(2, 5))
	w.run()
	if len(w.sent) != 2 || w.sent[0].Notify.Title.Plain() != "Package expires in 5" {
		t.Errorf("sent %+v", w.sent)
	}
}

// A rung whose message came too late for one of two targets is due again with the next reading: the one is told then, the other not twice,
// whatever dies in between.
func TestLateRungIsDueAgain(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at := 1; at < 200; at++ {
			tw := &tripwire{at: at, after: after}
			testLateRung(t, tw)
			if t.Failed() {
				t.Fatalf("killed at call %d, after it: %t", at, after)
			}
			if !tw.dead {
				break
			}
		}
	}
}

func testLateRung(t *testing.T, tw *tripwire) {
	w := newWorld(t)
	w.settings.Deadline = map[string]time.Duration{rules.KindAlert: 24 * time.Hour, rules.KindNotify: 24 * time.Hour}
	w.putAction(dated(0, 7))
	e := w.worker(new(tripwire))
	if err := e.Alert(t.Context(), w.queue[0].msg); err != nil {
		t.Fatal(err)
	}
	if err := e.Notify(t.Context(), w.queue[1].msg); err != nil {
		t.Fatal(err)
	}
	w.queue = w.queue[2:] // to the other one
	w.now = day(2)
	w.run(tw)
	if m := w.memory(); len(m.Rungs) != 0 || m.Generation != 1 || len(w.dead) != 1 || w.dead[0].class != ClassExpired {
		t.Errorf("memory %+v, dead letters %+v", m, w.dead)
	}
	w.putAction(dated(2, 5))
	w.run(new(tripwire))
	w.putAction(dated(3, 4))
	w.run(new(tripwire))
	var got []string
	for _, a := range w.sent {
		got = append(got, a.Notify.To[0]+": "+a.Notify.Title.Plain())
	}
	if want := "team: Package expires in 7, ops: Package expires in 5"; strings.Join(got, ", ") != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if m := w.memory(); len(m.Rungs) != 1 || m.Rungs[0] != 7 || m.Pending != nil {
		t.Errorf("memory %+v", m)
	}
}
