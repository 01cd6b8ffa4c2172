package effects

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

// slowTarget takes messages one after the other and counts them.
type slowTarget struct {
	mu    sync.Mutex
	taken int
	begun chan struct{} // one value for each message that arrives
	let   chan struct{} // closed: messages are taken
}

func (s *slowTarget) Notify(ctx context.Context, _ string, _ rules.Action) error {
	s.begun <- struct{}{}
	select {
	case <-s.let:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken++
	return nil
}

// TestCopiesOfAMessage: a crash leaves two copies of a message in WORK, and they are handed out at the same time, to one worker or
// to two. While the first is under way the second must not be sent.
func TestCopiesOfAMessage(t *testing.T) {
	n := action(rules.KindNotify, "notify1")
	n.Notify = &rules.Notify{To: []string{"team"}}
	for _, workers := range []int{1, 2, 8} {
		t.Run(strconv.Itoa(workers), func(t *testing.T) {
			w := newWorld(t)
			w.putAction(n)
			target := &slowTarget{begun: make(chan struct{}, 8), let: make(chan struct{})}
			all := make([]*Effects, workers)
			for i := range all {
				all[i] = New(Seams{Records: w.store, Notifiers: map[string]Notifier{"team": target}},
					Settings{Owner: "worker-" + strconv.Itoa(i), Now: func() time.Time { return start }}, zerolog.Nop())
			}
			var wg sync.WaitGroup
			handle := func(e *Effects) {
				wg.Go(func() {
					var park *ParkError
					if err := e.Notify(t.Context(), w.queue[0].msg); err != nil && !errors.As(err, &park) {
						t.Error(err)
					}
				})
			}
			handle(all[0])
			<-target.begun
			for i := range 8 {
				handle(all[i%workers])
			}
			close(target.let)
			wg.Wait()
			if target.taken != 1 {
				t.Errorf("%d messages", target.taken)
			}
		})
	}
}

// TestMessageWaitsForAnotherOwner: what a dead worker may have sent is sent again, but not before it can only be dead.
func TestMessageWaitsForAnotherOwner(t *testing.T) {
	n := action(rules.KindNotify, "notify1")
	n.Notify = &rules.Notify{To: []string{"team"}}
	w := newWorld(t)
	w.putAction(n)
	rec := newActionRecord(&n, stateStarted, start)
	rec.Owner, rec.Attempt, rec.SentAt, rec.OutcomeKnown = "worker-0", 1, start, false
	w.write(actionSubject(rules.WorkKey(n.Key, "team")), rec)
	w.run()
	if took := w.now.Sub(start); len(w.sent) != 1 || took != 12*time.Second {
		t.Errorf("%d messages after %s", len(w.sent), took)
	}
	if got := w.action(rules.WorkKey(n.Key, "team")); got.State != stateDone || got.Attempt != 2 || got.Owner != "worker-1" {
		t.Errorf("record %+v", got)
	}
}

// TestRefusedMessageHoldsNobodyUp: after a failed attempt another worker tries at once.
func TestRefusedMessageHoldsNobodyUp(t *testing.T) {
	n := action(rules.KindNotify, "notify1")
	n.Notify = &rules.Notify{To: []string{"team"}}
	w := newWorld(t)
	w.putAction(n)
	w.notifyErr = &refusal{text: "busy", again: true}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // also while it is being stopped
	if err := w.worker(new(tripwire)).Notify(ctx, w.queue[0].msg); err == nil {
		t.Fatal("no error")
	}
	w.notifyErr = nil
	if err := w.worker(new(tripwire)).Notify(t.Context(), w.queue[0].msg); err != nil || len(w.sent) != 1 {
		t.Errorf("%d messages, %v", len(w.sent), err)
	}
}
