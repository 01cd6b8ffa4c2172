package main

import (
	"context"
	"io"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// runWorker runs a worker with a configuration file, whose paths are the script's, until the end of the script, or until the next one.
func runWorker(ts *testscript.TestScript, _ bool, args []string) {
	cfg, err := app.Load(ts.MkAbs(args[0]), []string{"MILLRACE_NATS_URL=" + ts.Getenv("MILLRACE_NATS_URL"), "MILLRACE_WORKER_ADMIN_LISTEN=off"})
	ts.Check(err)
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- app.Worker(ctx, cfg, io.Discard, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		stop()
		ts.Fatalf("the worker ended: %v", err)
	}
	ts.Defer(func() {
		stop()
		ts.Check(<-ended)
	})
}

// storeEvent stores a delivery of the source shop as a receiver does: event FILE DELIVERY-ID.
func storeEvent(ts *testscript.TestScript, _ bool, args []string) {
	conn := connect(ts)
	defer conn.Close()
	body := []byte(ts.ReadFile(args[0]))
	scanned, err := events.Scan(body, "")
	ts.Check(err)
	_, err = conn.PublishEvent(context.Background(), &events.Event{
		ID: "shop/" + args[1], Source: "shop", Type: scanned.Type, Time: time.Now().UTC(), Repository: scanned.Repository, Body: body,
	})
	ts.Check(err)
}

func connect(ts *testscript.TestScript) *stream.Conn {
	conn, err := stream.Connect(context.Background(), stream.Config{URLs: []string{ts.Getenv("MILLRACE_NATS_URL")}, Name: "script", Log: zerolog.Nop()})
	ts.Check(err)
	return conn
}

// awaitDecisions waits until rules took an event, were decided, and all their messages have been sent: decided EVENT-ID.
func awaitDecisions(ts *testscript.TestScript, _ bool, args []string) {
	conn := connect(ts)
	defer conn.Close()
	tick, deadline := time.NewTicker(20*time.Millisecond), time.After(2*time.Minute)
	defer tick.Stop()
	for {
		left, err := undecided(conn, args[0])
		ts.Check(err)
		if left == "" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("event %s: there is no end of %s", args[0], left)
		}
	}
}

// undecided is what an event waits for, "" when for nothing.
func undecided(conn *stream.Conn, id string) (string, error) {
	ctx := context.Background()
	recorded, err := engine.ReadRecorded(ctx, conn, id)
	if err != nil {
		return "", err
	}
	if recorded == nil {
		return "matching", nil
	}
	for _, rule := range recorded.Candidates {
		d := recorded.Decisions[rule]
		if d == nil {
			return "rule " + rule, nil
		}
		for i := range d.Items {
			for _, a := range d.Items[i].Actions {
				for _, target := range a.Notify.To {
					if end, err := effects.ReadEnd(ctx, conn, rules.WorkKey(a.Key, target)); err != nil || end == nil {
						return "the message to " + target, err
					}
				}
			}
		}
	}
	return "", nil
}
