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
)

// TestPowerLossOfWork: the server had written EVENTS to its disk and not yet the others, each of which it syncs by itself. What followed from
// the events is gone, and the stream has them: they are matched once more, by a receiver that was there all the time and by one that was not.
func TestPowerLossOfWork(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("receiver killed %t", killed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, inJournal)
			receiver := w.startReceiverProcess("receiver")
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
			if killed {
				receiver.kill()
			}
			w.broker.Start()
			eventually(t, "the work to be gone", func() error {
				n, err := w.look().Counts(t.Context())
				if err == nil && (n.Parked != 0 || n.Events != 4) {
					err = fmt.Errorf("%+v", n)
				}
				return err
			})
			if killed {
				w.startReceiverProcess("second receiver")
			}
			w.forgetBuilds()
			w.fake.StartBuild(jobID, commit, "main", "FAILED", 0)
			w.startWorker("second worker", brake{})
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
		})
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
