package effects

import (
	"context"
	"iter"
	"strconv"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
)

const (
	jobID       = "f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3"
	builtCommit = "0123456789abcdef0123456789abcdef01234567"
)

// task is a build task in memory: every start makes a run, and it fails on demand.
type task struct {
	now     func() time.Time
	runs    []*codearts.JobRun // oldest first
	last    *codearts.RunningStatus
	gone    bool
	calls   int // starts that reached it
	lists   int // of its runs
	request codearts.BuildRequest
	faults  []startFault
}

type startFault = func(t *task, r codearts.BuildRequest) (*codearts.StartedBuild, error)

func newTask(now func() time.Time) *task { return &task{now: now} }

// begin starts a run at a time.
func (t *task) begin(commit, trigger string, at time.Time) *codearts.JobRun {
	n := codearts.Int(len(t.runs) + 1)
	ms := codearts.Int(at.UnixMilli())
	daily := codearts.Text("20260401." + strconv.Itoa(int(n)))
	run := &codearts.JobRun{Number: &n, StartTime: &ms, TriggerType: &trigger, DailyBuildNumber: &daily}
	if commit != "" {
		run.CommitID = &commit
	}
	t.runs = append(t.runs, run)
	return run
}

// start carries a request out.
func (t *task) start(r codearts.BuildRequest, at time.Time) *codearts.StartedBuild {
	commit := r.Commit
	if commit == "" {
		commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" // of the task's branch
	}
	run := t.begin(commit, "MANUAL", at)
	text := codearts.Text(strconv.Itoa(int(*run.Number)))
	return &codearts.StartedBuild{ActualBuildNumber: &text, DailyBuildNumber: run.DailyBuildNumber}
}

// mortalTask is the task as one worker sees it.
type mortalTask struct {
	t  *task
	tw *tripwire
}

func (m mortalTask) StartBuild(_ context.Context, r codearts.BuildRequest) (*codearts.StartedBuild, error) {
	return guard(m.tw, func() (*codearts.StartedBuild, error) {
		if err := m.tw.overslept(30 * time.Second); err != nil {
			return nil, err
		}
		m.t.calls++
		m.t.request = r
		if len(m.t.faults) > 0 {
			f := m.t.faults[0]
			m.t.faults = m.t.faults[1:]
			return f(m.t, r)
		}
		return m.t.start(r, m.t.now()), nil
	})
}

func (m mortalTask) RunningStatus(context.Context, string) (*codearts.RunningStatus, error) {
	return guard(m.tw, func() (*codearts.RunningStatus, error) {
		if m.t.gone {
			return nil, &refusal{text: "invalid task", kind: codearts.ErrNotFound}
		}
		if m.t.last != nil {
			return m.t.last, nil
		}
		no := codearts.Text(strconv.Itoa(len(m.t.runs)))
		running := false
		return &codearts.RunningStatus{LastBuildNo: &no, IsRunning: &running}, nil
	})
}

func (m mortalTask) JobRuns(_ context.Context, _ string, from, to time.Time) iter.Seq2[*codearts.JobRun, error] {
	return func(yield func(*codearts.JobRun, error) bool) {
		m.t.lists++
		if _, err := guard(m.tw, func() (any, error) { return nil, nil }); err != nil {
			yield(nil, err)
			return
		}
		for i := len(m.t.runs) - 1; i >= 0; i-- {
			if at := m.t.runs[i].Started(); !at.IsZero() && (at.Before(from) || at.After(to)) {
				continue
			}
			if !yield(m.t.runs[i], nil) {
				return
			}
		}
	}
}

// startCutAfter starts the run and loses the answer.
func startCutAfter(t *task, r codearts.BuildRequest) (*codearts.StartedBuild, error) {
	t.start(r, t.now())
	return nil, &refusal{text: "connection reset", maybe: true, again: true}
}

// startCutBefore loses the request.
func startCutBefore(*task, codearts.BuildRequest) (*codearts.StartedBuild, error) {
	return nil, &refusal{text: "connection reset", maybe: true, again: true}
}

// startThrottled refuses for certain, for now.
func startThrottled(*task, codearts.BuildRequest) (*codearts.StartedBuild, error) {
	return nil, &refusal{text: "too many requests", kind: codearts.ErrThrottled, again: true, wait: 7 * time.Second}
}

// startNameless starts the run, and does not say which.
func startNameless(t *task, r codearts.BuildRequest) (*codearts.StartedBuild, error) {
	t.start(r, t.now())
	return &codearts.StartedBuild{}, nil
}

// startsLate fails now, and starts the run half a minute later.
func startsLate(w *world) startFault {
	return func(t *task, r codearts.BuildRequest) (*codearts.StartedBuild, error) {
		at := t.now().Add(30 * time.Second)
		before := w.onPause
		w.onPause = func() {
			if before != nil {
				before()
			}
			if !t.now().Before(at) && !at.IsZero() {
				t.start(r, at)
				at = time.Time{}
			}
		}
		return nil, &refusal{text: "gateway timeout", maybe: true, again: true}
	}
}
