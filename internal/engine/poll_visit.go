package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
)

const (
	// zoneDay is how far from the time asked for a run may lie in a list of runs: in which zone its
	// times are read is not documented.
	zoneDay = 24 * time.Hour
	// longestRun is how long before a task was first looked at a run may have begun that ends after.
	longestRun = 24 * time.Hour
	// abandonAfter is how long a run is looked at that does not finish.
	abandonAfter = 7 * 24 * time.Hour
	// maxGap is how many numbers that a list leaves out are looked at one by one.
	maxGap = 100
	// maxFailures of one task in a poll, and the rest of it is left for the next one.
	maxFailures = 3
	// runsPerCall is how many runs CodeArts lists in one call.
	runsPerCall = 100
)

// fate is what became of one run.
type fate uint8

const (
	fateKnown   fate = iota // it is an event, or never will be one, or is open
	fateFailed              // it could not be looked at, and is open
	fateStopped             // the poll ends before it
)

// visit looks at the runs of one task: those that are open and, if there may be new ones, those too. What became of them is
// put on record at the end; the task counts as up to date only if none was left out.
func (r *pollRound) visit(ctx context.Context, t *polledTask) {
	m := r.source.memory[t.id]
	m.asked = r.now()
	next := m.taskRecord
	next.Open = slices.Clone(m.Open)
	var fresh, gaps []int
	if m.Last != t.last {
		var err error
		if fresh, gaps, err = r.newRuns(ctx, t, &m.taskRecord); err != nil {
			r.callFailed(ctx, fmt.Errorf("list the runs of task %s: %w", t.id, err))
			r.owe(ctx, t)
			return
		}
	}
	asked := slices.Concat(fresh, gaps)
	for _, o := range m.Open {
		asked = append(asked, o.No)
	}
	// In their order, which Through needs of the new ones. Those that failed come last, the newest first: some fail for ever.
	slices.SortFunc(asked, func(a, b int) int {
		switch x, y := m.failed(a), m.failed(b); {
		case x && y:
			return b - a
		case x:
			return 1
		case y:
			return -1
		}
		return a - b
	})
	whole, failures := true, 0
	for _, no := range asked {
		f := fateStopped
		if !r.stopped && r.calls > 0 && failures < maxFailures {
			f = r.settle(ctx, t, &m.taskRecord, &next, no, slices.Contains(fresh, no))
		}
		if f == fateStopped {
			whole = false
			break
		}
		if f == fateFailed {
			failures++
		}
		next.Through = max(next.Through, no)
	}
	if whole && m.Last != t.last {
		next.Last, next.Looked = t.last, m.asked.UTC()
		if next.Through > 0 {
			next.Floor = time.Time{}
		}
	}
	if m.rev != 0 && m.same(&next) {
		return
	}
	m.taskRecord = next
	if err := r.save(context.WithoutCancel(ctx), t, m); err != nil {
		r.stop(err)
	}
}

// same tells whether two records of a task say the same.
func (t *taskRecord) same(o *taskRecord) bool {
	return t.Last == o.Last && t.Through == o.Through && t.Floor.Equal(o.Floor) && t.Looked.Equal(o.Looked) && slices.Equal(t.Open, o.Open)
}

// newRuns are the numbers of the runs that may not be on record: those that are listed, in their order, and those between.
func (r *pollRound) newRuns(ctx context.Context, t *polledTask, rec *taskRecord) (fresh, gaps []int, err error) {
	if err := r.hold(ctx); err != nil {
		return nil, nil, err
	}
	from, began := rec.Looked.Add(-zoneDay), time.Time{}
	if !rec.Floor.IsZero() {
		began = rec.Floor.Add(-longestRun)
		from = began.Add(-zoneDay)
	}
	listed := 0
	for run, err := range r.source.Builds.JobRuns(ctx, t.id, from, r.now().Add(zoneDay)) {
		if err != nil {
			return nil, nil, err
		}
		listed++
		if run.Number == nil || *run.Number < 1 || *run.Number > math.MaxInt32 || int(*run.Number) <= rec.Through {
			continue
		}
		if at := run.Started(); !at.IsZero() && at.Before(began) {
			continue
		}
		if no := int(*run.Number); !rec.has(no) {
			fresh = append(fresh, no)
		}
	}
	r.calls -= 1 + listed/runsPerCall
	r.failedInARow = 0
	slices.Sort(fresh)
	fresh = slices.Compact(fresh)
	if len(fresh) > 0 && rec.Floor.IsZero() {
		gaps = missing(fresh, rec.Through)
	}
	return fresh, gaps, nil
}

// missing are the numbers over through that a list leaves out before its last one.
func missing(fresh []int, through int) []int {
	var gaps []int
	for no := through + 1; no < fresh[len(fresh)-1] && len(gaps) < maxGap; no++ {
		if _, there := slices.BinarySearch(fresh, no); !there {
			gaps = append(gaps, no)
		}
	}
	return gaps
}

// settle looks at one run and makes an event of it if it has finished. rec is what is on record, next what will be; listed tells
// that it stood in a list just now.
func (r *pollRound) settle(ctx context.Context, t *polledTask, rec, next *taskRecord, no int, listed bool) fate {
	if err := r.hold(ctx); err != nil {
		r.stop(err)
		return fateStopped
	}
	r.calls--
	run, err := r.source.Builds.BuildRecord(ctx, t.id, no)
	switch {
	case errors.Is(err, codearts.ErrNotFound) && !listed && !ofGateway(err):
		next.close(no) // it was deleted
		return fateKnown
	case err != nil:
		if r.callFailed(ctx, fmt.Errorf("look at run %d of task %s: %w", no, t.id, err)); r.stopped {
			return fateStopped
		}
		r.leaveOpen(t, next, openRun{No: no, Failed: true, Floor: rec.floorOf(no)})
		return fateFailed
	}
	r.failedInARow = 0
	if !run.Finished {
		r.leaveOpen(t, next, openRun{No: no})
		return fateKnown
	}
	if endedSince(run, rec.floorOf(no)) {
		if err := r.publish(ctx, r.source.buildEvent(t, no, run, r.now())); err != nil {
			r.stop(err)
			return fateStopped
		}
	}
	next.close(no)
	return fateKnown
}

// ofGateway tells whether an error is not about a run, but about the call.
func ofGateway(err error) bool {
	failure, ok := errors.AsType[*codearts.APIError](err)
	return ok && strings.HasPrefix(failure.Code, "APIGW.")
}

// leaveOpen keeps a run for the next poll, but not for ever.
func (r *pollRound) leaveOpen(t *polledTask, next *taskRecord, run openRun) {
	now := r.now().UTC()
	run.Since = now
	i := next.find(run.No)
	if i < 0 {
		next.Open = append(next.Open, run)
		return
	}
	run.Since = next.Open[i].Since
	next.Open[i] = run
	if now.Sub(run.Since) > abandonAfter {
		r.fail(fmt.Errorf("run %d of task %s has not finished for %s and is not looked at any more", run.No, t.id, abandonAfter))
		next.close(run.No)
	}
}

// find is the place of a run among the open ones, -1 when it is none of them.
func (t *taskRecord) find(no int) int {
	return slices.IndexFunc(t.Open, func(o openRun) bool { return o.No == no })
}

func (t *taskRecord) has(no int) bool { return t.find(no) >= 0 }

func (t *taskRecord) failed(no int) bool {
	i := t.find(no)
	return i >= 0 && t.Open[i].Failed
}

// floorOf is since when a run has to have finished to be an event; the zero time for one that was seen before it had.
func (t *taskRecord) floorOf(no int) time.Time {
	if i := t.find(no); i >= 0 {
		return t.Open[i].Floor
	}
	return t.Floor
}

func (t *taskRecord) close(no int) {
	t.Open = slices.DeleteFunc(t.Open, func(o openRun) bool { return o.No == no })
}
