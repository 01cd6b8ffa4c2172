package rules

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/millrace/millrace/pkg/events"
)

// explain says of `on` and of every line of `match` what the rule wants and what the event has. All lines are looked at, also
// after one that does not hold. The verdict of the whole is that of match.
//
// Seen is the field's value as JSON, a time as a string in RFC 3339, and null when the event does not have the field.
func (c *criteria) explain(ev *events.Flat) Explanation {
	root := Explanation{Label: "on and match"}
	if c.schedule != "" {
		root.Children = []Explanation{
			explainField("on", strconv.Quote(tickType), events.FieldType, ev, is(tickType)),
			c.explainSchedule(ev),
		}
	} else {
		root.Children = []Explanation{explainField("on", oneOfWords(c.types), events.FieldType, ev, c.takesType)}
	}
	match := c.clause()
	root.Children = append(root.Children, match.explain(ev)...)
	root.Verdict = True
	for i := range root.Children {
		if root.Children[i].Verdict != True {
			root.Verdict = False
		}
	}
	return root
}

// explain says of each line and each group of a clause whether it holds.
func (c *clause) explain(ev *events.Flat) []Explanation {
	var out []Explanation
	for i := range c.conds {
		out = append(out, c.conds[i].explain(ev))
	}
	for i := range c.groups {
		out = append(out, c.groups[i].explain(ev))
	}
	return out
}

// explain says of each clause of a group whether it holds. What is under not is shown as it is wanted: turned round.
func (g *group) explain(ev *events.Flat) Explanation {
	e := Explanation{Label: "match " + g.kind.of(), Verdict: verdict(g.holds(ev))}
	for i := range g.clauses {
		c := &g.clauses[i]
		if g.kind == groupNot {
			e.Children = append(e.Children, c.explainNot(ev))
		} else {
			e.Children = append(e.Children, c.explainWhole(ev))
		}
	}
	if len(e.Children) == 1 {
		return e.Children[0]
	}
	return e
}

// of is what the clauses of a group are, in words.
func (k groupKind) of() string { return [...]string{wantAny, wantAll, "none of these"}[k] }

// explainWhole is the clause in one node: its only line, or a node above all of them.
func (c *clause) explainWhole(ev *events.Flat) Explanation {
	lines := c.explain(ev)
	if len(lines) == 1 {
		return lines[0]
	}
	return Explanation{Label: "match " + wantAll, Verdict: verdict(c.holds(ev)), Children: lines}
}

// explainNot is what holds when the clause does not.
func (c *clause) explainNot(ev *events.Flat) Explanation {
	if len(c.conds) == 1 && len(c.groups) == 0 {
		line := &c.conds[0]
		e := line.explain(ev)
		e.Label, e.Wanted, e.Verdict = "match not "+line.field.String(), line.wantedNot(), verdict(!line.match(ev))
		return e
	}
	return Explanation{Label: labelNot, Verdict: verdict(!c.holds(ev)), Children: c.explain(ev)}
}

func (c *cond) explain(ev *events.Flat) Explanation {
	e := Explanation{Label: "match " + c.field.String(), Wanted: c.wanted(), Verdict: verdict(c.match(ev)), Seen: json.RawMessage("null")}
	if value, ok := ev.Get(c.field); ok {
		e.Seen = fieldSeen(c.field, value)
	}
	return e
}

// fieldSeen is the value of a field as JSON.
func fieldSeen(field events.Field, value string) json.RawMessage {
	if field.Kind() == events.KindNumber {
		return json.RawMessage(value)
	}
	// The error is about bytes that are not UTF-8; they are shown as U+FFFD.
	seen, _ := jsontext.AppendQuote(nil, value)
	return seen
}

// explainSchedule compares ids, and shows what they stand for: they are hashes.
func (c *criteria) explainSchedule(ev *events.Flat) Explanation {
	e := explainField("on schedule", strconv.Quote(c.words), events.FieldScheduleID, ev, is(c.schedule))
	pattern, known := ev.Get(events.FieldSchedulePattern)
	seen := c.words
	switch {
	case e.Verdict == True:
	case string(e.Seen) == "null" || !known || pattern == "":
		return e
	default:
		if seen = patternWords(pattern); seen == c.words || strings.HasPrefix(c.words, seen+", ") {
			seen += ", another time zone"
		}
	}
	e.Seen, _ = jsontext.AppendQuote(nil, seen)
	return e
}

func is(want string) func(string) bool { return func(value string) bool { return value == want } }

func explainField(label, wanted string, field events.Field, ev *events.Flat, takes func(string) bool) Explanation {
	e := Explanation{Label: label, Wanted: wanted, Verdict: False, Seen: json.RawMessage("null")}
	if value, ok := ev.Get(field); ok {
		e.Seen = fieldSeen(field, value)
		if takes(value) {
			e.Verdict = True
		}
	}
	return e
}

// wanted says in words which values the condition takes.
func (c *cond) wanted() string {
	if c.absent {
		return "no value"
	}
	takes, not := oneOfWords(c.any), oneOfWords(c.not)
	if c.field.Kind() != events.KindText {
		takes, not = spanWords(c.in), spanWords(c.out)
	}
	switch {
	case takes == "" && not == "":
		return "any value"
	case takes == "":
		return "not " + not
	case not == "":
		return takes
	}
	return takes + " and not " + not
}

// wantedNot says in words when the condition does not hold.
func (c *cond) wantedNot() string {
	switch {
	case c.absent:
		return "any value"
	case len(c.any)+len(c.not)+len(c.in)+len(c.out) == 0:
		return "no value"
	case len(c.not)+len(c.out) > 0:
		return "anything but " + c.wanted()
	}
	return "not " + c.wanted() + ", or no value"
}

// wanted says in words what the group asks for.
func (g *group) wanted() string {
	words := make([]string, len(g.clauses))
	for i := range g.clauses {
		words[i] = g.clauses[i].wanted()
	}
	if g.kind == groupNot {
		return "not " + strings.Join(words, " and not ")
	}
	if len(words) == 1 {
		return words[0]
	}
	return "(" + strings.Join(words, map[groupKind]string{groupAny: " or ", groupAll: " and "}[g.kind]) + ")"
}

func (c *clause) wanted() string {
	var words []string
	for i := range c.conds {
		words = append(words, c.conds[i].field.String()+" "+c.conds[i].wanted())
	}
	for i := range c.groups {
		words = append(words, c.groups[i].wanted())
	}
	if len(words) == 1 {
		return words[0]
	}
	return "(" + strings.Join(words, " and ") + ")"
}

func oneOfWords(ps []pattern) string {
	words := make([]string, len(ps))
	for i := range ps {
		words[i] = strconv.Quote(ps[i].text)
		if ps[i].glob {
			words[i] = "glob " + words[i]
		}
	}
	return oneOfThese(words)
}

func spanWords(spans []span) string {
	words := make([]string, len(spans))
	for i := range spans {
		words[i] = spans[i].words
	}
	return oneOfThese(words)
}

// oneOfThese joins alternatives; it is "" for none.
func oneOfThese(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return "one of " + strings.Join(words, ", ")
}
