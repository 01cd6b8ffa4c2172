package main

import (
	"math"
	"slices"
	"time"
)

// spell is a fault with the time it took; of a kill, until the process was ready again.
type spell struct {
	kind       string
	start, end time.Time
}

// recoveries are, for each fault, the seconds from its end until everything that had been accepted by then was done; 0 when it was done
// before. What other faults add is counted too.
func recoveries(faults []spell, done []settled) []float64 {
	all := make([]float64, 0, len(faults))
	for _, f := range faults {
		last := f.end
		for _, d := range done {
			if !d.Accepted.After(f.end) && d.Done.After(last) {
				last = d.Done
			}
		}
		all = append(all, last.Sub(f.end).Seconds())
	}
	slices.Sort(all)
	return all
}

// times are the seconds from the acceptance of each event to the last of its effects, sorted; 0 when that came before the answer did.
func times(done []settled) []float64 {
	all := make([]float64, 0, len(done))
	for _, d := range done {
		all = append(all, max(0, d.Done.Sub(d.Accepted).Seconds()))
	}
	slices.Sort(all)
	return all
}

// percentile is the nearest rank of sorted values, 0 when there are none.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
