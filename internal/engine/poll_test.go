package engine

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/events"
)

// TestFirstPoll makes no events of what was there before, and one of what finishes after.
func TestFirstPoll(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	for range 3 {
		w.build(jobID, "SUCCESS", time.Second)
	}
	running := w.build(jobID, "FAILED", 10*time.Minute)
	w.build(otherJob, "FAILED", 30*time.Second)
	w.fake.AddJob(codeartstest.Job{ID: thirdJob, ProjectID: projectID, RepoID: "7"}) // never built
	p := w.worker()
	w.wants("the first poll", w.poll(p))
	w.wants("nothing new", w.poll(p))
	w.clock.set(w.clock.now().Add(10 * time.Minute))
	w.wants("the one that ran", w.poll(p), running)
	w.wants("again", w.poll(p))
	second := w.build(otherJob, "SUCCESS", 0)
	first := w.build(thirdJob, "SUCCESS", 0)
	w.wants("new ones", w.poll(p), second, first)
	if got := w.failures(); got != nil {
		t.Errorf("failures %q", got)
	}
	polled := w.log.all(t, "source polled")
	if len(polled) != 5 || polled[4]["tasks"] != 3.0 || polled[4]["events"] != 2.0 || polled[4]["source"] != "builds" {
		t.Errorf("lines %v", polled)
	}
}

// TestSameMoment: what finishes right after the first poll is not lost for a time that is cut.
func TestSameMoment(t *testing.T) {
	floor := start.Truncate(time.Second).Add(900*time.Millisecond + 700*time.Microsecond)
	for text, want := range map[string]bool{
		"2026-04-01T08:30:00.899+00:00": false,
		"2026-04-01T08:30:00.900+00:00": true,
		"2026-04-01T16:30:00.901+08:00": true,
		"2026-04-01T08:30:00.000+00:00": true, // to the second
		"2026-04-01T08:30:00Z":          true,
		"2026-04-01T08:29:59.000+00:00": false,
		"yesterday":                     false,
	} {
		if got := endedSince(&codearts.BuildRecord{FinishTime: &text}, floor); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	if !endedSince(&codearts.BuildRecord{}, time.Time{}) {
		t.Error("without a floor it is since")
	}
	w := newPollWorld(t, codeartstest.Options{})
	w.clock.set(floor)
	w.build(jobID, "SUCCESS", 0)
	w.clock.set(floor.Add(2 * time.Millisecond))
	p := w.worker()
	w.wants("the first poll", w.pollNow(p))
	one, other := w.build(jobID, "SUCCESS", 0), w.build(otherJob, "SUCCESS", 0)
	w.wants("right after", w.poll(p), one, other)
}

// TestPolledEvent: a run's event has what its record says, in the fields that pushes have too.
func TestPolledEvent(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	p := w.worker()
	w.poll(p)
	pushed := w.fake.Push("7", codeartstest.Push{Message: "count\n\nMillrace-Action: k", Files: map[string]string{"a": "b"}, Quiet: true})
	w.fake.StartBuild(jobID, pushed, "main", "ERROR", 40*time.Second)
	w.wants("the run", w.poll(p), jobID+"-1")
	ev := w.store.events["builds/"+jobID+"-1"]
	if ev.Source != "builds" || ev.Type != events.TypeBuildFinished || !ev.Time.Equal(w.clock.now()) || ev.Repository != "shop/orders" {
		t.Errorf("event %+v", ev)
	}
	v, err := events.Decode(ev)
	if err != nil {
		t.Fatal(err)
	}
	want := &events.View{
		Type: "build.finished", ID: ev.ID, Source: "builds", Time: ev.Time.Format(time.RFC3339Nano), Commits: []events.Commit{}, Raw: v.Raw,
		Repository: &events.Repository{ID: new("7"), Path: new("shop/orders"), Name: new("orders")},
		Branch:     new("main"), After: &pushed,
		Build: &events.Build{
			ProjectID: new(projectID), JobID: new(jobID), JobName: new("orders-ci"), BuildNo: new("1"), DailyBuildNum: v.Build.DailyBuildNum,
			BuildRecordID: v.Build.BuildRecordID, Outcome: new("failed"), Status: new("ERROR"), ErrMsg: new("step 1 ended with exit code 1"),
			TriggerType: new("CODE_UPDATE"), Branch: new("main"), Commit: &pushed, CommitMessage: new("count\n\nMillrace-Action: k"),
			Started: new("2026-04-01T08:31:10.250+00:00"), Finished: new("2026-04-01T08:31:40.250+00:00"), Duration: new(int64(30_000)),
		},
	}
	if v.Build.DailyBuildNum == nil || v.Build.BuildRecordID == nil {
		t.Errorf("build %+v", v.Build)
	}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("view (-want +got):\n%s", diff)
	}
	if id, message := v.Head(); id != pushed || !strings.HasSuffix(message, "Millrace-Action: k") {
		t.Errorf("head %q, %q", id, message)
	}
	if accepted := w.log.all(t, "event accepted"); len(accepted) != 1 || accepted[0]["event_id"] != ev.ID || accepted[0]["repository"] != "shop/orders" {
		t.Errorf("lines %v", accepted)
	}
}

// TestPollCost: while nothing is built a poll is one call, and a build costs its own task alone.
func TestPollCost(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	for i := range 5 {
		if i == 3 {
			w.clock.set(w.clock.now().Add(26 * time.Hour)) // what is older than a day is no matter
		}
		w.build(jobID, "SUCCESS", 0)
		w.build(otherJob, "SUCCESS", 0)
	}
	p := w.worker()
	list, runs := "job/"+projectID+"/list", "record/"+jobID+"/list"
	info := func(no string) string { return "record/" + jobID + "/" + no + "/record-info" }
	for _, step := range []struct {
		name string
		do   func()
		want []string
	}{
		{"first", func() {}, []string{list}},
		{"idle", func() {}, []string{list}},
		// Which runs were there before is not known yet: those of the last day are looked at, once.
		{"a build begins", func() { w.build(jobID, "SUCCESS", 90*time.Second) }, []string{list, runs, info("4"), info("5"), info("6")}},
		{"it ends", func() {}, []string{list, runs, info("6")}},
		{"idle again", func() {}, []string{list}},
		{"a quick one", func() { w.build(jobID, "SUCCESS", 0) }, []string{list, runs, info("7")}},
		{"idle at last", func() {}, []string{list}},
	} {
		step.do()
		w.poll(p)
		if diff := cmp.Diff(step.want, w.calls()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	// Another process has to read the records first, and asks no more of CodeArts.
	w.poll(w.worker())
	if diff := cmp.Diff([]string{list}, w.calls()); diff != "" {
		t.Errorf("another worker (-want +got):\n%s", diff)
	}
}

// TestRunsOneAboveTheOther: runs of one task that go on at the same time are each an event when they end, whatever their order.
func TestRunsOneAboveTheOther(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	p := w.worker()
	w.poll(p)
	long, short := w.build(jobID, "SUCCESS", 30*time.Minute), w.build(jobID, "FAILED", time.Second)
	w.wants("the short one", w.poll(p), short)
	w.wants("between", w.poll(p))
	next := w.build(jobID, "SUCCESS", time.Second)
	w.wants("the next one", w.poll(p), next)
	w.clock.set(w.clock.now().Add(30 * time.Minute))
	w.wants("the long one", w.poll(w.worker()), long) // another process
	w.wants("and then nothing", w.poll(p))
	if len(w.store.published) != 3 {
		t.Errorf("published %q", w.store.published)
	}
}

// TestDowntime: what finished while nobody polled is emitted, wherever the zone of the lists is, and in so many steps as it takes.
func TestDowntime(t *testing.T) {
	for _, hours := range []int{-12, 0, 14} {
		t.Run(time.Duration(hours*int(time.Hour)).String(), func(t *testing.T) {
			w := newPollWorld(t, codeartstest.Options{RunZone: time.FixedZone("", hours*60*60)})
			w.limits.Calls = 40
			for range 20 {
				w.build(jobID, "SUCCESS", time.Second)
				w.clock.set(w.clock.now().Add(time.Minute))
			}
			p := w.worker()
			w.poll(p)
			before := w.build(jobID, "SUCCESS", 90*time.Second)
			w.wants("running", w.poll(p))
			want := []string{before}
			for range 5 * 24 { // five days
				want = append(want, w.build(jobID, "SUCCESS", time.Minute), w.build(otherJob, "FAILED", time.Second))
				w.clock.set(w.clock.now().Add(time.Hour))
			}
			p = w.worker()
			var got []string
			for range 10 {
				w.calls()
				got = append(got, w.poll(p)...)
				if n := len(w.calls()); n > 2+40+5 {
					t.Errorf("%d calls in one poll", n)
				}
			}
			w.wants("after five days", got, want...)
			if len(got) != len(w.store.events) {
				t.Errorf("%d publications of %d events", len(got), len(w.store.events))
			}
			if f := w.failures(); f != nil {
				t.Errorf("failures %q", f)
			}
		})
	}
}

// TestExpiredRecords: what is forgotten is not found anew.
func TestExpiredRecords(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	p := w.worker()
	w.poll(p)
	w.wants("one", w.poll(p))
	one := w.build(jobID, "SUCCESS", 0)
	w.wants("one", w.poll(p), one)
	w.clock.set(w.clock.now().Add(8 * time.Minute))
	w.wants("nothing", w.poll(p))

	if n := w.store.expire("polltask"); n != 1 {
		t.Errorf("%d records of tasks", n)
	}
	w.wants("with the records of tasks gone", w.poll(w.worker()))
	w.wants("remembering what is gone", w.poll(p))
	two := w.build(jobID, "SUCCESS", 0)
	w.wants("two", w.poll(p), two)

	w.store.expire("polltask")
	w.store.expire("poll")
	w.wants("with all records gone", w.poll(p))
	w.wants("and then", w.poll(p))
	three := w.build(jobID, "SUCCESS", 0)
	w.wants("three", w.poll(p), three)
}

// TestRecordsAreKept: a task that is not built for long is written anew before its record is forgotten.
func TestRecordsAreKept(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	w.build(jobID, "SUCCESS", 0)
	p := w.worker()
	w.poll(p)
	rev := func() uint64 {
		for subject, e := range w.store.records {
			if strings.HasPrefix(subject, "polltask.") {
				return e.rev
			}
		}
		t.Fatal("no record")
		return 0
	}
	first := rev()
	w.clock.set(w.clock.now().Add(6 * 24 * time.Hour))
	w.poll(p)
	if rev() != first {
		t.Error("written too soon")
	}
	w.clock.set(w.clock.now().Add(2 * 24 * time.Hour))
	w.poll(p)
	if rev() == first {
		t.Error("not written")
	}
}

// TestManyTasks: a poll that may make few calls gets round to all tasks, those first that waited longest.
func TestManyTasks(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	w.limits.Calls, w.limits.Slack = 6, 1
	p := w.worker()
	w.poll(p)
	var want, got []string
	for i := range 9 {
		id := strings.Repeat(string(rune('a'+i)), 32)
		w.fake.AddJob(codeartstest.Job{ID: id, ProjectID: projectID, RepoID: "7"})
		want = append(want, w.build(id, "SUCCESS", 0))
		w.build(id, "SUCCESS", 24*time.Hour) // is asked for at every poll
	}
	for range 9 {
		got = append(got, w.poll(p)...)
	}
	w.wants("in all", got, want...)
}

// TestTasksThatAreMeant: tasks of another repository are not asked for; a task that appears later is, and one that goes is forgotten.
func TestTasksThatAreMeant(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	of := w.source()
	of.Repository = "7"
	p := w.worker(of)
	w.poll(p)
	one := w.build(jobID, "SUCCESS", 0)
	w.build(otherJob, "SUCCESS", 0)
	w.fake.AddJob(codeartstest.Job{ID: thirdJob, ProjectID: projectID, RepoID: "7"})
	two := w.build(thirdJob, "SUCCESS", 0)
	w.calls()
	w.wants("of the repository", w.poll(p), one, two)
	for _, call := range w.calls() {
		if strings.Contains(call, otherJob) {
			t.Errorf("asked for %s", call)
		}
	}
	w.fake.AddJob(codeartstest.Job{ID: thirdJob, ProjectID: "bbbbbbbbccccddddeeeeffff00001111", RepoID: "7"})
	w.wants("without the task", w.poll(p))
	for _, s := range p.sources {
		if len(s.memory) != 1 {
			t.Errorf("%d tasks are remembered", len(s.memory))
		}
	}
}

// TestRunsThatAreMissing: numbers that a list leaves out are looked at, those that were deleted are not waited for, and one that never ends is given up.
func TestRunsThatAreMissing(t *testing.T) {
	if got := missing([]int{5, 7, 10}, 3); !slices.Equal(got, []int{4, 6, 8, 9}) {
		t.Errorf("missing %v", got)
	}
	if got := missing([]int{1000}, 1); len(got) != maxGap {
		t.Errorf("%d missing", len(got))
	}
	w := newPollWorld(t, codeartstest.Options{})
	p := w.worker()
	w.poll(p)
	w.build(otherJob, "SUCCESS", 0)
	w.poll(p)
	leftOut, there := w.build(otherJob, "FAILED", 0), w.build(otherJob, "SUCCESS", 0)
	of := w.source()
	of.Builds = &lacking{Builds: w.client, run: 2}
	w.wants("left out of the list", w.poll(w.worker(of)), leftOut, there)

	w.build(jobID, "SUCCESS", 1000*time.Hour)
	w.wants("running", w.poll(p))
	w.clock.set(w.clock.now().Add(8 * 24 * time.Hour))
	w.wants("given up", w.poll(p))
	if f := w.failures(); len(f) != 1 || !strings.Contains(f[0], "run 1 of task "+jobID+" has not finished for 168h0m0s") {
		t.Errorf("failures %q", f)
	}
	w.calls()
	w.wants("and then", w.poll(p))
	if n := len(w.calls()); n != 1 {
		t.Errorf("%d calls", n)
	}
	two := w.build(jobID, "SUCCESS", 0)
	w.refuse(jobID+"/2/", http.StatusInternalServerError)
	w.poll(p)
	w.refuse(jobID+"/2/", http.StatusNotFound)
	w.wants("deleted", w.poll(p))
	w.refuse(jobID+"/2/", 0)
	w.wants("for good", w.poll(p))
	if _, ok := w.store.events["builds/"+two]; ok {
		t.Error("an event of a deleted run")
	}
}

// lacking is a Builds whose lists leave out a task and a run.
type lacking struct {
	Builds
	task string
	run  codearts.Int
}

func (l *lacking) ProjectJobs(ctx context.Context, project codearts.ProjectID) iter.Seq2[*codearts.Job, error] {
	return func(yield func(*codearts.Job, error) bool) {
		for job, err := range l.Builds.ProjectJobs(ctx, project) {
			if err == nil && *job.ID == l.task {
				continue
			}
			if !yield(job, err) {
				return
			}
		}
	}
}

func (l *lacking) JobRuns(ctx context.Context, jobID string, from, to time.Time) iter.Seq2[*codearts.JobRun, error] {
	return func(yield func(*codearts.JobRun, error) bool) {
		for run, err := range l.Builds.JobRuns(ctx, jobID, from, to) {
			if err == nil && *run.Number == l.run {
				continue
			}
			if !yield(run, err) {
				return
			}
		}
	}
}

// TestKeep starts the schedules, and polls a source at once that never was.
func TestKeep(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	other := w.source()
	other.Name, other.Every = "more", 90*time.Second
	p := w.worker(w.source(), other)
	p.ensure(t.Context())
	one := w.build(jobID, "SUCCESS", 0)
	p.ensure(t.Context())
	if n := len(w.log.all(t, "source polled")); n != 2 {
		t.Errorf("polled %d times", n)
	}
	w.worker().ensure(t.Context()) // it was polled by another
	if n := len(w.log.all(t, "source polled")); n != 2 {
		t.Errorf("polled %d times", n)
	}
	var patterns []string
	for _, line := range w.store.schedules {
		_, pattern, _ := strings.Cut(line, " ")
		patterns = append(patterns, pattern)
	}
	slices.Sort(patterns)
	if diff := cmp.Diff([]string{"@every 1m0s", "@every 1m30s"}, patterns); diff != "" {
		t.Errorf("schedules (-want +got):\n%s", diff)
	}
	w.wants("of one source", w.pollNow(w.worker()), one)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.Keep(ctx) // ends
}

// TestKeepTries: a first poll that could not be recorded is made up for.
func TestKeepTries(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	w.store.breakAt = 2 // after the schedule
	p := w.worker()
	p.ensure(t.Context())
	p.ensure(t.Context())
	if n := len(w.log.all(t, "source polled")); n != 1 {
		t.Errorf("polled %d times", n)
	}
}

// TestLongFirstPoll: what begins and ends while the first poll is still listing is not lost.
func TestLongFirstPoll(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	w.build(jobID, "SUCCESS", 0)
	w.clock.set(w.clock.now().Add(time.Minute))
	of := w.source()
	var one string
	of.Builds = &listing{Builds: w.client, after: func() {
		w.clock.set(w.clock.now().Add(time.Second))
		one = w.build(jobID, "SUCCESS", 0)
		w.clock.set(w.clock.now().Add(10 * time.Second))
	}}
	w.wants("the first poll", w.poll(w.worker(of)))
	w.wants("the next one", w.poll(w.worker()), one)
}

// listing is a Builds that lets something happen once the tasks are listed.
type listing struct {
	Builds
	after func()
}

func (l *listing) ProjectJobs(ctx context.Context, project codearts.ProjectID) iter.Seq2[*codearts.Job, error] {
	return func(yield func(*codearts.Job, error) bool) {
		for job, err := range l.Builds.ProjectJobs(ctx, project) {
			if !yield(job, err) {
				return
			}
		}
		l.after()
	}
}

// TestStrangeTick: a tick of a schedule that no source has is nothing.
func TestStrangeTick(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	if err := w.worker().Tick(t.Context(), Message{Header: map[string]string{headerSchedule: "old"}}); err != nil || len(w.calls()) != 0 {
		t.Errorf("%v", err)
	}
}
