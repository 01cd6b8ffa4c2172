package main

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Kinds of faults.
const (
	killReceiver    = "kill_receiver"
	killWorker      = "kill_worker"
	killBroker      = "kill_broker"
	killLeader      = "kill_broker_leader" // of EVENTS, WORK or RECORDS
	killBetween     = "kill_between_call_and_mark"
	killAtLine      = "kill_at_line" // of the log: between any two steps of the way
	pauseReceiver   = "pause_receiver"
	pauseWorker     = "pause_worker"
	pauseAtLine     = "pause_at_line"
	pauseBroker     = "pause_broker"
	partitionBroker = "partition_broker"
	partitionWorker = "partition_worker"
	partitionDoor   = "partition_receiver" // in the end it is killed, sometimes
	journalFull     = "journal_disk_full"
	codeArtsSlow    = "codearts_slow"
	codeArtsFailing = "codearts_failing"
	codeArtsCut     = "codearts_cut" // after the effect
	robotsSlow      = "robots_slow"
	robotsFailing   = "robots_failing"
	robotsCut       = "robots_cut" // after the effect
)

// brokerFaults leave one server of three out; two of them at a time would be no fault but an end.
func brokerFaults() []string { return []string{killBroker, killLeader, pauseBroker, partitionBroker} }

// otherFaults may overlap each other and anything else.
func otherFaults() []string {
	return []string{
		killReceiver, killWorker, pauseReceiver, pauseWorker, partitionWorker, partitionDoor, journalFull,
		codeArtsSlow, codeArtsFailing, codeArtsCut, robotsSlow, robotsFailing, robotsCut,
	}
}

// allFaults are the kinds a run must have seen.
func allFaults() []string {
	return append(append(brokerFaults(), otherFaults()...), killBetween, killAtLine, pauseAtLine)
}

// fault is one fault of a plan.
type fault struct {
	Kind string
	At   time.Duration // from the beginning of the load
	For  time.Duration // how long it lasts; of a kill, until the process is started again
	Pick uint64        // chooses among targets, ways and places
}

// Distances between the starts of faults, where there are more than one of each kind.
const (
	brokerEvery  = 20 * time.Second // an election may take 9 s
	otherEvery   = 3 * time.Second
	atLineEvery  = 8 * time.Second
	betweenEvery = 1800 * time.Millisecond
)

// plan draws the faults of a run from a seed, in the order of their time. Every kind is there at least once.
func plan(seed uint64, length time.Duration) []fault {
	rnd := rand.New(rand.NewPCG(seed, 1))
	all := spread(rnd, brokerFaults(), length, brokerEvery, 1500*time.Millisecond, 4*time.Second)
	all = append(all, spread(rnd, otherFaults(), length, otherEvery, 500*time.Millisecond, 3500*time.Millisecond)...)
	all = append(all, spread(rnd, []string{killBetween}, length, betweenEvery, 50*time.Millisecond, 300*time.Millisecond)...)
	all = append(all, atLines(rnd, killAtLine, length)...)
	all = append(all, atLines(rnd, pauseAtLine, length)...)
	slices.SortStableFunc(all, func(a, b fault) int { return int(a.At - b.At) })
	return all
}

// atLines are faults of a kind whose picks are one line after the other.
func atLines(rnd *rand.Rand, kind string, length time.Duration) []fault {
	all := spread(rnd, []string{kind}, length, atLineEvery, 50*time.Millisecond, 300*time.Millisecond)
	first := rnd.Uint64N(1000)
	for i := range all {
		all[i].Pick = first + uint64(i)
	}
	return all
}

// control draws the faults of a run with a broken mechanism: those that the mechanism is there for, at the pace of a long run however short
// this one is, so that the rest of the work gets done.
func control(seed uint64, length time.Duration, broken string) []fault {
	rnd := rand.New(rand.NewPCG(seed, 1))
	kinds := map[string][]string{
		"journal":       {partitionDoor, killReceiver, partitionDoor, killLeader},
		"alert_cas":     {pauseWorker, robotsSlow},
		"action_record": {codeArtsCut, killAtLine, killWorker},
		"trailer":       {codeArtsCut, killAtLine, killWorker},
		"run_record":    {pauseAtLine, pauseAtLine, killAtLine},
	}[broken]
	all := spread(rnd, kinds, length, otherEvery, 500*time.Millisecond, 3500*time.Millisecond)
	for i := range all {
		if broken == "run_record" {
			all[i].Pick = 0 // where the rule "turn" reads its fact, and where it has decided
		}
	}
	if broken == "action_record" || broken == "trailer" {
		all = append(all, spread(rnd, []string{killBetween}, length, betweenEvery, 50*time.Millisecond, 300*time.Millisecond)...)
	}
	slices.SortStableFunc(all, func(a, b fault) int { return int(a.At - b.At) })
	return all
}

// spread puts faults of the kinds, each once before any a second time, evenly over the run and a little off.
func spread(rnd *rand.Rand, kinds []string, length, every, shortest, longest time.Duration) []fault {
	from, to := length/20, length*9/10
	n := max(len(kinds), int((to-from)/every))
	step := (to - from) / time.Duration(n)
	var queue []string
	all := make([]fault, 0, n)
	for i := range n {
		if len(queue) == 0 {
			queue = slices.Clone(kinds)
			rnd.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
		}
		all = append(all, fault{
			Kind: queue[0],
			At:   from + step*time.Duration(i) + time.Duration(rnd.Int64N(int64(step/2)+1)),
			For:  shortest + time.Duration(rnd.Int64N(int64(longest-shortest))),
			Pick: rnd.Uint64(),
		})
		queue = queue[1:]
	}
	return all
}
