package app_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
)

// servers are what can be started, without what they call back.
func servers() map[string]func(ctx context.Context, cfg *config.Config) error {
	return map[string]func(context.Context, *config.Config) error{
		"receiver": func(ctx context.Context, cfg *config.Config) error {
			return app.Receiver(ctx, cfg, io.Discard, nil)
		},
		"worker": func(ctx context.Context, cfg *config.Config) error {
			return app.Worker(ctx, cfg, io.Discard, nil)
		},
	}
}

// TestNothingIsLeftRunning: after the end of its context a server has stopped all it started. It is not parallel, for it looks at
// the goroutines of the whole process.
func TestNothingIsLeftRunning(t *testing.T) {
	for _, durability := range []string{"broker", "journal"} {
		t.Run(durability, func(t *testing.T) {
			nothingIsLeftRunning(t, settings{Restarts: true, Durability: durability, DrainDelay: "50ms"})
		})
	}
}

func nothingIsLeftRunning(t *testing.T, s settings) {
	w := newWorld(t, s)
	w.broker.Stop() // a server of NATS has goroutines of its own
	before := goleak.IgnoreCurrent()
	w.broker.Start()
	_, stopReceiver := w.startReceiver()
	_, stopWorker := w.startWorkerHere()
	_, body := w.push("count totals in cents", 0, "FAILED")
	w.deliver(body)
	eventually(t, "the messages", func() error { return w.atLeast(failedOps, recorded, patienceOps, patienceTm) })
	stopWorker()
	stopReceiver()
	w.client.CloseIdleConnections()
	w.broker.Stop()
	eventually(t, "every goroutine to end", func() error { return goleak.Find(before, putsOfObjects) })
}

// TestStopWhileBusy: a worker that is stopped in the middle of a call hands its work back and ends; another one finishes it.
func TestStopWhileBusy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Timeout: "30s"})
	w.startReceiver()
	log, stop := w.startWorkerHere()
	w.fake.Fail("create_commit", held)
	_, body := w.push("count totals in cents", 0, "FAILED")
	w.deliver(body)
	eventually(t, "the call to be under way", func() error {
		if len(log.lines("commit sent")) == 0 {
			return errors.New("it is not sent")
		}
		return nil
	})
	stop()
	w.startWorkerHere()
	eventually(t, "the message that waited", func() error { return w.atLeast(recorded) })
	eventually(t, "the end of all work", w.settled)
	if n := len(w.made()); n != 1 || w.fake.Calls("create_commit") != 1 || w.counts().Dead != 0 {
		t.Errorf("%d commits after %d calls, %d dead letters", n, w.fake.Calls("create_commit"), w.counts().Dead)
	}
}

// TestUnsafeStreams: streams whose settings would lose something are refused, all at once, each with a remedy, and left as they are.
func TestUnsafeStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	w.broker.AddStream("EVENTS", `{"name":"EVENTS","subjects":["events.>"],"retention":"limits","storage":"memory","discard":"old","num_replicas":1,"max_age":3600000000000}`)
	w.broker.AddStream("WORK", `{"name":"WORK","subjects":["work.>"],"retention":"limits","storage":"file","num_replicas":1}`)
	for name, serve := range servers() {
		err := serve(t.Context(), w.config())
		if err == nil {
			t.Errorf("%s has started", name)
			continue
		}
		for _, want := range []string{
			"the stores in NATS are not fit for use",
			"stream EVENTS: it is stored in memory", "stream EVENTS: it discards the oldest messages", "set discard to new", "stream EVENTS: max_age is set",
			"stream WORK: its retention is", "stream WORK: allow_msg_schedules is off", "set allow_msg_schedules to true",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s does not say %q:\n%v", name, want, err)
			}
		}
	}
}

// TestNoRules: a worker without rules, or with rules that are wrong, does not start.
func TestNoRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	cfg := w.config()
	cfg.Worker.Rules = nil
	if err := app.Worker(t.Context(), cfg, io.Discard, nil); err == nil || !strings.Contains(err.Error(), "worker.rules") {
		t.Errorf("without rules: %v", err)
	}
	w.useRules("broken")
	err := app.Worker(t.Context(), w.config(), io.Discard, nil)
	if err == nil || !strings.Contains(err.Error(), "rules.yaml:3:9:") || !strings.Contains(err.Error(), "rules.yaml:8:") {
		t.Errorf("with wrong rules: %v", err)
	}
}
