package effects

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/millrace/millrace/pkg/rules"
)

// alertAction is one reading: a run of its own.
func alertAction(at time.Time, phase string, countdown int, rungs ...int) rules.Action {
	a := action(rules.KindAlert, "alert1")
	a.RunID = rules.RunID("schedule/"+at.Format(time.RFC3339), "package-expiry")
	a.Key = rules.ActionKey(a.RunID, "", "alert1")
	a.Alert = &rules.Alert{
		AlertKey: "package/1", Phase: phase, Countdown: countdown, At: rungs, To: []string{"team", "ops"},
		Title: rules.Text{{Literal: "Package expires in "}, {Value: fmt.Sprint(countdown)}}, ObservedAt: at,
	}
	return a
}

func (w *world) memory() alertRecord {
	w.t.Helper()
	var r alertRecord
	w.record("alert."+rules.Hash("package/1"), &r)
	return r
}

func day(n int) time.Time { return start.AddDate(0, 0, n) }

type reading struct {
	day       int
	phase     string
	countdown int
}

var rungs = []int{30, 14, 7, 3, 1, 0}

func TestAlertOverDays(t *testing.T) {
	for name, tt := range map[string]struct {
		readings   []reading
		want       []string // titles, once each
		generation int
	}{
		"far away": {[]reading{{0, "in effect", 40}, {1, "in effect", 39}}, nil, 1},
		"each rung once": {
			[]reading{{0, "in effect", 31}, {1, "in effect", 30}, {2, "in effect", 29}, {17, "in effect", 14}, {18, "in effect", 13}},
			[]string{"Package expires in 30", "Package expires in 14"},
			1,
		},
		"after an outage only the most urgent": {
			[]reading{{0, "in effect", 30}, {28, "in effect", 2}, {29, "in effect", 1}},
			[]string{"Package expires in 30", "Package expires in 2", "Package expires in 1"},
			1,
		},
		"older readings are ignored": {
			[]reading{{5, "in effect", 5}, {3, "in effect", 31}, {1, "grace", 2}}, []string{"Package expires in 5"}, 1,
		},
		"overdue": {[]reading{{0, "in effect", 0}, {1, "in effect", -1}, {2, "in effect", -9}}, []string{"Package expires in 0"}, 1},
		"renewal": {
			[]reading{{0, "in effect", 3}, {1, "in effect", 2}, {2, "in effect", 300}, {3, "in effect", 299}},
			[]string{"Package expires in 3", "Renewed: Package expires in 300"},
			2,
		},
		"renewal into a rung": {
			[]reading{{0, "in effect", 3}, {1, "in effect", 20}, {2, "in effect", 19}, {7, "in effect", 14}},
			[]string{"Package expires in 3", "Renewed: Package expires in 20", "Package expires in 20", "Package expires in 14"},
			2,
		},
		"a rise of one day above the last rung is one too": {
			[]reading{{0, "in effect", 7}, {1, "in effect", 8}},
			[]string{"Package expires in 7", "Renewed: Package expires in 8", "Package expires in 8"},
			2,
		},
		"a rise below the last rung is none": {
			[]reading{{0, "in effect", 8}, {1, "in effect", 9}, {2, "in effect", 14}}, []string{"Package expires in 8"}, 1,
		},
		"a new phase starts a new ladder": {
			[]reading{{0, "in effect", 0}, {1, "grace", 15}, {2, "grace", 14}, {9, "in effect", 14}},
			[]string{"Package expires in 0", "Package expires in 15", "Package expires in 14", "Package expires in 14"},
			3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, r := range tt.readings {
				w.now = day(r.day)
				w.putAction(alertAction(day(r.day), r.phase, r.countdown, rungs...))
				w.run()
			}
			var got []string
			for i, a := range w.sent {
				if a.Notify.To[0] == "team" {
					got = append(got, a.Notify.Title.Plain())
				}
				if a.Kind != rules.KindNotify || a.Alert != nil || !slices.Contains(w.puts, "work.notify."+a.Notify.To[0]+" "+w.sentKeys[i]) {
					t.Errorf("message %+v", a)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("messages (-want +got):\n%s", d)
			}
			if len(w.sent) != 2*len(tt.want) || w.memory().Generation != tt.generation || w.memory().Pending != nil {
				t.Errorf("%d messages, memory %+v", len(w.sent), w.memory())
			}
		})
	}
}

func TestAlertTellsItsStory(t *testing.T) {
	w := newWorld(t)
	w.putAction(alertAction(start, "in effect", 7, rungs...))
	w.queue = append(w.queue, w.queue[0]) // delivered twice
	w.run()
	var got []string
	for line := range strings.Lines(w.log.String()) {
		_, m, _ := strings.Cut(line, `"message":"`)
		got = append(got, strings.TrimSuffix(m, "\"}\n"))
	}
	want := []string{"alert recorded", "work put", "work put", "alert put", "alert marked", "action done", "message sent", "message sent"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
	if !strings.Contains(w.log.String(), `"outcome":"rung 7","reason":"phase \"in effect\", countdown 7, generation 1"`) {
		t.Error(w.log)
	}
}

// wantLadder checks the messages of a history: every rung of a generation once to each target,
// by its key, but for workers that died between a message and its record.
func (w *world) wantLadder() {
	w.t.Helper()
	seen := map[string]int{}
	for i, a := range w.sent {
		seen[w.sentKeys[i]]++
		if w.sentKeys[i] != rules.WorkKey(a.Key, a.Notify.To[0]) {
			w.t.Errorf("key of message %d is not that of its target", i)
		}
	}
	for key, n := range seen {
		if n > 1+w.excused[key] {
			w.t.Errorf("message %s was sent %d times, %d workers died in the window", key, n, w.excused[key])
		}
	}
}

// ladderModel is the same promise said another way: by looking at all readings that got through.
type ladderModel struct {
	newest int
	phase  string
	lowest int // 1000: none sent
	want   []string
	gen    int
}

func (m *ladderModel) read(r reading) {
	if m.gen > 0 && r.day < m.newest {
		return
	}
	m.newest = r.day
	if m.gen == 0 || r.phase != m.phase {
		m.gen++
		m.phase, m.lowest = r.phase, 1000
	}
	if m.lowest < 1000 && r.countdown > m.lowest {
		m.gen++
		m.lowest = 1000
		m.want = append(m.want, fmt.Sprintf("%d renewed", m.gen))
	}
	due := 1000
	for _, at := range rungs {
		if r.countdown <= at {
			due = min(due, at)
		}
	}
	if due < m.lowest {
		m.lowest = due
		m.want = append(m.want, fmt.Sprintf("%d %d", m.gen, due))
	}
}

// TestAlertOverAnyDowntime is histories of a package over a year: it runs down, is renewed,
// changes phase; readings are lost for days, come late and come twice, and workers die anywhere.
func TestAlertOverAnyDowntime(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 6))
		w, m := newWorld(t), &ladderModel{}
		countdown, phase := 60, "in effect"
		var late []reading
		for d := range 120 {
			w.now = day(d)
			switch countdown--; {
			case r.IntN(25) == 0:
				countdown += r.IntN(60)
			case countdown < 0:
				phase, countdown = map[string]string{"in effect": "grace", "grace": "frozen", "frozen": "in effect"}[phase], 20
			}
			now := reading{d, phase, countdown}
			if r.IntN(4) == 0 {
				continue // the worker was down
			}
			if r.IntN(10) == 0 {
				late = append(late, now)
				continue
			}
			if len(late) > 0 && r.IntN(3) == 0 {
				w.read(r, m, late[0])
				late = late[1:]
			}
			w.read(r, m, now)
			if r.IntN(5) == 0 {
				w.read(r, m, now)
			}
		}
		w.wantModel(m)
		w.wantLadder()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// read takes one reading in, with a worker that dies at some call, perhaps. Its messages are not
// sent here: what counts is what was put.
func (w *world) read(r *rand.Rand, m *ladderModel, x reading) {
	w.t.Helper()
	m.read(x)
	w.putAction(alertAction(day(x.day), x.phase, x.countdown, rungs...))
	w.run(&tripwire{at: r.IntN(20), after: r.IntN(2) == 0}, &tripwire{at: r.IntN(20), after: r.IntN(2) == 0})
}

func (w *world) wantModel(m *ladderModel) {
	w.t.Helper()
	// The keys of a message name generation and step; the phase is that of the generation.
	known := map[string]string{}
	for _, phase := range []string{"in effect", "grace", "frozen"} {
		for gen := range m.gen + 1 {
			for _, step := range []string{"renewed", "30", "14", "7", "3", "1", "0"} {
				known[rules.Hash("package/1", phase, fmt.Sprint(gen), step)] = fmt.Sprintf("%d %s", gen, step)
			}
		}
	}
	var got []string
	for _, a := range w.sent {
		if step := known[a.Key]; a.Notify.To[0] == "team" && !slices.Contains(got, step) {
			got = append(got, step)
		}
	}
	// No order is promised: a message whose worker died waits until that one can only be dead.
	want := slices.Sorted(slices.Values(m.want))
	slices.Sort(got)
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		w.t.Errorf("steps (-want +got):\n%s", d)
	}
}
