package main

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPlan(t *testing.T) {
	for _, length := range []time.Duration{10 * time.Second, time.Minute, 20 * time.Minute} {
		for seed := range uint64(20) {
			faults := plan(seed, length)
			if diff := cmp.Diff(faults, plan(seed, length)); diff != "" {
				t.Fatalf("seed %d gives two plans:\n%s", seed, diff)
			}
			n := map[string]int{}
			for i, f := range faults {
				n[f.Kind]++
				if f.At < 0 || f.At > length || f.For <= 0 || i > 0 && f.At < faults[i-1].At {
					t.Fatalf("seed %d, %s: fault %d is %+v", seed, length, i, f)
				}
			}
			for _, kind := range allFaults() {
				if n[kind] == 0 {
					t.Errorf("seed %d, %s: no %s", seed, length, kind)
				}
			}
			if len(n) != len(allFaults()) {
				t.Errorf("kinds %v", n)
			}
			if length >= time.Minute && n[killBetween] < leastBetween+5 {
				t.Errorf("seed %d, %s: %d kills between call and mark", seed, length, n[killBetween])
			}
		}
	}
	if cmp.Equal(plan(1, time.Minute), plan(2, time.Minute)) {
		t.Error("two seeds give one plan")
	}
}

// TestPlanLeavesAQuorum: faults of brokers begin far enough apart for one to be over before the next.
func TestPlanLeavesAQuorum(t *testing.T) {
	for seed := range uint64(50) {
		free := time.Duration(math.MinInt64)
		for _, f := range plan(seed, time.Minute) {
			if !slices.Contains(brokerFaults(), f.Kind) {
				continue
			}
			if f.At < free {
				t.Errorf("seed %d: %s begins at %s, before the one ahead is over at %s", seed, f.Kind, f.At, free)
			}
			free = f.At + f.For
		}
	}
}

func TestLoad(t *testing.T) {
	const rate, length = 50, time.Minute
	all := load(7, rate, length)
	if !reflect.DeepEqual(all, load(7, rate, length)) {
		t.Fatal("one seed gives two loads")
	}
	ids, of := map[string]int{}, map[purpose]int{}
	for i, d := range all {
		ids[d.ID]++
		if !d.Again {
			of[d.For]++
			if ids[d.ID] != 1 {
				t.Errorf("%s is delivered before it is new", d.ID)
			}
		}
		if i > 0 && d.At < all[i-1].At {
			t.Fatalf("delivery %d comes before the one ahead", i)
		}
	}
	if len(ids) != rate*60 {
		t.Errorf("%d events", len(ids))
	}
	if again := len(all) - len(ids); again < len(ids)*3/100 || again > len(ids)*7/100 {
		t.Errorf("%d of %d are delivered again", again, len(ids))
	}
	if commits := of[note] + of[mode] + of[turn]; commits < leastCommits*3/2 || of[tell] == 0 || of[plain] < len(ids)/2 {
		t.Errorf("events by purpose: %v", of)
	}
}

// TestReading: the steps of a ladder go through its countdowns, and the copies of a step are events of their own.
func TestReading(t *testing.T) {
	for _, l := range ladders(3) {
		a, b, next := reading(l, 0, 0), reading(l, 0, 1), reading(l, len(l.countdowns), 0)
		if a.ID == b.ID || a.Mark != b.Mark || next.Mark == a.Mark || a.For != rung {
			t.Errorf("%s: %+v, %+v, %+v", l.name, a.event, b.event, next.event)
		}
		// Whatever comes before: the last of a ladder is above every rung, so that the next one begins anew.
		if last := l.countdowns[len(l.countdowns)-1]; last != risen || slices.Max(l.countdowns) != last {
			t.Errorf("%s: countdowns %v", l.name, l.countdowns)
		}
	}
}

// TestControl: each mechanism has faults that it is there for, and none of them keeps the cluster from working for long.
func TestControl(t *testing.T) {
	for _, mechanism := range mechanisms() {
		for _, length := range []time.Duration{20 * time.Second, time.Minute} {
			faults := control(5, length, mechanism)
			if diff := cmp.Diff(faults, control(5, length, mechanism)); diff != "" {
				t.Errorf("%s: one seed gives two plans:\n%s", mechanism, diff)
			}
			brokers := 0
			for _, f := range faults {
				if f.At < 0 || f.At > length || !slices.Contains(allFaults(), f.Kind) {
					t.Errorf("%s: %+v", mechanism, f)
				}
				if slices.Contains(brokerFaults(), f.Kind) {
					brokers++
				}
			}
			if len(faults) < 4 || brokers > len(faults)/4+1 {
				t.Errorf("%s, %s: %d faults, %d of brokers", mechanism, length, len(faults), brokers)
			}
		}
	}
}
