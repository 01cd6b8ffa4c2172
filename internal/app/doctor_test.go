package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// doctor asks the doctor about the world's configuration; more are variables beside the world's.
func (w *world) doctor(more ...string) *app.Diagnosis {
	w.t.Helper()
	d := app.Doctor(w.t.Context(), w.file, append(w.environ(), more...), doctorOptions(w.monitors...))
	if data, err := json.Marshal(d); err != nil || strings.Contains(string(data), mark) {
		w.t.Errorf("%v, or a secret in %s", err, data)
	}
	return d
}

// doctorOptions are such that every folder is on a good disk.
func doctorOptions(monitors ...string) app.DoctorOptions {
	return app.DoctorOptions{Monitors: monitors, Disk: func(string) (app.Disk, error) { return app.Disk{Free: 1 << 40}, nil }}
}

// finds fails the test unless the diagnosis has a point of the code with that verdict, whose text and remedy hold all words.
func finds(t *testing.T, d *app.Diagnosis, v app.Verdict, code string, words ...string) {
	t.Helper()
	for _, p := range d.Points {
		ok := p.Code == code && p.Verdict == v
		for _, word := range words {
			ok = ok && strings.Contains(p.Text+" → "+p.Remedy, word)
		}
		if ok {
			return
		}
	}
	t.Errorf("no %s of %s with %q", v, code, words)
	for _, p := range d.Points {
		t.Logf("%s %s: %s → %s", p.Verdict, p.Code, p.Text, p.Remedy)
	}
}

// TestDoctorOfNewWorld: before anything has run there is nothing to complain of, and looking makes nothing.
func TestDoctorOfNewWorld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Durability: "journal", DuplicateWindow: "20m"})
	for range 2 {
		d := w.doctor()
		if d.Verdict != app.VerdictOK {
			t.Errorf("verdict %s", d.Verdict)
		}
		finds(t, d, app.VerdictOK, "config")
		finds(t, d, app.VerdictOK, "rules", "digest")
		finds(t, d, app.VerdictOK, "nats", "nats-server 2.")
		finds(t, d, app.VerdictOK, "nats.stores", "none is there yet")
		finds(t, d, app.VerdictSkipped, "work.backlog")
		finds(t, d, app.VerdictOK, "codearts.default.sign_in", "ci-bot", "cn-north-4")
		finds(t, d, app.VerdictOK, "codearts.default.project", codeartstest.ProjectID)
		finds(t, d, app.VerdictOK, "codearts.default.build")
		finds(t, d, app.VerdictOK, "codearts.default.repo")
		finds(t, d, app.VerdictOK, "codearts.default.clock")
	}
	if n := w.fake.Calls("create_commit"); n != 0 {
		t.Errorf("%d commits were asked for", n)
	}
}

// TestDoctorOfStores: what waits, what was given up, whom nobody serves, schedules of nobody: warnings, each with what to do.
func TestDoctorOfStores(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Durability: "journal"})
	_, stop := w.startWorkerHere()
	look := w.look()
	if err := look.EnsureSchedule(t.Context(), "oldschedule", "0 0 9 * * *", ""); err != nil {
		t.Fatal(err)
	}
	if err := look.Put(t.Context(), "work.alert", map[string]string{"Millrace-Key": "k1"}, []byte("{}")); err != nil { // no action: dead
		t.Fatal(err)
	}
	eventually(t, "the dead letter", func() error { return countIs(w.counts().Dead, 1) })
	stop()
	if err := look.Put(t.Context(), "work.notify.old-team", map[string]string{"Millrace-Key": "k2"}, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	d := w.doctor()
	if d.Verdict != app.VerdictWarn || d.Count(app.VerdictFail) != 0 {
		t.Errorf("verdict %s", d.Verdict)
	}
	finds(t, d, app.VerdictOK, "nats.stores", "none drops")
	finds(t, d, app.VerdictWarn, "nats.replicas", "DEAD, EVENTS, RECORDS, WORK: there is one copy", "three servers")
	finds(t, d, app.VerdictOK, "nats.clock")
	finds(t, d, app.VerdictOK, "work.backlog", "1 pieces of work")
	finds(t, d, app.VerdictWarn, "work.targets", "1 message waits for target old-team", "targets.old-team")
	finds(t, d, app.VerdictWarn, "work.dead_letters", "1 given up (message 1)")
	finds(t, d, app.VerdictWarn, "work.schedules", "oldschedule", "work.at.cron.oldschedule")
}

// TestDoctorOfUnsafeStores: settings that lose events fail, and are left as they are.
func TestDoctorOfUnsafeStores(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.broker.AddStream("EVENTS", `{"name":"EVENTS","subjects":["events.>"],"retention":"limits","storage":"file","num_replicas":1,"discard":"old","max_age":3600000000000}`)
	for range 2 {
		d := w.doctor()
		if d.Verdict != app.VerdictFail {
			t.Errorf("verdict %s", d.Verdict)
		}
		finds(t, d, app.VerdictFail, "nats.stores", "stream EVENTS: it discards the oldest messages", "set discard to new")
		finds(t, d, app.VerdictFail, "nats.stores", "stream EVENTS: max_age is set")
		finds(t, d, app.VerdictWarn, "nats.stores", "WORK, RECORDS, DEAD: not there")
	}
}

// TestDoctorWithoutBroker: away, not letting us in, or without JetStream.
func TestDoctorWithoutBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Token: "broker-token"})
	finds(t, w.doctor("MILLRACE_NATS_TOKEN=another-one"), app.VerdictFail, "nats", "does not accept nats.token")
	w.token = ""
	finds(t, w.doctor(), app.VerdictFail, "nats", "asks who you are")
	bare := streamtest.Server(t, streamtest.WithoutJetStream())
	finds(t, w.doctor("MILLRACE_NATS_URL="+bare.URL()), app.VerdictFail, "nats", "JetStream is not enabled", "--jetstream")
	d := w.doctor("MILLRACE_NATS_URL=nats://" + nobody)
	finds(t, d, app.VerdictFail, "nats", "cannot connect", "answered 503")
	finds(t, d, app.VerdictSkipped, "nats.stores")
	finds(t, d, app.VerdictOK, "codearts.default.build") // the rest is looked at all the same
}

// TestDoctorOfConfiguration: every problem is a point; nothing else is looked at.
func TestDoctorOfConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	d := app.Doctor(t.Context(), w.file, []string{"MILLRACE_NATS_REPLICAS=7"}, doctorOptions())
	finds(t, d, app.VerdictFail, "config", "MILLRACE_NATS_REPLICAS")
	finds(t, d, app.VerdictFail, "config", "TEST_PASSWORD")
	finds(t, d, app.VerdictSkipped, "nats")
	finds(t, app.Doctor(t.Context(), "nowhere.yaml", nil, doctorOptions()), app.VerdictFail, "config", "nowhere.yaml")
	d = app.Doctor(t.Context(), "", []string{"MILLRACE_NATS_URL=" + w.broker.URL()}, doctorOptions())
	finds(t, d, app.VerdictWarn, "config.receiver", "no source")
	finds(t, d, app.VerdictWarn, "config.worker", "no rules")
	finds(t, d, app.VerdictSkipped, "rules")
	finds(t, d, app.VerdictSkipped, "codearts")
	w.useRules("broken")
	finds(t, w.doctor(), app.VerdictFail, "rules", "rules.yaml:3:9:", "millrace rules check")
}

// TestDoctorOfIdentity: what is wrong with an identity is said in words that tell what to change.
func TestDoctorOfIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	const of = "MILLRACE_CODEARTS_DEFAULT_"
	finds(t, w.doctor("TEST_PASSWORD="+mark+"-wrong"), app.VerdictFail, "codearts.default.sign_in", "does not accept user ci-bot of account acme", "domain (the name of the account")
	d := w.doctor(of + "PROJECT_ID=" + projectID)
	finds(t, d, app.VerdictFail, "codearts.default.sign_in", "no project "+projectID, "My Credentials", "not the one in the addresses of CodeArts pages")
	finds(t, w.doctor(of+"PROJECT=cn-east-3"), app.VerdictFail, "codearts.default.sign_in", "no project cn-east-3", "codearts.default.project")
	w.writeRule("packages.yaml", `rules:
  - name: packages
    on: push
    fetch:
      packages:
        package_status: { project_id: `+codeartstest.ProjectID+`, status: normal }
    do:
      - notify: { to: [team], title: packages, text: "${{ string(size(facts.packages)) }}" }
`)
	d = w.doctor()
	finds(t, d, app.VerdictFail, "codearts.default.project", "packages.yaml:6", "id of a CodeArts project")
}

// TestDoctorOfStaticToken: a token that has ended, and one of a whole account.
func TestDoctorOfStaticToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.removeUser()
	d := w.doctor("MILLRACE_CODEARTS_DEFAULT_TOKEN=" + mark + "-token")
	finds(t, d, app.VerdictWarn, "codearts.default.sign_in", "within a day")
	finds(t, d, app.VerdictFail, "codearts.default.build", "does not accept the token", "24 hours")
	w.fake.Fail(codearts.OpJobConfig, codeartstest.Failure{Status: http.StatusForbidden, Code: "APIGW.0302", Message: "not scoped to a project", Gateway: true})
	d = w.doctor("MILLRACE_CODEARTS_DEFAULT_TOKEN=" + mark + "-token")
	finds(t, d, app.VerdictFail, "codearts.default.build", "does not let this identity in", "of the whole account", "project")
}

// removeUser takes the user out of the connection, so that it may sign in otherwise.
func (w *world) removeUser() {
	w.t.Helper()
	data, err := os.ReadFile(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	text := string(data)
	for _, line := range []string{"    user: ci-bot\n", "    domain: acme\n", "    password: { env: TEST_PASSWORD }\n"} {
		text = strings.Replace(text, line, "", 1)
	}
	if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// TestDoctorOfAccessKey: one that is right, one that is not, one that ends, and a clock that lets none be right.
func TestDoctorOfAccessKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.removeUser()
	const of = "MILLRACE_CODEARTS_DEFAULT_"
	right := []string{of + "ACCESS_KEY=" + codeartstest.AccessKeyID, of + "SECRET_KEY=" + codeartstest.SecretKey, of + "PROJECT_ID=" + codeartstest.ProjectID}
	d := w.doctor(right...)
	finds(t, d, app.VerdictOK, "codearts.default.sign_in", "signed with an access key")
	finds(t, d, app.VerdictOK, "codearts.default.project", "requests are for IAM project "+codeartstest.ProjectID)
	finds(t, d, app.VerdictOK, "codearts.default.build")
	finds(t, d, app.VerdictOK, "codearts.default.repo")
	d = w.doctor(of+"ACCESS_KEY="+codeartstest.AccessKeyID, of+"SECRET_KEY="+mark+"-key")
	finds(t, d, app.VerdictFail, "codearts.default.build", "does not accept the signature", "check access key and secret key")
	finds(t, d, app.VerdictFail, "codearts.default.repo", "does not accept the signature")
	d = w.doctor(of+"ACCESS_KEY="+codeartstest.TemporaryAccessKeyID, of+"SECRET_KEY="+codeartstest.TemporarySecretKey, of+"SECURITY_TOKEN="+codeartstest.SecurityToken)
	finds(t, d, app.VerdictWarn, "codearts.default.sign_in", "within a day", "permanent access key")
	finds(t, d, app.VerdictOK, "codearts.default.build")
	d = w.doctor(of + "ACCESS_KEY=" + codeartstest.AccessKeyID)
	finds(t, d, app.VerdictFail, "config", "needs access_key and secret_key", "set secret_key")
	w.fake.Advance(time.Hour)
	d = w.doctor(append(right, "MILLRACE_WORKER_CLOCK_SKEW=1h")...)
	finds(t, d, app.VerdictFail, "codearts.default.build", "does not accept the signature", "behind CodeArts's", "set the clock")
	finds(t, d, app.VerdictFail, "codearts.default.clock", "ahead of ours by 1h", "no signature that is 15 minutes off")
	if n := w.fake.Calls("iam_token"); n != 0 {
		t.Errorf("IAM was asked %d times", n)
	}
}

// TestDoctorOfMFA: the user has a device, and the configuration knows it or not.
func TestDoctorOfMFA(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	const of, seed = "MILLRACE_CODEARTS_DEFAULT_", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	fake := codeartstest.New(codeartstest.Options{Users: []codeartstest.IAMUser{{
		Domain: codeartstest.Domain, Name: codeartstest.User, Password: password, ProjectName: codeartstest.ProjectName, ID: "u1", Seed: seed,
	}}})
	defer fake.Close()
	address := serve(t, fake)
	there := []string{of + "IAM_ENDPOINT=" + address, of + "BUILD_ENDPOINT=" + address, of + "REPO_ENDPOINT=" + address}
	doctor := func(more ...string) *app.Diagnosis { return w.doctor(slices.Concat(there, more)...) }
	finds(t, doctor(), app.VerdictFail, "codearts.default.sign_in", "does not accept user", "mfa_user_id")
	finds(t, doctor(of+"MFA_USER_ID=u2", of+"MFA_SEED="+seed), app.VerdictFail, "codearts.default.sign_in", "and this MFA device", "good once")
	finds(t, doctor(of+"MFA_USER_ID=u1", of+"MFA_SEED="+seed), app.VerdictOK, "codearts.default.sign_in", "IAM gave user ci-bot")
}

// TestDoctorOfCodeArtsAway: no answer, an answer of somebody else, one that says later.
func TestDoctorOfCodeArtsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	const of = "MILLRACE_CODEARTS_DEFAULT_"
	finds(t, w.doctor(of+"IAM_ENDPOINT=http://"+nobody), app.VerdictFail, "codearts.default.sign_in", "IAM cannot be asked", "iam_endpoint")
	finds(t, w.doctor(of+"REPO_ENDPOINT=http://"+nobody), app.VerdictFail, "codearts.default.repo", "CodeArts Repo cannot be reached", "repo_endpoint")
	other := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		http.Error(rw, "<html>404</html>", http.StatusBadGateway)
	}))
	finds(t, w.doctor(of+"BUILD_ENDPOINT="+other), app.VerdictWarn, "codearts.default.build", "not as it should")
	w.fake.Fail(codearts.OpJobConfig, codeartstest.Throttled())
	finds(t, w.doctor(), app.VerdictWarn, "codearts.default.build", "too many requests")
}

// TestDoctorOfClock: a clock that is off is told, and fails when a commit could be made twice for it.
func TestDoctorOfClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	off := time.Duration(0)
	late := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		w.fake.ServeHTTP(rw, r)
	}))
	defer late.Close()
	const of = "MILLRACE_CODEARTS_DEFAULT_"
	all := []string{of + "IAM_ENDPOINT=" + late.URL, of + "BUILD_ENDPOINT=" + late.URL, of + "REPO_ENDPOINT=" + late.URL}
	finds(t, w.doctor(all...), app.VerdictOK, "codearts.default.clock")
	off = 2 * time.Minute
	finds(t, w.doctor(all...), app.VerdictWarn, "codearts.default.clock", "ahead of ours by 2m")
	off = -time.Hour
	finds(t, w.doctor(all...), app.VerdictFail, "codearts.default.clock", "behind ours by", "worker.clock_skew (5m0s)", "made twice")
}

func countIs(have, want uint64) error {
	if have != want {
		return fmt.Errorf("%d, wanted %d", have, want)
	}
	return nil
}

// TestDoctorOfJournal: what is wrong with a journal's folder and settings, each with what to do; nothing is made.
func TestDoctorOfJournal(t *testing.T) {
	t.Parallel()
	finds(t, newWorld(t, settings{Durability: "broker"}).doctor(), app.VerdictSkipped, "receiver.journal", "answered 503")
	w := newWorld(t, settings{Durability: "journal", DuplicateWindow: "20m"})
	d := w.doctor()
	finds(t, d, app.VerdictOK, "receiver.journal", "the receiver makes it")
	if d.Verdict != app.VerdictOK {
		t.Errorf("verdict %s", d.Verdict)
	}
	_, stop := w.startReceiver()
	stop()
	d = w.doctor("MILLRACE_RECEIVER_JOURNAL_HOLD=1m")
	finds(t, d, app.VerdictOK, "receiver.journal", "holds at most 64MiB")
	finds(t, d, app.VerdictFail, "receiver.journal", "held for 1m0s", "2m0s", "assumed", "hold to 4m0s", "sync_interval")
	d = w.doctor("MILLRACE_RECEIVER_JOURNAL_HOLD=20m")
	finds(t, d, app.VerdictWarn, "receiver.journal", "up to 25m0s", "set nats.duplicate_window to 40m0s")
	d = w.doctor("MILLRACE_RECEIVER_JOURNAL_DIR=" + w.file)
	finds(t, d, app.VerdictFail, "receiver.journal", "is not a folder")
}
