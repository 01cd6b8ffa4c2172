package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// scriptCommands are what scripts can do besides running the command.
func scriptCommands(t *testing.T) map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		// broker starts a nats-server that writes before it acknowledges, at $MILLRACE_NATS_URL, and with its monitoring at $NATS_MONITOR.
		"broker": func(ts *testscript.TestScript, _ bool, _ []string) {
			b := streamtest.Server(t, streamtest.Monitored(), streamtest.SyncAlways())
			ts.Setenv("MILLRACE_NATS_URL", b.URL())
			ts.Setenv("NATS_MONITOR", b.Monitor())
		},
		// codearts serves a fake CodeArts with a repository until the end of the script, at $CODEARTS. Its arguments are actions whose
		// conditions it does not enforce.
		"codearts": func(ts *testscript.TestScript, _ bool, args []string) {
			fake := codeartstest.New(codeartstest.Options{Unfenced: args})
			fake.AddRepository(codeartstest.Repository{ID: "2111000001", Path: "shop/orders"})
			server := httptest.NewServer(fake)
			ts.Defer(server.Close)
			ts.Defer(fake.Close)
			ts.Setenv("CODEARTS", server.URL)
		},
		"shop":              serveShop,
		"receiver":          serveReceiver,
		"push":              pushToShop,
		"bury":              bury,
		"millrace-receiver": startReceiver,
		"millrace-worker":   runWorker,
		"event":             storeEvent,
		"decided":           awaitDecisions,
		"fleet-worker":      startFleetWorker,
		"rulesets":          countRulesets,
		// secretless sees to it that what a command wrote has none of the secrets of files in it.
		"secretless": func(ts *testscript.TestScript, _ bool, args []string) {
			for _, name := range args[1:] {
				if secret := strings.TrimSpace(ts.ReadFile(name)); strings.Contains(ts.ReadFile(args[0]), secret) {
					ts.Fatalf("the secret of %s shows", name)
				}
			}
		},
	}
}
