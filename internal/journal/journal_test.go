package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

func TestFull(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxBytes = MinBytes })
	w.open()
	var accepted []string
	for i := range 100 {
		e := event(fmt.Sprintf("shop/%d", i))
		e.Body = make([]byte, 512<<10)
		_, err := w.journal.PublishEvent(t.Context(), e)
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		accepted = append(accepted, e.ID)
	}
	if len(accepted) != 7 { // and the eighth would be above 4 MiB by its header
		t.Errorf("%d of 512 KiB fit into 4 MiB", len(accepted))
	}
	if err := w.journal.Ready(); !errors.Is(err, ErrFull) {
		t.Errorf("ready: %v", err)
	}
	if size := folderSize(t, w.dir); size > MinBytes {
		t.Errorf("%d bytes are on the disk", size)
	}
	w.close()
	w.open()
	eventually(t, "what was accepted", func() error { return w.broker.has(2, accepted...) })
	if n := len(w.broker.got); n != 2*len(accepted) {
		t.Errorf("the broker has %d", n)
	}
}

func folderSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// TestDiskFails: of a batch whose write or sync fails nothing is accepted, nothing kept, and its file is not written to again. If it is the
// write nothing is published either.
func TestDiskFails(t *testing.T) {
	once := func(err error) func() error {
		var done atomic.Bool
		return func() error {
			if done.Swap(true) {
				return nil
			}
			return err
		}
	}
	partly := func(n int, err error) func([]byte) (int, error) {
		return func(p []byte) (int, error) { return min(n, len(p)), err }
	}
	size := len(must(appendRecord(nil, event("shop/b0"))))
	for name, c := range map[string]struct {
		fail func(d *fault)
		want error
	}{
		"sync":                    {func(d *fault) { d.onSync = once(syscall.EIO) }, syscall.EIO},
		"write of nothing":        {func(d *fault) { d.onWrite = partly(0, syscall.ENOSPC) }, syscall.ENOSPC},
		"write of a part":         {func(d *fault) { d.onWrite = partly(20, syscall.ENOSPC) }, syscall.ENOSPC},
		"write of a whole record": {func(d *fault) { d.onWrite = partly(size, syscall.ENOSPC) }, syscall.ENOSPC},
		"write of all but a byte": {func(d *fault) { d.onWrite = partly(size-1, syscall.EIO) }, syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.open()
			w.put("shop/a")
			held := newGate()
			w.disk.set(func(d *fault) { d.onSync = held.pass })
			var running sync.WaitGroup
			running.Go(func() { w.put("shop/held") })
			<-held.reached
			batch := ids("b", 5)
			w.disk.set(func(d *fault) { d.onSync = nil; c.fail(d) }) // the one under way is held all the same
			for _, id := range batch {
				running.Go(func() {
					if _, err := w.journal.PublishEvent(t.Context(), event(id)); !errors.Is(err, ErrDisk) || !errors.Is(err, c.want) {
						t.Errorf("%s: %v", id, err)
					}
				})
			}
			if name == "sync" {
				eventually(t, "all to be written", func() error { return w.broker.has(1, batch...) })
			} else {
				eventually(t, "the first to fail", func() error {
					if w.journal.Stats().Failing == nil {
						return errors.New("nothing has")
					}
					return nil
				})
			}
			close(held.opened)
			running.Wait()
			if w.journal.Ready() == nil {
				t.Error("it is ready while the disk fails")
			}
			w.disk.set(func(d *fault) { d.onWrite = nil })
			w.put("shop/c")
			if err := w.journal.Ready(); err != nil {
				t.Error("it is not ready any more:", err)
			}
			if s := w.journal.Stats(); s.Files != 2 {
				t.Errorf("the file that failed is written to again: %+v", s)
			}
			w.close()
			w.open()
			eventually(t, "what was accepted", func() error { return w.broker.has(1, "shop/a", "shop/held", "shop/c") })
			most := 0
			if name == "sync" {
				most = 1 // during it, and not again
			}
			for _, id := range batch {
				if n := w.broker.times(id); n > most {
					t.Errorf("%s, which was refused, came %d times", id, n)
				}
			}
			if n := len(w.log.with("journal failed")); n == 0 || n > 2 || len(w.log.with("journal mended")) != n { // what was held is synced in between
				t.Errorf("it is told %d times", n)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestDiskStaysFull: while no file can be made or written nothing is accepted, nothing piles up, and it mends itself.
func TestDiskStaysFull(t *testing.T) {
	for name, c := range map[string]func(d *fault){
		"no file": func(d *fault) { d.onMake = func() error { return syscall.ENOSPC } },
		"no byte": func(d *fault) { d.onWrite = func([]byte) (int, error) { return 0, syscall.ENOSPC } },
		"no sync": func(d *fault) { d.onSync = func() error { return syscall.EIO } },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.open()
			w.disk.set(c)
			for range 10 {
				if _, err := w.journal.PublishEvent(t.Context(), event("shop/1")); !errors.Is(err, ErrDisk) {
					t.Fatalf("answered %v", err)
				}
			}
			if s := w.journal.Stats(); s.Files != 0 || s.Bytes != 0 || s.Failing == nil {
				t.Errorf("%+v", s)
			}
			if names := must(filepath.Glob(filepath.Join(w.dir, "*"+suffix))); len(names) != 0 {
				t.Errorf("left behind: %v", names)
			}
			w.disk.set(func(d *fault) { d.onMake, d.onWrite, d.onSync = nil, nil, nil })
			w.put("shop/2")
			eventually(t, "it to be published", func() error { return w.broker.has(1, "shop/2") })
			most := 0
			if name == "no sync" {
				most = 1 // during the first; after that, the disk has to show first that it can
			}
			if n := w.broker.times("shop/1"); n > most {
				t.Errorf("what was refused came %d times", n)
			}
		})
	}
}

// TestDiskStandsStill: a request does not wait longer than it may. What was written is published all the same, what was not yet is not.
func TestDiskStandsStill(t *testing.T) {
	w := newWorld(t)
	w.open()
	still, writes := newGate(), newGate()
	w.disk.set(func(d *fault) { d.onSync = still.pass })
	ctx, cancel := context.WithCancel(t.Context())
	var running, writing sync.WaitGroup
	ask := func(id string) {
		running.Go(func() {
			if _, err := w.journal.PublishEvent(ctx, event(id)); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", id, err)
			}
		})
	}
	ask("shop/written")
	<-still.reached
	w.disk.set(func(d *fault) {
		d.onWrite = func(p []byte) (int, error) { return len(p), writes.pass() }
	})
	writing.Go(func() { w.put("shop/writing") }) // its request is the one that cannot go before the disk does
	<-writes.reached
	ask("shop/queued")
	w.queued(1)
	cancel()
	running.Wait()
	w.journal.mu.Lock()
	if n := len(w.journal.queue); n != 0 {
		t.Errorf("%d records that nobody waits for stay in memory while the disk stands still", n)
	}
	w.journal.mu.Unlock()
	w.disk.set(func(d *fault) { d.onSync, d.onWrite = nil, nil })
	close(writes.opened)
	close(still.opened)
	writing.Wait()
	eventually(t, "what was written", func() error { return w.broker.has(1, "shop/written", "shop/writing") })
	w.put("shop/next")
	if w.broker.times("shop/queued") != 0 {
		t.Error("what was not written is published")
	}
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	if w.journal.waiting != 0 {
		t.Errorf("%d bytes are counted as waiting", w.journal.waiting)
	}
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

func TestUnreadableFileIsReadAgain(t *testing.T) {
	var ahead atomic.Int64
	w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
	w.open()
	w.disk.set(func(d *fault) { d.onRead = func(string) error { return syscall.EIO } })
	w.broker.say(errAway)
	w.put("shop/1")
	w.broker.say(nil)
	eventually(t, "the failure", func() error {
		if len(w.log.with("journal damaged")) == 0 {
			return errors.New("not told")
		}
		return nil
	})
	eventually(t, "nothing else to be wrong", func() error {
		if s := w.journal.Stats(); !s.Stuck || s.Bytes == 0 || s.Behind {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	w.disk.set(func(d *fault) { d.onRead = nil })
	ahead.Store(int64(2 * readAgain))
	signal(w.journal.work)
	eventually(t, "it to be published", func() error { return w.broker.has(1, "shop/1") })
	eventually(t, "the end of it", w.published)
}

// TestUnreadableAtTheStart: what cannot be opened at the start is not taken for empty, and not removed, however long it stays so.
func TestUnreadableAtTheStart(t *testing.T) {
	var ahead atomic.Int64
	w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
	w.broker.say(errAway)
	w.open()
	w.put("shop/1", "shop/2")
	w.close()
	w.broker.say(nil)
	var readable atomic.Bool
	w.openOn(func(d *fault) {
		d.onRead = func(string) error {
			if readable.Load() {
				return nil
			}
			return syscall.EMFILE
		}
	})
	eventually(t, "the second failure", func() error {
		if n := len(w.log.with("journal damaged")); n < 2 { // when it was found, and when it was to be published
			return fmt.Errorf("told %d times", n)
		}
		return nil
	})
	w.journal.Reconnected()
	ahead.Store(int64(2 * time.Hour)) // the hold is over
	w.journal.tidy()
	if s := w.journal.Stats(); s.Files != 1 {
		t.Fatalf("what nobody could read is gone: %+v", s)
	}
	readable.Store(true)
	eventually(t, "all to be published", func() error {
		ahead.Add(int64(readAgain))
		signal(w.journal.again)
		return w.broker.has(1, "shop/1", "shop/2")
	})
	eventually(t, "the end of it", w.published)
	eventually(t, "its size to be known", func() error {
		if s := w.journal.Stats(); s.Stuck || s.Files > 0 && s.Bytes == 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// TestDamagedFiles: what a crash or a disk has done to files is told, what is whole is published, and new events are taken.
func TestDamagedFiles(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(data []byte) []byte
		gone   []string
		says   string
	}{
		"torn":        {func(d []byte) []byte { return d[:len(d)-7] }, []string{"shop/e9"}, "journal cut"},
		"zeros":       {func(d []byte) []byte { return append(d, make([]byte, 10000)...) }, nil, "journal cut"},
		"flipped":     {func(d []byte) []byte { d[recordHeader+3] ^= 4; return d }, []string{"shop/e0"}, "journal damaged"},
		"header":      {func(d []byte) []byte { d[5] ^= 4; return d }, []string{"shop/e0"}, "journal damaged"},
		"beginning":   {func(d []byte) []byte { return d[10:] }, []string{"shop/e0"}, "journal damaged"},
		"empty":       {func([]byte) []byte { return nil }, ids("e", 10), ""},
		"only rubbed": {func(d []byte) []byte { return bytes.Repeat([]byte("x"), 100) }, ids("e", 10), "journal cut"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.open()
			all := ids("e", 10)
			w.put(all...)
			w.close()
			files := must(filepath.Glob(filepath.Join(w.dir, "*"+suffix)))
			if len(files) != 1 {
				t.Fatal(files)
			}
			if err := os.WriteFile(files[0], c.damage(must(os.ReadFile(files[0]))), 0o600); err != nil {
				t.Fatal(err)
			}
			w.open()
			w.put("shop/new")
			whole := slices.DeleteFunc(all, func(id string) bool { return slices.Contains(c.gone, id) })
			eventually(t, "what is whole", func() error { return w.broker.has(2, whole...) })
			eventually(t, "the end of it", w.published)
			for _, id := range c.gone {
				if n := w.broker.times(id); n != 1 {
					t.Errorf("%s came %d times", id, n)
				}
			}
			for _, message := range []string{"journal cut", "journal damaged"} {
				if n := len(w.log.with(message)); (n > 0) != (message == c.says) {
					t.Errorf("%q is said %d times", message, n)
				}
			}
		})
	}
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
