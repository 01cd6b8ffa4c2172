package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/telemetry"
)

var update = flag.Bool("update", false, "write docs/reference/metrics.md")

const referenceFile = "../../docs/reference/metrics.md"

// TestReference keeps docs/reference/metrics.md what Reference says; -update writes it.
func TestReference(t *testing.T) {
	want := telemetry.Reference()
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("run go test ./internal/telemetry -update (-want +got):\n%s", diff)
	}
}

// TestReferenceLines: every line that is counted is written somewhere, with the very same words.
func TestReferenceLines(t *testing.T) {
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "../telemetry/") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(data)
	}
	rows := regexp.MustCompile(`(?m)^\| .* \| ([^|]*) \|$`).FindAllStringSubmatch(telemetry.Reference(), -1)
	seen := 0
	for _, row := range rows {
		for _, line := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			seen++
			if !strings.Contains(source.String(), `"`+line[1]+`"`) {
				t.Errorf("no package writes the line %q", line[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("saw %d lines in the reference: the test reads it wrongly", seen)
	}
}

// TestOperationsNamesMetrics: the page about operating names no metric and no log line that is not there.
func TestOperationsNamesMetrics(t *testing.T) {
	data, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`millrace_[a-z_]+`).FindAllString(string(data), -1)
	if len(names) < 10 {
		t.Fatalf("it names %d metrics", len(names))
	}
	for _, name := range names {
		if !strings.Contains(telemetry.Reference(), "| `"+strings.TrimSuffix(name, "_count")+"` |") {
			t.Errorf("there is no metric %s", name)
		}
	}
}

// scrape is what Prometheus would read of Millrace's own metrics, sorted.
func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("answered %d: %s", rec.Code, rec.Body)
	}
	var own []string
	for line := range strings.Lines(rec.Body.String()) {
		if strings.HasPrefix(line, "millrace_") && !strings.Contains(line, "_bucket{") && !strings.HasSuffix(line, " 0\n") {
			own = append(own, line)
		}
	}
	return strings.Join(own, "")
}

// TestCountedLines: what lines do to metrics, label by label.
func TestCountedLines(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.Names{Sources: []string{"shop", "builds"}, Targets: []string{"team", "ops"}, Polled: []string{"builds"}})
	var out bytes.Buffer
	log := m.Logger(&out, "json", "error")
	log.Warn().Str("target", "team").Str("class", "timeout").Msg("circuit opened")
	log.Warn().Str("target", "ops").Msg("circuit opened")
	log.Info().Str("target", "ops").Dur("took", time.Second).Msg("circuit closed")
	log.Info().Str("source", "builds").Int("tasks", 3).Int("events", 2).Msg("source polled")
	log.Warn().Str("source", "builds").Str("reason", "it is away").Msg("poll failed")
	log.Info().Str("event_id", "shop/1").Str("source", "shop").Str("type", "push").Str("repository", `a","source":"x`).
		Dur("took", 1500*time.Microsecond).Msg("event accepted")
	log.Info().Str("event_id", "shop/1").Str("source", "shop").Dur("took", time.Millisecond).Msg("event duplicate")
	log.Info().Str("source", "schedule").Str("type", "schedule.tick").Msg("event accepted")
	log.Info().Str("source", "shop").Str("type", "unknown.wiki_page").Dur("took", time.Millisecond).Msg("event accepted")
	log.Info().Str("reason", "unknown_source").Int("status", 404).Str("source", "guess-1").Msg("event refused")
	log.Info().Str("reason", "unknown_source").Int("status", 404).Str("source", "guess-2").Msg("event refused")
	log.Info().Str("reason", "unknown_path").Int("status", 404).Msg("event refused")
	log.Info().Str("type", "push").Int("candidates", 3).Strs("rules", []string{"one", `"type":"x"`}).Msg("matched")
	log.Info().Str("type", "push").Int("candidates", 0).Msg("matched")
	log.Info().Str("rule", `say "hello"`).Str("outcome", "acted").Str("reason", "").Msg("run decided")
	log.Info().Str("fact", "build").Str("kind", "build_of_commit").Dur("took", 2*time.Second).Msg("fact fetched")
	log.Info().Str("kind", "notify").Str("target", "team").Msg("message sent")
	log.Warn().Str("kind", "notify").Str("target", "team").Str("class", "throttled").Msg("retried")
	log.Warn().Str("kind", "run").Msg("retried")
	log.Error().Str("kind", "notify").Str("target", "gone").Str("class", "target").Msg("dead-lettered")
	log.Debug().Str("kind", "commit").Msg("action done") // debug lines do not count
	log.Info().Str("kind", "commit").Msg("not in the table")
	log.Info().Uint64("events", 12).Msg("events purged")
	m.Request("default", "commits", 200, time.Second)
	m.Request("default", "commits", 0, time.Second)
	want := `millrace_actions_total{kind="notify",state="done"} 1
millrace_candidates_total{type="push"} 3
millrace_circuit_open{target="team"} 1
millrace_codearts_request_seconds_sum{connection="default",operation="commits",status="200"} 1
millrace_codearts_request_seconds_count{connection="default",operation="commits",status="200"} 1
millrace_codearts_request_seconds_sum{connection="default",operation="commits",status="none"} 1
millrace_codearts_request_seconds_count{connection="default",operation="commits",status="none"} 1
millrace_dead_letters_total{class="target",kind="notify"} 1
millrace_deliveries_total{outcome="accepted",reason="",source="schedule"} 1
millrace_deliveries_total{outcome="accepted",reason="",source="shop"} 2
millrace_deliveries_total{outcome="duplicate",reason="",source="shop"} 1
millrace_deliveries_total{outcome="refused",reason="unknown_path",source=""} 1
millrace_deliveries_total{outcome="refused",reason="unknown_source",source="other"} 2
millrace_delivery_seconds_sum{source="shop"} 0.0035
millrace_delivery_seconds_count{source="shop"} 3
millrace_events_purged_total 12
millrace_events_total{type="push"} 1
millrace_events_total{type="schedule.tick"} 1
millrace_events_total{type="unknown"} 1
millrace_fact_seconds_sum{kind="build_of_commit"} 2
millrace_fact_seconds_count{kind="build_of_commit"} 1
millrace_matches_total{type="push"} 2
millrace_messages_total{outcome="dead_lettered",target="other"} 1
millrace_messages_total{outcome="retried",target="team"} 1
millrace_messages_total{outcome="sent",target="team"} 1
millrace_polls_total{outcome="failed",source="builds"} 1
millrace_polls_total{outcome="polled",source="builds"} 1
millrace_retries_total{class="",kind="run"} 1
millrace_retries_total{class="throttled",kind="notify"} 1
millrace_runs_total{outcome="acted",rule="say \"hello\""} 1
`
	got := regexp.MustCompile(`(?m)^millrace_source_polled_timestamp_seconds\{source="builds"\} [0-9.e+]+\n`).ReplaceAllString(scrape(t, m), "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 1 || !strings.Contains(out.String(), "dead-lettered") {
		t.Errorf("%d lines are written at level error:\n%s", lines, out.String())
	}
}

// TestFewSeries: names that nobody knew do not make a metric grow without end, and do not hide those that are known.
func TestFewSeries(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.Names{Sources: []string{"shop"}})
	log := m.Logger(io.Discard, "json", "info")
	for i := range 3000 {
		log.Info().Str("source", fmt.Sprintf("guess-%d", i)).Str("reason", "unknown_source").Msg("event refused")
		log.Info().Str("rule", fmt.Sprintf("rule-%d", i)).Str("outcome", "acted").Msg("run decided")
	}
	log.Info().Str("source", "shop").Str("reason", "unverified").Msg("event refused")
	got := scrape(t, m)
	for _, want := range []string{
		`{outcome="refused",reason="unknown_source",source="other"} 3000`,
		`{outcome="refused",reason="unverified",source="shop"} 1`,
		`{outcome="other",rule="other"} 2000`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s", want)
		}
	}
	if n := strings.Count(got, "\n"); n > 1100 {
		t.Errorf("%d series", n)
	}
}

// TestLevelsOfCountedLog: what is written is what the level says, in the look of Logger.
func TestLevelsOfCountedLog(t *testing.T) {
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1} {
		var out bytes.Buffer
		log := telemetry.NewMetrics(telemetry.Names{}).Logger(&out, "console", level)
		log.Debug().Msg("acked")
		log.Info().Msg("rules loaded")
		log.WithLevel(zerolog.WarnLevel).Msg("retried")
		log.Error().Msg("dead-lettered")
		if n := strings.Count(out.String(), "\n"); n != want {
			t.Errorf("level %s writes %d lines, wanted %d:\n%s", level, n, want, out.String())
		}
	}
}

// TestReadGauges: the gauges are read at each scrape; those that cannot be are absent, and one of them says so.
func TestReadGauges(t *testing.T) {
	m := telemetry.NewMetrics(telemetry.Names{})
	if got := scrape(t, m); got != "" {
		t.Errorf("before anything is read: %s", got)
	}
	var fail error
	m.Read(func(context.Context) ([]telemetry.Gauge, error) {
		all := []telemetry.Gauge{{Name: "millrace_ruleset_rules", Value: 4}}
		if fail == nil {
			all = append(all, telemetry.Gauge{Name: "millrace_store_messages", Labels: []string{"EVENTS"}, Value: 2})
		}
		return all, fail
	})
	if got, want := scrape(t, m), "millrace_ruleset_rules 4\nmillrace_store_messages{store=\"EVENTS\"} 2\nmillrace_stores_reachable 1\n"; got != want {
		t.Errorf("got %s", got)
	}
	fail = errors.New("the broker is away")
	if got, want := scrape(t, m), "millrace_ruleset_rules 4\n"; got != want {
		t.Errorf("got %s", got)
	}
}

func FuzzCount(f *testing.F) {
	f.Add([]byte(`{"level":"info","source":"shop","type":"push","took":1.5,"message":"event accepted"}` + "\n"))
	f.Add([]byte(`{"source":"a\"b","reason":` + "\n" + `,"message":"event refused"}` + "\n"))
	f.Add([]byte(`{"took":1,"message":"fact fetched"}`))
	f.Add([]byte(`"message":"`))
	f.Add([]byte(`}`))
	m := telemetry.NewMetrics(telemetry.Names{})
	log := m.Logger(io.Discard, "json", "error")
	f.Fuzz(func(_ *testing.T, line []byte) {
		log.Info().RawJSON("source", line).Msg("event accepted") // what is no JSON must do no harm either
		log.Info().Str("source", string(line)).Str("type", string(line)).Bytes("kind", line).Msg("event accepted")
		log.Info().Msg(string(line))
	})
}

// BenchmarkLine is what a line of the receiver costs, counted and not.
func BenchmarkLine(b *testing.B) {
	for name, log := range map[string]zerolog.Logger{
		"plain":   telemetry.Logger(io.Discard, "json", "info"),
		"counted": telemetry.NewMetrics(telemetry.Names{Sources: []string{"shop"}}).Logger(io.Discard, "json", "info"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				log.Info().Str("event_id", "shop/6a1c9f0e-9f6a-4a4e-8a54-5f3f3f0d8c11").Str("source", "shop").Str("type", "push").
					Str("repository", "shop/orders").Dur("took", 1234*time.Microsecond).Msg("event accepted")
			}
		})
	}
}
