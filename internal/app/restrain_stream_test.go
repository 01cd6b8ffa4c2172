package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

const restrainedRules = `
rules:
  - name: throttled
    on: push
    throttle: { key: "${{ event.repository.path }}", per: 1h }
    do: [ { notify: { to: team, title: t, text: x } } ]
  - name: latest
    on: push
    latest_only: true
    do: [ { notify: { to: team, title: t, text: x } } ]
  - name: busy
    on: tag_push
    limit: { matches_per_minute: 5, pause: 1h }
    do: [ { notify: { to: team, title: t, text: x } } ]
`

// errCut is a write whose answer was lost.
var errCut = errors.New("the answer was lost")

// runQueue is the stores of a worker in a real broker. Runs are kept for the test to hand out; the answer of every third write of a record is
// lost, after it was stored.
type runQueue struct {
	*stream.Conn
	mu     sync.Mutex
	runs   map[string]engine.Message // by run id
	writes int
}

func (q *runQueue) Put(ctx context.Context, subject string, header map[string]string, data []byte) error {
	if strings.HasPrefix(subject, "work.run.") {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.runs[header["Millrace-Run"]] = engine.Message{Header: header, Data: data}
		return nil
	}
	return q.Conn.Put(ctx, subject, header, data)
}

func (q *runQueue) Create(ctx context.Context, subject string, data []byte) (uint64, error) {
	return q.answer(q.Conn.Create(ctx, subject, data))
}

func (q *runQueue) Update(ctx context.Context, subject string, data []byte, rev uint64) (uint64, error) {
	return q.answer(q.Conn.Update(ctx, subject, data, rev))
}

func (q *runQueue) answer(rev uint64, err error) (uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.writes++; err == nil && q.writes%3 == 0 {
		return 0, errCut
	}
	return rev, err
}

// nothing is facts that nobody asks for.
type nothing struct{}

func (nothing) Fetch(context.Context, rules.Call, time.Time) (json.RawMessage, error) {
	return nil, errors.New("asked for a fact")
}

func (nothing) LastCommit(context.Context, string, string, string, string) (string, bool, error) {
	return "", false, errors.New("asked for a file")
}

// restrained is two workers on one broker.
type restrained struct {
	*world
	queue   *runQueue
	workers []*engine.Engine
	log     *journal
}

func newRestrained(t *testing.T) *restrained {
	t.Helper()
	w := newWorld(t, settings{})
	conn := w.look()
	if err := conn.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(restrainedRules), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &restrained{world: w, queue: &runQueue{Conn: conn, runs: map[string]engine.Message{}}, log: new(journal)}
	for range 2 {
		live := engine.NewLive(engine.Catalogue(nil, nil), conn)
		if err := engine.NewLoader([]string{file}, live, conn, zerolog.New(r.log)).Load(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		e, err := engine.New(engine.Stores{Records: r.queue, Work: r.queue, Events: conn}, live, engine.Sources{Facts: nothing{}, Fence: nothing{}},
			engine.Limits{}, zerolog.New(r.log), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.workers = append(r.workers, e)
	}
	return r
}

// all hands every message to one of the workers, several at a time and each until it is handled; some are handed out twice.
func (r *restrained) all(messages []engine.Message, handle func(e *engine.Engine) func(context.Context, engine.Message) error) {
	r.t.Helper()
	var wg sync.WaitGroup
	for i, m := range slices.Concat(messages, messages[:len(messages)/2]) {
		wg.Go(func() {
			for try := range 50 {
				err := handle(r.workers[(i+try)%len(r.workers)])(r.t.Context(), m)
				if err == nil {
					return
				}
				if !errors.Is(err, errCut) {
					r.t.Errorf("message %d: %v", i, err)
					return
				}
			}
			r.t.Errorf("message %d fails again and again", i)
		})
	}
	wg.Wait()
}

// outcomes are the decisions of a rule by outcome, each a list of event ids, sorted.
func (r *restrained) outcomes(rule string, ids []string) map[string][]string {
	r.t.Helper()
	out := map[string][]string{}
	for _, id := range ids {
		data, _, err := r.look().Get(r.t.Context(), "run."+rules.RunID(id, rule))
		if err != nil || data == nil {
			r.t.Fatalf("event %s has no run record: %v", id, err)
		}
		var d rules.Decision
		if err := json.Unmarshal(data, &d); err != nil {
			r.t.Fatal(err)
		}
		out[d.Outcome] = append(out[d.Outcome], id)
	}
	return out
}

// TestRestraintsOnStream: two workers at once, on a real broker whose answers are lost now and then: of twenty pushes within the hour one acts,
// only the newest is not overtaken, and of twenty tags in a minute no more act than the limits of both workers allow.
func TestRestraintsOnStream(t *testing.T) {
	t.Parallel()
	r := newRestrained(t)
	at := time.Date(2026, 4, 1, 8, 30, 0, 0, time.UTC)
	var pushed, tagged []string
	var messages []engine.Message
	for i := range 20 {
		for _, kind := range []string{"push", "tag_push"} {
			ref := "refs/heads/main"
			if kind == "tag_push" {
				ref = fmt.Sprintf("refs/tags/v%d", i)
			}
			ev := &events.Event{
				ID: fmt.Sprintf("repo/%s-%02d", kind, i), Source: "repo", Type: kind, Time: at.Add(time.Duration(i) * time.Second), Repository: "shop/orders",
				Body: fmt.Appendf(nil, `{"object_kind":%q,"ref":%q,"project":{"id":7,"path_with_namespace":"shop/orders"}}`, kind, ref),
			}
			messages = append(messages, engine.Message{Header: ev.Header(), Data: ev.Body})
			if kind == "push" {
				pushed = append(pushed, ev.ID)
			} else {
				tagged = append(tagged, ev.ID)
			}
		}
	}
	r.all(messages, func(e *engine.Engine) func(context.Context, engine.Message) error { return e.Match })
	var runs []engine.Message
	for _, m := range r.queue.runs {
		runs = append(runs, m)
	}
	r.all(runs, func(e *engine.Engine) func(context.Context, engine.Message) error { return e.Run })

	got := r.outcomes("throttled", pushed)
	if len(got[rules.OutcomeActed]) != 1 || len(got[rules.OutcomeThrottled]) != 19 {
		t.Errorf("throttled: %v", got)
	}
	got = r.outcomes("latest", pushed)
	if len(got[rules.OutcomeActed]) != 1 || got[rules.OutcomeActed][0] != pushed[19] || len(got[rules.OutcomeOvertaken]) != 19 {
		t.Errorf("latest: %v", got)
	}
	got = r.outcomes("busy", tagged)
	acted, paused := len(got[rules.OutcomeActed]), len(got[rules.OutcomePaused])
	if lines := len(r.log.lines("rule paused")); acted < 5 || acted > 10 || acted+paused != 20 || lines < 1 || lines > 2 {
		t.Errorf("busy: %d acted, %d paused, %d lines", acted, paused, lines)
	}
	if n := strings.Count(r.log.String(), `"rule":"busy"`); n < paused {
		t.Errorf("%d lines of %d pauses", n, paused)
	}
}
