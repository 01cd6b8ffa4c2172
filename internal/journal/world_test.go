package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/millrace/millrace/pkg/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for any one thing.
const patience = time.Minute

// eventually waits until ok returns nil.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}

var (
	errAway    = errors.New("the broker is away")
	errTooOdd  = finalError{errors.New("too odd")}
	errMaxSize = refusedError{errors.New("maximum bytes exceeded")}
)

type refusedError struct{ error }

func (refusedError) Refused() bool { return true }

// broker is one that answers as it is told.
type broker struct {
	mu     sync.Mutex
	err    error                                            // what it answers
	answer func(ctx context.Context, e *events.Event) error // instead of err, if there is one
	got    []string                                         // ids taken, each time
	asked  int
}

func (b *broker) CheckEvent(e *events.Event) error {
	if len(e.Body) > events.MaxBody {
		return errTooOdd
	}
	return nil
}

func (b *broker) PublishEvent(ctx context.Context, e *events.Event) (bool, error) {
	b.mu.Lock()
	b.asked++
	err, answer := b.err, b.answer
	b.mu.Unlock()
	if answer != nil {
		err = answer(ctx, e)
	}
	if err != nil {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	duplicate := slices.Contains(b.got, e.ID)
	b.got = append(b.got, e.ID)
	return duplicate, nil
}

func (b *broker) PublishAgain(ctx context.Context, e *events.Event) (bool, error) {
	return b.PublishEvent(ctx, e)
}

func (b *broker) say(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.answer = err, nil
}

func (b *broker) do(answer func(ctx context.Context, e *events.Event) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

// forget makes it lose all that it has taken.
func (b *broker) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = nil
}

// times is how often it has taken an event.
func (b *broker) times(id string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, have := range b.got {
		if have == id {
			n++
		}
	}
	return n
}

// has is an error unless it has taken each of the events at least so many times.
func (b *broker) has(times int, ids ...string) error {
	for _, id := range ids {
		if n := b.times(id); n < times {
			return fmt.Errorf("%s came %d times", id, n)
		}
	}
	return nil
}

// lines are a log.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// with are the lines of a message.
func (l *lines) with(message string) []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for text := range strings.Lines(l.all.String()) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["message"] == message {
			found = append(found, line)
		}
	}
	return found
}

// fault is a disk that fails on demand. Each func is asked before what it is named for; nil means that all goes well.
type fault struct {
	disk
	mu      sync.Mutex
	onMake  func() error
	onWrite func(p []byte) (n int, err error) // n bytes are written all the same
	onSync  func() error
	onRead  func(name string) error
}

func (d *fault) set(change func(d *fault)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *fault) create(name string) (file, error) {
	d.mu.Lock()
	ask := d.onMake
	d.mu.Unlock()
	if ask != nil {
		if err := ask(); err != nil {
			return nil, err
		}
	}
	f, err := d.disk.create(name)
	if err != nil {
		return nil, err
	}
	return faultyFile{f, d}, nil
}

func (d *fault) open(name string) (readFile, error) {
	d.mu.Lock()
	ask := d.onRead
	d.mu.Unlock()
	if ask != nil {
		if err := ask(name); err != nil {
			return nil, err
		}
	}
	return d.disk.open(name)
}

type faultyFile struct {
	file
	disk *fault
}

func (f faultyFile) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	ask := f.disk.onWrite
	f.disk.mu.Unlock()
	if ask == nil {
		return f.file.Write(p)
	}
	n, err := ask(p)
	if err == nil {
		return f.file.Write(p)
	}
	if written, other := f.file.Write(p[:n]); other != nil {
		return written, other
	}
	return n, err
}

func (f faultyFile) sync() error {
	f.disk.mu.Lock()
	ask := f.disk.onSync
	f.disk.mu.Unlock()
	if ask != nil {
		if err := ask(); err != nil {
			return err
		}
	}
	return f.file.sync()
}

// world is a journal with what is around it.
type world struct {
	t       testing.TB
	dir     string
	broker  *broker
	disk    *fault
	log     *lines
	options Options
	journal *Journal
}

func newWorld(t testing.TB, change ...func(o *Options)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), broker: new(broker), log: new(lines)}
	w.options = Options{
		Dir: w.dir, MaxBytes: 64 << 20, Hold: time.Hour, Wait: patience, Broker: w.broker,
		Log: zerolog.New(io.MultiWriter(w.log)), Now: time.Now,
	}
	for _, c := range change {
		c(&w.options)
	}
	return w
}

// open opens the journal as it is on the disk.
func (w *world) open() *Journal {
	w.t.Helper()
	return w.openOn(func(*fault) {})
}

// openOn opens it on a disk that fails from the beginning.
func (w *world) openOn(change func(d *fault)) *Journal {
	w.t.Helper()
	d, err := openFolder(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	w.disk = &fault{disk: d}
	change(w.disk)
	j, err := openOn(w.disk, w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	j.release = d.close
	w.journal = j
	w.t.Cleanup(func() {
		if err := j.Close(); err != nil {
			w.t.Errorf("close: %v", err)
		}
	})
	return j
}

func (w *world) close() {
	w.t.Helper()
	if err := w.journal.Close(); err != nil {
		w.t.Fatalf("close: %v", err)
	}
}

// put publishes events that have to be accepted.
func (w *world) put(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		if _, err := w.journal.PublishEvent(w.t.Context(), event(id)); err != nil {
			w.t.Fatalf("%s is not accepted: %v", id, err)
		}
	}
}

func event(id string) *events.Event {
	return &events.Event{
		ID: id, Source: "shop", Type: "push", Repository: "shop/orders", Time: time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.UTC),
		Body: []byte(`{"id":"` + id + `","pad":"` + strings.Repeat("x", 200) + `"}`),
	}
}

func ids(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("shop/%s%d", prefix, i)
	}
	return all
}

// published is nil when the broker has all.
func (w *world) published() error {
	if s := w.journal.Stats(); s.Unpublished != 0 || s.Behind || s.Closed {
		return fmt.Errorf("%+v", s)
	}
	return nil
}
