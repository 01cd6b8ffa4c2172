package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/telemetry"
)

// adminOf is the address at which a server is monitored, which its log names.
func adminOf(t *testing.T, log *journal, started string) string {
	t.Helper()
	lines := log.lines(started)
	if len(lines) != 1 {
		t.Fatalf("%d lines %q", len(lines), started)
	}
	address, _ := lines[0]["admin"].(string)
	return "http://" + address
}

// ask reads a page of the admin listener.
func (w *world) ask(url string) (status int, text string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// unready are the names of the checks that do not hold.
func (w *world) unready(admin string) (status int, names []string) {
	w.t.Helper()
	status, text := w.ask(admin + "/readyz")
	var r telemetry.Readiness
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		w.t.Fatalf("%v in %s", err, text)
	}
	for _, c := range r.Checks {
		if !c.Ready {
			names = append(names, c.Name)
		}
	}
	if r.Ready != (status == http.StatusOK) || r.Ready != (len(names) == 0) {
		w.t.Errorf("%d: %s", status, text)
	}
	return status, names
}

// TestReady: both servers are ready once they have started, not while the broker is away, and again when it is back.
func TestReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Restarts: true})
	receiver, _ := w.startReceiver()
	worker, _ := w.startWorkerHere()
	servers := map[string]string{"receiver": adminOf(t, receiver, "receiver started"), "worker": adminOf(t, worker, "worker started")}
	for name, admin := range servers {
		if status, text := w.ask(admin + "/livez"); status != http.StatusOK {
			t.Errorf("%s: livez %d %s", name, status, text)
		}
		w.becomesReady(name, admin)
	}
	w.broker.Stop()
	for name, admin := range servers {
		eventually(t, name+" to be unready", func() error {
			if status, names := w.unready(admin); status != http.StatusServiceUnavailable || !cmp.Equal(names, []string{"stream"}) {
				return fmt.Errorf("readyz %d %q", status, names)
			}
			return nil
		})
		if status, _ := w.ask(admin + "/livez"); status != http.StatusOK {
			t.Errorf("%s: livez %d while the broker is away", name, status)
		}
		if status, text := w.ask(admin + "/metrics"); status != http.StatusOK || !strings.Contains(text, "millrace_stores_reachable 0\n") {
			t.Errorf("%s: metrics %d while the broker is away", name, status)
		}
	}
	w.broker.Start()
	for name, admin := range servers {
		w.becomesReady(name, admin)
	}
}

// becomesReady waits until a server is ready.
func (w *world) becomesReady(name, admin string) {
	w.t.Helper()
	eventually(w.t, name+" to be ready", func() error {
		if status, names := w.unready(admin); status != http.StatusOK {
			return fmt.Errorf("readyz %d %q", status, names)
		}
		return nil
	})
}

// shows waits until the metrics have lines that begin so: how long a scrape waits for the broker is bounded, and machines stall.
func (w *world) shows(admin string, want ...string) (text string) {
	w.t.Helper()
	eventually(w.t, "the metrics", func() error {
		var status int
		status, text = w.ask(admin + "/metrics")
		for _, line := range want {
			if status != http.StatusOK || !strings.Contains(text, "\n"+line) {
				return fmt.Errorf("%d, no %s among:\n%s", status, line, ours(text))
			}
		}
		return nil
	})
	return text
}

// ours are the lines of our own metrics, without those that are many.
func ours(metrics string) string {
	var b strings.Builder
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "millrace_") && !strings.Contains(line, "_bucket") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestUnreadyWhileDraining: a receiver that is told to stop says that it is not ready while it finishes what it has begun.
func TestUnreadyWhileDraining(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	log, stop := w.startReceiver()
	admin := adminOf(t, log, "receiver started")
	body := probe("push", "slow-1")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.receiver, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /hooks/shop HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nX-Repo-Token: %s\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", webhookToken, len(body))
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // the request is under way
		t.Fatalf("%q, %v", line, err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	eventually(t, "it to be unready", func() error {
		if status, names := w.unready(admin); status != http.StatusServiceUnavailable || !cmp.Equal(names, []string{"running"}) {
			return fmt.Errorf("readyz %d %q", status, names)
		}
		return nil
	})
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	if _, err := answers.ReadString('\n'); err != nil { // ends the headers of 100 Continue
		t.Fatal(err)
	}
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "202 Accepted") {
		t.Errorf("the delivery under way was answered %q, %v", line, err)
	}
	<-stopped
	if status, text := w.ask(admin + "/livez"); status != 0 {
		t.Errorf("it still answers: %d %s", status, text)
	}
}

// TestAdminSettings: a port in use is said with its setting; off opens nothing.
func TestAdminSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, serve := range map[string]func(cfg *config.Config) error{
		"receiver.admin_listen": func(cfg *config.Config) error { return app.Receiver(t.Context(), cfg, io.Discard, nil) },
		"worker.admin_listen":   func(cfg *config.Config) error { return app.Worker(t.Context(), cfg, io.Discard, nil) },
	} {
		cfg := w.config()
		cfg.Receiver.AdminListen, cfg.Worker.AdminListen = l.Addr().String(), l.Addr().String()
		if err := serve(cfg); err == nil || !strings.Contains(err.Error(), "another "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	log, _ := w.start("worker", func(ctx context.Context, cfg *config.Config, logs io.Writer, ready func()) error {
		cfg.Worker.AdminListen = "off"
		return app.Worker(ctx, cfg, logs, ready)
	})
	if admin := adminOf(t, log, "worker started"); admin != "http://" {
		t.Errorf("monitored at %s", admin)
	}
}

// TestMetrics: what happened is counted, and what is in the stores is shown.
func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	receiver, _ := w.startReceiver()
	worker, _ := w.startWorkerHere()
	_, body := w.push("count totals in cents", 0, "FAILED")
	w.deliver(body)
	w.deliver(body)
	if a, err := w.post(probe("push", "x"), "wrong"); err != nil || a.code != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d, %v", a.code, err)
	}
	eventually(t, "the messages", func() error { return w.atLeast(failedOps, recorded, patienceOps, patienceTm) })
	eventually(t, "the end of all work", w.settled)
	for name, c := range map[string]struct {
		admin string
		want  []string
	}{
		"receiver": {adminOf(t, receiver, "receiver started"), []string{
			`millrace_deliveries_total{outcome="accepted",reason="",source="shop"} 1`,
			`millrace_deliveries_total{outcome="duplicate",reason="",source="shop"} 1`,
			`millrace_deliveries_total{outcome="refused",reason="unverified",source="shop"} 1`,
			`millrace_delivery_seconds_count{source="shop"} 2`,
			`millrace_events_total{type="push"} 1`,
			`millrace_store_limit_bytes{store="EVENTS"} 6.7108864e+07`,
		}},
		"worker": {adminOf(t, worker, "worker started"), []string{
			`millrace_matches_total{type="push"} 1`,
			`millrace_actions_total{kind="commit",state="done"} 1`,
			`millrace_codearts_request_seconds_count{connection="default",operation="iam_token",status="201"} 1`,
			`millrace_codearts_request_seconds_count{connection="default",operation="create_commit",status="200"} 1`,
			`millrace_fact_seconds_count{kind="build_of_commit"} `,
			`millrace_messages_total{outcome="sent",target="ops"} `,
			`millrace_ruleset_loads_total{outcome="loaded"} 1`,
			`millrace_ruleset_info{digest="`,
			`millrace_store_messages{store="EVENTS"} 1`,
			`millrace_stores_reachable 1`,
			`millrace_events_unmatched 0`,
		}},
	} {
		if text := w.shows(c.admin, c.want...); strings.Contains(text, mark) || strings.Contains(text, `kind="",`) {
			t.Errorf("%s shows a secret, or an empty kind:\n%s", name, ours(text))
		}
	}
}

// TestTargetNotConfigured: a worker says once that work waits for a target it does not have.
func TestTargetNotConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	_, stop := w.startWorkerHere() // makes the stores
	stop()
	for i := range 2 {
		if err := w.look().Put(t.Context(), "work.notify.old-team", map[string]string{"Millrace-Key": fmt.Sprint("k", i)}, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	log, _ := w.startWorkerHere()
	lines := log.lines("target not configured")
	if len(lines) != 1 || lines[0]["target"] != "old-team" || lines[0]["level"] != "warn" || !strings.Contains(fmt.Sprint(lines[0]["reason"]), "messages wait for it: 2") {
		t.Errorf("lines %v", lines)
	}
	w.shows(adminOf(t, log, "worker started"), `millrace_work_waiting{kind="notify",target="old-team"} 2`)
}
