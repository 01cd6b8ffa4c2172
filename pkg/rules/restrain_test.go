package rules

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

func TestRestraints(t *testing.T) {
	r := compileRule(t, notifyAll)
	if most, pause := r.Limit(); most != 600 || pause != 10*time.Minute || r.LatestOnly() || r.Throttle() != 0 {
		t.Errorf("by default: %d, %s, %t, %s", most, pause, r.LatestOnly(), r.Throttle())
	}
	r = compileRule(t, "throttle: { key: a, per: 90s }\nlatest_only: true\nlimit: { matches_per_minute: 3, pause: 2m }\n"+notifyAll)
	if most, pause := r.Limit(); most != 3 || pause != 2*time.Minute || !r.LatestOnly() || r.Throttle() != 90*time.Second {
		t.Errorf("as it says: %d, %s, %t, %s", most, pause, r.LatestOnly(), r.Throttle())
	}
}

// slot is a run whose event was accepted so many minutes after the others'.
func slot(name string, minutes int) ThrottleSlot {
	return ThrottleSlot{RunID: name, EventID: "e/" + name, At: testNow.Add(time.Duration(minutes) * time.Minute)}
}

func TestThrottleMemory(t *testing.T) {
	var m ThrottleMemory
	for _, c := range []struct {
		run     string
		minutes int
		holder  string // "": it has the slot
	}{
		{"a", 0, ""},
		{"a", 0, ""}, // redelivered
		{"b", 59, "a"},
		{"c", 60, ""},
		{"d", -59, "a"},
		{"e", -60, ""}, // decided late, and far enough from all others
		{"b", 59, "a"},
		{"a", 0, ""}, // it was decided later than c, and finds its own slot
		{"f", 30, "a"},
		{"g", 120, ""},
	} {
		next, holder, changed := m.Take(slot(c.run, c.minutes), time.Hour)
		got := ""
		if holder != nil {
			got = holder.RunID
		}
		if got != c.holder || changed != (holder == nil && len(next.Slots) > len(m.Slots)) {
			t.Errorf("run %s after %d min: held by %q, want %q", c.run, c.minutes, got, c.holder)
		}
		m = next
	}
	// It remembers few, and refuses what it cannot know.
	for i := range 40 {
		m, _, _ = m.Take(slot(fmt.Sprint("later", i), 1000+60*i), time.Hour)
	}
	if len(m.Slots) != maxSlots {
		t.Errorf("%d slots", len(m.Slots))
	}
	if _, holder, changed := m.Take(slot("old", 0), time.Hour); holder == nil || changed {
		t.Error("an event older than all that is remembered has a slot")
	}
	if next, holder, changed := m.Take(slot("new", 1000+60*40), time.Hour); holder != nil || !changed || len(next.Slots) != maxSlots || m.Slots[0] == next.Slots[0] {
		t.Error("the newest event has none")
	}
}

// TestThrottleInAnyOrder: in whatever order runs ask, and however often, no two that act are nearer than per.
func TestThrottleInAnyOrder(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var m ThrottleMemory
		acts := map[string]ThrottleSlot{}
		for range 200 {
			i := r.IntN(60)
			s := slot(fmt.Sprint(i), i*11%240)
			next, holder, changed := m.Take(s, time.Hour)
			if holder == nil {
				acts[s.RunID] = s
			}
			if !changed && len(next.Slots) != len(m.Slots) {
				t.Fatal("unchanged memory changed")
			}
			m = next
		}
		for a, one := range acts {
			for b, other := range acts {
				if a != b && one.At.Sub(other.At).Abs() < time.Hour {
					t.Fatalf("seed %d: %v and %v both act", seed, one, other)
				}
			}
		}
	}
}

func TestThrottledDecision(t *testing.T) {
	const body = `
for_each: { in: event.commits, key: item.id }
throttle: { key: "${{ event.branch }}/${{ item.author.name }}", per: 1h }
when: item.message != "skip"
do:
  - { if: "item.message != 'quiet'", notify: { to: ops, title: t, text: x } }
`
	view := pushView()
	view.Commits = nil
	for i, c := range []struct{ author, message string }{{"mei", "one"}, {"lin", "two"}, {"mei", "three"}, {"bo", "skip"}, {"bo", "quiet"}} {
		view.Commits = append(view.Commits, events.Commit{ID: ptr(fmt.Sprint("c", i)), Message: ptr(c.message), Author: &events.Person{Name: ptr(c.author)}})
	}
	d := decide(t, begin(t, compileRule(t, body), view))
	if diff := cmp.Diff([]string{"release/1.2/mei", "release/1.2/lin"}, d.ThrottleKeys()); diff != "" {
		t.Error(diff)
	}
	holder := slot("other", 3)
	acting := func() (keys []string) {
		for _, item := range d.Items {
			if len(item.Actions) > 0 {
				keys = append(keys, item.Key)
			}
		}
		return keys
	}
	d.Throttled("release/1.2/mei", time.Hour, &holder)
	if got := acting(); d.Outcome != OutcomeActed || d.Items[0].Throttled == "" || len(got) != 1 || got[0] != "c1" {
		t.Errorf("%s: %v act", d.Outcome, got)
	}
	d.Throttled("release/1.2/lin", time.Hour, &holder)
	want := `the rule acts once in 1h under the key "release/1.2/lin", and did so for event e/other, accepted 2026-04-01T08:34:00Z`
	if d.Outcome != OutcomeActed || d.Items[1].Throttled != want {
		t.Errorf("%s (the fifth item fired, and had nothing to do): %s", d.Outcome, d.Items[1].Throttled)
	}
	view.Commits = view.Commits[:1]
	d = decide(t, begin(t, compileRule(t, "mode: shadow\n"+body), view))
	d.Throttled("release/1.2/mei", time.Hour, &holder)
	if d.Outcome != OutcomeThrottled || !strings.HasPrefix(d.Reason, "the rule acts once in 1h") || d.ThrottleKeys() != nil || !d.Items[0].Fired {
		t.Errorf("%+v", d)
	}
	_, err := begin(t, compileRule(t, "throttle: { key: \"${{ event.tag == null ? '' : event.tag }}\", per: 1h }\n"+notifyAll), view).Decide()
	if err == nil || !strings.Contains(err.Error(), "throttle.key: wanted 1 to 500 characters, got 0") {
		t.Errorf("an empty key: %v", err)
	}
}

func TestThrottleID(t *testing.T) {
	live, shadow := compileRule(t, notifyAll), compileRule(t, "mode: shadow\n"+notifyAll)
	ids := map[string]bool{live.ThrottleID("a"): true, live.ThrottleID("b"): true, shadow.ThrottleID("a"): true}
	if len(ids) != 3 {
		t.Errorf("%v", ids)
	}
}

func TestLatestMemory(t *testing.T) {
	at := func(id string, seconds int) LatestEvent {
		return LatestEvent{EventID: id, At: testNow.Add(time.Duration(seconds) * time.Second)}
	}
	rule, own := compileRule(t, notifyAll), compileRule(t, "on_own_commits: true\n"+notifyAll)
	var m LatestMemory
	see := func(e LatestEvent, ours, want bool) {
		t.Helper()
		next, changed := m.See(e, ours)
		if changed != want {
			t.Errorf("event %s: changed %t", e.EventID, changed)
		}
		m = next
	}
	overtaken := func(e LatestEvent, r *Rule, want string) {
		t.Helper()
		got := ""
		if by := m.Overtook(e, r); by != nil {
			got = by.EventID
		}
		if got != want {
			t.Errorf("event %s was overtaken by %q, want %q", e.EventID, got, want)
		}
	}
	overtaken(at("a", 0), rule, "")
	see(at("a", 0), false, true)
	see(at("a", 0), false, false) // redelivered
	overtaken(at("a", 0), rule, "")
	see(at("b", 5), true, true) // ours
	overtaken(at("a", 0), rule, "")
	overtaken(at("a", 0), own, "b")
	overtaken(at("b", 5), own, "")
	see(at("c", 5), false, true) // accepted at the same moment
	overtaken(at("b", 5), own, "c")
	overtaken(at("c", 5), own, "")
	see(at("0", 5), false, false)
	overtaken(at("0", 5), rule, "c")
	see(at("late", 1), false, false) // accepted before, matched after
	overtaken(at("late", 1), rule, "c")
	overtaken(at("a", 0), rule, "c")
}

func TestLatestID(t *testing.T) {
	base := func() *events.View {
		v := pushView()
		v.Build = &events.Build{JobID: ptr("j")}
		v.MergeRequest = &events.MergeRequest{IID: ptr(int64(3))}
		return v
	}
	id := func(change func(v *events.View)) string {
		v := base()
		change(v)
		got, ok := LatestID(v)
		if ok != (got != "") {
			t.Errorf("%q, %t", got, ok)
		}
		return got
	}
	same := id(func(*events.View) {})
	for name, change := range map[string]func(v *events.View){
		"commit, author, path": func(v *events.View) { v.After, v.Author, v.Repository.Path = nil, nil, ptr("renamed/orders") },
	} {
		if id(change) != same {
			t.Errorf("%s: it is about something else", name)
		}
	}
	seen := map[string]string{same: "the first"}
	for name, change := range map[string]func(v *events.View){
		"source":        func(v *events.View) { v.Source = "x" },
		"type":          func(v *events.View) { v.Type = "x" },
		"repository":    func(v *events.View) { v.Repository.ID = ptr("1") },
		"path only":     func(v *events.View) { v.Repository.ID = nil },
		"branch":        func(v *events.View) { v.Branch = ptr("x") },
		"tag":           func(v *events.View) { v.Branch, v.Tag = nil, v.Branch },
		"merge request": func(v *events.View) { v.MergeRequest.IID = ptr(int64(4)) },
		"task":          func(v *events.View) { v.Build.JobID = ptr("k") },
		"schedule":      func(v *events.View) { v.Schedule = &events.Schedule{ID: ptr("s")} },
		"schedule 2":    func(v *events.View) { v.Schedule = &events.Schedule{ID: ptr("t")} },
	} {
		got := id(change)
		if other, taken := seen[got]; taken || got == "" {
			t.Errorf("another %s: like %s", name, other)
		}
		seen[got] = name
	}
	for name, change := range map[string]func(v *events.View){
		"repository": func(v *events.View) { v.Repository = nil },
		"its id":     func(v *events.View) { v.Repository.ID, v.Repository.Path = nil, nil },
		"branch":     func(v *events.View) { v.Branch = nil },
	} {
		if got := id(change); got != "" {
			t.Errorf("without a %s it is about something", name)
		}
	}
}

func TestLatestMatters(t *testing.T) {
	text := "rules:\n"
	for i, on := range []string{"push", `"merge_request.*"`, `[tag_push, "unknown.pipe*"]`, "{ schedule: { every: 1h } }"} {
		text += fmt.Sprintf("  - { name: r%d, on: %s, latest_only: true, do: [{ notify: { to: ops, title: t, text: x } }] }\n", i, on)
	}
	text += `  - { name: off, on: note.commit, latest_only: true, mode: "off", do: [{ notify: { to: ops, title: t, text: x } }] }` + "\n"
	text += "  - { name: other, on: branch_delete, do: [{ notify: { to: ops, title: t, text: x } }] }\n"
	rs := compileFiles(t, File{Name: "r.yaml", Data: []byte(text)})
	for kind, want := range map[string]bool{
		"push": true, "merge_request.open": true, "tag_push": true, "unknown.pipeline": true, tickType: true,
		"unknown.wiki": false, "note.commit": false, "branch_delete": false,
	} {
		if got := rs.LatestMatters(kind); got != want {
			t.Errorf("%s: %t", kind, got)
		}
	}
}

func TestMeter(t *testing.T) {
	rs := compileFiles(t, File{Name: "r.yaml", Data: []byte("rules:\n" +
		"  - { name: r, on: push, limit: { matches_per_minute: 3, pause: 5m }, do: [{ notify: { to: ops, title: t, text: x } }] }\n" +
		"  - { name: s, on: push, do: [{ notify: { to: ops, title: t, text: x } }] }\n")})
	var m Meter
	minute := testNow.Truncate(time.Minute)
	at := func(seconds int) time.Time { return minute.Add(time.Duration(seconds) * time.Second) }
	count := func(seconds int, want string) {
		t.Helper()
		p, resumed := m.Count(rs, rs.Rule("r"), fmt.Sprint("e/", seconds), at(seconds))
		got := "runs"
		switch {
		case p != nil && p.Began:
			got = "pauses"
		case p != nil:
			got = "paused"
		case resumed:
			got = "resumes"
		}
		if got != want {
			t.Errorf("an event after %d s: %s, want %s", seconds, got, want)
		}
	}
	for _, c := range []struct {
		seconds int
		want    string
	}{
		{0, "runs"},
		{10, "runs"},
		{59, "runs"},
		{60, "runs"},    // the next minute
		{30, "pauses"},  // the fourth of the first, out of order
		{29, "paused"},  // the fifth, from before: it is the same pause, which ends when it did
		{31, "paused"},  //
		{59, "runs"},    // it ran before, and is handed out again
		{0, "runs"},     //
		{30, "paused"},  //
		{329, "paused"}, //
		{330, "resumes"},
		{331, "runs"},
		{332, "runs"},
		{333, "pauses"},
		{10 * 60, "paused"},
		{11 * 60, "resumes"},
		{11*60 + 1, "runs"},
	} {
		count(c.seconds, c.want)
	}
	if p, _ := m.Count(rs, rs.Rule("s"), "e/0", at(0)); p != nil {
		t.Error("another rule is paused")
	}
	other := compileFiles(t, File{Name: "r.yaml", Data: []byte("rules:\n" +
		"  - { name: r, on: push, limit: { matches_per_minute: 1 }, do: [{ notify: { to: ops, title: t, text: x } }] }\n")})
	if p, _ := m.Count(other, other.Rule("r"), "e/a", at(11*60+2)); p != nil {
		t.Error("with another ruleset it begins anew")
	}
	p, _ := m.Count(other, other.Rule("r"), "e/b", at(11*60+3))
	if p == nil || !p.Began {
		t.Fatal("not paused")
	}
	d := p.Decision(Input{EventID: "e/1", Digest: "d", Now: testNow})
	want := "the rule is paused for events accepted from 2026-04-01T08:42:03Z until 2026-04-01T08:52:03Z: more than 1 fitted it within one minute"
	if d.Outcome != OutcomePaused || d.Reason != want || d.RunID != RunID("e/1", "r") || d.Rule != "r" || !d.At.Equal(testNow) || d.V != FormatVersion {
		t.Errorf("%+v", d)
	}
}

// TestMeterBacklog: what was accepted over hours may be matched at once.
func TestMeterBacklog(t *testing.T) {
	rs := compileFiles(t, File{Name: "r.yaml", Data: []byte("rules:\n  - { name: r, on: push, do: [{ notify: { to: ops, title: t, text: x } }] }\n")})
	var m Meter
	for i := range 100_000 {
		if p, _ := m.Count(rs, rs.Rule("r"), fmt.Sprint("e/", i), testNow.Add(time.Duration(i)*110*time.Millisecond)); p != nil {
			t.Fatalf("paused at event %d: %s", i, p.Reason())
		}
	}
}
