package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

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
