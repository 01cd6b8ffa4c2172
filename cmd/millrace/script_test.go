package main

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testscript.Main(leakFree{m}, map[string]func(){
		"millrace": func() { os.Exit(run(context.Background(), os.Args[1:])) },
	})
}

// leakFree are tests that leave no goroutine behind.
type leakFree struct{ *testing.M }

// Run ignores the goroutines that nats.go 1.55.0 leaves behind now and then: see putsOfObjects in internal/app.
func (l leakFree) Run() int {
	code := l.M.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// TestScripts runs testdata/*.txtar: each reads like a terminal.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: giveDoor, Cmds: scriptCommands(t), UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != ""})
}
