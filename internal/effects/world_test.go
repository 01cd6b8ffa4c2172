package effects

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

var (
	start    = time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)
	errCrash = errors.New("the process is dead")
)

// existsError is how a store says that a write lost.
type existsError struct{ subject string }

func (e existsError) Error() string { return e.subject + " has another revision" }
func (e existsError) Exists() bool  { return true }

// store is Records with true compare-and-set, in memory.
type store struct {
	mu   sync.Mutex
	seq  uint64
	data map[string][]byte
	rev  map[string]uint64
}

func newStore() *store { return &store{data: map[string][]byte{}, rev: map[string]uint64{}} }

func (s *store) Create(ctx context.Context, subject string, data []byte) (uint64, error) {
	return s.Update(ctx, subject, data, 0)
}

func (s *store) Get(_ context.Context, subject string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.data[subject]), s.rev[subject], nil
}

func (s *store) Update(_ context.Context, subject string, data []byte, rev uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rev[subject] != rev {
		return 0, existsError{subject}
	}
	s.seq++
	s.data[subject], s.rev[subject] = slices.Clone(data), s.seq
	return s.seq, nil
}

// work is one message of the stream WORK.
type work struct {
	subject string
	msg     Message
	due     time.Time
	copy    int // its number among all there were
}

type deadLetter struct {
	subject, reason, class string
}

// world is everything outside a worker: a stream that hands messages out until they are done, a
// store, a repository, and a clock that jumps.
type world struct {
	t        *testing.T
	now      time.Time
	store    *store
	repo     *repo
	repos    Repos                // replaces repo, with
	ours     func(key string) int // how many commits there are of an action
	task     *task
	builders Builders // replaces task
	queue    []work
	puts     []string // subject and key of all that was put
	dead     []deadLetter
	sent     []rules.Action
	sentKeys []string

	notifyErr error
	// realRender: what waits is rendered by pkg/rules; else by renderForTest, which is faster.
	realRender bool
	settings   Settings
	log        *strings.Builder
	owners     int
	onPause    func()         // runs each time nothing is due
	unrecorded func() string  // key of the message that the worker at work has sent and not recorded
	excused    map[string]int // by key: workers that died between a message and its record
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: start, store: newStore(), log: new(strings.Builder), excused: map[string]int{}}
	w.repo = newRepo(func() time.Time { return w.now })
	w.ours = w.repo.ours
	w.task = newTask(func() time.Time { return w.now })
	return w
}

// worker is a new process.
func (w *world) worker(tw *tripwire) *Effects {
	w.owners++
	s := w.settings
	s.Owner = "worker-" + strconv.Itoa(w.owners)
	s.Now = func() time.Time { return w.now }
	m := mortal{w: w, tw: tw}
	repos := w.repos
	if repos == nil {
		repos = func(connection string) (Repo, error) {
			if connection != "" {
				return nil, fmt.Errorf("there is no connection %q", connection)
			}
			return mortalRepo{w.repo, tw}, nil
		}
	}
	builders := w.builders
	if builders == nil {
		builders = func(connection string) (Builder, error) {
			if connection != "" {
				return nil, fmt.Errorf("there is no connection %q", connection)
			}
			return mortalTask{w.task, tw}, nil
		}
	}
	e := New(Seams{
		Records: m, Work: m, Repos: repos, Builders: builders,
		Notifiers: map[string]Notifier{"team": m, "ops": m},
	}, s, zerolog.New(w.log).Level(zerolog.DebugLevel))
	if !w.realRender {
		e.render = renderForTest
	}
	return e
}

// renderForTest stands for rules.RenderDeferred: the result's id becomes the text, or the
// content of the file.
func renderForTest(a *rules.Action, results map[string]rules.Result) (*rules.Action, string, error) {
	ready := *a
	ready.Waits, ready.Deferred = nil, nil
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(results)) {
		r := results[id]
		if a.Deferred.If == "broken" {
			return nil, "", errors.New("no such field")
		}
		if r.Failed != (a.Deferred.If == "failed") {
			return nil, fmt.Sprintf("results.%s.failed is %t: %s", id, r.Failed, r.Error), nil
		}
		ids = append(ids, r.ID+r.Error)
		if r.BuildNo > 0 {
			ids = append(ids, fmt.Sprintf("%d of %s", r.BuildNo, r.JobID))
		}
	}
	switch a.Kind {
	case rules.KindNotify:
		ready.Notify = &rules.Notify{To: []string{"team", "ops", "team"}, Text: rules.Text{{Value: strings.Join(ids, " ")}}}
	case rules.KindCommit:
		ready.Commit = new(rules.Commit)
		if err := json.Unmarshal(a.Deferred.Node, ready.Commit); err != nil {
			return nil, "", err
		}
	}
	return &ready, "", nil
}

func (w *world) put(subject string, header map[string]string, data []byte) {
	w.puts = append(w.puts, subject+" "+header[headerKey])
	w.queue = append(w.queue, work{subject, Message{Header: maps.Clone(header), Data: slices.Clone(data), Stored: w.now}, w.now, len(w.puts)})
}

// putAction puts an action as the engine does.
func (w *world) putAction(a rules.Action) {
	w.t.Helper()
	if err := New(Seams{Work: mortal{w, new(tripwire)}}, Settings{}, zerolog.Nop()).put(w.t.Context(), Message{}, &a); err != nil {
		w.t.Fatal(err)
	}
}

// run hands messages out until none is left. A worker that dies is followed by a new one with
// the next of the tripwires, then by immortal ones.
func (w *world) run(wires ...*tripwire) {
	w.t.Helper()
	next := func() *Effects {
		tw := new(tripwire)
		if len(wires) > 0 {
			tw, wires = wires[0], wires[1:]
		}
		return w.worker(tw)
	}
	e := next()
	for range 2000 {
		i := w.due()
		if i < 0 {
			return
		}
		m := w.queue[i]
		err := w.handle(e, m)
		if errors.Is(err, errCrash) {
			e = next()
			continue
		}
		w.verdict(e, i, err, next)
	}
	w.t.Fatalf("no end of it; queue: %v\n%s", w.queue, w.log)
}

// due finds the first message that may be handed out, moving the clock if need be.
func (w *world) due() int {
	if len(w.queue) == 0 {
		return -1
	}
	first := 0
	for i, m := range w.queue {
		if m.due.Before(w.queue[first].due) {
			first = i
		}
	}
	if d := w.queue[first].due; d.After(w.now) {
		w.now = d
		if w.onPause != nil {
			w.onPause()
		}
	}
	return first
}

func (w *world) handle(e *Effects, m work) error {
	ctx := w.t.Context()
	switch {
	case m.subject == subjectCommit:
		return e.Commit(ctx, m.msg)
	case m.subject == subjectBuild:
		return e.Build(ctx, m.msg)
	case m.subject == subjectAlert:
		return e.Alert(ctx, m.msg)
	case strings.HasPrefix(m.subject, subjectNotify):
		sent := len(w.sent)
		outer := w.unrecorded
		defer func() { w.unrecorded = outer }()
		w.unrecorded = func() string {
			if len(w.sent) == sent {
				return ""
			}
			return m.msg.Header[headerKey]
		}
		err := e.Notify(ctx, m.msg)
		if err != nil && len(w.sent) > sent {
			w.excused[m.msg.Header[headerKey]]++
		}
		return err
	}
	return fmt.Errorf("nobody takes %s", m.subject)
}

// verdict does what the stream does with an error.
func (w *world) verdict(e *Effects, i int, err error, next func() *Effects) {
	var (
		park  interface{ Park() (time.Time, string) }
		retry interface{ Retryable() bool }
		after interface{ RetryAfter() time.Duration }
		class interface{ Class() string }
	)
	m, handled := &w.queue[i], w.queue[i]
	switch {
	case err == nil:
	case errors.As(err, &park):
		m.due, _ = park.Park()
		return
	case errors.As(err, &retry) && !retry.Retryable():
		d := deadLetter{subject: m.subject, reason: err.Error()}
		if errors.As(err, &class) {
			d.class = class.Class()
		}
		if w.bury(e, handled.msg, d, next) {
			return
		}
	default:
		m.msg.Attempts++
		pause := time.Second
		if errors.As(err, &after) {
			pause = max(pause, after.RetryAfter())
		}
		m.due = w.now.Add(pause)
		if m.msg.Attempts < 20 {
			return
		}
		if w.bury(e, handled.msg, deadLetter{handled.subject, err.Error(), "exhausted"}, next) {
			return
		}
	}
	// Where it is may have changed meanwhile.
	if i := slices.IndexFunc(w.queue, func(o work) bool { return o.copy == handled.copy }); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
	}
}

// bury writes a dead letter; crashed tells that the worker died before.
func (w *world) bury(e *Effects, m Message, d deadLetter, next func() *Effects) (crashed bool) {
	err := e.Buried(w.t.Context(), m, d.reason, d.class)
	if errors.Is(err, errCrash) {
		*e = *next()
		return true
	}
	if errors.Is(err, errTimeout) {
		return true // it comes back
	}
	if err != nil {
		w.t.Errorf("Buried: %v", err)
	}
	w.dead = append(w.dead, d)
	return false
}

// record reads a record of the world.
func (w *world) record(subject string, into any) bool {
	w.t.Helper()
	data, rev, _ := w.store.Get(w.t.Context(), subject)
	if rev == 0 {
		return false
	}
	if err := json.Unmarshal(data, into); err != nil {
		w.t.Fatal(err)
	}
	return true
}

func (w *world) write(subject string, rec any) {
	w.t.Helper()
	data, err := json.Marshal(rec)
	if err == nil {
		_, rev, _ := w.store.Get(w.t.Context(), subject)
		_, err = w.store.Update(w.t.Context(), subject, data, rev)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) action(key string) actionRecord {
	w.t.Helper()
	var r actionRecord
	w.record(actionSubject(key), &r)
	return r
}
