package effects

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// story is something to be done, and what must be true at the end of it, whatever happened on the way.
type story struct {
	name  string
	begin func(w *world)
	want  func(w *world)
}

func stories() []story {
	all := []story{{
		name: "alert",
		begin: func(w *world) {
			for i, r := range []reading{{0, "in effect", 7}, {1, "in effect", 20}} {
				w.now = day(r.day)
				w.putAction(alertAction(day(r.day), r.phase, r.countdown, rungs...))
				if i == 0 {
					w.run()
				}
			}
		},
		want: func(w *world) {
			m := &ladderModel{}
			m.read(reading{0, "in effect", 7})
			m.read(reading{1, "in effect", 20})
			w.wantModel(m)
			if rec := w.memory(); rec.Pending != nil || rec.Generation != 2 {
				w.t.Errorf("memory %+v", rec)
			}
		},
	}, {
		name: "commit refused for good",
		begin: func(w *world) {
			if _, err := w.repo.land(codearts.CommitRequest{Message: "m", Actions: []codearts.FileAction{{Action: "create", FilePath: "builds/17.md"}}}, start); err != nil {
				w.t.Fatal(err)
			}
			w.decide(commitAction("note", "builds/17.md"), waitingNotify("told", "", "note"), waitingNotify("sorry", "failed", "note"))
		},
		want: func(w *world) {
			w.wantOneEach("sorry to team", "sorry to ops")
			if rec := w.action(rules.ActionKey(rules.RunID("src/1", "record"), "", "note")); rec.State != stateFailed || len(w.repo.list) != 1 || len(w.dead) == 0 {
				w.t.Errorf("record %+v, %d commits, dead letters %v", rec, len(w.repo.list), w.dead)
			}
		},
	}}
	for _, faults := range []string{"", "late", "cut after", "cut before", "throttled", "nameless"} {
		build := story{
			name: "build " + faults,
			begin: func(w *world) {
				if f := map[string]startFault{
					"late": startsLate(w), "cut after": startCutAfter, "cut before": startCutBefore, "throttled": startThrottled, "nameless": startNameless,
				}[faults]; f != nil {
					w.task.faults = []startFault{f}
				}
				w.theBuild(builtCommit)
			},
			want: func(w *world) {
				w.wantBuild(1)
				if len(w.task.runs) != 1 {
					w.t.Errorf("%d runs", len(w.task.runs))
				}
			},
		}
		if all = append(all, build); faults == "nameless" {
			continue // a commit has its id
		}
		all = append(all, story{
			name: "commit " + faults,
			begin: func(w *world) {
				if f := map[string]fault{"late": lands30sLate(w), "cut after": cutAfter, "cut before": cutBefore, "throttled": throttled}[faults]; f != nil {
					w.repo.faults = []fault{f}
				}
				w.theStory()
			},
			want: func(w *world) {
				w.wantStory()
				w.wantOneEach("told to team", "told to ops", "both to team", "both to ops")
			},
		})
	}
	return all
}

// wantOneEach checks that these messages and no others were sent, each once, but for those who had no way to know.
func (w *world) wantOneEach(want ...string) {
	w.t.Helper()
	got := map[string]int{}
	for i, a := range w.sent {
		name := a.ID + " to " + a.Notify.To[0]
		if got[name]++; got[name] > 1+w.excused[w.sentKeys[i]] {
			w.t.Errorf("%s was sent %d times, excused %d", name, got[name], w.excused[w.sentKeys[i]])
		}
	}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, slices.Sorted(slices.Values(want))) {
		w.t.Errorf("sent %q, want %q", names, want)
	}
}

// alternate has two workers handle messages in turn, until none is left. One that dies is followed by an immortal one.
func (w *world) alternate(wires ...*tripwire) {
	w.t.Helper()
	fresh := func() *Effects { return w.worker(new(tripwire)) }
	workers := []*Effects{w.worker(wires[0]), w.worker(wires[1])}
	for turn := range 4000 {
		i := w.due()
		if i < 0 {
			return
		}
		e, m := workers[turn%2], w.queue[i]
		err := w.handle(e, m)
		if errors.Is(err, errCrash) {
			workers[turn%2] = fresh()
			continue
		}
		// Meanwhile another one may have done it.
		if i = slices.IndexFunc(w.queue, func(o work) bool { return o.copy == m.copy }); i >= 0 {
			w.verdict(e, i, err, fresh)
		}
	}
	w.t.Fatalf("no end of it\n%s", w.log)
}

// everywhere plays a story again and again, with the n-th call going wrong, for every n there is.
func everywhere(t *testing.T, s story, play func(w *world, n int) (hit bool)) {
	t.Helper()
	for n := 1; ; n++ {
		w := newWorld(t)
		s.begin(w)
		for _, m := range w.queue { // each message twice, as after a death between two puts
			m.copy = -m.copy
			w.queue = append(w.queue, m)
		}
		hit := play(w, n)
		s.want(w)
		if t.Failed() {
			t.Fatalf("at call %d:\n%s", n, w.log)
		}
		if !hit {
			if n < 10 {
				t.Fatalf("%d calls: the tripwire is broken", n)
			}
			return
		}
	}
}

// TestDeathAnywhere: two workers take turns; one dies, or both do, before or after any call of theirs. Each thing is done once.
func TestDeathAnywhere(t *testing.T) {
	for _, s := range stories() {
		for _, after := range []bool{false, true} {
			for _, both := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, after=%t, both=%t", s.name, after, both), func(t *testing.T) {
					everywhere(t, s, func(w *world, n int) bool {
						first, second := &tripwire{at: n, after: after}, new(tripwire)
						if both {
							second = &tripwire{at: n, after: !after}
						}
						w.alternate(first, second)
						return first.hit
					})
				})
			}
		}
	}
}

// TestNoAnswerAnywhere: any one call of a store, of work or of the service comes to nothing, or is carried out and its answer lost, while the
// worker lives on.
func TestNoAnswerAnywhere(t *testing.T) {
	for _, s := range stories() {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after=%t", s.name, after), func(t *testing.T) {
				everywhere(t, s, func(w *world, n int) bool {
					first := &tripwire{at: n, after: after, lives: true}
					w.alternate(first, new(tripwire))
					return first.hit
				})
			})
		}
	}
}

// TestPauseAnywhere: a worker stands still before or after any call, another one does all there is to do, for as long as it takes, and then the
// first goes on with what it believes.
func TestPauseAnywhere(t *testing.T) {
	for _, s := range stories() {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after=%t", s.name, after), func(t *testing.T) {
				everywhere(t, s, func(w *world, n int) bool {
					first := &tripwire{at: n, after: after}
					first.meanwhile = func() {
						before := w.now
						if w.unrecorded != nil {
							w.excused[w.unrecorded()]++
						}
						w.run()
						first.slept = w.now.Sub(before)
					}
					w.alternate(first, new(tripwire))
					return first.hit
				})
			})
		}
	}
}
