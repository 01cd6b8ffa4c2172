package rules

import "github.com/millrace/millrace/pkg/events"

// tickType is the type of the event a schedule makes.
const tickType = events.TypeTick

// criteria is the compiled `on` and `match` of one rule: an event must be of one of types, or come from the schedule, and all of
// conds and groups must hold.
//
// types and schedule exclude each other; criteria with neither match no event. It is not changed once it is compiled.
type criteria struct {
	types    []pattern // event types, made by newTypePattern
	schedule string    // the id of the schedule when `on` is one: type schedule.tick and this id
	words    string    // the schedule as the author wrote it, for explanations
	conds    []cond
	groups   []group
}

// clause is what stands under `match`, and in each element of its groups: all of its lines and groups must hold.
type clause struct {
	conds  []cond
	groups []group
}

// group is `any`, `all` or `not` of a clause.
type group struct {
	kind    groupKind
	pos     Position
	clauses []clause // at least one
}

type groupKind uint8

const (
	groupAny groupKind = iota // one of the clauses holds
	groupAll                  // each of them does
	groupNot                  // none of them does
)

func (k groupKind) String() string { return [...]string{"any", "all", "not"}[k] }

// cond is one line of `match`: the value of field is taken by one of any and by none of not; of a field whose values are numbers
// by one of in and none of out.
//
// An empty any takes every text, an empty in every number. A field the event does not have satisfies no condition, `not` alone
// included: a rule for "every branch but main" does not fire on an event without a branch. Only absent is satisfied by just that.
type cond struct {
	field  events.Field
	pos    Position
	any    []pattern // made by newPattern, newGlob or exactly
	not    []pattern
	in     []span
	out    []span
	absent bool // nothing else is set then
}

// span is the numbers from least to most, both included.
type span struct {
	least, most int64
	words       string // as the author wrote it: "7", "> 10 and <= 20"
}

func (s *span) takes(n int64) bool { return s.least <= n && n <= s.most }

// match reports whether the event satisfies the criteria. It is the meaning of `on` and `match`; the index only finds the
// same rules sooner.
func (c *criteria) match(ev *events.Flat) bool {
	match := c.clause()
	return c.on(ev) && match.holds(ev)
}

// clause is what stands under `match`.
func (c *criteria) clause() clause { return clause{c.conds, c.groups} }

func (c *criteria) on(ev *events.Flat) bool {
	kind, ok := ev.Get(events.FieldType)
	if !ok {
		return false
	}
	if c.schedule != "" {
		id, ok := ev.Get(events.FieldScheduleID)
		return ok && kind == tickType && id == c.schedule
	}
	return c.takesType(kind)
}

func (c *criteria) takesType(kind string) bool {
	for i := range c.types {
		if c.types[i].matchType(kind) {
			return true
		}
	}
	return false
}

func (c *clause) holds(ev *events.Flat) bool {
	for i := range c.conds {
		if !c.conds[i].match(ev) {
			return false
		}
	}
	for i := range c.groups {
		if !c.groups[i].holds(ev) {
			return false
		}
	}
	return true
}

func (g *group) holds(ev *events.Flat) bool {
	for i := range g.clauses {
		if holds := g.clauses[i].holds(ev); holds != (g.kind == groupAll) {
			return g.kind == groupAny // the first that holds decides any and not, the first that does not decides all
		}
	}
	return g.kind != groupAny
}

func (c *cond) match(ev *events.Flat) bool {
	switch {
	case c.absent:
		return !ev.Has(c.field)
	case c.field.Kind() != events.KindText:
		n, ok := ev.Number(c.field)
		return ok && c.takesNumber(n)
	}
	value, ok := ev.Get(c.field)
	return ok && c.takes(value)
}

// takes reports whether the condition holds for a field that has this value.
func (c *cond) takes(value string) bool {
	return (len(c.any) == 0 || anyMatch(c.any, value)) && !anyMatch(c.not, value)
}

// takesNumber is takes for a field whose values are numbers.
func (c *cond) takesNumber(n int64) bool {
	return (len(c.in) == 0 || anyTakes(c.in, n)) && !anyTakes(c.out, n)
}

func anyMatch(ps []pattern, value string) bool {
	for i := range ps {
		if ps[i].match(value) {
			return true
		}
	}
	return false
}

func anyTakes(spans []span, n int64) bool {
	for i := range spans {
		if spans[i].takes(n) {
			return true
		}
	}
	return false
}
