package main

import (
	"fmt"
	"slices"
	"strings"
)

// What a run must have seen to count.
const (
	leastRate         = 50 // deliveries a second
	leastFaults       = 20
	leastCommits      = 200
	leastRungs        = 50
	leastBetween      = 20  // kills between a call and its mark
	leastAcceptedPart = 0.9 // of rate × seconds
)

// Report is the last line of standard output.
type Report struct {
	Accepted          int            `json:"accepted"` // events answered 2xx, redeliveries not counted again
	Faults            map[string]int `json:"faults"`
	Lost              int            `json:"lost"`
	DuplicateCommits  int            `json:"duplicate_commits"`
	DuplicateRungs    int            `json:"duplicate_rungs"`
	DuplicateMessages int            `json:"duplicate_messages"`
	RecoveryP50       float64        `json:"recovery_p50_s"` // see recoveries
	RecoveryP99       float64        `json:"recovery_p99_s"`
	Seed              uint64         `json:"seed"`

	// DoneP50 and DoneP99 are seconds from the first 2xx of an event to the last of its effects, over all that have some.
	DoneP50 float64 `json:"done_p50_s"`
	DoneP99 float64 `json:"done_p99_s"`

	Seconds int    `json:"seconds"`
	Rate    int    `json:"rate"`
	Break   string `json:"break,omitempty"`
	Commits int    `json:"commits"`
	Rungs   int    `json:"rungs"`
	// LostEvents is the part of Lost that is not in EVENTS; the rest are effects.
	LostEvents int `json:"lost_events"`
	// Strange are effects nothing asked for, DeadLetters messages that were given up.
	Strange     int `json:"strange"`
	DeadLetters int `json:"dead_letters"`
	// Counts is false when the run saw too little to prove anything; Why says so, and what went wrong.
	Counts bool     `json:"counts"`
	Why    []string `json:"why"`
	// Power is there when power was lost.
	Power *PowerReport `json:"power,omitempty"`

	spells []spell
	done   []settled
}

// fill takes the figures of the ledgers.
func (r *Report) fill(b *balance) {
	r.Accepted, r.Commits, r.Rungs = b.Accepted, b.Commits, b.Rungs
	r.Lost, r.LostEvents = b.lost(), len(b.LostEvents)
	r.DuplicateCommits, r.DuplicateRungs, r.DuplicateMessages = len(b.DuplicateCommits), len(b.DuplicateRungs), len(b.DuplicateMessages)
	r.Strange = len(b.Strange)
}

// good tells whether the run proves what it is to prove.
func (r *Report) good() bool {
	if r.Break != "" {
		return r.noticed()
	}
	return len(r.Why) == 0
}

// judge decides whether the run counts and whether it is good: then it returns true. kinds are all kinds of faults there are.
//
// A run with a mechanism broken on purpose is good when it noticed: when a figure is above 0.
func (r *Report) judge(kinds []string) bool {
	if r.Power != nil {
		r.Why = append(r.powerWrongs(), r.Why...)
		r.Counts = len(r.Why) == 0
		return r.good()
	}
	short := r.shortcomings(kinds)
	wrong := r.wrongs()
	r.Counts = len(short) == 0
	r.Why = append(append(short, wrong...), r.Why...)
	if r.Break != "" && !r.noticed() {
		r.Why = append(r.Why, r.Break+" was broken and no figure is above 0: this run cannot notice it")
	}
	return r.good()
}

// noticed tells whether a promise is seen to be broken.
func (r *Report) noticed() bool { return r.Lost+r.DuplicateCommits+r.DuplicateRungs > 0 }

// shortcomings are why the run proves nothing.
func (r *Report) shortcomings(kinds []string) []string {
	var why []string
	need := func(have, want int, what string) {
		if have < want {
			why = append(why, fmt.Sprintf("does not count: %d %s, at least %d are needed", have, what, want))
		}
	}
	total := 0
	for _, n := range r.Faults {
		total += n
	}
	need(r.Rate, leastRate, "deliveries a second")
	need(r.Accepted, int(leastAcceptedPart*float64(r.Rate*r.Seconds)), "events accepted")
	need(total, leastFaults, "faults")
	need(r.Commits, leastCommits, "commits")
	need(r.Rungs, leastRungs, "rungs")
	need(r.Faults[killBetween], leastBetween, "kills between call and mark")
	missing := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return r.Faults[k] > 0 })
	if len(missing) > 0 {
		why = append(why, "does not count: these faults did not occur: "+strings.Join(missing, ", "))
	}
	return why
}

// wrongs are broken promises.
func (r *Report) wrongs() []string {
	var why []string
	for _, f := range []struct {
		n    int
		what string
	}{
		{r.LostEvents, "accepted events are not in EVENTS"},
		{r.Lost - r.LostEvents, "effects never happened"},
		{r.DuplicateCommits, "commits were made twice"},
		{r.DuplicateRungs, "rungs were sent twice"},
		{r.Strange, "effects were asked for by nothing that was sent"},
	} {
		if f.n > 0 {
			why = append(why, fmt.Sprintf("%d %s", f.n, f.what))
		}
	}
	return why
}
