package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// LatestOnly tells whether the rule drops an event that a newer one has overtaken.
func (r *Rule) LatestOnly() bool { return r.latestOnly }

// LatestEvent is an event and when it was accepted.
type LatestEvent struct {
	EventID string    `json:"event_id"`
	At      time.Time `json:"at"`
}

// newer orders events by when they were accepted. Of two that were accepted at the same moment one is the newer, always the same.
func (e LatestEvent) newer(than LatestEvent) bool {
	if !e.At.Equal(than.At) {
		return e.At.After(than.At)
	}
	return e.EventID > than.EventID
}

// LatestMemory is what is remembered of all events that can overtake each other. The zero memory knows of none.
type LatestMemory struct {
	Newest LatestEvent `json:"newest"`
	// Foreign is the newest whose head commit is not one of ours. An event of our own is not seen by most rules, and overtakes
	// nothing for them.
	Foreign LatestEvent `json:"foreign"`
}

// See is the memory after an event was seen; changed is false when it says nothing new. own tells whether its head commit is ours.
func (m LatestMemory) See(e LatestEvent, own bool) (next LatestMemory, changed bool) {
	e.At = e.At.UTC()
	next = m
	if e.newer(m.Newest) {
		next.Newest = e
	}
	if !own && e.newer(m.Foreign) {
		next.Foreign = e
	}
	return next, next != m
}

// Overtook is the event that has overtaken e for the rule, nil when none has.
func (m LatestMemory) Overtook(e LatestEvent, r *Rule) *LatestEvent {
	newest := m.Foreign
	if r.ownCommits {
		newest = m.Newest
	}
	if newest.EventID == "" || newest.EventID == e.EventID || !newest.newer(e) {
		return nil
	}
	return &newest
}

// LatestID is the same for events that overtake each other: those of one source and type that are about the same branch or tag of a
// repository, of a merge request about the same one, of a build about the same task, and ticks of the same schedule. ok is false for an
// event that is about none of these: it overtakes none, and none overtakes it.
func LatestID(v *events.View) (id string, ok bool) {
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return "=" + *s
	}
	parts := []string{"latest", v.Source, v.Type}
	if s := v.Schedule; s != nil {
		return Hash(append(parts, text(s.ID))...), s.ID != nil
	}
	r := v.Repository
	if r == nil || r.ID == nil && r.Path == nil || v.Branch == nil && v.Tag == nil {
		return "", false
	}
	repository := text(r.ID)
	if r.ID == nil {
		repository = "path" + text(r.Path)
	}
	request, task := "-", "-"
	if v.MergeRequest != nil && v.MergeRequest.IID != nil {
		request = strconv.FormatInt(*v.MergeRequest.IID, 10)
	}
	if v.Build != nil {
		task = text(v.Build.JobID)
	}
	return Hash(append(parts, repository, text(v.Branch), text(v.Tag), request, task)...), true
}

// Overtaken ends the run without a decision about its items, because a newer event has overtaken its own. The facts that are there are
// recorded.
func (x *Run) Overtaken(by *LatestEvent) *Decision {
	d := x.Skip(fmt.Sprintf("overtaken by event %s, accepted %s", by.EventID, by.At.UTC().Format(time.RFC3339Nano)))
	d.Outcome = OutcomeOvertaken
	return d
}

// latestTypes are the types of events that rules with latest_only are for.
type latestTypes struct {
	known    map[string]bool
	patterns []pattern // that take types of unknown kind
}

func (l *latestTypes) add(c *criteria) {
	if l.known == nil {
		l.known = map[string]bool{}
	}
	if c.schedule != "" {
		l.known[tickType] = true
	}
	for i := range c.types {
		p := &c.types[i]
		switch {
		case p.takesUnknown():
			if !slices.ContainsFunc(l.patterns, func(o pattern) bool { return o.text == p.text }) {
				l.patterns = append(l.patterns, *p)
			}
		case p.glob:
			for _, kind := range p.kinds {
				l.known[kind] = true
			}
		default:
			l.known[p.text] = true
		}
	}
}

// LatestMatters tells whether a rule with latest_only is for events of the type: those are to be remembered, whether they fit a rule or
// not.
func (rs *Ruleset) LatestMatters(kind string) bool {
	return rs.latest.known[kind] || strings.HasPrefix(kind, unknownTypes) &&
		slices.ContainsFunc(rs.latest.patterns, func(p pattern) bool { return p.matchType(kind) })
}
