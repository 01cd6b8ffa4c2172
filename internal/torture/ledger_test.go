package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func at(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }

func TestCompare(t *testing.T) {
	accepted := func(id, mark string, of purpose) event { return event{ID: id, Mark: mark, For: of, Accepted: at(1)} }
	happened := func(kind effectKind, mark, id string, s int) effect { return effect{kind, mark, id, at(s)} }
	tests := []struct {
		name    string
		sent    []event
		stored  []string
		effects []effect
		want    balance
	}{
		{name: "nothing"},
		{
			"all is well",
			[]event{accepted("s/1", "m1", note), accepted("s/2", "m2", plain), accepted("s/3", "l/0", rung), accepted("s/4", "l/0", rung)},
			[]string{"s/1", "s/2", "s/3", "s/4"},
			[]effect{happened(commitMade, "m1", "c1", 3), happened(messageSent, "m1", "i1", 5), happened(rungSent, "l/0", "i2", 4)},
			balance{Accepted: 4, Commits: 1, Rungs: 1, Done: []settled{{at(1), at(4)}, {at(1), at(4)}, {at(1), at(5)}}},
		},
		{
			"an accepted event is not stored, and leads to nothing",
			[]event{accepted("s/1", "m1", plain), accepted("s/2", "m2", mode)},
			[]string{"s/3"},
			nil,
			balance{Accepted: 2, LostEvents: []string{"s/1", "s/2"}, LostEffects: []string{"commit m2"}},
		},
		{
			"a commit without what waited for it",
			[]event{accepted("s/1", "m1", note)},
			[]string{"s/1"},
			[]effect{happened(commitMade, "m1", "c1", 3)},
			balance{Accepted: 1, Commits: 1, LostEffects: []string{"message m1"}},
		},
		{
			"one step of an alert is owed once, whatever asked for it",
			[]event{accepted("s/1", "l/0", rung), accepted("s/2", "l/0", rung)},
			[]string{"s/1", "s/2"},
			nil,
			balance{Accepted: 2, LostEffects: []string{"rung l/0"}},
		},
		{
			"nobody was told that it is accepted: it may happen or not, but not twice",
			[]event{{ID: "s/1", Mark: "m1", For: mode}, {ID: "s/2", Mark: "m2", For: mode}},
			[]string{"s/1"},
			[]effect{happened(commitMade, "m1", "c1", 3), happened(commitMade, "m1", "c2", 4)},
			balance{Commits: 1, DuplicateCommits: []string{"m1"}},
		},
		{
			"three commits are two too many",
			[]event{accepted("s/1", "m1", turn)},
			[]string{"s/1"},
			[]effect{happened(commitMade, "m1", "c1", 3), happened(commitMade, "m1", "c2", 2), happened(commitMade, "m1", "c3", 4)},
			balance{Accepted: 1, Commits: 1, DuplicateCommits: []string{"m1", "m1"}, Done: []settled{{at(1), at(2)}}},
		},
		{
			"a message again is no rung again",
			[]event{accepted("s/1", "l/0", rung), accepted("s/2", "m2", tell), accepted("s/3", "l/1", rung)},
			[]string{"s/1", "s/2", "s/3"},
			[]effect{
				happened(rungSent, "l/0", "i1", 2), happened(rungSent, "l/0", "i1", 3),
				happened(messageSent, "m2", "i2", 2), happened(messageSent, "m2", "i2", 3), happened(messageSent, "m2", "i3", 4),
				happened(rungSent, "l/1", "i4", 2), happened(rungSent, "l/1", "i5", 3),
			},
			balance{
				Accepted: 3, Rungs: 2, DuplicateRungs: []string{"l/1"}, DuplicateMessages: []string{"l/0", "m2", "m2"},
				Done: []settled{{at(1), at(2)}, {at(1), at(2)}, {at(1), at(2)}},
			},
		},
		{
			"a renewal said twice is a rung too many, and no rung",
			[]event{accepted("s/1", "l/2", rise)},
			[]string{"s/1"},
			[]effect{happened(renewalSent, "l/2", "i1", 2), happened(renewalSent, "l/2", "i2", 3)},
			balance{Accepted: 1, DuplicateRungs: []string{"l/2"}, Done: []settled{{at(1), at(2)}}},
		},
		{
			"what nobody asked for",
			[]event{accepted("s/1", "m1", tell)},
			[]string{"s/1"},
			[]effect{happened(messageSent, "m1", "i1", 2), happened(commitMade, "m1", "c1", 2), happened(rungSent, "x", "i2", 2)},
			balance{Accepted: 1, Strange: []string{"commit m1", "rung x"}, Done: []settled{{at(1), at(2)}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stored := map[string]bool{}
			for _, id := range tt.stored {
				stored[id] = true
			}
			if diff := cmp.Diff(tt.want, compare(tt.sent, stored, tt.effects)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestRecoveries(t *testing.T) {
	done := []settled{{at(1), at(2)}, {at(5), at(30)}, {at(21), at(60)}}
	faults := []spell{{"a", at(0), at(4)}, {"b", at(9), at(20)}, {"c", at(10), at(40)}, {"d", at(0), at(70)}}
	got := recoveries(faults, done)
	if want := []float64{0, 0, 10, 20}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, tt := range []struct{ p, want float64 }{{50, 0}, {51, 10}, {75, 10}, {99, 20}, {100, 20}, {0, 0}} {
		if p := percentile(got, tt.p); p != tt.want {
			t.Errorf("p%v = %v, want %v", tt.p, p, tt.want)
		}
	}
	if p := percentile(nil, 99); p != 0 {
		t.Errorf("of nothing: %v", p)
	}
}
