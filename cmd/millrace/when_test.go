package main

import (
	"testing"
	"time"
)

func TestParseWhen(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                          {},
		"2026-05-04T03:02:01+02:00": time.Date(2026, 5, 4, 1, 2, 1, 0, time.UTC),
		"2026-05-03":                time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC),
		"90m":                       now.Add(-90 * time.Minute),
		"7d":                        now.AddDate(0, 0, -7),
	} {
		if got, err := parseWhen("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "-3h", "7 d", "d", "-1d", "99999d"} {
		if got, err := parseWhen("--since", text, now); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}
