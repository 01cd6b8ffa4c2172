package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseWhen reads a time that a person gave: RFC 3339, a day (its beginning, UTC), or how long ago, like 90m, 36h or 7d. "" is the zero time.
func parseWhen(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	ago, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		ago = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || ago < 0 {
		return time.Time{}, usageError{fmt.Errorf("%s %q is no time; write it like 2026-05-04T03:02:01Z, 2026-05-04, or how long ago: 90m, 36h, 7d", flag, text)}
	}
	return now.Add(-ago).UTC(), nil
}
