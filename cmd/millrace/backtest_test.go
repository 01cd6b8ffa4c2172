package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/internal/trial/backtest"
	"github.com/millrace/millrace/pkg/events"
)

// backtested is what a command printed, and its error.
func backtested(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, bad bytes.Buffer
	root := rootCommand()
	root.SetArgs(append([]string{"rules", "backtest"}, args...))
	root.SetOut(&out)
	root.SetErr(&bad)
	err = root.ExecuteContext(t.Context())
	return out.String(), bad.String(), err
}

func TestBacktestCommand(t *testing.T) {
	b := streamtest.Server(t)
	conn, err := stream.Connect(t.Context(), stream.Config{URLs: []string{b.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		body := fmt.Sprintf(`{"object_kind":"push","ref":"refs/heads/main","after":"%040x","project":{"path_with_namespace":"shop/orders"}}`, i+1)
		e := &events.Event{
			ID: fmt.Sprintf("shop/%d", i), Source: "shop", Type: "push", Repository: "shop/orders", Time: time.Date(2026, 11, 1, 0, 0, i, 0, time.UTC), Body: []byte(body),
		}
		if _, err := conn.PublishEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := file("millrace.yaml", "nats: { url: \""+b.URL()+"\" }\ntargets: { team: { kind: log } }\n")
	rule := "rules: [{ name: greet, on: push, do: [{ notify: { to: [team], title: Pushed, text: \"by \\u202esomebody\" } }] }]\n"
	old, tried := file("old.yaml", rule), file("new.yaml", strings.Replace(rule, "Pushed", "New", 1))
	wrong := file("wrong.yaml", "rules: [{ name: greet, on: psh }]\n")

	stdout, stderr, err := backtested(t, tried, "--config", config, "--against", old, "--examples", "1")
	if err != nil || stderr != "" {
		t.Errorf("%v, %s", err, stderr)
	}
	for _, want := range []string{
		"events  3, stored from ", "rules   0 the same, 1 changed\n\ngreet (changed): 3 different message\n",
		"greet different message, the first 1 of 3:\n  shop/0  push  shop/orders  2026-11-01T00:00:00Z\n      notify notify1\n        text: by \\u202esomebody\n    -   title: Pushed\n    +   title: New\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is missing:\n%s", want, stdout)
		}
	}
	stdout, _, err = backtested(t, tried, "--config", config, "--against", old, "--json", "--fail-on-difference", "--jobs", "2")
	var r backtest.Report
	if bad := json.Unmarshal([]byte(stdout), &r); bad != nil || r.Counts[backtest.DifferentMessage] != 3 || !errors.Is(err, errSilent) {
		t.Errorf("%+v, %v, %v", r, bad, err)
	}
	if stdout, _, err = backtested(t, old, "--config", config, "--against", old, "--fail-on-difference"); err != nil || !strings.Contains(stdout, "rules   1 the same\n") {
		t.Errorf("the same rules: %v\n%s", err, stdout)
	}
	if stdout, _, err = backtested(t, tried, "--config", config, "--against", old, "--from", "2026-01-01", "--to", "2026-01-02"); err != nil || !strings.Contains(stdout, "events  none\n") {
		t.Errorf("long ago: %v\n%s", err, stdout)
	}
	if _, _, err := backtested(t, tried, "--config", config); !errors.Is(err, app.ErrNothingLive) || !strings.Contains(err.Error(), "give --against PATH") {
		t.Errorf("without live rules: %v", err)
	}
	if _, _, err := backtested(t, tried, "--config", config, "--against", "abcdef"); err == nil || !strings.Contains(err.Error(), "no ruleset that begins with abcdef") {
		t.Errorf("an unknown digest: %v", err)
	}
	if _, _, err := backtested(t, tried, "--config", config, "--against", old, "--rule", "great"); err == nil || !strings.Contains(err.Error(), `neither ruleset has a rule "great"`) {
		t.Errorf("an unknown rule: %v", err)
	}
	for _, args := range [][]string{{wrong, "--against", old}, {tried, "--against", wrong}} {
		if stdout, stderr, err := backtested(t, append(args, "--config", config)...); !errors.Is(err, errSilent) || stdout != "" || !strings.Contains(stderr, "wrong.yaml:1:") {
			t.Errorf("rules that are wrong: %v\n%s%s", err, stdout, stderr)
		}
	}
}

func TestBacktestUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"needs the rule files or folders to try":       {},
		"--since and --from both say":                  {"x", "--since", "7d", "--from", "2026-11-01"},
		`--since "week" is no time span`:               {"x", "--since", "week"},
		`--since "-1d" is no time span`:                {"x", "--since", "-1d"},
		`--from "yesterday" is no time`:                {"x", "--from", "yesterday"},
		`--to "tomorrow" is no time`:                   {"x", "--to", "tomorrow"},
		"there is no time between 2026-11-02T00:00:00": {"x", "--from", "2026-11-02", "--to", "2026-11-01"},
		"are not negative":                             {"x", "--examples", "-1"},
	} {
		_, _, err := backtested(t, args...)
		if usage := (usageError{}); !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

func TestSpans(t *testing.T) {
	for text, want := range map[string]time.Duration{"7d": 168 * time.Hour, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "999999999d": 36_500 * 24 * time.Hour} {
		if got, err := days(text); got != want || err != nil {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}

// TestProgress: a bar moves on in one line, is taken away at the end, and is not there for other programs.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	silent := newProgressBar(&out)
	silent.begun = time.Time{}
	silent.show(0.5)
	silent.clear()
	if out.Len() > 0 {
		t.Errorf("no terminal, and it shows %q", out.String())
	}
	early := &progressBar{to: &out, begun: time.Now().Add(time.Hour)}
	early.show(0.5)
	early.clear()
	if out.Len() > 0 {
		t.Errorf("too early, and it shows %q", out.String())
	}
	bar := &progressBar{to: &out}
	for _, done := range []float64{0.25, 0.25, 1.5} {
		bar.show(done)
	}
	bar.clear()
	want := "\r[##########..............................]  25 %\r[########################################] 100 %\r" + strings.Repeat(" ", 48) + "\r"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
