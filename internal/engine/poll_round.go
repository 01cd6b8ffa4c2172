package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// maxInARow is after how many calls that failed one after the other a poll ends: CodeArts is away then.
const maxInARow = 10

// errTaken says that another worker took the source: this one was silent for too long.
var errTaken = errors.New("another worker polls the source by now")

// pollRound is one poll of a source. It is used by one goroutine.
type pollRound struct {
	*Poller
	source *polledSource
	log    zerolog.Logger
	began  time.Time
	calls  int // left

	record sourceRecord
	rev    uint64
	first  bool // the source was never polled

	listed  bool // all tasks of the project were listed
	whole   bool // and none is forgotten
	stopped bool // no further call makes sense in this poll
	lost    bool // to another worker

	tasks, events, failures int
	failedInARow            int
	firstFailure            error
}

// polledTask is a task as the list of tasks shows it.
type polledTask struct {
	id, name, webURL, repository string
	last                         string // what it says of the last build; "": there was none
	finished                     bool   // the last build has ended, for certain
}

// fail counts a failure; the first one is told.
func (r *pollRound) fail(err error) {
	r.failures++
	if r.firstFailure == nil {
		r.firstFailure = err
	}
}

// stop ends the poll, for a reason that the rest would meet too.
func (r *pollRound) stop(err error) {
	r.fail(err)
	r.stopped, r.whole = true, false
	r.lost = r.lost || errors.Is(err, errTaken)
}

// callFailed counts a call that failed, and ends the poll if the next one would fail for the same reason.
func (r *pollRound) callFailed(ctx context.Context, err error) {
	r.failedInARow++
	switch {
	case ctx.Err() != nil:
		r.stop(fmt.Errorf("it took longer than %s, the rest comes at the next one", r.limits.Time))
	case errors.Is(err, errTaken), errors.Is(err, codearts.ErrThrottled), errors.Is(err, codearts.ErrUnauthorized), r.failedInARow >= maxInARow:
		r.stop(err)
	default:
		r.fail(err)
	}
}

// publish makes an event of a run.
func (r *pollRound) publish(ctx context.Context, ev *events.Event) error {
	duplicate, err := r.stores.Events.PublishEvent(ctx, ev)
	if err != nil {
		return fmt.Errorf("publish event %s: %w", ev.ID, err)
	}
	log := eventLogger(r.Poller.log, ev)
	if duplicate {
		log.Info().Msg("event duplicate")
		return nil
	}
	r.events++
	log.Info().Msg("event accepted")
	return nil
}

func (r *pollRound) reason() string {
	text := shorten(r.firstFailure.Error())
	if r.failures > 1 {
		text = fmt.Sprintf("%d failures, the first: %s", r.failures, text)
	}
	return text
}

// run asks for everything that is new.
func (r *pollRound) run(ctx context.Context) {
	tasks := r.list(ctx)
	r.tasks, r.whole = len(tasks), r.listed
	var due []*polledTask
	for _, t := range tasks {
		isDue, err := r.consider(ctx, t)
		if err != nil {
			r.stop(err)
			return
		}
		if isDue {
			due = append(due, t)
		}
	}
	// Those first that have waited longest, so that none waits for ever behind the others.
	slices.SortStableFunc(due, func(a, b *polledTask) int {
		return cmp.Or(r.source.memory[a.id].asked.Compare(r.source.memory[b.id].asked), cmp.Compare(a.id, b.id))
	})
	for _, t := range due {
		if !r.stopped && r.calls > 0 {
			r.visit(ctx, t)
		} else {
			r.owe(ctx, t)
		}
	}
	if r.listed {
		r.forget(tasks)
	}
}

// list lists the tasks of the project, those that are meant.
func (r *pollRound) list(ctx context.Context) []*polledTask {
	var all []*polledTask
	for job, err := range r.source.Builds.ProjectJobs(ctx, r.source.Project) {
		if err != nil {
			r.stop(fmt.Errorf("list the build tasks of project %s: %w", r.source.Project, err))
			return all
		}
		if t := newPolledTask(job); t != nil && (r.source.Repository == "" || r.source.Repository == t.repository) {
			all = append(all, t)
		}
	}
	r.listed = true
	return all
}

func newPolledTask(job *codearts.Job) *polledTask {
	if job.ID == nil || *job.ID == "" {
		return nil
	}
	t := &polledTask{
		id: *job.ID, name: valueOf(job.JobName), webURL: valueOf(job.SCMWebURL), repository: valueOf(job.RepoID),
		finished: job.IsFinished != nil && *job.IsFinished,
	}
	if status, at := valueOf(job.LastBuildStatus), valueOf(job.LastBuildTime); status != "" || at != "" {
		t.last = rules.Hash(status, at, fmt.Sprint(t.finished))
	}
	return t
}

func valueOf[T ~string](s *T) string {
	if s == nil {
		return ""
	}
	return string(*s)
}

// consider tells whether a task may have finished runs that are no events yet, as far as that can be said without asking for
// them. A task that is not on record, with a build, always may, but at the very first poll: what has finished by
// then is nobody's event.
func (r *pollRound) consider(ctx context.Context, t *polledTask) (due bool, err error) {
	m := r.source.memory[t.id]
	if m == nil || m.Last != t.last || len(m.Open) > 0 { // another worker may have been at it
		if m, err = r.recall(ctx, t); err != nil {
			return false, err
		}
	}
	switch now := r.now().UTC(); {
	case m.rev == 0 && t.last == "":
		return false, nil
	case m.rev == 0 && r.first && t.finished:
		// What began since it was listed is new, and what ended since the poll began was not before it.
		m.Last, m.Floor, m.Looked = t.last, r.record.Since, now
		return false, r.save(ctx, t, m)
	case m.rev == 0:
		m.Floor = r.record.Since
		if before := r.record.Polled.Add(-r.limits.Slack); before.After(m.Floor) {
			m.Floor = before
		}
		return true, nil
	case m.Last != t.last || len(m.Open) > 0:
		return true, nil
	case now.Sub(m.Looked) > refreshAfter:
		m.Looked = now
		return false, r.save(ctx, t, m)
	}
	return false, nil
}

// recall reads the record of a task.
func (r *pollRound) recall(ctx context.Context, t *polledTask) (*rememberedTask, error) {
	m := &rememberedTask{}
	if old := r.source.memory[t.id]; old != nil {
		m.asked = old.asked
	}
	var err error
	if m.rev, err = r.readPolled(ctx, r.source.taskSubject(t.id), &m.taskRecord); err != nil {
		return nil, err
	}
	if r.source.memory == nil {
		r.source.memory = make(map[string]*rememberedTask)
	}
	r.source.memory[t.id] = m
	return m, nil
}

// save writes the record of a task, unless another worker did: then that one holds.
func (r *pollRound) save(ctx context.Context, t *polledTask, m *rememberedTask) error {
	m.V, m.Task = rules.FormatVersion, t.id
	rev, other, err := r.writePolled(ctx, r.source.taskSubject(t.id), &m.taskRecord, m.rev)
	if err != nil || other {
		delete(r.source.memory, t.id)
		return err
	}
	m.rev = rev
	return nil
}

// owe puts on record that a task was not looked at, if it never was, from when on its runs are events.
func (r *pollRound) owe(ctx context.Context, t *polledTask) {
	m := r.source.memory[t.id]
	if m == nil || m.rev != 0 || r.lost {
		return
	}
	m.Looked = m.Floor
	if err := r.save(ctx, t, m); err != nil {
		r.stop(err)
	}
}

// forget drops what is remembered of tasks that are not there any more.
func (r *pollRound) forget(tasks []*polledTask) {
	there := make(map[string]bool, len(tasks))
	for _, t := range tasks {
		there[t.id] = true
	}
	for id := range r.source.memory {
		if !there[id] {
			delete(r.source.memory, id)
		}
	}
}
