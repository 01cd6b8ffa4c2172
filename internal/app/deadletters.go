package app

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// DeadLetter is a dead letter with what its message says of itself. A field that the message does not tell is empty.
type DeadLetter struct {
	ID     uint64 `json:"id"` // its place in DEAD
	Class  string `json:"class"`
	Reason string `json:"reason"`
	// Kind is what was to be done: match, run, commit, build, alert, notify, tick or poll.
	Kind     string `json:"kind"`
	Attempts int    `json:"attempts"`
	// FirstFailure is not known of an event that failed more than once, always because of the broker.
	FirstFailure time.Time `json:"first_failure,omitzero"`
	LastFailure  time.Time `json:"last_failure,omitzero"`

	EventID    string    `json:"event_id,omitempty"`
	Accepted   time.Time `json:"accepted,omitzero"` // the event, by the receiver
	Source     string    `json:"source,omitempty"`
	Type       string    `json:"type,omitempty"`
	Repository string    `json:"repository,omitempty"`
	Rule       string    `json:"rule,omitempty"`
	RunID      string    `json:"run_id,omitempty"`
	ActionID   string    `json:"action_id,omitempty"`
	Item       string    `json:"item,omitempty"`   // of the rule's for_each
	Target     string    `json:"target,omitempty"` // of a notify
	Key        string    `json:"key,omitempty"`    // of the action's record
	BodyBytes  int       `json:"body_bytes"`

	letter *stream.DeadLetter
	action *rules.Action // nil when there is none, or it cannot be read
	unread string        // why it cannot
}

// Body is the message's own bytes, as they came. They must not be changed.
func (d *DeadLetter) Body() []byte { return d.letter.Data }

// Kinds of what was to be done, beside those of actions.
const (
	kindMatch = "match"
	kindRun   = "run"
	kindTick  = "tick"
	kindPoll  = "poll"
)

func deadKinds() []string {
	return []string{kindMatch, kindRun, rules.KindCommit, rules.KindBuild, rules.KindAlert, rules.KindNotify, kindTick, kindPoll}
}

// describe reads what a message says of itself.
func describe(l *stream.DeadLetter) *DeadLetter {
	d := &DeadLetter{
		ID: l.Sequence, Class: l.Class, Reason: l.Reason, Attempts: l.Attempts, FirstFailure: l.FirstFailure, LastFailure: l.LastFailure,
		BodyBytes: len(l.Data), letter: l,
	}
	if d.LastFailure.IsZero() {
		d.LastFailure = l.Stored
	}
	d.Kind, _, _ = strings.Cut(strings.TrimPrefix(l.Subject, "work."), ".")
	switch d.Kind {
	case "events", kindMatch, kindRun:
		if d.Kind == "events" {
			d.Kind = kindMatch
		}
		d.describeEvent()
	case kindTick:
		d.describeTick()
	case rules.KindCommit, rules.KindBuild, rules.KindAlert, rules.KindNotify:
		d.describeAction()
	}
	return d
}

func (d *DeadLetter) header(name string) string {
	v := d.letter.Header[name]
	if plain, err := url.PathUnescape(v); err == nil {
		return plain
	}
	return v
}

func (d *DeadLetter) describeEvent() {
	d.Rule, d.RunID = d.header("Millrace-Rule"), d.header("Millrace-Run")
	e, err := events.FromHeader(func(name string) string { return d.letter.Header[name] }, d.letter.Data)
	if err != nil {
		d.unread = err.Error()
		return
	}
	d.EventID, d.Source, d.Type, d.Repository, d.Accepted = e.ID, e.Source, e.Type, e.Repository, e.Time
}

func (d *DeadLetter) describeTick() {
	h := d.letter.Header
	e := events.NewTick(h[stream.HeaderScheduleID], h[stream.HeaderSchedulePattern], h[stream.HeaderScheduleTimeZone], d.letter.FirstStored.Truncate(time.Second))
	d.EventID, d.Source, d.Type, d.Accepted = e.ID, e.Source, e.Type, e.Time
}

func (d *DeadLetter) describeAction() {
	d.EventID, d.Rule, d.RunID, d.Type = d.header("Millrace-Event"), d.header("Millrace-Rule"), d.header("Millrace-Run"), d.header("Millrace-Type")
	d.Target, d.Key = d.header("Millrace-Target"), d.header("Millrace-Key")
	a, key, err := effects.ReadAction(effects.Message{Header: d.letter.Header, Data: d.letter.Data})
	if err != nil {
		d.unread = err.Error()
	} else {
		d.action, d.Key = a, key
		d.EventID, d.Rule, d.RunID = a.EventID, a.Rule, a.RunID
		d.Kind, d.ActionID, d.Item, d.Repository, d.Accepted = a.Kind, a.ID, a.ItemKey, a.Repository, a.Accepted
	}
	d.Source, _, _ = strings.Cut(d.EventID, "/")
}

// DeadFilter chooses dead letters. An empty field chooses all; in a text * stands for anything but a slash.
type DeadFilter struct {
	Class, Kind, Source, Type, Repository, Rule, Event, Target string
	// Since and Until bound the last failure: not before Since, and before Until.
	Since, Until time.Time
}

// Check tells which of the patterns cannot be read, or can fit nothing.
func (f *DeadFilter) Check() error {
	if f.Kind != "" && !slices.ContainsFunc(deadKinds(), func(kind string) bool { return fits(f.Kind, kind) }) {
		return fmt.Errorf("there is no kind %q; it is one of %s", f.Kind, strings.Join(deadKinds(), ", "))
	}
	return checkPatterns(f.Class, f.Kind, f.Source, f.Type, f.Repository, f.Rule, f.Target)
}

// chooses tells whether a dead letter fits.
func (f *DeadFilter) chooses(l *DeadLetter) bool {
	switch {
	case !fits(f.Class, l.Class), !fits(f.Kind, l.Kind), !fits(f.Source, l.Source), !fits(f.Type, l.Type),
		!fits(f.Repository, l.Repository), !fits(f.Rule, l.Rule), !fits(f.Target, l.Target):
		return false
	case f.Event != "" && f.Event != l.EventID, !f.Since.IsZero() && l.LastFailure.Before(f.Since):
		return false
	}
	return f.Until.IsZero() || l.LastFailure.Before(f.Until)
}

// DeadLetters calls fn for every dead letter that the filter chooses, oldest first, until fn returns an error, which it hands on.
func (a *Archive) DeadLetters(ctx context.Context, f *DeadFilter, fn func(*DeadLetter) error) error {
	return a.conn.DeadLetters(ctx, func(l *stream.DeadLetter) error {
		if d := describe(l); f.chooses(d) {
			return fn(d)
		}
		return nil
	})
}

// DeadLetter reads one by its id. One that is not there is an error.
func (a *Archive) DeadLetter(ctx context.Context, id uint64) (*DeadLetter, error) {
	l, err := a.conn.DeadLetter(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case l == nil:
		return nil, fmt.Errorf("there is no dead letter %d: it was replayed or dropped, or its 90 days are over; millrace deadletters list shows those there are", id)
	}
	return describe(l), nil
}

// DropDeadLetter removes a dead letter for good. dropped is false when it was not there any more.
func (a *Archive) DropDeadLetter(ctx context.Context, id uint64) (dropped bool, err error) {
	return a.stores.DropDeadLetter(ctx, id)
}

// EventLetters are the dead letters of events, by event id, as far as a replay of the event has to know them.
type EventLetters map[string][]eventLetter

type eventLetter struct {
	id        uint64
	kind      string
	rule, key string
}

// LettersOf reads which dead letters there are of some events.
func (a *Archive) LettersOf(ctx context.Context, ids ...string) (EventLetters, error) {
	letters := make(EventLetters, len(ids))
	for _, id := range ids {
		letters[id] = nil
	}
	err := a.conn.DeadLetters(ctx, func(l *stream.DeadLetter) error {
		d := describe(l)
		if all, meant := letters[d.EventID]; meant {
			letters[d.EventID] = append(all, eventLetter{d.ID, d.Kind, d.Rule, d.Key})
		}
		return nil
	})
	return letters, err
}
