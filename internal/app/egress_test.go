package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/egress"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// TestAddressesAtLoad: what is wrong with the addresses of targets, and with egress itself, is a problem of the configuration, at the place
// of the setting and without the address.
func TestAddressesAtLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "millrace.yaml")
	load := func(text string, environ ...string) error {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := app.Load(file, environ)
		if (cfg == nil) == (err == nil) {
			t.Fatalf("%v, %v", cfg, err)
		}
		return err
	}
	targets := `targets:
  a: { kind: dingtalk, url: { env: A } }
  b: { kind: feishu, url: { env: B } }
  c: { kind: webhook, url: { env: C } }
  d: { kind: log }
`
	const ding, lark = "https://oapi.dingtalk.com/robot/send?access_token=" + mark, "https://open.larksuite.com/open-apis/bot/v2/hook/" + mark
	if err := load(targets, "A="+ding, "B="+lark, "C=https://hooks.example.com:443/"+mark); err != nil {
		t.Errorf("good addresses: %v", err)
	}
	if err := load(targets+"egress: { allow_http: true, allow_cidrs: 127.0.0.0/8, allow_ports: [8090] }\n", "A=http://127.0.0.1:8090/"+mark, "B=http://localhost/"+mark, "C="+lark); err != nil {
		t.Errorf("permitted addresses: %v", err)
	}
	err := load(targets, "A="+lark, "B=https://oapi.dingtalk.com/robot/send?token="+mark, "C=http://169.254.169.254:8080/"+mark, "MILLRACE_TARGETS_E_KIND=webhook", "MILLRACE_TARGETS_E_URL=https://0x7f.1/"+mark)
	want := []string{
		"millrace.yaml:2:29: https://open.larksuite.com/…: an address of lark, for a target of kind dingtalk; copy the address of the robot that is meant, or set another kind [config]",
		"millrace.yaml:3:27: https://oapi.dingtalk.com/…: an address of dingtalk, for a target of kind feishu; copy the address of the robot that is meant, or set another kind [config]",
		"millrace.yaml:3:27: https://oapi.dingtalk.com/…: it is not the address of a robot; copy the robot's Webhook: https://oapi.dingtalk.com/robot/send?access_token=… [config]",
		"millrace.yaml:4:28: http://169.254.169.254:8080/…: address not permitted; use a public address; for a robot of your own add its network to egress.allow_cidrs or its name to egress.allow_hosts (metadata and link-local addresses are never permitted) [config]",
		"millrace.yaml:4:28: http://169.254.169.254:8080/…: http is not permitted; use https://, or for a test network set egress.allow_http [config]",
		"millrace.yaml:4:28: http://169.254.169.254:8080/…: port 8080 is not permitted; leave the port out for the usual one, or add it to egress.allow_ports [config]",
		"environment: MILLRACE_TARGETS_E_URL: …: the host looks like an IP address in a form that programs read differently; write four decimal numbers without leading zeros, or better the name [config]",
	}
	if diff := cmp.Diff(want, lines(err, file)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	err = load("egress: { allow_cidrs: [10.0.0.1], allow_hosts: [\"http://x\"], allow_ports: [http], proxy: http://proxy/path }\n")
	want = []string{
		`millrace.yaml:1:24: "10.0.0.1" is no network; write it like 10.20.0.0/16 or fd12:3456::/32 [config]`,
		`millrace.yaml:1:49: "http://x" is no name of a host; write it like chat.corp.example or *.corp.example; an address goes to allow_cidrs [config]`,
		`millrace.yaml:1:76: "http" is no port; write it like 8443 or 9000-9010 [config]`,
		`millrace.yaml:1:91: it is not just http:// or https://, a host and a port; write it like http://proxy.corp.example:3128 [config]`,
	}
	if diff := cmp.Diff(want, lines(err, file)); diff != "" {
		t.Errorf("problems of egress (-want +got):\n%s", diff)
	}
}

func lines(err error, file string) []string {
	if err == nil {
		return nil
	}
	return strings.Split(strings.ReplaceAll(err.Error(), file, "millrace.yaml"), "\n")
}

// TestMessageToForbiddenAddress: an address that may not be dialled when the message is sent is a dead letter of its own class, and the log
// says why without the address.
func TestMessageToForbiddenAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Rules: "shop"})
	w.startReceiver()
	log, _ := w.start("worker", func(ctx context.Context, cfg *config.Config, logs io.Writer, ready func()) error {
		cfg.Egress.AllowCIDRs = nil
		return app.Worker(ctx, cfg, logs, ready)
	})
	w.deliver(mergeRequest(t, 1))
	eventually(t, "the dead letters", func() error {
		if n := len(log.lines("dead-lettered", "class", egress.ClassAddress)); n != 2 {
			return fmt.Errorf("%d dead letters", n)
		}
		return nil
	})
	eventually(t, "the end of all work", w.settled)
	if len(w.robots.Messages()) != 0 || len(w.dead()) != 2 {
		t.Errorf("messages %v, dead letters %v", w.robots.Messages(), w.dead())
	}
	if refused := log.lines("address refused", "host", "127.0.0.1"); len(refused) != 2 || !strings.Contains(refused[0]["reason"].(string), "127.0.0.1") {
		t.Errorf("logged %v", refused)
	}
	w.wantNoMark("log of the worker", log.String())
}

// TestCheckAddress: the receiver checks addresses for who has the token, and asks CodeArts when it is told to.
func TestCheckAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	log, _ := w.startReceiver()
	check := func(token string, question map[string]string) (int, egress.Report, http.Header) {
		t.Helper()
		body, err := json.Marshal(question)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.receiver+"/v1/webhooks/check", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		w.wantNoMark("answer", string(data))
		var report egress.Report
		if err := json.Unmarshal(data, &report); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		return resp.StatusCode, report, resp.Header
	}
	if status, _, _ := check(webhookToken, map[string]string{"url": "https://example.com"}); status != http.StatusUnauthorized {
		t.Errorf("with another token: %d", status)
	}
	robot := teamRobot.URL(w.chat)
	status, report, _ := check(checkToken, map[string]string{"url": robot})
	if status != http.StatusOK || report.Failed() || report.Address != w.chat+"/…" || len(report.Points) != len(egress.Codes()) {
		t.Errorf("%d, %+v", status, report)
	}
	status, report, _ = check(checkToken, map[string]string{"url": robot, "job_id": jobID, "notice_type": "ding_talk"})
	last := report.Points[len(report.Points)-1]
	if status != http.StatusOK || last.Verdict != egress.Fail || !strings.Contains(last.Text, "the webhook address cannot be used") { // the fake wants https
		t.Errorf("%d, %+v", status, report)
	}
	if diff := cmp.Diff([]codeartstest.WebhookCheck{{JobID: jobID, NoticeType: "DING_TALK", URL: robot}}, w.fake.WebhookChecks()); diff != "" {
		t.Errorf("CodeArts was asked (-want +got):\n%s", diff)
	}
	if status, report, _ := check(checkToken, map[string]string{"url": "https://10.0.0.1/" + mark}); status != http.StatusOK || !report.Failed() {
		t.Errorf("%d, %+v", status, report)
	}
	status, _, header := check(checkToken, map[string]string{"url": robot}) // check_rate is 3
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("the fourth: %d, %v", status, header)
	}
	if n := len(w.robots.Messages()) + w.robots.Refused(); n != 0 {
		t.Errorf("%d requests to robots", n)
	}
	if len(log.lines("address checked")) != 3 || len(log.lines("address refused", "host", "10.0.0.1")) != 1 {
		t.Errorf("log:\n%s", log)
	}
	w.wantNoMark("log of the receiver", log.String())
}
