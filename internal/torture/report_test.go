package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// good is a report with nothing to complain of.
func good() *Report {
	r := &Report{Seconds: 60, Rate: 50, Accepted: 2700, Commits: 200, Rungs: 50, Faults: map[string]int{}}
	for _, kind := range allFaults() {
		r.Faults[kind] = 1
	}
	r.Faults[killBetween] = 20
	return r
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name   string
		change func(r *Report)
		counts bool
		why    string // of the first reason; "": the run is good
	}{
		{"good", func(*Report) {}, true, ""},
		{"messages may come twice", func(r *Report) { r.DuplicateMessages = 9 }, true, ""},
		{"slow", func(r *Report) { r.Rate = 49 }, false, "49 deliveries a second"},
		{"few accepted", func(r *Report) { r.Accepted = 2699 }, false, "2699 events accepted, at least 2700"},
		{"few commits", func(r *Report) { r.Commits = 199 }, false, "199 commits"},
		{"few rungs", func(r *Report) { r.Rungs = 49 }, false, "49 rungs"},
		{"few kills between", func(r *Report) { r.Faults[killBetween] = 19 }, false, "19 kills between"},
		{"a kind is missing", func(r *Report) { delete(r.Faults, partitionBroker) }, false, "did not occur: partition_broker"},
		{"few faults", func(r *Report) { clear(r.Faults) }, false, "0 faults"},
		{"lost event", func(r *Report) { r.Lost, r.LostEvents = 1, 1 }, true, "1 accepted events are not in EVENTS"},
		{"lost effect", func(r *Report) { r.Lost = 2 }, true, "2 effects never happened"},
		{"two commits", func(r *Report) { r.DuplicateCommits = 1 }, true, "1 commits were made twice"},
		{"two rungs", func(r *Report) { r.DuplicateRungs = 1 }, true, "1 rungs were sent twice"},
		{"strange", func(r *Report) { r.Strange = 1 }, true, "asked for by nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := good()
			tt.change(r)
			ok := r.judge(allFaults())
			if ok != (tt.why == "") || r.Counts != tt.counts {
				t.Errorf("ok %t, counts %t, because %q", ok, r.Counts, r.Why)
			}
			if tt.why != "" && (len(r.Why) == 0 || !strings.Contains(r.Why[0], tt.why)) {
				t.Errorf("why = %q", r.Why)
			}
		})
	}
}

// TestJudgeBroken: with a mechanism broken the run is good exactly when it noticed.
func TestJudgeBroken(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(r *Report)
		want   bool
	}{
		{"unnoticed", func(*Report) {}, false},
		{"messages do not tell", func(r *Report) { r.DuplicateMessages = 1 }, false},
		{"lost", func(r *Report) { r.Lost = 1 }, true},
		{"commits", func(r *Report) { r.DuplicateCommits = 1 }, true},
		{"rungs", func(r *Report) { r.DuplicateRungs = 1 }, true},
	} {
		r := good()
		r.Break = "trailer"
		tt.change(r)
		if got := r.judge(allFaults()); got != tt.want || len(r.Why) == 0 {
			t.Errorf("%s: %t, because %q", tt.name, got, r.Why)
		}
	}
}

// TestReportNames keeps the names that others read.
func TestReportNames(t *testing.T) {
	data, err := json.Marshal(good())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"accepted", "faults", "lost", "duplicate_commits", "duplicate_rungs", "duplicate_messages", "recovery_p50_s", "recovery_p99_s", "seed",
	} {
		if !strings.Contains(string(data), `"`+name+`":`) {
			t.Errorf("%s is not in %s", name, data)
		}
	}
}
