package main

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// purpose is what a delivery is sent for: what it has to lead to.
type purpose string

const (
	plain purpose = "plain" // no rule fits
	note  purpose = "note"  // a commit that its file fences, and a message that names it
	mode  purpose = "mode"  // a commit that nothing fences but records and trailer
	turn  purpose = "turn"  // a commit that would be another one if it were decided again
	tell  purpose = "tell"  // a message
	rung  purpose = "rung"  // a rung of an alert; several events may have the mark of one step
	rise  purpose = "rise"  // the renewal of an alert, likewise
)

// effectKind is what was seen outside.
type effectKind string

const (
	commitMade  effectKind = "commit"
	messageSent effectKind = "message"
	rungSent    effectKind = "rung"
	renewalSent effectKind = "renewal"
)

// owes are the effects that an event of a purpose must have, one of each.
func (p purpose) owes() []effectKind {
	switch p {
	case note:
		return []effectKind{commitMade, messageSent}
	case mode, turn:
		return []effectKind{commitMade}
	case tell:
		return []effectKind{messageSent}
	case rung:
		return []effectKind{rungSent}
	case rise:
		return []effectKind{renewalSent}
	}
	return nil
}

// event is one event that was sent, however often it was delivered.
type event struct {
	ID   string // as the receiver names it
	Mark string // is in every effect of the event
	For  purpose
	// Accepted is when the first 2xx came; zero: none did, and the event may or may not be there.
	Accepted time.Time
}

// effect is one thing that happened outside.
type effect struct {
	Kind effectKind
	Mark string
	ID   string // commit id, or the id that all copies of one message share
	At   time.Time
}

// balance is what the four ledgers say together.
type balance struct {
	Accepted         int
	LostEvents       []string // ids: accepted and not in EVENTS
	LostEffects      []string // "<kind> <mark>": accepted, and the effect never happened
	DuplicateCommits []string // marks, once for each commit too many
	DuplicateRungs   []string // marks, once for each message of another id too many
	// DuplicateMessages are marks, once for each message too many that has the id of another.
	DuplicateMessages []string
	Strange           []string // "<kind> <mark>": effects that nothing sent asked for
	Commits, Rungs    int      // effects of the kind, without those too many
	// Done is when what an accepted event owes was there, for those that have it all.
	Done []settled
}

// settled is an event with the time of the last of its effects.
type settled struct{ Accepted, Done time.Time }

// wanted is an effect that must happen, and for whom.
type wanted struct {
	kind effectKind
	mark string
}

// compare compares what was sent, the ids that are in EVENTS, and what happened outside.
func compare(sent []event, stored map[string]bool, effects []effect) balance {
	var b balance
	first := map[wanted]time.Time{} // when an effect happened first
	seen := map[wanted][]effect{}
	asked := map[wanted]bool{}
	for _, e := range sent {
		for _, kind := range e.For.owes() {
			asked[wanted{kind, e.Mark}] = true
		}
	}
	for _, f := range effects {
		w := wanted{f.Kind, f.Mark}
		if !asked[w] {
			b.Strange = append(b.Strange, string(f.Kind)+" "+f.Mark)
			continue
		}
		if at, ok := first[w]; !ok || f.At.Before(at) {
			first[w] = f.At
		}
		seen[w] = append(seen[w], f)
	}
	lost := map[wanted]bool{}
	for _, e := range sent {
		if !e.Accepted.IsZero() {
			b.take(e, stored, first, lost)
		}
	}
	for w := range lost {
		b.LostEffects = append(b.LostEffects, string(w.kind)+" "+w.mark)
	}
	for w, all := range seen {
		b.count(w, all)
	}
	for _, list := range [][]string{b.LostEvents, b.LostEffects, b.DuplicateCommits, b.DuplicateRungs, b.DuplicateMessages, b.Strange} {
		slices.Sort(list)
	}
	slices.SortFunc(b.Done, func(a, b settled) int { return cmp.Or(a.Accepted.Compare(b.Accepted), a.Done.Compare(b.Done)) })
	return b
}

// take looks for what became of an accepted event.
func (b *balance) take(e event, stored map[string]bool, first map[wanted]time.Time, lost map[wanted]bool) {
	b.Accepted++
	if !stored[e.ID] {
		b.LostEvents = append(b.LostEvents, e.ID)
	}
	var last time.Time
	all := true
	for _, kind := range e.For.owes() {
		w := wanted{kind, e.Mark}
		at, ok := first[w]
		if !ok {
			lost[w], all = true, false
		}
		if at.After(last) {
			last = at
		}
	}
	if all && !last.IsZero() {
		b.Done = append(b.Done, settled{e.Accepted, last})
	}
}

// count counts what happened for one thing that was wanted.
func (b *balance) count(w wanted, all []effect) {
	ids := map[string]int{}
	for _, f := range all {
		ids[f.ID]++
	}
	switch w.kind {
	case commitMade:
		b.Commits++
		b.DuplicateCommits = append(b.DuplicateCommits, slices.Repeat([]string{w.mark}, len(ids)-1)...)
		return
	case rungSent, renewalSent:
		if w.kind == rungSent {
			b.Rungs++
		}
		b.DuplicateRungs = append(b.DuplicateRungs, slices.Repeat([]string{w.mark}, len(ids)-1)...)
	case messageSent:
		b.DuplicateMessages = append(b.DuplicateMessages, slices.Repeat([]string{w.mark}, len(ids)-1)...)
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		b.DuplicateMessages = append(b.DuplicateMessages, slices.Repeat([]string{w.mark}, ids[id]-1)...)
	}
}

// lost is how many accepted events and effects are missing.
func (b *balance) lost() int { return len(b.LostEvents) + len(b.LostEffects) }
