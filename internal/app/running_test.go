package app_test

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
)

// running is a server in this process.
type running struct {
	w     *world
	name  string
	log   *journal
	ready chan struct{} // closed when it has called ready
	ended chan error    // what it returned
	end   context.CancelFunc
	once  sync.Once
}

// begin runs a server in this process until the end of the test, or until it is stopped.
func (w *world) begin(name string, run func(ctx context.Context, cfg *config.Config, logs io.Writer, ready func()) error) *running {
	w.t.Helper()
	cfg := w.config()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{w: w, name: name, log: new(journal), ready: make(chan struct{}), ended: make(chan error, 1), end: cancel}
	go func() {
		r.ended <- run(ctx, cfg, r.log, func() { close(r.ready) })
	}()
	w.t.Cleanup(r.stop)
	return r
}

// stop tells the server to stop, once, and waits until it has.
func (r *running) stop() {
	r.once.Do(func() {
		r.end()
		select {
		case err := <-r.ended:
			if err != nil {
				r.w.t.Errorf("%s: %v", r.name, err)
			}
		case <-time.After(patience):
			r.w.t.Errorf("%s did not stop within %s", r.name, patience)
		}
		if r.w.t.Failed() {
			r.w.t.Logf("log of %s:\n%s", r.name, r.log)
		}
	})
}

// whenReady waits until the server has called ready.
func (r *running) whenReady() {
	r.w.t.Helper()
	select {
	case <-r.ready:
	case err := <-r.ended:
		r.once.Do(r.end)
		r.w.t.Fatalf("%s did not start: %v", r.name, err)
	case <-time.After(patience):
		r.w.t.Fatalf("%s was not ready after %s", r.name, patience)
	}
}

// start is begin, and returns when the server has called ready.
func (w *world) start(name string, run func(ctx context.Context, cfg *config.Config, logs io.Writer, ready func()) error) (log *journal, stop func()) {
	w.t.Helper()
	r := w.begin(name, run)
	r.whenReady()
	return r.log, r.stop
}

func (w *world) startReceiver() (log *journal, stop func()) {
	w.t.Helper()
	return w.start("receiver", w.receive)
}

// receive runs a receiver; deliveries go to it once it is ready.
func (w *world) receive(ctx context.Context, cfg *config.Config, logs io.Writer, ready func()) error {
	return app.Receiver(ctx, cfg, logs, func(addr string) {
		w.receiver = "http://" + addr
		ready()
	})
}

func (w *world) startWorkerHere() (log *journal, stop func()) {
	w.t.Helper()
	return w.start("worker", app.Worker)
}
