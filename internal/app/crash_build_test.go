package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// deployJob is the task that the rule of testdata/start-build starts.
const deployJob = "d0d0d0d0a1a1a1a1b2b2b2b2c3c3c3c3"

// buildPoints are the places at which a worker is killed that starts a build.
func buildPoints() []crashPoint {
	at := func(message string, fields ...string) brake {
		b := brake{Message: message, Fields: map[string]string{}}
		for i := 0; i+1 < len(fields); i += 2 {
			b.Fields[fields[i]] = fields[i+1]
		}
		return b
	}
	passed := func(b brake) brake { b.Pass = true; return b }
	return []crashPoint{
		{name: "after the build is put as work", brake: at("work put", "subject", "work.build")},
		{name: "after started", brake: at("action started", "kind", "build")},
		{
			name: "after the start and before its answer", brake: passed(at("build sent")), failure: &held, timeout: "30s",
			under: func(w *world) error {
				if n := len(w.fake.Builds(deployJob)); n != 1 {
					return fmt.Errorf("%d builds are started", n)
				}
				return nil
			},
		},
		{
			name: "before the start, which is carried out after the death", brake: passed(at("build sent")), failure: &late, timeout: "40s",
			under: func(w *world) error {
				if n := w.fake.Calls("start_build"); n != 1 {
					return fmt.Errorf("%d calls have arrived", n)
				}
				return nil
			},
		},
		{name: "after the answer and before any record", brake: at("build answered")},
		{name: "after an answer that broke off", brake: at("build answered"), failure: &broken},
		{name: "after done and before what waited", brake: at("action done", "kind", "build")},
		{name: "after what waited is put", brake: at("work put", "action_id", "notify1")},
		{name: "after the ack of the build", brake: at("acked", "kind", "build"), acked: true},
	}
}

// TestCrashOfABuild kills a worker at each step of starting a build and has another one finish: one build is started, and the message
// that waited for it names that one. While nobody works the broker is started again and the event delivered once more.
func TestCrashOfABuild(t *testing.T) {
	for _, p := range buildPoints() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.runBuild(t)
		})
	}
}

func (p *crashPoint) runBuild(t *testing.T) {
	w := newWorld(t, settings{Timeout: p.timeout, Restarts: true, AckWait: soon, DuplicateWindow: "100ms", Rules: "start-build"})
	w.fake.AddJob(codeartstest.Job{ID: deployJob, ProjectID: projectID, Name: "orders-deploy", RepoID: repoID})
	w.startReceiver()
	if p.failure != nil {
		w.fake.Fail("start_build", *p.failure)
	}
	first := w.startWorker("first worker", p.brake)
	commit, body := w.push("count totals in cents", 0, "")
	w.deliver(body)
	first.braked()
	p.bring(w)
	first.kill()

	w.broker.Restart()
	w.deliver(body)
	second := w.startWorker("second worker", brake{})
	if p.failure == &late {
		eventually(t, "the second worker to wait for what the first has sent", func() error {
			if len(second.log.lines("parked", "kind", "build")) == 0 {
				return fmt.Errorf("it does not wait")
			}
			return nil
		})
		if len(w.fake.Builds(deployJob)) != 0 {
			t.Fatal("the build was started before")
		}
		w.fake.Advance(late.Late)
	}
	w.wantOneBuild(commit)
	second.stop()
}

// wantOneBuild waits for the end and looks at what came of it.
func (w *world) wantOneBuild(commit string) {
	t := w.t
	t.Helper()
	eventually(t, "the message", func() error { return w.atLeast("dingtalk: Started") })
	eventually(t, "the end of all work", w.settled)
	builds := w.fake.Builds(deployJob)
	want := []codeartstest.Parameter{{Name: "BRANCH", Value: "main"}}
	if len(builds) != 1 || builds[0].Commit != commit || !slices.Equal(builds[0].Parameters, want) {
		t.Errorf("builds %+v", builds)
	}
	if n := w.fake.Calls("start_build"); n != 1 {
		t.Errorf("the build was asked for %d times", n)
	}
	messages := w.robots.Messages()
	if len(messages) != 1 || !strings.Contains(messages[0].Text, "Build 1 of "+deployJob) {
		t.Errorf("messages %+v", messages)
	}
	n, err := w.look().Counts(t.Context())
	if err != nil || n.Dead != 0 || n.Work != 0 || n.Parked != 0 {
		t.Errorf("left in the stores: %+v, %v", n, err)
	}
}
