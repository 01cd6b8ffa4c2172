package rules

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// Ruleset is all rules of all files, compiled together. It is immutable and may be used by any number of goroutines.
type Ruleset struct {
	digest    string
	files     []File
	rules     []*Rule
	byName    map[string]*Rule
	schedules []Schedule
	live      []*Rule // those that are not off, in the order of the index
	index     *index
	latest    latestTypes
	room      sync.Pool // of *[]int32: the positions one Match finds
}

// Digest names the ruleset: lower-case hex of SHA-256 over the sorted names and contents of its files.
func (rs *Ruleset) Digest() string { return rs.digest }

// Files are the files it was compiled from, sorted by name. They are not to be changed.
func (rs *Ruleset) Files() []File { return rs.files }

// Rules are all rules, those that are off included, sorted by file and position. They are not to be changed.
func (rs *Ruleset) Rules() []*Rule { return rs.rules }

// Rule is the rule of that name, nil when there is none.
func (rs *Ruleset) Rule(name string) *Rule { return rs.byName[name] }

// Schedules are the schedules of all rules that are not off, each once, sorted by id.
func (rs *Ruleset) Schedules() []Schedule { return rs.schedules }

// Schedule is a time pattern that makes events of type schedule.tick.
type Schedule struct {
	ID       string `json:"id"`        // Hash(pattern, time zone)
	Pattern  string `json:"pattern"`   // as for the server: "0 0 9 * * *", "@every 5s" or "@at 2026-11-20T09:00:00Z"
	TimeZone string `json:"time_zone"` // IANA name, "" for UTC; only a cron pattern has one
}

// Modes of a rule.
const (
	ModeLive   = "live"   // decides and acts
	ModeShadow = "shadow" // decides and records, carries nothing out
	ModeOff    = "off"    // is checked, and matches nothing
)

// Position is a place in a rule file; Line and Col count from 1, Col in characters.
type Position struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
}

// String is "file:line:col".
func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// Rule is one rule of a ruleset. It is immutable.
type Rule struct {
	name        string
	description string
	mode        string
	ownCommits  bool
	pos         Position
	criteria    criteria

	latestOnly bool
	throttle   *throttle
	perMinute  int
	pause      time.Duration

	vars    map[string]any
	fetches []*fetch
	forEach *forEach
	when    *expr
	actions []*action
	cat     *Catalogue

	fingerprint [sha256.Size]byte
}

// Name is unique within the ruleset.
func (r *Rule) Name() string { return r.name }

// Description is what the author says the rule is for, "" when nothing.
func (r *Rule) Description() string { return r.description }

// Mode is ModeLive, ModeShadow or ModeOff.
func (r *Rule) Mode() string { return r.mode }

// OnOwnCommits tells whether the rule wants events caused by Millrace's own commits.
func (r *Rule) OnOwnCommits() bool { return r.ownCommits }

// Position is where the rule begins.
func (r *Rule) Position() Position { return r.pos }

// Facts are the names of the facts the rule fetches, in the order of the file.
func (r *Rule) Facts() []string {
	names := make([]string, len(r.fetches))
	for i, f := range r.fetches {
		names[i] = f.name
	}
	return names
}

// Defaults of waiting for a fact.
const (
	DefaultEvery   = 30 * time.Second
	DefaultTimeout = time.Hour
)

// Match appends to dst the rules whose `on` and `match` fit the event, in the order of Rules. It allocates only when dst has no
// room.
func (rs *Ruleset) Match(dst []*Rule, ev *events.Flat) []*Rule {
	room, ok := rs.room.Get().(*[]int32)
	if !ok {
		room = new([]int32)
	}
	*room = rs.index.match((*room)[:0], ev)
	for _, i := range *room {
		dst = append(dst, rs.live[i])
	}
	rs.room.Put(room)
	return dst
}

// ExplainMatch tells of `on` and of every line of `match` whether it holds for the event. It does not look at the rule's mode.
func (r *Rule) ExplainMatch(ev *events.Flat) Explanation { return r.criteria.explain(ev) }
