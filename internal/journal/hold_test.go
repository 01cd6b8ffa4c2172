package journal

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// TestFilesGoAfterTheHold: room comes back when the broker has it all and the hold is over, and not before.
func TestFilesGoAfterTheHold(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Hold = time.Millisecond; o.MaxBytes = MinBytes })
	w.open()
	w.broker.say(errAway)
	all := ids("e", 10)
	for _, id := range all {
		w.put(id)
		w.journal.tidy()
	}
	w.journal.tidy()
	w.broker.say(nil)
	eventually(t, "all to be published", func() error { return w.broker.has(1, all...) })
	for i := range 12 { // three times what it may hold
		e := event(fmt.Sprintf("shop/big%d", i))
		e.Body = make([]byte, events.MaxBody)
		eventually(t, "room", func() error {
			_, err := w.journal.PublishEvent(t.Context(), e)
			return err
		})
	}
	eventually(t, "an empty folder", func() error {
		names, err := filepath.Glob(filepath.Join(w.dir, "*"+suffix))
		if s := w.journal.Stats(); err != nil || len(names) != 0 || s.Bytes != 0 || s.Files != 0 {
			return fmt.Errorf("%v, %+v, %w", names, s, err)
		}
		return nil
	})
}

func TestHeldUntilTheClockSaysSo(t *testing.T) {
	var ahead atomic.Int64
	w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
	w.open()
	w.put("shop/1")
	ahead.Store(int64(30 * time.Minute)) // a segment is closed at a quarter of an hour
	w.put("shop/2")
	if s := w.journal.Stats(); s.Files != 2 {
		t.Fatalf("%+v", s)
	}
	w.journal.tidy()
	if s := w.journal.Stats(); s.Files != 2 {
		t.Errorf("before the hold is over: %+v", s)
	}
	ahead.Store(int64(61 * time.Minute))
	eventually(t, "the first to go", func() error {
		w.journal.tidy()
		if s := w.journal.Stats(); s.Files != 1 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	w.close()
	w.open()
	eventually(t, "the second to come back", func() error { return w.broker.has(2, "shop/2") })
	if n := w.broker.times("shop/1"); n != 1 {
		t.Errorf("the first came %d times", n)
	}
}

// TestFilesGoThoughTheBrokerIsLostAgainAndAgain: a connection that breaks oftener than the hold is long does not fill the journal. What the
// broker has lost meanwhile is held anew.
func TestFilesGoThoughTheBrokerIsLostAgainAndAgain(t *testing.T) {
	for name, c := range map[string]struct {
		forgets bool
		files   int
	}{"it has all": {false, 0}, "it forgets": {true, 2}} {
		t.Run(name, func(t *testing.T) {
			var ahead atomic.Int64
			w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
			w.open()
			w.put("shop/1")
			ahead.Add(int64(30 * time.Minute))
			w.put("shop/2") // closes the first segment
			for range 4 {
				ahead.Add(int64(30 * time.Minute))
				if c.forgets {
					w.broker.forget()
				}
				w.journal.Disconnected()
				w.journal.Reconnected()
				eventually(t, "the end of it", w.published)
			}
			eventually(t, "files to go, or not", func() error {
				w.journal.tidy()
				if s := w.journal.Stats(); s.Files != c.files {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
		})
	}
}

// TestNothingGoesWhileTheBrokerIsLost: it may lose the last that it has acknowledged, however long it takes to come back.
func TestNothingGoesWhileTheBrokerIsLost(t *testing.T) {
	var ahead atomic.Int64
	w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
	w.open()
	w.put("shop/1")
	ahead.Store(int64(30 * time.Minute))
	w.put("shop/2") // closes the first segment
	w.journal.Disconnected()
	ahead.Store(int64(48 * time.Hour))
	w.journal.tidy()
	if s := w.journal.Stats(); s.Files != 2 {
		t.Fatalf("while the broker is lost: %+v", s)
	}
	w.journal.Reconnected()
	eventually(t, "all to be published again", func() error { return w.broker.has(2, "shop/1", "shop/2") })
	eventually(t, "the end of it", w.published)
	w.journal.tidy()
	if s := w.journal.Stats(); s.Files != 2 {
		t.Errorf("the hold begins anew: %+v", s)
	}
	ahead.Store(int64(50 * time.Hour))
	eventually(t, "the files to go", func() error {
		w.journal.tidy()
		if s := w.journal.Stats(); s.Files != 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// TestReconnect: all of the hold is published again, also what the lost broker has acknowledged in the meantime.
func TestReconnect(t *testing.T) {
	w := newWorld(t)
	w.open()
	all := ids("e", 10)
	w.put(all...)
	late := newGate()
	w.broker.do(func(_ context.Context, e *events.Event) error {
		if e.ID == "shop/late" && w.broker.times(e.ID) == 0 {
			return late.pass()
		}
		return nil
	})
	var running sync.WaitGroup
	running.Go(func() { w.put("shop/late") })
	<-late.reached
	w.journal.Reconnected()
	eventually(t, "all to be published again", func() error { return w.broker.has(2, all...) })
	close(late.opened) // the answer of the broker that was lost
	running.Wait()
	eventually(t, "the late one to be published again", func() error { return w.broker.has(2, "shop/late") })
	eventually(t, "the end of it", w.published)
}
