package main

import (
	"strings"
	"testing"
)

// TestPowerIsJudged: what the memory of alerts and of decisions would have known is not held against a run that has lost it, and all else is.
func TestPowerIsJudged(t *testing.T) {
	sent := []event{{Mark: "a", For: turn}, {Mark: "b", For: mode}}
	if n := ofPurpose(sent, []string{"a", "b"}, turn); n != 1 {
		t.Errorf("%d of two marks are of the rule that decides anew", n)
	}
	if n := ofAlerts([]string{"rung x", "renewal y", "commit z", "message rung"}); n != 2 {
		t.Errorf("%d of four effects are of alerts", n)
	}
	good := Report{
		Seconds: 20, Rate: 50, Accepted: 1000, Lost: 2, DuplicateRungs: 4, Strange: 1,
		Power: &PowerReport{Loss: lossStores, Destroyed: 500, LostRungs: 2, StrangeRungs: 1, Redecided: 3},
	}
	if !good.judge(allFaults()) || !good.Counts {
		t.Errorf("it is bad: %q", good.Why)
	}
	for want, spoil := range map[string]func(*Report){
		"not in EVENTS":  func(r *Report) { r.Lost++; r.LostEvents++ },
		"never happened": func(r *Report) { r.Lost++ },
		"made twice":     func(r *Report) { r.DuplicateCommits++ },
		"by nothing":     func(r *Report) { r.Strange++ },
		"destroyed":      func(r *Report) { r.Power = &PowerReport{LostRungs: 2, StrangeRungs: 1, Redecided: 3, Destroyed: 99} },
		"too few":        func(r *Report) { r.Accepted = 899 },
	} {
		bad := good
		bad.Why = nil
		spoil(&bad)
		if bad.judge(allFaults()) || !strings.Contains(strings.Join(bad.Why, "; "), want) {
			t.Errorf("want %q, got %q", want, bad.Why)
		}
	}
}
