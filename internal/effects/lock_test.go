package effects

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

func TestLockLetsOneThrough(t *testing.T) {
	l := keyLocks{limit: 100}
	var (
		wg     sync.WaitGroup
		inside [2]int
	)
	for i := range 60 {
		wg.Go(func() {
			key := i % 2
			release, err := l.acquire(t.Context(), string(rune('a'+key)))
			if err != nil {
				t.Error(err)
				return
			}
			inside[key]++
			if inside[key] > 1 {
				t.Error("two at once")
			}
			inside[key]--
			release()
		})
	}
	wg.Wait()
	if len(l.byKey) != 0 {
		t.Errorf("%d locks left", len(l.byKey))
	}
}

func TestLockIsBoundedAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := keyLocks{limit: 2}
		release, err := l.acquire(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan error)
		go func() {
			_, err := l.acquire(ctx, "a")
			waiting <- err
		}()
		synctest.Wait()
		if _, err := l.acquire(t.Context(), "a"); !errors.Is(err, errBusy) {
			t.Errorf("the third: %v", err)
		}
		if other, err := l.acquire(t.Context(), "b"); err != nil {
			t.Error(err)
		} else {
			other()
		}
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("the second: %v", err)
		}
		release()
		if len(l.byKey) != 0 {
			t.Errorf("%d locks left", len(l.byKey))
		}
	})
}

// TestCommitsToABusyBranchAreParked: they hold no worker while others are at it.
func TestCommitsToABusyBranchAreParked(t *testing.T) {
	w := newWorld(t)
	w.settings.BranchQueue = 1
	note := commitAction("note", "a.md")
	w.decide(note)
	e := w.worker(new(tripwire))
	release, err := e.branches.acquire(t.Context(), branchKey(note.Commit))
	if err != nil {
		t.Fatal(err)
	}
	var park *ParkError
	if err := e.Commit(t.Context(), w.queue[0].msg); !errors.As(err, &park) {
		t.Errorf("got %v, want to be parked", err)
	}
	release()
	if err := e.Commit(t.Context(), w.queue[0].msg); err != nil {
		t.Error(err)
	}
}
