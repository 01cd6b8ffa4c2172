package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// nats.go 1.55.0 leaves it behind now and then after a put into an object store.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

// TestDemo plays the whole story and reads it as a machine does.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Out: &out, JSON: true}); err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	told := map[string]int{}
	var last map[string]any
	for line := range bytes.Lines(out.Bytes()) {
		last = nil
		if err := json.Unmarshal(line, &last); err != nil {
			t.Fatalf("not one JSON object a line: %v\n%s", err, line)
		}
		what, _ := last["what"].(string)
		told[what]++
	}
	for _, what := range []string{"accepted", "matched", "waiting", "fetched", "decided", "no", "commit", "message", "alert", "recognised", "refused", "our own", "chat", "verified"} {
		if told[what] == 0 {
			t.Errorf("the story does not tell of %q", what)
		}
	}
	summary, _ := last["summary"].(map[string]any)
	for name, want := range map[string]float64{
		"duplicates": 1, "refused": 1, "commits": 1, "alerts": 1, "notifications": 3, "dead_letters": 0,
	} {
		if summary[name] != want {
			t.Errorf("summary %s is %v, want %v", name, summary[name], want)
		}
	}
	for _, name := range []string{"events", "decisions"} {
		if n, _ := summary[name].(float64); n < 4 {
			t.Errorf("summary %s is %v, want 4 at least", name, summary[name])
		}
	}
	if t.Failed() {
		t.Logf("%s", out.Bytes())
	}
}

// TestTheVerifierLooks disables the commit where Millrace cannot notice: the answers say it was made. The demo has to fail.
func TestTheVerifierLooks(t *testing.T) {
	err := Run(t.Context(), Options{Out: io.Discard, lie: true, patience: 12 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "0 follow-up commits") {
		t.Fatalf("without a commit the demo ends with %v", err)
	}
}

// TestServe keeps the demo running, follows the line it prints, and ends it.
func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Out: write, Serve: true})
		_ = write.Close()
	}()
	curl := regexp.MustCompile(`curl -sS -X POST (\S+) .*X-Repo-Token: (\S+)' -d '(.*)'`)
	rules := regexp.MustCompile(`Rules are in (\S+):`)
	folder := ""
	lines := make(chan string, 1000) // never full: what is told must not wait for what the test does
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(read)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
	posted := false
	for line := range lines {
		if m := rules.FindStringSubmatch(line); m != nil {
			folder = m[1]
			if _, err := os.Stat(folder); err != nil {
				t.Errorf("the folder it names: %v", err)
			}
		}
		if m := curl.FindStringSubmatch(line); m != nil {
			posted = true
			post(t, m[1], m[2], m[3])
		}
		if strings.Contains(line, "Look at the chat") {
			cancel()
		}
	}
	if err := <-ended; err != nil {
		t.Fatalf("ending it is no failure, got %v", err)
	}
	if !posted {
		t.Fatal("it printed no curl line")
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind: %v", folder, err)
	}
}

func post(t *testing.T, url, token, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Repo-Token", token)
	var a answer
	status, err := do(req, &a)
	if err != nil || status != http.StatusAccepted || a.Status != "accepted" {
		t.Errorf("the printed line is answered %d %+v, %v", status, a, err)
	}
}
