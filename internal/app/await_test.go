package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/stream/streamtest"
)

// toldAway waits until a server has said that the broker is away, and returns where it can be asked about it.
func (r *running) toldAway() (admin string) {
	r.w.t.Helper()
	eventually(r.w.t, r.name+" to say that the broker is away", func() error {
		if len(r.log.lines("broker away")) == 0 {
			return errors.New("it says nothing")
		}
		return nil
	})
	admin, _ = r.log.lines("broker away")[0]["admin"].(string)
	return "http://" + admin
}

// TestBrokerAway: a server that finds no broker waits for it, is not ready meanwhile, and says why once.
func TestBrokerAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Restarts: true})
	w.broker.Stop()
	receiver, worker := w.begin("receiver", w.receive), w.begin("worker", app.Worker)
	for _, r := range []*running{receiver, worker} {
		admin := r.toldAway()
		if status, text := w.ask(admin + "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "NATS cannot be used yet: cannot connect to the broker at "+w.nats) {
			t.Errorf("%s is ready: %d %s", r.name, status, text)
		}
	}
	w.broker.Start()
	for _, r := range []*running{receiver, worker} {
		r.whenReady()
		lines := r.log.lines("broker away") // one of a server that is away, and perhaps others of a server that starts
		for i := range len(lines) - 1 {
			if lines[i]["error"] == lines[i+1]["error"] {
				t.Errorf("%s says the same twice in a row: %v", r.name, lines)
			}
		}
	}
	w.worksOnce()
}

// TestStopWithoutBroker: who waits for a broker and is told to stop does so, and has nothing to complain of.
func TestStopWithoutBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Restarts: true})
	w.broker.Stop()
	for _, r := range []*running{w.begin("receiver", w.receive), w.begin("worker", app.Worker)} {
		r.toldAway()
		r.stop()
		if len(r.log.lines(r.name+" stopped")) != 1 || len(r.log.lines(r.name+" started")) != 0 {
			t.Errorf("%s says:\n%s", r.name, r.log)
		}
	}
}

// TestBrokerThatTimeDoesNotMend: a broker that refuses them, or is none for them, ends servers at once, with a remedy.
func TestBrokerThatTimeDoesNotMend(t *testing.T) {
	t.Parallel()
	bare := streamtest.Server(t, streamtest.WithoutJetStream())
	guarded := streamtest.Server(t, streamtest.Token(mark+"-nats"))
	for _, durability := range []string{"broker", "journal"} {
		w := newWorld(t, settings{Durability: durability})
		for name, serve := range servers() {
			for broker, remedy := range map[*streamtest.Broker]string{bare: "start the server with --jetstream", guarded: "give it the credentials file or the token"} {
				cfg := w.config()
				cfg.NATS.URL = broker.URL()
				if err := serve(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), remedy) {
					t.Errorf("%s with durability %s: %v, want %q", name, durability, err, remedy)
				}
			}
		}
	}
}

// TestClusterThatStarts: servers that are there before the brokers wait until there are enough of them.
func TestClusterThatStarts(t *testing.T) {
	t.Parallel()
	cluster := streamtest.NewCluster(t, 3)
	w := newWorldAround(t, settings{}, strings.Join(cluster.URLs(), ","))
	replicated := func(run func(context.Context, *config.Config, io.Writer, func()) error) func(context.Context, *config.Config, io.Writer, func()) error {
		return func(ctx context.Context, cfg *config.Config, logs io.Writer, ready func()) error {
			cfg.NATS.Replicas = 3
			return run(ctx, cfg, logs, ready)
		}
	}
	receiver, worker := w.begin("receiver", replicated(w.receive)), w.begin("worker", replicated(app.Worker))
	for i := range cluster.Servers {
		receiver.toldAway()
		worker.toldAway()
		cluster.Start(i)
	}
	receiver.whenReady()
	worker.whenReady()
	w.worksOnce()
}

// worksOnce delivers a push, and waits for what follows from it.
func (w *world) worksOnce() {
	w.t.Helper()
	_, body := w.push("count totals in cents", 0, "FAILED")
	w.deliver(body)
	eventually(w.t, "the message", func() error { return w.atLeast(recorded) })
	eventually(w.t, "the one commit", func() error {
		if n := len(w.made()); n != 1 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
}
