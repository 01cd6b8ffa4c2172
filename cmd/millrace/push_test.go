package main

import (
	"context"
	"io"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/stream"
)

// brokerOf is a connection to the broker of a script.
func brokerOf(ts *testscript.TestScript) *stream.Conn {
	conn, err := stream.Connect(context.Background(), stream.Config{URLs: []string{ts.Getenv("MILLRACE_NATS_URL")}})
	ts.Check(err)
	return conn
}

// startFleetWorker runs a worker with a configuration until the end of the script, and returns when it has said that it is there.
func startFleetWorker(ts *testscript.TestScript, _ bool, args []string) {
	cfg, err := app.Load(ts.MkAbs(args[0]), []string{"MILLRACE_NATS_URL=" + ts.Getenv("MILLRACE_NATS_URL"), "MILLRACE_WORKER_ADMIN_LISTEN=off"})
	ts.Check(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	conn := brokerOf(ts)
	defer conn.Close()
	before := workersOf(ts, conn)
	go func() { ended <- app.Worker(ctx, cfg, io.Discard, nil) }()
	ts.Defer(func() {
		stop()
		ts.Check(<-ended)
	})
	deadline, tick := time.After(2*time.Minute), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for workersOf(ts, conn) == before {
		select {
		case <-deadline:
			ts.Fatalf("the worker is not there after two minutes")
		case <-tick.C:
		}
	}
}

// workersOf is how many workers are there.
func workersOf(ts *testscript.TestScript, conn *stream.Conn) int {
	ts.Check(conn.Ensure(context.Background()))
	names, err := conn.RecordNames(context.Background(), "worker")
	ts.Check(err)
	return len(names)
}

// countRulesets sees to it that so many rulesets are stored.
func countRulesets(ts *testscript.TestScript, _ bool, args []string) {
	conn := brokerOf(ts)
	defer conn.Close()
	stored, err := conn.Rulesets(context.Background())
	ts.Check(err)
	if args[0] != strconv.Itoa(len(stored)) {
		ts.Fatalf("%d rulesets are stored", len(stored))
	}
}
