package app_test

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// patience is how long a test waits for any one thing.
const patience = 2 * time.Minute

// nobody is an address where nobody listens: no system gives that port away.
const nobody = "127.0.0.1:1"

//go:embed testdata
var testdata embed.FS

// The world of the tests.
const (
	repoID    = "2111000001"
	repoPath  = "shop/orders"
	jobID     = "f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3"
	projectID = "aaaabbbbccccddddeeeeffff00001111"

	// Every secret of the configuration has the mark in it, so that it can be looked for.
	mark         = "Hush-hush"
	webhookToken = mark + "-webhook-7d1f"
	password     = mark + "-password-52c0"
	checkToken   = mark + "-check-0a93"
)

var (
	teamRobot = notifytest.Account{Kind: notifytest.DingTalk, Token: mark + "-team-url", Secret: mark + "-team-secret"}
	opsRobot  = notifytest.Account{Kind: notifytest.Feishu, Token: mark + "-ops-url", Secret: mark + "-ops-secret"}
	hookRobot = notifytest.Account{Kind: notifytest.Webhook, Token: mark + "-hook-url", Secret: mark + "-hook-secret"}
)

// soon is how soon the broker gives the messages of a worker that was killed to another. A worker that stalls for as long shares them.
const soon = "1s"

// settings are what tests want to be different.
type settings struct {
	DuplicateWindow string // 2m
	Timeout         string // of CodeArts: 2s
	GiveUpAfter     string // 10m
	EventsMaxBytes  string // 64MiB
	AckWait         string // 10s; soon, when a worker is to be killed
	Token           string // of the broker: none
	Restarts        bool   // of the broker
	LogLevel        string // debug
	Durability      string // broker
	DrainDelay      string // 0s
	JournalBytes    string // 64MiB
	// Rules is the folder in testdata whose rules are used.
	Rules string
}

// world is everything around receiver and worker: a broker, a fake CodeArts and fake robots behind real HTTP, and their
// configuration as files.
type world struct {
	t      testing.TB
	broker *streamtest.Broker // nil when it runs elsewhere
	nats   string             // address of the broker
	token  string             // the broker's
	fake   *codeartstest.Fake
	robots *notifytest.Robots
	client *http.Client

	codeArts, chat string // addresses
	receiver       string // address, once there is one
	file           string // millrace.yaml
	conn           *stream.Conn
	monitors       []string // of nats-servers, that the doctor asks
}

func newWorld(t testing.TB, s settings) *world {
	t.Helper()
	broker := streamtest.Server(t, streamtest.Token(s.Token))
	if s.Restarts {
		broker.Front()
	}
	w := newWorldAround(t, s, broker.URL())
	w.broker = broker
	return w
}

// newWorldAround is a world whose broker is at an address.
func newWorldAround(t testing.TB, s settings, nats string) *world {
	t.Helper()
	w := &world{t: t, token: s.Token, nats: nats}
	w.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience}
	t.Cleanup(w.client.CloseIdleConnections)
	w.fake = codeartstest.New(codeartstest.Options{Users: []codeartstest.IAMUser{{
		Domain: codeartstest.Domain, Name: codeartstest.User, Password: password,
		ProjectName: codeartstest.ProjectName, ProjectID: codeartstest.ProjectID,
	}}})
	w.robots = notifytest.New(nil, teamRobot, opsRobot, hookRobot)
	w.codeArts, w.chat = serve(t, w.fake), serve(t, w.robots)
	t.Cleanup(w.fake.Close) // before the server, which waits for the requests it holds
	w.fake.AddRepository(codeartstest.Repository{ID: repoID, Path: repoPath, Files: map[string]string{"README.md": "# orders\n"}})
	w.forgetBuilds()
	w.configure(s)
	return w
}

// serve serves a handler on the loopback until the end of the test.
func serve(t testing.TB, handler http.Handler) string {
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// configure writes configuration and rules as a user would.
func (w *world) configure(s settings) {
	w.t.Helper()
	for _, d := range []struct {
		field *string
		value string
	}{{&s.DuplicateWindow, "2m"}, {&s.Timeout, "2s"}, {&s.GiveUpAfter, "10m"}, {&s.EventsMaxBytes, "64MiB"}, {&s.AckWait, "10s"}, {&s.LogLevel, "debug"}, {&s.Durability, "broker"}, {&s.DrainDelay, "0s"}, {&s.JournalBytes, "64MiB"}, {&s.Rules, "failed-build"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	folder := w.t.TempDir()
	w.file = filepath.Join(folder, "millrace.yaml")
	var text bytes.Buffer
	err := template.Must(template.ParseFS(testdata, "testdata/millrace.yaml")).Execute(&text, map[string]any{
		"NATS": w.nats, "CodeArts": w.codeArts, "ChatPort": w.chat[strings.LastIndexByte(w.chat, ':')+1:], "Settings": s,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.file, text.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "rules"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	w.useRules(s.Rules)
}

// useRules replaces all rules by those of a folder in testdata.
func (w *world) useRules(folder string) {
	w.t.Helper()
	old, err := filepath.Glob(filepath.Join(filepath.Dir(w.file), "rules", "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			w.t.Fatal(err)
		}
	}
	entries, err := testdata.ReadDir("testdata/" + folder)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		data, err := testdata.ReadFile("testdata/" + folder + "/" + e.Name())
		if err != nil {
			w.t.Fatal(err)
		}
		w.writeRule(e.Name(), string(data))
	}
}

// writeRule writes one file of rules, in one step: who reads it meanwhile finds the old one or the new one.
func (w *world) writeRule(name, text string) {
	w.t.Helper()
	folder := filepath.Dir(w.file)
	next := filepath.Join(folder, "next")
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(folder, "rules", name)); err != nil {
		w.t.Fatal(err)
	}
}

// environ holds the secrets.
func (w *world) environ() []string {
	all := []string{
		"TEST_WEBHOOK_TOKEN=" + webhookToken, "TEST_PASSWORD=" + password, "MILLRACE_RECEIVER_CHECK_TOKEN=" + checkToken,
		"TEST_TEAM_URL=" + teamRobot.URL(w.chat), "TEST_TEAM_SECRET=" + teamRobot.Secret,
		"TEST_OPS_URL=" + opsRobot.URL(w.chat), "TEST_OPS_SECRET=" + opsRobot.Secret,
		"TEST_HOOK_URL=" + hookRobot.URL(w.chat), "TEST_HOOK_SECRET=" + hookRobot.Secret,
	}
	if w.token != "" {
		all = append(all, "MILLRACE_NATS_TOKEN="+w.token)
	}
	return all
}

func (w *world) config() *config.Config {
	w.t.Helper()
	cfg, err := app.Load(w.file, w.environ())
	if err != nil {
		w.t.Fatalf("load the configuration: %v", err)
	}
	return cfg
}

// look is a connection of the test's own, to see what is in the stores.
func (w *world) look() *stream.Conn {
	w.t.Helper()
	if w.conn == nil {
		conn, err := stream.Connect(w.t.Context(), stream.Config{URLs: []string{w.nats}, Token: stream.Secret(w.token), Name: "test", Log: zerolog.Nop()})
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(conn.Close)
		w.conn = conn
	}
	return w.conn
}

// answer is what the receiver said.
type answer struct {
	code    int
	EventID string `json:"event_id"`
	Status  string `json:"status"`
}

// post sends a delivery as CodeArts Repo does.
func (w *world) post(body []byte, token string) (answer, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.receiver+"/hooks/shop", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Repo-Token", token)
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{code: resp.StatusCode}
	return a, json.Unmarshal(data, &a)
}

// deliver posts until the receiver accepts, which it does at once unless the broker has just been started again.
func (w *world) deliver(body []byte) answer {
	w.t.Helper()
	var a answer
	eventually(w.t, "the delivery to be accepted", func() error {
		var err error
		if a, err = w.post(body, webhookToken); err == nil && a.code != http.StatusAccepted {
			err = fmt.Errorf("it was answered %d", a.code)
		}
		return err
	})
	return a
}

// push is a change of a person, on which nothing has been delivered yet.
func (w *world) push(message string, build time.Duration, status string) (commit string, body []byte) {
	commit = w.fake.Push(repoID, codeartstest.Push{
		Message: message, AuthorName: "Li Na", AuthorEmail: "lina@example.com", Quiet: true, Files: map[string]string{"totals.go": message + "\n"},
	})
	if status != "" {
		w.fake.StartBuild(jobID, commit, "main", status, build)
	}
	return commit, w.fake.PushBody(repoID, commit)
}

// forgetBuilds leaves the build task without any.
func (w *world) forgetBuilds() {
	w.fake.AddJob(codeartstest.Job{ID: jobID, ProjectID: projectID, Name: "orders-ci", RepoID: repoID})
}

// made are the commits made by calls, not by people.
func (w *world) made() []codeartstest.CommitInfo {
	return slices.DeleteFunc(w.fake.Commits(repoID), func(c codeartstest.CommitInfo) bool { return c.Via != "api" })
}

// told counts the messages by "<kind of robot>: <title>".
func (w *world) told() map[string]int {
	n := map[string]int{}
	for _, m := range w.robots.Messages() {
		n[m.Kind+": "+m.Title]++
	}
	return n
}

// settled tells whether nothing is left to be done: every event is acknowledged, and only then, WORK is empty.
func (w *world) settled() error {
	events, err := w.broker.Unsettled("EVENTS")
	if err != nil {
		return err
	}
	n, err := w.look().Counts(w.t.Context())
	if err != nil {
		return err
	}
	if events != 0 || n.Work != 0 || n.Parked != 0 {
		return fmt.Errorf("%d events and %d messages of work are left, %d are parked", events, n.Work, n.Parked)
	}
	return nil
}

// eventually waits until ok returns nil.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	within(t, patience, what, ok)
}

// within is eventually for what takes its time.
func within(t testing.TB, limit time.Duration, what string, ok func() error) {
	t.Helper()
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited %s in vain for %s: %v", limit, what, err)
		}
	}
}

// atLeast is an error while some of the wanted messages have not come.
func (w *world) atLeast(want ...string) error {
	told := w.told()
	for _, title := range want {
		if told[title] == 0 {
			return fmt.Errorf("%q is missing among %q", title, strings.Join(slices.Sorted(maps.Keys(told)), "; "))
		}
	}
	return nil
}
