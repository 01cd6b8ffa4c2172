package app

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/events"
)

// StoredEvent is an event in EVENTS.
type StoredEvent struct {
	ID         string    `json:"id"`
	Sequence   uint64    `json:"sequence"` // its place in EVENTS
	Stored     time.Time `json:"stored"`
	Accepted   time.Time `json:"accepted"` // by the receiver
	Source     string    `json:"source"`
	Type       string    `json:"type"`
	Repository string    `json:"repository,omitempty"`
	BodyBytes  int       `json:"body_bytes"`

	event *events.Event
}

// Event is the event itself.
func (e *StoredEvent) Event() *events.Event { return e.event }

func storedEvent(s *stream.StoredEvent) *StoredEvent {
	return &StoredEvent{
		ID: s.ID, Sequence: s.Sequence, Stored: s.Stored, Accepted: s.Time, Source: s.Source, Type: s.Type, Repository: s.Repository,
		BodyBytes: len(s.Body), event: s.Event,
	}
}

// EventFilter chooses stored events. An empty field chooses all.
type EventFilter struct {
	Source string // the name of one
	Type   string // one, or the first part of one and ".*"
	// Repository and Rule are patterns in which * stands for anything but a slash. A rule is one that took the event.
	Repository, Rule string
	// Since and Until bound when the event was stored: not before Since, and before Until.
	Since, Until time.Time
}

// Check tells which of the patterns cannot be read.
func (f *EventFilter) Check() error { return checkPatterns(f.Repository, f.Rule) }

// checkPatterns tells which pattern cannot be read.
func checkPatterns(patterns ...string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("%q cannot be read: * stands for anything but a slash, and what is in [ ] is a choice of characters", p)
		}
	}
	return nil
}

// fits tells whether a text fits a pattern; an empty pattern fits all.
func fits(pattern, text string) bool {
	ok, err := path.Match(pattern, text)
	return pattern == "" || err == nil && ok
}

// Events calls fn for every stored event that the filter chooses, oldest first, until fn returns an error, which it hands on. What is stored
// there and is no event is left out; unreadable counts it.
func (a *Archive) Events(ctx context.Context, f *EventFilter, fn func(*StoredEvent) error) (unreadable int, err error) {
	o := stream.ReadOptions{From: f.Since, Until: f.Until, Source: f.Source, Type: f.Type}
	err = a.conn.ReadEvents(ctx, o, func(s *stream.StoredEvent) error {
		if s.Event == nil {
			unreadable++
			return nil
		}
		if !fits(f.Repository, s.Repository) {
			return nil
		}
		if f.Rule != "" {
			recorded, err := a.Recorded(ctx, s.ID)
			if err != nil {
				return err
			}
			if recorded == nil || !slices.ContainsFunc(recorded.Candidates, func(rule string) bool { return fits(f.Rule, rule) }) {
				return nil
			}
		}
		return fn(storedEvent(s))
	})
	return unreadable, err
}

// EventAt reads one by its place. One that is not there, or not any more, is an error.
func (a *Archive) EventAt(ctx context.Context, sequence uint64) (*StoredEvent, error) {
	s, err := a.conn.EventAt(ctx, sequence)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, fmt.Errorf("there is no event at place %d of EVENTS any more", sequence)
	}
	return storedEvent(s), nil
}

// EventByID reads one by its id. One that is not there, or not any more, is an error.
func (a *Archive) EventByID(ctx context.Context, id string) (*StoredEvent, error) {
	_, sequence, err := a.Event(ctx, id)
	if err != nil {
		return nil, err
	}
	return a.EventAt(ctx, sequence)
}
