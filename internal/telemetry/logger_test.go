package telemetry_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/telemetry"
)

func TestJSONLine(t *testing.T) {
	for _, format := range []string{telemetry.FormatJSON, telemetry.FormatAuto, ""} {
		var out bytes.Buffer
		log := telemetry.Logger(&out, format, "info")
		log.Info().Str("event_id", "repo/1").Msg("event accepted")
		var line struct {
			Time    string `json:"time"`
			Level   string `json:"level"`
			Message string `json:"message"`
			EventID string `json:"event_id"`
		}
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("format %q: %v in %q", format, err, out.String())
		}
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(line.Time) {
			t.Errorf("format %q: time %q is not RFC 3339 UTC with milliseconds", format, line.Time)
		}
		if line.Level != "info" || line.Message != "event accepted" || line.EventID != "repo/1" {
			t.Errorf("format %q: got %+v", format, line)
		}
	}
}

func TestConsoleLine(t *testing.T) {
	var out bytes.Buffer
	log := telemetry.Logger(&out, telemetry.FormatConsole, "debug")
	log.Debug().Str("key", "k1").Msg("parked")
	want := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z DBG parked key=k1\n$`)
	if !want.MatchString(out.String()) {
		t.Errorf("got %q, want it to match %s", out.String(), want)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("colour in a log that is no terminal: %q", out.String())
	}
}

func TestLevels(t *testing.T) {
	tests := []struct {
		level string
		want  zerolog.Level
	}{
		{"debug", zerolog.DebugLevel},
		{"info", zerolog.InfoLevel},
		{"warn", zerolog.WarnLevel},
		{"error", zerolog.ErrorLevel},
		{"", zerolog.InfoLevel},
		{"loud", zerolog.InfoLevel},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		if got := telemetry.Logger(&out, "json", tt.level).GetLevel(); got != tt.want {
			t.Errorf("level %q: got %v, want %v", tt.level, got, tt.want)
		}
	}
}
