package app_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/millrace/millrace/internal/app"
)

// inJournal are the settings of a receiver with a journal. The window is longer than any test: what is published again is stored once.
var inJournal = settings{Durability: "journal", Restarts: true, DuplicateWindow: "1h"}

// accepted posts deliveries, all at once, each of which has to be accepted at the first try.
func (w *world) accepted(bodies ...[]byte) {
	w.t.Helper()
	var running sync.WaitGroup
	for _, body := range bodies {
		running.Go(func() {
			if a, err := w.post(body, webhookToken); err != nil || a.code != http.StatusAccepted {
				w.t.Errorf("answered %d, %v", a.code, err)
			}
		})
	}
	running.Wait()
}

func probes(prefix string, n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = probe("push", fmt.Sprintf("%s-%d", prefix, i))
	}
	return all
}

// hasEvents waits until so many events are stored.
func (w *world) hasEvents(want uint64) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%d events", want), func() error {
		n, err := w.look().Counts(w.t.Context())
		if err == nil && n.Events != want {
			err = fmt.Errorf("there are %d", n.Events)
		}
		return err
	})
}

// TestBrokerAwayWithAJournal: a receiver starts, takes deliveries and is ready without a broker, and the broker gets them all.
func TestBrokerAwayWithAJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inJournal)
	w.broker.Stop()
	log, stop := w.startReceiver()
	if status, names := w.unready(adminOf(t, log, "receiver started")); status != http.StatusOK {
		t.Errorf("readyz %d %q", status, names)
	}
	w.accepted(probes("first", 5)...)
	stop()
	w.startReceiver()
	w.accepted(probes("second", 5)...)
	w.broker.Start()
	w.hasEvents(10)
	w.accepted(probes("third", 5)...)
	w.hasEvents(15)
	eventually(t, "deliveries that wait for the broker again", func() error {
		a, err := w.post(probes("first", 1)[0], webhookToken)
		if err == nil && a.Status != "duplicate" {
			err = fmt.Errorf("the broker was not asked: %+v", a)
		}
		return err
	})
}

// TestBrokerSilentWithAJournal: servers that take connections and say nothing, as in the middle of a partition, do not keep a receiver from
// starting. To ask them all would take minutes.
func TestBrokerSilentWithAJournal(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	w := newWorldAround(t, inJournal, strings.Join(slices.Repeat([]string{"nats://" + silent.Addr().String()}, 60), ","))
	_, stop := w.startReceiver()
	w.accepted(probes("silent", 5)...)
	stop()
}

// TestEverythingOnceWithAJournal: an outage of the broker in the middle changes nothing in what comes of an event.
func TestEverythingOnceWithAJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inJournal)
	w.startReceiver()
	w.startWorkerHere()
	_, body := w.push("count totals in cents", 0, "FAILED")
	w.broker.Stop()
	w.accepted(body)
	w.broker.Start()
	eventually(t, "the messages", func() error { return w.atLeast(failedOps, recorded, patienceOps, patienceTm) })
	eventually(t, "the end of all work", w.settled)
	if n := len(w.made()); n != 1 || w.counts().Dead != 0 {
		t.Errorf("%d commits, %d dead letters", n, w.counts().Dead)
	}
}

// TestReceiverKilled: what a receiver has accepted outlives it, though no broker was there.
func TestReceiverKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inJournal)
	first := w.startReceiverProcess("first receiver")
	w.broker.Stop()
	w.accepted(probes("first", 40)...)
	first.kill()
	second := w.startReceiverProcess("second receiver")
	w.accepted(probes("second", 5)...)
	second.kill()
	w.broker.Start()
	third := w.startReceiverProcess("third receiver")
	w.hasEvents(45)
	third.stop()
}

// total is how many messages there are.
func total(told map[string]int) (n int) {
	for _, times := range told {
		n += times
	}
	return n
}

// TestPowerLoss: the broker comes back without what it has acknowledged last, or without anything, and perhaps the receiver dies with it.
// Every event that was accepted is there again, and no commit is made twice. Of what the lost store remembered a message or a rung of an alert may
// come once more, and not oftener.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	for _, deleted := range []bool{false, true} {
		for _, killed := range []bool{false, true} {
			t.Run(fmt.Sprintf("store deleted %t, receiver killed %t", deleted, killed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, inJournal)
				receiver := w.startReceiverProcess("receiver")
				w.accepted(probes("before", 3)...)
				w.hasEvents(3)
				copied := w.broker.CopyStore()
				if deleted {
					copied = ""
				}
				worker := w.startWorker("worker", brake{})
				_, body := w.push("count totals in cents", 0, "FAILED")
				w.accepted(append(probes("after", 6), body)...)
				w.hasEvents(10)
				eventually(t, "the messages", func() error { return w.atLeast(failedOps, recorded, patienceOps, patienceTm) })
				eventually(t, "the end of all work", w.settled)
				worker.stop()
				before := w.told()
				if n := len(w.made()); n != 1 {
					t.Fatalf("%d commits before", n)
				}
				w.broker.Stop()
				w.broker.PutBack(copied)
				if killed {
					receiver.kill()
				}
				w.broker.Start()
				if killed {
					receiver = w.startReceiverProcess("second receiver")
				}
				w.hasEvents(10)
				w.startWorker("second worker", brake{})
				eventually(t, "the messages again", func() error {
					if n := w.told()[recorded]; n < 2 {
						return fmt.Errorf("it came %d times", n)
					}
					return nil
				})
				eventually(t, "the end of all work", w.settled)
				if n := len(w.made()); n != 1 {
					t.Errorf("%d commits", n)
				}
				again := 0
				for title, n := range w.told() {
					if again += n - before[title]; n > 2*before[title] {
						t.Errorf("%q was told %d times before and %d times after", title, before[title], n)
					}
				}
				t.Logf("%d commits, %d messages before; after it 0 commits and %d messages again", len(w.made()), total(before), again)
				receiver.stop()
			})
		}
	}
}

// large is a delivery of about 700 KiB.
func large(id string) []byte {
	body := probe("push", id)
	return append(body[:len(body)-1], `,"pad":"`+strings.Repeat("x", 700<<10)+`"}`...)
}

// TestDoor: while the stream is full deliveries are refused after the first that it did not take, which comes first when there is room again.
func TestDoor(t *testing.T) {
	t.Parallel()
	s := inJournal
	s.EventsMaxBytes = "1MiB"
	w := newWorld(t, s)
	log, _ := w.startReceiver()
	w.accepted(large("1"))
	w.hasEvents(1)
	w.accepted(large("2")) // by the journal
	admin := adminOf(t, log, "receiver started")
	eventually(t, "the door to close", func() error { // at once, unless the broker takes long to say no
		if len(log.lines("door closed")) == 0 {
			return errors.New("it is open")
		}
		return nil
	})
	for range 3 {
		if a, err := w.post(large("3"), webhookToken); err != nil || a.code != http.StatusServiceUnavailable {
			t.Fatalf("answered %d, %v", a.code, err)
		}
	}
	if status, names := w.unready(admin); status != http.StatusServiceUnavailable || len(names) != 1 || names[0] != "journal" {
		t.Errorf("readyz %d %q", status, names)
	}
	if _, text := w.ask(admin + "/metrics"); !strings.Contains(text, "millrace_journal_door_closed 1\n") {
		t.Error("the metrics do not say that the door is closed")
	}
	w.broker.Purge("EVENTS", "events.>")
	w.hasEvents(1) // the second
	w.broker.Purge("EVENTS", "events.>")
	eventually(t, "the door to open", func() error {
		a, err := w.post(large("4"), webhookToken)
		if err == nil && a.code != http.StatusAccepted {
			err = fmt.Errorf("answered %d", a.code)
		}
		return err
	})
	w.hasEvents(1)
}

// TestJournalFull: a journal that is full refuses, and what it has accepted comes through.
func TestJournalFull(t *testing.T) {
	t.Parallel()
	s := inJournal
	s.JournalBytes = "4MiB"
	w := newWorld(t, s)
	w.startReceiver()
	w.broker.Stop()
	accepted := 0
	for ; accepted < 20; accepted++ {
		a, err := w.post(large(fmt.Sprint(accepted)), webhookToken)
		if err != nil {
			t.Fatal(err)
		}
		if a.code == http.StatusServiceUnavailable {
			break
		}
	}
	if accepted != 5 {
		t.Errorf("%d of 700 KiB fit into 4 MiB", accepted)
	}
	w.broker.Start()
	w.hasEvents(uint64(accepted))
}

// TestJournalInUse: two receivers cannot share a journal.
func TestJournalInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inJournal)
	log, _ := w.startReceiver()
	err := app.Receiver(t.Context(), w.config(), new(journal), nil)
	if err == nil || !strings.Contains(err.Error(), "another process has it open; each receiver needs a journal of its own") ||
		!strings.Contains(err.Error(), filepath.Join(filepath.Dir(w.file), "journal")) || !strings.Contains(err.Error(), "MILLRACE_RECEIVER_JOURNAL_DIR") {
		t.Errorf("a second receiver: %v", err)
	}
	w.accepted(probes("still", 3)...)
	if len(log.lines("journal opened")) != 1 {
		t.Error("it is not told that the journal is open")
	}
}

// TestJournalFolderMistakes: who gives the journal a folder that cannot be one is told what to do.
func TestJournalFolderMistakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inJournal)
	if err := os.WriteFile(filepath.Join(filepath.Dir(w.file), "journal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := app.Receiver(t.Context(), w.config(), new(journal), nil)
	if err == nil || !strings.Contains(err.Error(), "; set receiver.journal.dir (MILLRACE_RECEIVER_JOURNAL_DIR) to a folder") {
		t.Errorf("a file in its place: %v", err)
	}
	for cause, want := range map[error]string{
		syscall.EACCES: "let the receiver's user write there", syscall.EPERM: "let the receiver's user write there", syscall.EROFS: "let the receiver's user write there",
		syscall.ENOSPC: "make room on its disk", syscall.EIO: "mend this one",
	} {
		if said := app.JournalRemedy(fmt.Errorf("open the journal: %w", &fs.PathError{Op: "mkdir", Path: "journal", Err: cause})); !strings.Contains(said, want) {
			t.Errorf("%v: %s", cause, said)
		}
	}
}
