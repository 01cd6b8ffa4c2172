package rules

import (
	"fmt"
	"slices"
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

func TestUntold(t *testing.T) {
	m := AlertMemory{Phase: "in effect", Generation: 2, Countdown: 5, Rungs: []int{30, 7}}
	for name, tt := range map[string]struct {
		rung AlertRung
		want []int
	}{
		"the last":        {AlertRung{Generation: 2, Rung: 7}, []int{30}},
		"one before it":   {AlertRung{Generation: 2, Rung: 30}, []int{30, 7}},
		"of a ladder ago": {AlertRung{Generation: 1, Rung: 7}, []int{30, 7}},
		"never sent":      {AlertRung{Generation: 2, Rung: 3}, []int{30, 7}},
	} {
		next, changed := m.Untold(tt.rung)
		if !slices.Equal(next.Rungs, tt.want) || changed != (len(tt.want) == 1) || next.Generation != 2 {
			t.Errorf("%s: %v, changed %t", name, next, changed)
		}
	}
	if len(m.Rungs) != 2 {
		t.Error("the memory itself was changed")
	}
}
