package app_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkJournal compares the two durabilities in one run: a receiver of each is sent the same number of deliveries in turn, so that
// what else the machine does meets both. One op is a turn of both. It reports the medians of the turns, in µs per delivery, and how much of
// the throughput of durability: broker is left with the journal.
func BenchmarkJournal(b *testing.B) {
	for _, senders := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%dconns", senders), func(b *testing.B) {
			turn := 100 + 30*senders
			broker, journal := newReceive(b, "broker"), newReceive(b, "journal")
			broker.turn(senders, turn)
			journal.turn(senders, turn)
			var without, with []float64
			for b.Loop() {
				without = append(without, broker.turn(senders, turn))
				with = append(with, journal.turn(senders, turn))
			}
			b.ReportMetric(median(without), "µs/broker")
			b.ReportMetric(median(with), "µs/journal")
			b.ReportMetric(median(without)/median(with), "of-broker")
			broker.stored()
			journal.stored()
		})
	}
}

// turn sends so many deliveries over so many connections, and returns the µs each took.
func (r *receive) turn(senders, deliveries int) float64 {
	var left atomic.Int64
	left.Store(int64(deliveries))
	var running sync.WaitGroup
	began := time.Now()
	for range senders {
		running.Go(func() {
			for left.Add(-1) >= 0 && r.next() {
			}
		})
	}
	running.Wait()
	return float64(time.Since(began).Microseconds()) / float64(deliveries)
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
