package effects

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/rules"
)

// puts is Work that many workers share.
type puts struct {
	mu   sync.Mutex
	keys map[string]int
}

func (p *puts) Put(_ context.Context, subject string, header map[string]string, _ []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil {
		p.keys = map[string]int{}
	}
	p.keys[subject+" "+header[headerKey]]++
	return nil
}

// together hands the same messages to many workers at once, until each has been done.
func (w *world) together(messages []work) *puts {
	w.t.Helper()
	p := new(puts)
	var wg sync.WaitGroup
	for i := range 8 {
		e := New(Seams{Records: w.store, Work: p, Repos: w.repos}, Settings{
			Owner: "worker-" + strconv.Itoa(i), Now: func() time.Time { return start },
		}, zerolog.Nop())
		wg.Go(func() {
			for _, m := range messages {
				for range 100 {
					err := w.handle(e, m)
					var park *ParkError
					if err == nil {
						break
					}
					if !errors.As(err, &park) {
						w.t.Errorf("worker %d: %v", i, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return p
}

// TestManyWorkersOneCommit: the record alone lets one worker send; no fence could help here.
func TestManyWorkersOneCommit(t *testing.T) {
	w, fake := overHTTP(t, codearts.RepoV4, 409)
	note := commitAction("note", "README.md")
	executable := true
	note.Commit.AtLeastOnce = true
	note.Commit.Actions = []rules.FileAction{{Action: "chmod", FilePath: "README.md", Executable: &executable}}
	w.decide(note)
	fake.Fail("create_commit", codeartstest.Failure{Delay: 20 * time.Millisecond, Times: 1})
	w.together(w.queue)
	if n := w.ours(note.Key); n != 1 || fake.Calls("create_commit") != 1 {
		t.Errorf("%d commits after %d calls", n, fake.Calls("create_commit"))
	}
}

func TestManyWorkersOneRung(t *testing.T) {
	w := newWorld(t)
	for d, countdown := range []int{30, 14, 14, 7} {
		w.putAction(alertAction(day(d), "in effect", countdown, rungs...))
	}
	p := w.together(w.queue)
	want := map[string]bool{}
	for _, rung := range []string{"30", "14", "7"} {
		for _, target := range []string{"team", "ops"} {
			want["work.notify."+target+" "+rules.WorkKey(rules.Hash("package/1", "in effect", "1", rung), target)] = true
		}
	}
	for key := range p.keys {
		if !want[key] {
			t.Errorf("put %s", key)
		}
	}
	if rec := w.memory(); rec.Pending != nil || rec.Generation != 1 || p.keys["work.notify.team "+rules.WorkKey(rules.Hash("package/1", "in effect", "1", "7"), "team")] == 0 {
		t.Errorf("memory %+v", rec)
	}
}
