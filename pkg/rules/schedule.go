package rules

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cronField is what one of the five fields of a cron pattern may hold.
type cronField struct {
	name     string
	min, max int
	names    []string // of min, min+1, …
}

func cronFields() []cronField {
	return []cronField{
		{name: "minute", min: 0, max: 59},
		{name: "hour", min: 0, max: 23},
		{name: "day of month", min: 1, max: 31},
		{name: "month", min: 1, max: 12, names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{name: "day of week", min: 0, max: 6, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// cronPattern checks the five fields of a cron pattern and turns them into the six the server takes.
func cronPattern(text string) (string, error) {
	fields := strings.Fields(text)
	if len(fields) != 5 {
		return "", fmt.Errorf("cron %q has %d fields, wanted five: minute, hour, day of month, month, day of week", text, len(fields))
	}
	var days, months []int
	for i, f := range cronFields() {
		values, err := f.parse(fields[i])
		if err != nil {
			return "", fmt.Errorf("cron %q, %s: %w", text, f.name, err)
		}
		switch f.name {
		case "day of month":
			days = values
		case "month":
			months = values
		}
	}
	if fields[4] == "*" && !everComes(days, months) {
		return "", fmt.Errorf("cron %q never comes: none of its months has that day", text)
	}
	return "0 " + strings.Join(fields, " "), nil
}

func everComes(days, months []int) bool {
	longest := [...]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	return slices.ContainsFunc(months, func(m int) bool { return slices.Min(days) <= longest[m] })
}

// parse gives all values of a field: comma-separated *, n, n-m, each with an optional /step.
func (f *cronField) parse(text string) ([]int, error) {
	var all []int
	for term := range strings.SplitSeq(text, ",") {
		span, stepText, hasStep := strings.Cut(term, "/")
		step := 1
		if hasStep {
			n, err := strconv.Atoi(stepText)
			if err != nil || n < 1 || n > f.max {
				return nil, fmt.Errorf("the step %q must be a number from 1 to %d", stepText, f.max)
			}
			step = n
		}
		from, to, err := f.span(span, hasStep)
		if err != nil {
			return nil, err
		}
		for v := from; v <= to; v += step {
			all = append(all, v)
		}
	}
	return all, nil
}

func (f *cronField) span(text string, hasStep bool) (from, to int, err error) {
	if text == "*" {
		return f.min, f.max, nil
	}
	first, last, isRange := strings.Cut(text, "-")
	if from, err = f.value(first); err != nil {
		return 0, 0, err
	}
	switch {
	case isRange:
		if to, err = f.value(last); err != nil {
			return 0, 0, err
		}
	case hasStep:
		to = f.max
	default:
		to = from
	}
	if from > to {
		return 0, 0, fmt.Errorf("the range %q goes backwards", text)
	}
	return from, to, nil
}

func (f *cronField) value(text string) (int, error) {
	if i := slices.Index(f.names, strings.ToLower(text)); i >= 0 {
		return f.min + i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || text[0] == '+' {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	if n < f.min || n > f.max {
		return 0, fmt.Errorf("%d is not within %d to %d", n, f.min, f.max)
	}
	return n, nil
}

// everyPattern checks an interval.
func everyPattern(text string) (string, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return "", fmt.Errorf("every: %q is not a duration such as 30s, 5m or 12h", text)
	}
	if d < time.Second || d%time.Second != 0 {
		return "", fmt.Errorf("every: %s must be whole seconds, at least one", text)
	}
	return "@every " + d.String(), nil
}

// atPattern checks a point in time.
func atPattern(text string) (string, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "", fmt.Errorf("at: %q is not a time such as 2026-11-20T09:00:00Z", text)
	}
	return "@at " + t.UTC().Format(time.RFC3339), nil
}

// timeZone checks the name of a time zone. UTC is "".
func timeZone(name string) (string, error) {
	switch name {
	case "", "UTC":
		return "", nil
	case "Local":
		return "", errors.New("time_zone: Local differs from machine to machine; name a zone such as Asia/Shanghai")
	}
	if _, err := time.LoadLocation(name); err != nil {
		return "", fmt.Errorf("time_zone: there is no zone %q; names are like Asia/Shanghai or Europe/Berlin", name)
	}
	return name, nil
}

// newSchedule names a schedule by what it says, so that two rules with the same one share it.
func newSchedule(pattern, zone string) Schedule {
	return Schedule{ID: Hash("schedule", pattern, zone), Pattern: pattern, TimeZone: zone}
}

// patternWords is the server's pattern of a schedule as an author writes it: cron 0 9 * * *, every 12h.
func patternWords(pattern string) string {
	if words, ok := strings.CutPrefix(pattern, "@"); ok {
		return words
	}
	return "cron " + strings.TrimPrefix(pattern, "0 ")
}
