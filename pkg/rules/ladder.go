package rules

import (
	"slices"
	"strconv"
	"time"
)

// AlertMemory is what is remembered of an alert, under its key: where it stands on its ladder. The zero memory is that of an alert
// that was never read.
type AlertMemory struct {
	Phase string `json:"phase"`
	// Generation counts the ladders of this alert, from 1: a new phase or a renewal starts one.
	Generation int       `json:"generation"`
	ObservedAt time.Time `json:"observed_at"` // of the newest reading
	Countdown  int       `json:"countdown"`   // of that reading
	Rungs      []int     `json:"rungs"`       // sent in this generation, the last is the most urgent
}

// AlertStep is one thing an alert says: Action is the message, of kind notify.
type AlertStep struct {
	Rung    int    `json:"rung"`
	Renewed bool   `json:"renewed,omitempty"` // says that the countdown rose; Rung is the one it rose above
	Action  Action `json:"action"`
}

// Next is the memory after a reading, which is an action of kind alert, and what is to be said because of it, nil when nothing is;
// changed is false when the reading says nothing new.
//
// A reading older than the newest one is ignored. A new phase, or a countdown above the last rung sent in this one (a renewal),
// starts a new ladder. Of a ladder's rungs at or above the countdown only the lowest is sent, if it is lower than the last one
// sent: what lies above it has passed.
//
// A renewal and a rung of the new ladder are two steps: Next says the first, and when asked again with the same reading the
// second. It is asked until nothing is to be said.
func (m AlertMemory) Next(a *Action) (next AlertMemory, say *AlertStep, changed bool) {
	reading := a.Alert
	if m.Older(a) {
		return m, nil, false
	}
	n := AlertMemory{
		Phase: reading.Phase, Generation: m.Generation,
		ObservedAt: reading.ObservedAt.UTC(), Countdown: reading.Countdown, Rungs: slices.Clone(m.Rungs),
	}
	last, sent := m.lastRung()
	switch {
	case m.Generation == 0, m.Phase != reading.Phase:
		n.Generation++
		n.Rungs = nil
		sent = false
	case sent && reading.Countdown > last:
		n.Generation++
		n.Rungs = nil
		return n, renewedStep(a, n.Generation, last), true
	}
	if due, ok := dueRung(reading.At, reading.Countdown); ok && (!sent || due < last) {
		n.Rungs = append(n.Rungs, due)
		return n, rungStep(a, n.Generation, due), true
	}
	changed = n.Generation != m.Generation || n.Countdown != m.Countdown || !n.ObservedAt.Equal(m.ObservedAt)
	return n, nil, changed
}

// Older tells whether a newer reading than this one is known.
func (m AlertMemory) Older(a *Action) bool {
	return m.Generation > 0 && a.Alert.ObservedAt.Before(m.ObservedAt)
}

// Untold is the memory after the message of a rung was given up, because it came too late to be true: the rung is due again with the next
// reading. changed is false when it is not the last one that was sent, so that a more urgent one has followed it.
func (m AlertMemory) Untold(r AlertRung) (next AlertMemory, changed bool) {
	last, sent := m.lastRung()
	if !sent || m.Generation != r.Generation || last != r.Rung {
		return m, false
	}
	m.Rungs = slices.Clone(m.Rungs[:len(m.Rungs)-1])
	return m, true
}

// lastRung is the most urgent rung sent in this generation.
func (m AlertMemory) lastRung() (rung int, ok bool) {
	if len(m.Rungs) == 0 {
		return 0, false
	}
	return m.Rungs[len(m.Rungs)-1], true
}

// dueRung is the lowest rung the countdown has reached.
func dueRung(at []int, countdown int) (rung int, ok bool) {
	for _, r := range at {
		if countdown <= r && (!ok || r < rung) {
			rung, ok = r, true
		}
	}
	return rung, ok
}

func rungStep(a *Action, generation, rung int) *AlertStep {
	m := alertMessage(a, generation, strconv.Itoa(rung), a.Alert.Title, a.Alert.Text)
	m.Rung = AlertRung{AlertKey: a.Alert.AlertKey, Generation: generation, Rung: rung}
	return &AlertStep{Rung: rung, Action: m}
}

func renewedStep(a *Action, generation, above int) *AlertStep {
	title := append(Text{{Literal: "Renewed: "}}, a.Alert.Title...)
	text := Text{{Literal: "Renewed: the countdown is at " + strconv.Itoa(a.Alert.Countdown) +
		" again. The warning at " + strconv.Itoa(above) + " is resolved."}}
	return &AlertStep{Rung: above, Renewed: true, Action: alertMessage(a, generation, "renewed", title, text)}
}

// alertMessage is the message of one step of an alert as an action of kind notify. Its key is the same whoever puts it and however
// often.
func alertMessage(a *Action, generation int, step string, title, text Text) Action {
	m := *a
	m.V = FormatVersion
	m.Kind = KindNotify
	m.Key = Hash(a.Alert.AlertKey, a.Alert.Phase, strconv.Itoa(generation), step)
	m.Alert, m.Waits, m.Deferred = nil, nil, nil
	m.Notify = &Notify{To: a.Alert.To, Title: title, Text: text, Link: a.Alert.Link}
	return m
}
