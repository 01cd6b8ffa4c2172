package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// TestFailingTask: one task that cannot be looked at does not keep the others, is told once, and is made up for.
func TestFailingTask(t *testing.T) {
	for name, part := range map[string]string{"list": "record/" + jobID + "/list", "record": "record/" + jobID + "/1/"} {
		for _, status := range []int{http.StatusForbidden, http.StatusInternalServerError, http.StatusBadRequest} {
			t.Run(name+" "+http.StatusText(status), func(t *testing.T) {
				w := newPollWorld(t, codeartstest.Options{})
				p := w.worker()
				w.poll(p)
				w.refuse(part, status)
				one, two, other := w.build(jobID, "SUCCESS", 0), w.build(jobID, "FAILED", 0), w.build(otherJob, "SUCCESS", 0)
				got := w.poll(p)
				if !slices.Contains(got, other) || slices.Contains(got, one) {
					t.Errorf("events %q", got)
				}
				got = append(got, w.poll(p)...)
				if f := w.failures(); len(f) != 2 || !strings.Contains(f[0], "task "+jobID) || !strings.Contains(f[0], "it does not work") {
					t.Errorf("failures %q", f)
				}
				if n := len(w.log.all(t, "source polled")); n != 3 {
					t.Errorf("polled %d times", n)
				}
				w.refuse(part, 0)
				got = append(got, w.poll(w.worker())...)
				w.wants("at last", got, one, two, other)
				w.wants("and no more", w.poll(p))
			})
		}
	}
}

// TestProjectThatCannotBeListed: the poll fails, the cursor stays.
func TestProjectThatCannotBeListed(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	w.limits.Slack = 1
	p := w.worker()
	w.refuse("job/"+projectID, http.StatusForbidden)
	w.poll(p)
	one := w.build(jobID, "SUCCESS", 0) // after the first poll, which saw nothing
	w.poll(p)
	if f := w.failures(); len(f) != 2 || !strings.Contains(f[0], "list the build tasks of project "+projectID) {
		t.Errorf("failures %q", f)
	}
	if n := len(w.log.all(t, "source polled")); n != 0 {
		t.Errorf("polled %d times", n)
	}
	w.refuse("job/"+projectID, 0)
	w.wants("at last", w.poll(p), one)
}

// TestThrottled: a poll that is told to stop stops at once, and the next one goes on where it was.
func TestThrottled(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	p := w.worker()
	w.poll(p)
	var want []string
	for range 4 {
		want = append(want, w.build(jobID, "SUCCESS", 0), w.build(otherJob, "SUCCESS", 0))
	}
	throttled := codeartstest.Throttled()
	throttled.Skip, throttled.Times = 2, 1
	w.fake.Fail("build_record", throttled)
	w.calls()
	got := w.poll(p)
	if len(got) != 2 || len(w.calls()) != 5 { // two lists, three records
		t.Errorf("events %q", got)
	}
	if f := w.failures(); len(f) != 1 || !strings.Contains(f[0], "Too many requests") {
		t.Errorf("failures %q", f)
	}
	got = append(got, w.poll(p)...)
	w.wants("in all", got, want...)
}

// TestCodeArtsAway: when nothing answers any more a poll ends soon.
func TestCodeArtsAway(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	p := w.worker()
	w.poll(p)
	var want []string
	for i := range 30 {
		id := strings.Repeat(string(rune('a'+i%26)), 31) + string(rune('0'+i/26))
		w.fake.AddJob(codeartstest.Job{ID: id, ProjectID: projectID, RepoID: "7"})
		want = append(want, w.build(id, "SUCCESS", 0))
	}
	w.refuse("record/", http.StatusBadGateway)
	w.calls()
	w.wants("while it is away", w.poll(p))
	if n := len(w.calls()); n != 1+maxInARow {
		t.Errorf("%d calls", n)
	}
	w.refuse("record/", 0)
	w.wants("when it is back", w.poll(p), want...)
}

// TestCrashAtAnyLine breaks a worker at each of its writes, before and after it took effect: the next worker makes up for it, and
// nothing that was before is emitted.
func TestCrashAtAnyLine(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			w := newPollWorld(t, codeartstest.Options{})
			w.build(jobID, "SUCCESS", 0)
			w.store.breakAt, w.store.after = at, after
			step := func() {
				w.poll(w.worker())
				w.clock.set(w.clock.now().Add(3 * time.Minute)) // longer than the lease of one that died
			}
			step()
			if at == 1 && !after {
				step() // the first poll is the one that leaves a record
			}
			want := []string{w.build(jobID, "SUCCESS", 0), w.build(jobID, "FAILED", 10*time.Minute), w.build(otherJob, "SUCCESS", time.Second)}
			for range 6 {
				step()
			}
			var got []string
			for id := range w.store.events {
				got = append(got, strings.TrimPrefix(id, "builds/"))
			}
			w.wants("broken", got, want...)
			if n := len(w.store.published) - len(want); n > 1 {
				t.Errorf("call %d, after %t: %d repetitions", at, after, n)
			}
			if t.Failed() || w.store.calls < at {
				break
			}
		}
	}
}

// TestTwoWorkers poll at the same time: every run is an event, and one of them alone asks.
func TestTwoWorkers(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	a, b := w.worker(), w.worker()
	w.poll(a)
	var want []string
	for range 10 {
		want = append(want, w.build(jobID, "SUCCESS", 0), w.build(otherJob, "FAILED", 0))
	}
	w.calls()
	ended := make(chan error)
	for _, p := range []*Poller{a, b} {
		for id := range p.sources {
			go func() {
				ended <- p.Tick(context.Background(), Message{Header: map[string]string{headerSchedule: id}})
			}()
		}
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	w.pollNow(b)
	var got []string
	for id := range w.store.events {
		got = append(got, strings.TrimPrefix(id, "builds/"))
	}
	w.wants("of both", got, want...)
	if len(w.store.published) != len(want) {
		t.Errorf("published %q", w.store.published)
	}
	if f := w.failures(); f != nil {
		t.Errorf("failures %q", f)
	}
}

// TestLease: a worker that stopped in the middle keeps the others waiting for no longer than its lease, and if it comes back
// then what it still does is harmless.
func TestLease(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	w.limits.Lease = 2 * time.Minute
	a, b := w.worker(), w.worker()
	w.poll(a)
	one := w.build(jobID, "SUCCESS", 0)
	var other []string
	held := w.source()
	held.Builds = &pausing{Builds: w.client, at: func() {
		// While it asks for the run a long time passes.
		w.wants("within the lease", w.poll(b))
		w.clock.set(w.clock.now().Add(3 * time.Minute))
		other = w.poll(b)
	}}
	slow := w.worker(held)
	w.poll(slow)
	w.wants("by the other worker", other, one)
	if len(w.store.published) > 2 {
		t.Errorf("published %q", w.store.published)
	}
	w.wants("and no more", w.poll(a))
}

// pausing is a Builds that lets something happen before the first record.
type pausing struct {
	Builds
	at, again func()
}

func (p *pausing) BuildRecord(ctx context.Context, jobID string, no int) (*codearts.BuildRecord, error) {
	if at := p.at; at != nil {
		p.at = nil
		at()
	}
	return p.Builds.BuildRecord(ctx, jobID, no)
}

// TestClockBehind: a task that is seen later than its first build ended, by a clock that is behind, is not missed.
func TestClockBehind(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	of := w.source()
	of.Builds = &lacking{Builds: w.client, task: otherJob}
	p := w.worker(of)
	w.poll(p)
	w.clock.set(w.clock.now().Add(time.Hour))
	one := w.build(otherJob, "SUCCESS", 0)
	w.wants("not seen", w.poll(p)) // finished a minute before this
	w.wants("seen", w.poll(w.worker()), one)
}

// TestSlowPoll: a worker that is slow and alive keeps the source.
func TestSlowPoll(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	w.limits.Lease = 2 * time.Minute
	b := w.worker()
	w.poll(b)
	want := []string{w.build(jobID, "SUCCESS", 0), w.build(jobID, "SUCCESS", 0), w.build(jobID, "SUCCESS", 0)}
	of := w.source()
	slow := &pausing{Builds: w.client}
	slow.at = func() {
		w.clock.set(w.clock.now().Add(70 * time.Second))
		w.wants("of the other worker", w.pollNow(b))
		slow.at = slow.again
	}
	slow.again = slow.at
	of.Builds = slow
	w.wants("of the slow one", w.poll(w.worker(of)), want...)
}

// TestEventsFull: a run that could not be published is published later.
func TestEventsFull(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	p := w.worker()
	w.poll(p)
	one := w.build(jobID, "SUCCESS", 0)
	w.store.full = true
	w.wants("refused", w.poll(p))
	if f := w.failures(); len(f) != 1 || !strings.Contains(f[0], "EVENTS is full") {
		t.Errorf("failures %q", f)
	}
	w.store.full = false
	w.wants("taken", w.poll(p), one)
}

// TestPollEndsWithItsContext: who is about to end hands the rest back, and gives the source free.
func TestPollEndsWithItsContext(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	w.poll(w.worker())
	one := w.build(jobID, "SUCCESS", 0)
	ctx, cancel := context.WithCancel(t.Context())
	ending := w.source()
	ending.Builds = &pausing{Builds: w.client, at: cancel}
	p := w.worker(ending)
	for id := range p.sources {
		if err := p.Tick(ctx, Message{Header: map[string]string{headerSchedule: id}}); err == nil {
			t.Error("it is done")
		}
	}
	w.wants("by another worker, at once", w.pollNow(w.worker()), one)
	if f := w.failures(); f != nil {
		t.Errorf("failures %q", f)
	}
}

// TestPollRecordsOfLater: a record of a newer program is left alone.
func TestPollRecordsOfLater(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	p := w.worker()
	w.poll(p)
	for subject, e := range w.store.records {
		var rec map[string]any
		if err := json.Unmarshal(e.data, &rec); err != nil {
			t.Fatal(err)
		}
		rec["v"] = 99
		e.data, _ = json.Marshal(rec)
		w.store.records[subject] = e
	}
	w.poll(p)
	if f := w.failures(); len(f) != 1 || !strings.Contains(f[0], "format version 99") {
		t.Errorf("failures %q", f)
	}
}

// TestOldRunThatFails: a run that ended before the first poll is nobody's event, also if it could not be looked at when it was first
// seen; one that ended since is.
func TestOldRunThatFails(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	w.build(jobID, "SUCCESS", time.Second)
	running := w.build(jobID, "FAILED", 10*time.Minute)
	p := w.worker()
	w.refuse("record/"+jobID+"/1/", http.StatusInternalServerError)
	w.wants("the first poll", w.poll(p))
	ended := w.build(jobID, "SUCCESS", 0)
	w.wants("while it fails", w.poll(p), ended)
	w.refuse("record/"+jobID+"/1/", 0)
	w.wants("old", w.poll(w.worker()))
	w.clock.set(w.clock.now().Add(10 * time.Minute))
	w.wants("since", w.poll(p), running)
}

// TestRunsThatAlwaysFail do not keep the later ones of their task.
func TestRunsThatAlwaysFail(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	p := w.worker()
	w.poll(p)
	for no := range maxFailures + 1 {
		w.build(jobID, "SUCCESS", 0)
		w.refuse(fmt.Sprintf("record/%s/%d/", jobID, no+1), http.StatusInternalServerError)
	}
	w.wants("all fail", w.poll(p))
	running, ended := w.build(jobID, "SUCCESS", 10*time.Minute), w.build(jobID, "SUCCESS", 0)
	got := append(w.poll(p), w.poll(p)...)
	w.wants("later ones", got, ended)
	w.clock.set(w.clock.now().Add(10 * time.Minute))
	w.wants("what ran", w.poll(p), running)
	var late []string
	for no := range maxFailures + 1 {
		w.refuse(fmt.Sprintf("record/%s/%d/", jobID, no+1), 0)
		late = append(late, fmt.Sprintf("%s-%d", jobID, no+1))
	}
	w.wants("at last", w.poll(p), late...)
}

// TestRunThatIsNotThere: a run that is listed and has no record is no deleted one, but looked at again; nor is any when the gateway
// knows no such call.
func TestRunThatIsNotThere(t *testing.T) {
	w := newPollWorld(t, codeartstest.Options{})
	p := w.worker()
	w.poll(p)
	one := w.build(jobID, "SUCCESS", 0)
	w.refuse("record/"+jobID+"/1/", http.StatusNotFound)
	w.wants("not there yet", w.poll(p))
	if f := w.failures(); len(f) != 1 || !strings.Contains(f[0], "run 1 of task "+jobID) {
		t.Errorf("failures %q", f)
	}
	w.refuse("record/"+jobID+"/1/", 0)
	w.wants("there", w.poll(p), one)

	running := w.build(jobID, "SUCCESS", 2*time.Minute)
	w.wants("running", w.poll(p))
	other := w.build(jobID, "SUCCESS", 0)
	w.fake.Fail("build_record", codeartstest.Failure{Status: http.StatusNotFound, Code: "APIGW.0101", Message: "The API does not exist", Times: 4})
	w.wants("no such call", append(w.poll(p), w.poll(p)...))
	w.wants("the call is back", w.poll(w.worker()), running, other)
}
