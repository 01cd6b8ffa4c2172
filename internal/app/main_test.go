package app_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// parallelCases is how many tests run at a time: they mostly wait, for deadlines of workers that died.
const parallelCases = "6"

// putsOfObjects are goroutines that nats.go 1.55.0 leaves behind now and then: one that a put into an object store starts, and that finds
// the channel it should listen to gone when it gets to run. A connection that was not closed leaves others besides.
var putsOfObjects = goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect")

// TestMain is two programs: the tests, and, started again by one of them, a worker that is going to be killed.
func TestMain(m *testing.M) {
	if os.Getenv(childConfig) != "" {
		os.Exit(childMain())
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", parallelCases); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(putsOfObjects); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
