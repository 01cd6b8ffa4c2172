package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/millrace/millrace/internal/config"
)

var update = flag.Bool("update", false, "rewrite the golden files and docs/reference/config.md")

// TestProblems loads every testdata/*.txtar: the files of the archive in a folder, its environ as the environment. The problems
// must be those of its section want.
func TestProblems(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			golden, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			var environ []string
			want := -1
			for i, f := range archive.Files {
				switch f.Name {
				case "environ":
					environ = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
				case "want":
					want = i
				default:
					write(t, f.Name, string(f.Data))
				}
			}
			if want < 0 {
				want = len(archive.Files)
				archive.Files = append(archive.Files, txtar.File{Name: "want"})
			}
			cfg, err := config.Load("millrace.yaml", environ)
			if cfg != nil || err == nil {
				t.Fatalf("loaded: %+v, %v", cfg, err)
			}
			var problems config.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got a %T, want Problems", err)
			}
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("a secret shows:\n%v", err)
			}
			got := err.Error() + "\n"
			if *update {
				archive.Files[want].Data = []byte(got)
				write(t, golden, string(txtar.Format(archive)))
				return
			}
			if diff := cmp.Diff(string(archive.Files[want].Data), got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDefaults(t *testing.T) {
	cfg, err := config.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		NATS: config.NATS{
			URL: "nats://127.0.0.1:4222", DuplicateWindow: 20 * time.Minute,
			EventsMaxBytes: 2 << 30, RecordsMaxBytes: 1 << 30, DeadMaxBytes: 512 << 20,
		},
		Receiver: config.Receiver{Listen: "127.0.0.1:8080", MaxBody: 768 << 10, InFlightBytes: 64 << 20, Durability: "journal", Journal: config.Journal{Dir: "journal", MaxBytes: 2 << 30, Hold: 10 * time.Minute}, Drain: 25 * time.Second, DrainDelay: 3 * time.Second, PublishTimeout: 5 * time.Second, CheckRate: 10, AdminListen: "127.0.0.1:9080"},
		Worker: config.Worker{
			RulesFrom: "files", AdminListen: "127.0.0.1:9081",
			ReloadEvery: 2 * time.Second,
			Concurrency: config.Concurrency{Match: 4, Run: 16, Commit: 4, Build: 2, Alert: 2, Notify: 2},
			Retry:       config.Retry{First: 5 * time.Second, Max: 10 * time.Minute, GiveUpAfter: 24 * time.Hour},
			Deadline:    config.Deadline{Alert: 24 * time.Hour, Notify: 24 * time.Hour},
			Circuit:     config.Circuit{Failures: 5, First: 5 * time.Second, Max: 2 * time.Minute},
			Settle:      time.Minute, ClockSkew: 5 * time.Minute, AckWait: 30 * time.Second, Drain: 20 * time.Second, OwnCommitDepth: 3,
			CodeArtsRate: 20, CodeArtsBurst: 40,
			Breaker: config.Breaker{Commits: 10, Per: time.Hour},
		},
		Log: config.Log{Format: "auto", Level: "info"},
	}
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

// TestJournalFolder: without a setting the journal is in the folder that systemd gives the service, or beside the file.
func TestJournalFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "millrace.yaml")
	write(t, file, "log: { level: debug }\n")
	beside := filepath.Join(filepath.Dir(file), "journal")
	for _, c := range []struct {
		file    string
		environ []string
		want    string
	}{
		{file, nil, beside},
		{"", nil, "journal"},
		{file, []string{"STATE_DIRECTORY=/var/lib/millrace-receiver"}, "/var/lib/millrace-receiver/journal"},
		{file, []string{"STATE_DIRECTORY=/var/lib/one:/var/lib/two"}, "/var/lib/one/journal"},
		{file, []string{"STATE_DIRECTORY=/var/lib/one", "MILLRACE_RECEIVER_JOURNAL_DIR=/elsewhere"}, "/elsewhere"},
	} {
		cfg, err := config.Load(c.file, c.environ)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Receiver.Journal.Dir != c.want {
			t.Errorf("%q %q: %s, want %s", c.file, c.environ, cfg.Receiver.Journal.Dir, c.want)
		}
	}
}

const whole = `
nats:
  url: tls://a.example.com:4222,tls://b.example.com:4222 , tls://c.example.com
  credentials_file: nats.creds
  replicas: 3
  events_max_bytes: 10GiB
  dead_max_bytes: 1048576
receiver: { listen: ":80", max_body: 100KB, admin_listen: off }
sources:
  repo:
    secrets: [{ env: REPO_TOKEN }, { file: old-token }]
    headers: X-Repo-Token
    id_from: [object_attributes.iid, object_attributes.action]
  gitlab: { verify: standard_webhooks, secrets: { env: GITLAB }, sends: ["build.*", push] }
  builds: { codearts_builds: { project_id: aaaabbbbccccddddeeeeffff00001111, every: 90s, repository: 2111000001 } }
worker:
  rules: [rules, /etc/millrace/rules]
  concurrency: { run: 32 }
  retry: { max: 5m, notify: { first: 1s } }
  settle: 1m30s
codearts:
  default: { region: cn-north-4, domain: acme, user: 007, password: { env: PASSWORD }, project_id: 00123, plain_http: true, repo_endpoint: "http://fake:8090" }
targets:
  ops: { kind: dingtalk, url: { env: MILLRACE_OPS_ROBOT }, secret: { env: OPS_SECRET } }
  audit: { kind: log, retry: { give_up_after: 2h } }
egress: { allow_cidrs: 10.20.0.0/16, allow_hosts: ["*.corp.example"], allow_ports: [8443, 9000-9010], allow_http: true, proxy: "http://proxy:3128" }
log: { level: debug }
`

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "millrace.yaml"), whole)
	write(t, filepath.Join(folder, "old-token"), "before\r\n")
	cfg, err := config.Load(filepath.Join(folder, "millrace.yaml"), []string{
		"REPO_TOKEN=now", "GITLAB=whsec_bWFya2Vy", "PASSWORD=pass", "OPS_SECRET=SEC1",
		"MILLRACE_OPS_ROBOT=https://oapi.dingtalk.com/robot/send?access_token=t",
		"MILLRACE_NATS_REPLICAS=1",
		"MILLRACE_RECEIVER_LISTEN=",
		"MILLRACE_WORKER_RULES=extra, more",
		"MILLRACE_TARGETS_AUDIT_KIND=feishu", "MILLRACE_TARGETS_AUDIT_RETRY_MAX=1m", "MILLRACE_WORKER_RETRY_BUILD_FIRST=10s",
		"MILLRACE_TARGETS_AUDIT_URL=https://open.feishu.cn/open-apis/bot/v2/hook/h",
		"MILLRACE_TARGETS_ON_CALL_KIND=log",
		"MILLRACE_SOURCES_GITEA_SECRETS=one,two",
		"MILLRACE_SOURCES_GITEA_VERIFY=hmac_sha256",
		"MILLRACE_SOURCES_BUILDS_CODEARTS_BUILDS_EVERY=30s",
		"MILLRACE_SOURCES_MORE_BUILDS_CODEARTS_BUILDS_PROJECT_ID=p2",
		"MILLRACE_SOURCES_MORE_BUILDS_CODEARTS_BUILDS_CONNECTION=other",
		"MILLRACE_CODEARTS_OTHER_REGION=cn-north-4", "MILLRACE_CODEARTS_OTHER_TOKEN=tok",
		"MILLRACE_CODEARTS_DEFAULT_PROJECT_ID=42",
		"MILLRACE_RECEIVER_SERVICE_HOST=10.0.0.1", "MILLRACE_RECEIVER_PORT=tcp://10.0.0.1:80", "MILLRACE_PORT_80_TCP_ADDR=10.0.0.1",
		"PATH=/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	secret := config.NewSecret
	want, err := config.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	want.NATS.Replicas = 1
	want.NATS.URL = "tls://a.example.com:4222,tls://b.example.com:4222,tls://c.example.com"
	want.Receiver.Journal.Dir = filepath.Join(folder, "journal")
	want.NATS.CredentialsFile = filepath.Join(folder, "nats.creds")
	want.NATS.EventsMaxBytes, want.NATS.DeadMaxBytes = 10<<30, 1<<20
	want.Receiver.Listen, want.Receiver.MaxBody, want.Receiver.AdminListen = ":80", 100_000, "off"
	none := config.CodeArtsBuilds{Every: time.Minute, Connection: "default"}
	want.Sources = map[string]config.Source{
		"repo": {
			Verify: "token", Headers: []string{"X-Repo-Token"}, Secrets: []config.Secret{secret("now"), secret("before")},
			IDFrom: []string{"object_attributes.iid", "object_attributes.action"}, CodeArtsBuilds: none,
		},
		"gitlab": {
			Verify: "standard_webhooks", Secrets: []config.Secret{secret("whsec_bWFya2Vy")}, Sends: []string{"build.*", "push"}, CodeArtsBuilds: none,
		},
		"gitea": {Verify: "hmac_sha256", Secrets: []config.Secret{secret("one"), secret("two")}, CodeArtsBuilds: none},
		"builds": {Verify: "token", CodeArtsBuilds: config.CodeArtsBuilds{
			ProjectID: "aaaabbbbccccddddeeeeffff00001111", Every: 30 * time.Second, Connection: "default", Repository: "2111000001",
		}},
		"more-builds": {Verify: "token", CodeArtsBuilds: config.CodeArtsBuilds{ProjectID: "p2", Every: time.Minute, Connection: "other"}},
	}
	for name, s := range want.Sources {
		s.Weight = 1
		want.Sources[name] = s
	}
	want.Worker.Rules = []string{"extra", "more"}
	want.Worker.Concurrency.Run = 32
	want.Worker.Retry.Max, want.Worker.Retry.Notify.First, want.Worker.Retry.Build.First = 5*time.Minute, time.Second, 10*time.Second
	want.Worker.Settle = 90 * time.Second
	want.CodeArts = map[string]config.CodeArts{"default": {
		Region: "cn-north-4", User: "007", Domain: "acme", Password: secret("pass"), ProjectID: "42",
		PlainHTTP: true, RepoEndpoint: "http://fake:8090",
		Timeout: 30 * time.Second, RepoAPI: "v2", CommitURL: "{web_url}/commits/detail/{id}",
	}, "other": {
		Region: "cn-north-4", Token: secret("tok"), Timeout: 30 * time.Second, RepoAPI: "v2", CommitURL: "{web_url}/commits/detail/{id}",
	}}
	want.Targets = map[string]config.Target{
		"ops":     {Kind: "dingtalk", URL: secret("https://oapi.dingtalk.com/robot/send?access_token=t"), Secret: secret("SEC1")},
		"audit":   {Kind: "feishu", URL: secret("https://open.feishu.cn/open-apis/bot/v2/hook/h"), Retry: config.Ladder{Max: time.Minute, GiveUpAfter: 2 * time.Hour}},
		"on-call": {Kind: "log"},
	}
	want.Egress = config.Egress{
		AllowCIDRs: []string{"10.20.0.0/16"}, AllowHosts: []string{"*.corp.example"}, AllowPorts: []string{"8443", "9000-9010"},
		AllowHTTP: true, Proxy: "http://proxy:3128",
	}
	want.Log.Level = "debug"
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
}

// TestLadders: a target's own ladder goes before that of messages, and that before the one of all work.
func TestLadders(t *testing.T) {
	retry := config.Retry{First: time.Second, Max: time.Minute, GiveUpAfter: time.Hour, Notify: config.Ladder{First: 2 * time.Second, Max: 3 * time.Minute}}
	got := config.Ladder{First: 4 * time.Second}.Over(retry.Notify).Over(retry.All())
	if want := (config.Ladder{First: 4 * time.Second, Max: 3 * time.Minute, GiveUpAfter: time.Hour}); got != want {
		t.Errorf("ladder = %+v, want %+v", got, want)
	}
}

// TestPathsInFile are relative to the file's folder, unless the environment gives them.
func TestPathsInFile(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "m.yaml"), "worker: { rules: [rules, /abs] }")
	cfg, err := config.Load("", []string{"MILLRACE_CONFIG=" + filepath.Join(folder, "m.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(folder, "rules"), "/abs"}, cfg.Worker.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// TestOverriddenSecret needs nothing the file says about it.
func TestOverriddenSecret(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "m.yaml"), "targets: { ops: { kind: webhook, url: { env: NOT_THERE } } }")
	cfg, err := config.Load(filepath.Join(folder, "m.yaml"), []string{"MILLRACE_TARGETS_OPS_URL=https://example.com/a"})
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Targets["ops"].URL.Reveal(); got != "https://example.com/a" {
		t.Errorf("got %q", got)
	}
}

func TestNoFile(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "gone.yaml"), nil)
	var problems config.Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "gone.yaml: the file cannot be read: no such file or directory") {
		t.Errorf("got %v", err)
	}
}

func TestChecksForACommand(t *testing.T) {
	cfg, err := config.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.CheckReceiver(); err == nil || !strings.Contains(err.Error(), "no source is configured") {
		t.Errorf("receiver: %v", err)
	}
	if err := cfg.CheckWorker(); err == nil || !strings.Contains(err.Error(), "MILLRACE_WORKER_RULES") {
		t.Errorf("worker: %v", err)
	}
	cfg.Sources = map[string]config.Source{"builds": {CodeArtsBuilds: config.CodeArtsBuilds{ProjectID: "p"}}}
	if err := cfg.CheckReceiver(); err == nil || !strings.Contains(err.Error(), "takes deliveries") {
		t.Errorf("receiver that only asks: %v", err)
	}
	cfg.Sources["a"] = config.Source{}
	cfg.Worker.RulesFrom = "pushed"
	if err := cfg.CheckWorker(); err != nil {
		t.Errorf("a worker of pushed rules: %v", err)
	}
	cfg.Worker.RulesFrom, cfg.Worker.Rules = "files", []string{"rules"}
	if err := errors.Join(cfg.CheckReceiver(), cfg.CheckWorker()); err != nil {
		t.Error(err)
	}
}

// TestChecks: what a caller's check finds is a problem at the place of the setting, and no check is asked about what is wrong anyway.
func TestChecks(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "m.yaml")
	write(t, file, "targets:\n  ops: { kind: webhook, url: { env: U } }\negress:\n  allow_ports: [none]\n")
	asked := 0
	check := func(cfg *config.Config) []config.Finding {
		asked++
		return []config.Finding{
			{Path: "egress.allow_ports", Message: cfg.Egress.AllowPorts[0] + " is no port", Hint: "write a number"},
			{Path: "targets.ops.url", Message: "not permitted"},
			{Path: "targets.on-call.url", Message: "not permitted"},
		}
	}
	environ := []string{"U=https://example.com", "MILLRACE_TARGETS_ON_CALL_KIND=webhook", "MILLRACE_TARGETS_ON_CALL_URL=https://example.com"}
	_, err := config.Load(file, environ, check)
	want := file + ":2:30: not permitted [config]\n" + file + ":4:16: none is no port; write a number [config]\n" +
		"environment: MILLRACE_TARGETS_ON_CALL_URL: not permitted [config]"
	if err == nil {
		t.Fatal("loaded")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if _, err := config.Load(file, []string{"U=nowhere"}, check); err == nil || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}
