package app_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/app"
)

// TestPowerLossOfWork: the server had written EVENTS to its disk and not yet the others, each of which it syncs by itself. What followed from
// the events is gone, and since the stream has them their coming again changes nothing. A replay, as the page on reliability says, does what
// is missing, once.
func TestPowerLossOfWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inJournal)
	w.startReceiverProcess("receiver")
	w.accepted(probes("before", 3)...)
	w.hasEvents(3)
	older := w.broker.CopyStore()
	worker := w.startWorker("worker", brake{})
	commit, body := w.push("count totals in cents", time.Hour, "FAILED")
	w.accepted(body)
	eventually(t, "the run to be parked", func() error {
		n, err := w.look().Counts(t.Context())
		if err == nil && n.Parked != 1 {
			err = fmt.Errorf("%+v", n)
		}
		return err
	})
	worker.stop()
	w.broker.Stop()
	mixed := w.broker.Copied()
	takeOver(t, mixed, older, "WORK", "RECORDS")
	w.broker.PutBack(mixed)
	w.broker.Start()
	eventually(t, "the work to be gone", func() error {
		n, err := w.look().Counts(t.Context())
		if err == nil && (n.Parked != 0 || n.Events != 4) {
			err = fmt.Errorf("%+v", n)
		}
		return err
	})

	w.forgetBuilds()
	w.fake.StartBuild(jobID, commit, "main", "FAILED", 0)
	w.startWorker("second worker", brake{})
	a := w.archive()
	var stored []*app.StoredEvent
	eventually(t, "the events to be read", func() (err error) {
		stored = nil
		_, err = a.Events(t.Context(), &app.EventFilter{}, func(e *app.StoredEvent) error {
			stored = append(stored, e)
			return nil
		})
		return err
	})
	for _, e := range slices.Concat(stored, stored) { // twice does no harm
		if r, err := a.ReplayEvent(t.Context(), e.Event(), nil, false); err != nil || r.Refused != "" {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	eventually(t, "the commit", func() error {
		if len(w.made()) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	eventually(t, "the end of all work", w.settled)
	if n := len(w.made()); n != 1 {
		t.Errorf("%d commits", n)
	}
}

// takeOver replaces streams of a copy of a store by what they are in another one.
func takeOver(t *testing.T, to, from string, streams ...string) {
	t.Helper()
	var found []string
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && slices.Contains(streams, d.Name()) {
			found = append(found, path)
			return fs.SkipDir
		}
		return err
	})
	if err != nil || len(found) != len(streams) {
		t.Fatalf("folders of streams: %q, %v", found, err)
	}
	for _, path := range found {
		within, err := filepath.Rel(to, path)
		if err == nil {
			err = os.RemoveAll(path)
		}
		if err == nil {
			err = os.CopyFS(path, os.DirFS(filepath.Join(from, within)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
