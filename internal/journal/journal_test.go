package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

func TestAcceptedEventsComeBackAfterAStart(t *testing.T) {
	w := newWorld(t)
	w.open()
	all := ids("e", 20)
	w.put(all...)
	if err := w.broker.has(1, all...); err != nil {
		t.Error(err) // each request waits for the broker
	}
	if duplicate, err := w.journal.PublishEvent(t.Context(), event(all[0])); !duplicate || err != nil {
		t.Errorf("the same again: duplicate %t, %v", duplicate, err)
	}
	w.close()
	if _, err := w.journal.PublishEvent(t.Context(), event("shop/late")); !errors.Is(err, errClosed) {
		t.Errorf("after the end: %v", err)
	}
	w.open()
	eventually(t, "all to be published again", func() error { return w.broker.has(2, all...) })
	w.put("shop/new")
	if n := len(w.log.with("journal damaged")) + len(w.log.with("journal cut")); n != 0 {
		t.Errorf("%d complaints about a whole journal", n)
	}
}

// gate holds a step until it is opened.
type gate struct {
	reached chan struct{} // gets a value each time
	opened  chan struct{}
}

func newGate() *gate { return &gate{make(chan struct{}, 1000), make(chan struct{})} }

func (g *gate) pass() error {
	g.reached <- struct{}{}
	<-g.opened
	return nil
}

// queued waits until so many requests wait for the next batch.
func (w *world) queued(n int) {
	w.t.Helper()
	eventually(w.t, "the requests to wait", func() error {
		w.journal.mu.Lock()
		defer w.journal.mu.Unlock()
		if len(w.journal.queue) != n {
			return fmt.Errorf("%d wait", len(w.journal.queue))
		}
		return nil
	})
}

// TestOneSyncForAllThatWait also shows that nobody is answered before the sync, and that the broker is asked meanwhile.
func TestOneSyncForAllThatWait(t *testing.T) {
	w := newWorld(t)
	w.open()
	first := newGate()
	var syncs atomic.Int64
	w.disk.set(func(d *fault) {
		d.onSync = func() error { syncs.Add(1); return first.pass() }
	})
	all := ids("e", 50)
	var answered atomic.Int64
	var running sync.WaitGroup
	start := func(id string) {
		running.Go(func() {
			if _, err := w.journal.PublishEvent(t.Context(), event(id)); err != nil {
				t.Error(err)
			}
			answered.Add(1)
		})
	}
	start("shop/first")
	<-first.reached
	for _, id := range all {
		start(id)
	}
	eventually(t, "the broker to be asked during the sync", func() error { return w.broker.has(1, append(all, "shop/first")...) })
	if n := answered.Load(); n != 0 {
		t.Errorf("%d are answered before the sync", n)
	}
	close(first.opened)
	running.Wait()
	if n := syncs.Load(); n != 2 {
		t.Errorf("%d syncs for 51 requests, of which 50 came during the first", n)
	}
}

func TestBrokerAway(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.broker.say(errAway)
	all := ids("e", 30)
	w.put(all...)
	if s := w.journal.Stats(); !s.Behind || s.Closed || s.Unpublished == 0 {
		t.Errorf("while the broker is away: %+v", s)
	}
	if err := w.journal.Ready(); err != nil {
		t.Errorf("the journal alone is enough: %v", err)
	}
	w.close() // and a start without it
	w.open()
	w.put("shop/later")
	w.broker.say(nil)
	eventually(t, "all to be published", func() error { return w.broker.has(1, append(all, "shop/later")...) })
	eventually(t, "the end of it", w.published)
	w.put("shop/last")
	if err := w.broker.has(1, "shop/last"); err != nil {
		t.Error("requests do not go to the broker again:", err)
	}
}

// TestBrokerSilent: the wait for the broker is bounded, and only the first request waits.
func TestBrokerSilent(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Wait = 10 * time.Millisecond })
	w.open()
	w.broker.do(func(ctx context.Context, _ *events.Event) error { <-ctx.Done(); return ctx.Err() })
	w.put("shop/1")
	if s := w.journal.Stats(); !s.Behind {
		t.Errorf("after a wait in vain: %+v", s)
	}
	w.put("shop/2", "shop/3")
	w.broker.say(nil)
	w.journal.Reconnected() // or it would take a publishTimeout
	eventually(t, "all to be published", func() error { return w.broker.has(1, "shop/1", "shop/2", "shop/3") })
}

func TestDoorClosesWhileTheBrokerRefuses(t *testing.T) {
	w := newWorld(t)
	w.open()
	w.broker.say(errMaxSize)
	w.put("shop/1") // it is synced, so it is accepted
	for range 3 {
		if _, err := w.journal.PublishEvent(t.Context(), event("shop/2")); !errors.Is(err, ErrDoorClosed) || !strings.Contains(err.Error(), "maximum bytes") {
			t.Fatalf("with a broker that refuses: %v", err)
		}
	}
	if s, err := w.journal.Stats(), w.journal.Ready(); !s.Closed || !errors.Is(err, ErrDoorClosed) {
		t.Errorf("%+v, ready: %v", s, err)
	}
	w.broker.say(errAway) // it is lost on top of that: the door stays closed
	w.journal.Reconnected()
	if _, err := w.journal.PublishEvent(t.Context(), event("shop/2")); !errors.Is(err, ErrDoorClosed) {
		t.Errorf("with a broker that has refused and is away: %v", err)
	}
	w.broker.say(nil)
	eventually(t, "the door to open", func() error {
		_, err := w.journal.PublishEvent(t.Context(), event("shop/3"))
		return err
	})
	if err := w.broker.has(1, "shop/1", "shop/3"); err != nil {
		t.Error(err)
	}
	w.close()
	w.open()
	eventually(t, "what was accepted", func() error { return w.broker.has(2, "shop/1", "shop/3") })
	if n := w.broker.times("shop/2"); n != 0 {
		t.Errorf("what was refused is there %d times", n)
	}
	if len(w.log.with("door closed")) != 1 || len(w.log.with("door opened")) != 1 {
		t.Errorf("told %d times that it closed, %d times that it opened", len(w.log.with("door closed")), len(w.log.with("door opened")))
	}
}

// TestEventNobodyTakes: what the broker will never take is kept and told, and holds up nothing else.
func TestEventNobodyTakes(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Hold = time.Millisecond })
	w.open()
	big := event("shop/big")
	big.Body = make([]byte, events.MaxBody+1)
	if _, err := w.journal.PublishEvent(t.Context(), big); !errors.Is(err, errTooOdd) {
		t.Errorf("an event that is too large: %v", err)
	}
	w.broker.say(errAway)
	w.put("shop/1", "shop/odd", "shop/2")
	var odd atomic.Int64
	w.broker.do(func(_ context.Context, e *events.Event) error {
		if e.ID == "shop/odd" {
			odd.Add(1)
			return errTooOdd
		}
		return nil
	})
	eventually(t, "the others to be published", func() error { return w.broker.has(1, "shop/1", "shop/2") })
	eventually(t, "requests to go to the broker again", w.published)
	w.put("shop/3")
	if s := w.journal.Stats(); !s.Stuck || s.Bytes == 0 || odd.Load() == 0 {
		t.Errorf("asked %d times, then %+v", odd.Load(), s)
	}
	if found := w.log.with("event stuck"); len(found) == 0 || found[0]["event_id"] != "shop/odd" {
		t.Errorf("it is not told: %v", found)
	}
	w.broker.say(nil)
	w.journal.Reconnected()
	eventually(t, "it to be tried again", func() error { return w.broker.has(1, "shop/odd") })
	eventually(t, "its file to go", func() error {
		if s := w.journal.Stats(); s.Stuck || s.Bytes != 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

func TestOpen(t *testing.T) {
	w := newWorld(t)
	stray := filepath.Join(w.dir, "stray"+suffix)
	if err := os.WriteFile(stray, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := Open(w.options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(w.options); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("opened twice: %v", err)
	}
	if len(w.log.with("journal damaged")) != 1 {
		t.Error("a file with a strange name is not told")
	}
	for range 2 {
		if err := j.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if _, err := os.Stat(stray); err != nil {
		t.Errorf("the stray file: %v", err)
	}
	again, err := Open(w.options)
	if err != nil {
		t.Fatalf("after close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(o *Options){
		"no folder":   func(o *Options) { o.Dir = "" },
		"no broker":   func(o *Options) { o.Broker = nil },
		"too small":   func(o *Options) { o.MaxBytes = MinBytes - 1 },
		"no hold":     func(o *Options) { o.Hold = 0 },
		"no wait":     func(o *Options) { o.Wait = 0 },
		"not a place": func(o *Options) { o.Dir = filepath.Join(stray, "x") },
	} {
		o := w.options
		change(&o)
		if _, err := Open(o); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
}

// TestStorm: whatever broker and disk do, every event that is accepted reaches the broker, and none that is refused does.
func TestStorm(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Wait = 5 * time.Millisecond; o.Hold = 20 * time.Millisecond })
	w.open()
	var round atomic.Int64
	w.broker.do(func(ctx context.Context, _ *events.Event) error {
		switch n := round.Add(1); {
		case n%101 < 5:
			return errAway
		case n%211 < 3:
			return errMaxSize
		case n%307 == 0:
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	var writes, syncs atomic.Int64
	w.disk.set(func(d *fault) {
		d.onSync = func() error {
			if syncs.Add(1)%5 == 0 {
				return syscall.EIO
			}
			return nil
		}
		d.onWrite = func(p []byte) (int, error) {
			if writes.Add(1)%13 == 0 {
				return len(p) / 2, syscall.ENOSPC
			}
			return len(p), nil
		}
	})
	var mu sync.Mutex
	var accepted, refused, unsynced []string
	var running sync.WaitGroup
	for sender := range 16 {
		running.Go(func() {
			for i := range 40 {
				id := fmt.Sprintf("shop/%d-%d", sender, i)
				_, err := w.journal.PublishEvent(t.Context(), event(id))
				mu.Lock()
				switch {
				case err == nil:
					accepted = append(accepted, id)
				case errors.Is(err, syscall.EIO):
					unsynced = append(unsynced, id) // and perhaps published
				default:
					refused = append(refused, id)
				}
				mu.Unlock()
				if i%10 == 9 {
					w.journal.Reconnected()
				}
			}
		})
	}
	running.Wait()
	w.close()
	w.broker.say(nil)
	w.open()
	eventually(t, "all that was accepted", func() error { return w.broker.has(1, accepted...) })
	for _, id := range refused {
		if w.broker.times(id) != 0 {
			t.Errorf("%s was refused, and published", id)
		}
	}
	if len(accepted) == 0 || len(refused) == 0 || len(unsynced) == 0 {
		t.Errorf("%d accepted, %d refused, %d not synced: this shows nothing", len(accepted), len(refused), len(unsynced))
	}
}

// TestFolderIsMade with those above it, each for its owner alone.
func TestFolderIsMade(t *testing.T) {
	top := filepath.Join(t.TempDir(), "a")
	dir := filepath.Join(top, "b", "c")
	for range 2 {
		d, err := openFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{top, filepath.Dir(dir), dir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != os.ModeDir|0o700 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}
