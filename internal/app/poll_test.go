package app_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// asking is a world with a source that is asked for builds.
func asking(t *testing.T, s settings) *world {
	t.Helper()
	w := newWorld(t, s)
	w.addSource("  builds: { codearts_builds: { project_id: " + projectID + ", every: 10s } }\n")
	return w
}

// addSource adds a line to the sources of the configuration.
func (w *world) addSource(line string) {
	w.t.Helper()
	w.edit("sources:\n", "sources:\n"+line)
}

// edit replaces a part of the configuration.
func (w *world) edit(old, text string) {
	w.t.Helper()
	data, err := os.ReadFile(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		w.t.Fatalf("the configuration has no %q", old)
	}
	if err := os.WriteFile(w.file, []byte(strings.Replace(string(data), old, text, 1)), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// failedBuild is a push of a person whose build has failed, of which nobody hears.
func (w *world) failedBuild(message string) (commit string) {
	commit = w.fake.Push(repoID, codeartstest.Push{Message: message, Quiet: true, Files: map[string]string{"totals.go": message + "\n"}})
	w.fake.StartBuild(jobID, commit, "main", "FAILED", 0)
	return commit
}

// polledOnce waits until one of the logs says that the source was polled.
func polledOnce(t *testing.T, logs ...*journal) {
	t.Helper()
	eventually(t, "the first poll", func() error {
		for _, log := range logs {
			if len(log.lines("source polled", "source", "builds")) > 0 {
				return nil
			}
		}
		return fmt.Errorf("not polled yet")
	})
}

// TestFromBuildToCommit: two workers ask a project for its builds. One that failed is recorded in the repository, once; the build of
// that commit of ours is a child, which the rule does not see; what had failed before is nobody's event.
func TestFromBuildToCommit(t *testing.T) {
	t.Parallel()
	w := asking(t, settings{Rules: "builds"})
	w.failedBuild("long ago")
	one, _ := w.startWorkerHere()
	two, _ := w.startWorkerHere()
	polledOnce(t, one, two)
	pushed := w.failedBuild("count totals in cents")
	eventually(t, "the message", func() error { return w.atLeast("dingtalk: Recorded 2") })
	made := w.made()
	if len(made) != 1 || len(made[0].Files) != 1 {
		t.Fatalf("commits %+v", made)
	}
	want := codeartstest.Change{Action: "added", Path: "builds/2.md", Content: "orders-ci of " + pushed[:8] + ": step 1 ended with exit code 1\n"}
	if diff := cmp.Diff(want, made[0].Files[0]); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	w.fake.StartBuild(jobID, made[0].ID, "main", "FAILED", 0)
	own := "builds/" + jobID + "-3"
	eventually(t, "the loop guard", func() error {
		if len(one.lines("own commit recognised", "event_id", own))+len(two.lines("own commit recognised", "event_id", own)) == 0 {
			return fmt.Errorf("nothing was recognised")
		}
		return nil
	})
	eventually(t, "the end", w.settled)
	if n := len(w.made()); n != 1 {
		t.Errorf("%d commits", n)
	}
	if n := w.counts(); n.Events != 2 || n.Dead != 0 || n.Crons != 1 {
		t.Errorf("counts %+v", n)
	}
	d := w.doctor()
	finds(t, d, app.VerdictOK, "work.schedules", "1 schedule stored, each used")
	finds(t, d, app.VerdictOK, "sources.builds", "1 build task of project "+projectID, "every 10s")
}

// TestCrashOfPoll kills a worker that has published an event and not written so: the next one publishes it again, the broker has
// forgotten it by then, and still it is acted on once.
func TestCrashOfPoll(t *testing.T) {
	t.Parallel()
	w := asking(t, settings{Rules: "builds", DuplicateWindow: "100ms", AckWait: soon})
	first, stop := w.startWorkerHere()
	polledOnce(t, first)
	stop()
	w.failedBuild("count totals in cents")
	dying := w.startWorker("the one that dies", brake{Message: "event accepted", Fields: map[string]string{"source": "builds"}})
	dying.braked()
	dying.kill()
	log, _ := w.startWorkerHere()
	eventually(t, "the second publication", func() error {
		if n := len(log.lines("event accepted", "source", "builds")); n != 1 {
			return fmt.Errorf("%d events", n)
		}
		return nil
	})
	eventually(t, "the message", func() error { return w.atLeast("dingtalk: Recorded 1") })
	w.failedBuild("and again")
	eventually(t, "the next message", func() error { return w.atLeast("dingtalk: Recorded 2") })
	eventually(t, "the end", w.settled)
	if n := len(w.made()); n != 2 {
		t.Errorf("%d commits", n)
	}
	if told := w.told(); told["dingtalk: Recorded 1"] != 1 || told["dingtalk: Recorded 2"] != 1 {
		t.Errorf("told %v", told)
	}
	if n := w.counts().Events; n != 3 {
		t.Errorf("%d events are stored: the broker was to forget one", n)
	}
}

// TestPolledSourceHasNoAddress: who posts to it is told what one is told who posts to nowhere.
func TestPolledSourceHasNoAddress(t *testing.T) {
	t.Parallel()
	w := asking(t, settings{})
	log, _ := w.startReceiver()
	answers := map[string]string{}
	for _, name := range []string{"builds", "nowhere"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.receiver+"/hooks/"+name, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		answers[name] = fmt.Sprint(resp.StatusCode, " ", body.String())
	}
	if answers["builds"] != answers["nowhere"] || !strings.HasPrefix(answers["builds"], "404 ") {
		t.Errorf("answers %q", answers)
	}
	if started := log.lines("receiver started"); len(started) != 1 || fmt.Sprint(started[0]["sources"]) != "[shop]" {
		t.Errorf("lines %v", started)
	}
	w.edit("  shop: { secrets: [{ env: TEST_WEBHOOK_TOKEN }] }\n", "")
	if err := w.config().CheckReceiver(); err == nil || !strings.Contains(err.Error(), "takes deliveries") {
		t.Errorf("a receiver that nobody may post to: %v", err)
	}
}

// TestDoctorOfPolledSources: a project that cannot be listed, the id of the wrong kind, no task, a schedule of nobody.
func TestDoctorOfPolledSources(t *testing.T) {
	t.Parallel()
	w := asking(t, settings{Rules: "builds"})
	const builds = "MILLRACE_SOURCES_BUILDS_CODEARTS_BUILDS_"
	finds(t, w.doctor(), app.VerdictOK, "sources.builds", "1 build task of project "+projectID+", asked for what has finished every 10s")
	finds(t, w.doctor(builds+"PROJECT_ID=bbbbbbbbccccddddeeeeffff00001111"), app.VerdictWarn, "sources.builds", "has no build task", "/project/")
	finds(t, w.doctor(builds+"PROJECT_ID="+codeartstest.ProjectID), app.VerdictFail, "sources.builds", "is the id of the IAM project")
	finds(t, w.doctor(builds+"REPOSITORY=42"), app.VerdictWarn, "sources.builds", "builds repository 42")
	w.fake.Fail("project_jobs", codeartstest.Failure{Status: http.StatusForbidden, Code: "CB.0001", Message: "no member"})
	finds(t, w.doctor(), app.VerdictFail, "sources.builds", "no member", "has to be a member")
	w.fake.Clear()
	w.fake.Fail("project_jobs", codeartstest.Throttled())
	finds(t, w.doctor(), app.VerdictWarn, "sources.builds", "longer every")
	w.fake.Clear()

	log, stop := w.startWorkerHere()
	polledOnce(t, log)
	stop()
	finds(t, w.doctor(), app.VerdictOK, "work.schedules")
	finds(t, w.doctor(builds+"EVERY=20s"), app.VerdictWarn, "work.schedules", "no rule and no source here uses it", "work.at.cron.")
}

// TestRulesThatNobodyFeeds: a rule on builds that no source sends is doubted, by doctor and worker, and used.
func TestRulesThatNobodyFeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Rules: "builds"})
	finds(t, w.doctor(), app.VerdictWarn, "rules", "rules.yaml:4:9: warning: on: no configured source sends build.finished", "add a source with codearts_builds:")
	log, stop := w.startWorkerHere()
	if lines := log.lines("rules doubted"); len(lines) != 1 || lines[0]["level"] != "warn" || !strings.Contains(fmt.Sprint(lines[0]["problems"]), "build.finished") {
		t.Errorf("lines %v", lines)
	}
	stop()
	for _, source := range []string{
		"  notices: { secrets: [{ env: TEST_WEBHOOK_TOKEN }], sends: [\"build.*\"] }\n",
		"  builds: { codearts_builds: { project_id: " + projectID + " } }\n",
	} {
		w.configure(settings{Rules: "builds"})
		w.addSource(source)
		log, stop := w.startWorkerHere()
		if lines := log.lines("rules doubted"); len(lines) != 0 {
			t.Errorf("with %s: %v", source, lines)
		}
		stop()
	}
}
