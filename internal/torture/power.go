package main

import (
	"slices"
	"strings"
)

// powerLoss is what loses power at the same moment, all servers of the cluster among it.
type powerLoss string

const (
	noLoss       powerLoss = ""
	lossBrokers  powerLoss = "brokers" // their disks lack what they acknowledged last
	lossAll      powerLoss = "all"     // receivers and workers, too; what receivers have synced they keep
	lossStores   powerLoss = "stores"  // the disks of the brokers are empty
	lossInTurn   powerLoss = "each"    // of the three above, one run after the other
	powerLossDoc           = "instead of the faults, all brokers lose power at once and come back with a store that is older than what they acknowledged last: brokers; with receivers and workers: all; with an empty store: stores; or each of these, one after the other"
)

func powerLosses() []powerLoss { return []powerLoss{lossBrokers, lossAll, lossStores} }

// leastDestroyed is how many accepted events a store must have lost for a run to prove something.
const leastDestroyed = 100

// PowerReport is what a report has besides when power was lost.
type PowerReport struct {
	Loss powerLoss `json:"loss"`
	// Destroyed is how many events were accepted between the copy of the stores, or the beginning, and the loss.
	Destroyed int `json:"destroyed"`
	// LostRungs are messages of alerts that never came, StrangeRungs those that nothing asked for. The memory of alerts went with the stores, so
	// they are counted and not judged, as are duplicate rungs.
	LostRungs    int `json:"lost_rungs"`
	StrangeRungs int `json:"strange_rungs"`
	// Redecided are commits beyond the first by the rule that makes another one of each fact it finds. What it had decided went with the stores, so
	// it decided anew, and these are other commits, of other items: they are not among the duplicates.
	Redecided int `json:"redecided"`
}

// powerWrongs are broken promises of a run in which power was lost, and why it proves nothing.
func (r *Report) powerWrongs() []string {
	judged := *r
	judged.Lost -= r.Power.LostRungs
	judged.DuplicateRungs = 0
	judged.Strange -= r.Power.StrangeRungs
	why := judged.wrongs()
	if r.Power.Destroyed < leastDestroyed {
		why = append(why, "does not count: hardly anything was destroyed")
	}
	if r.Accepted < int(leastAcceptedPart*float64(r.Rate*r.Seconds)) {
		why = append(why, "does not count: too few events were accepted")
	}
	return why
}

// ofPurpose is how many of the marks are of events with a purpose.
func ofPurpose(sent []event, marks []string, of purpose) (n int) {
	for _, e := range sent {
		if e.For == of && slices.Contains(marks, e.Mark) {
			n++
		}
	}
	return n
}

// ofAlerts is how many effects, "<kind> <mark>", are messages of alerts.
func ofAlerts(effects []string) (n int) {
	for _, effect := range effects {
		if strings.HasPrefix(effect, string(rungSent)+" ") || strings.HasPrefix(effect, string(renewalSent)+" ") {
			n++
		}
	}
	return n
}
