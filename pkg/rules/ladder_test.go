package rules

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAlertMemory is the ladder alone; internal/effects tests it over a year with workers that die.
func TestAlertMemory(t *testing.T) {
	start := time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)
	reading := func(day int, phase string, countdown int) *Action {
		return &Action{Kind: KindAlert, Alert: &Alert{
			AlertKey: "k", Phase: phase, Countdown: countdown, At: []int{14, 7, 3}, To: []string{"team"},
			Title: Text{{Literal: "left: "}, {Value: fmt.Sprint(countdown)}}, ObservedAt: start.AddDate(0, 0, day),
		}}
	}
	var m AlertMemory
	var got []string
	for _, a := range []*Action{
		reading(0, "on", 20), reading(1, "on", 6), reading(1, "on", 6), reading(0, "on", 2), reading(2, "on", 9), reading(3, "grace", 9), reading(4, "grace", 3),
	} {
		for {
			next, say, changed := m.Next(a)
			m = next
			if say == nil {
				if again, _, changes := m.Next(a); changes || cmp.Diff(m, again) != "" {
					t.Errorf("%+v says more of the same reading", a.Alert)
				}
				break
			}
			if !changed || say.Action.Notify == nil || say.Action.Alert != nil {
				t.Errorf("%+v", say)
			}
			got = append(got, fmt.Sprintf("%d %t %s", say.Rung, say.Renewed, say.Action.Notify.Title.Plain()))
		}
	}
	want := []string{"7 false left: 6", "7 true Renewed: left: 9", "14 false left: 9", "14 false left: 9", "3 false left: 3"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if m.Generation != 3 || m.Phase != "grace" || m.Countdown != 3 {
		t.Errorf("%+v", m)
	}
}
