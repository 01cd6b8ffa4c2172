package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/millrace/millrace/internal/app"
)

// serveShop runs millrace codearts fake until the end of the script, at $CODEARTS and as the connection named default.
func serveShop(ts *testscript.TestScript, _ bool, _ []string) {
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serveFake(ctx, fakeOptions{listen: "127.0.0.1:0", days: 7}, in) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	ts.Check(err)
	address := regexp.MustCompile(`http://[0-9.:]+`).FindString(line)
	ts.Defer(func() {
		stop()
		ts.Check(<-ended)
	})
	ts.Setenv("CODEARTS", address)
	for _, service := range []string{"BUILD", "REPO", "IAM"} {
		ts.Setenv("MILLRACE_CODEARTS_DEFAULT_"+service+"_ENDPOINT", address)
	}
}

// serveReceiver answers 202 to deliveries whose X-Repo-Token is in one of the files, and 401 to others, at $RECEIVER.
func serveReceiver(ts *testscript.TestScript, _ bool, files []string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for _, name := range files {
			secret, err := os.ReadFile(ts.MkAbs(name))
			if token := r.Header.Get("X-Repo-Token"); err == nil && token != "" && token == strings.TrimSpace(string(secret)) {
				w.WriteHeader(http.StatusAccepted)
				return
			}
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	ts.Defer(server.Close)
	ts.Setenv("RECEIVER", server.URL)
}

// door is what stands before a receiver, so that its address is known, and nobody else's, before it is there.
type door struct {
	receiver atomic.Pointer[httputil.ReverseProxy]
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if receiver := d.receiver.Load(); receiver != nil {
		receiver.ServeHTTP(w, r)
		return
	}
	w.WriteHeader(http.StatusBadGateway)
}

type doorKey struct{}

// giveDoor gives every script a door of its own.
func giveDoor(env *testscript.Env) error {
	env.Values[doorKey{}] = new(door)
	return nil
}

// startReceiver runs the receiver itself with a configuration, at $RECEIVER. Without one it only finds a place for it.
func startReceiver(ts *testscript.TestScript, _ bool, args []string) {
	before := ts.Value(doorKey{}).(*door)
	if len(args) == 0 {
		server := httptest.NewServer(before)
		ts.Defer(server.Close)
		ts.Setenv("RECEIVER", server.URL)
		return
	}
	var environ []string
	for _, name := range []string{"PASSWORD", "MILLRACE_NATS_URL"} {
		environ = append(environ, name+"="+ts.Getenv(name))
	}
	folder, err := os.MkdirTemp(ts.Getenv("WORK"), "journal-") // receivers of one file
	ts.Check(err)
	environ = append(environ, "MILLRACE_RECEIVER_ADMIN_LISTEN=off", "MILLRACE_RECEIVER_LISTEN=127.0.0.1:0", "MILLRACE_RECEIVER_DRAIN_DELAY=0s", "MILLRACE_RECEIVER_JOURNAL_DIR="+folder)
	cfg, err := app.Load(ts.MkAbs(args[0]), environ)
	ts.Check(err)
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- app.Receiver(ctx, cfg, io.Discard, func(address string) { ready <- address }) }()
	select {
	case address := <-ready:
		before.receiver.Store(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address}))
	case err := <-ended:
		ts.Fatalf("the receiver ended: %v", err)
	}
	ts.Defer(func() {
		stop()
		ts.Check(<-ended)
	})
}

// pushToShop has somebody push to the repository of the shop, and waits until so many deliveries were made to hooks.
func pushToShop(ts *testscript.TestScript, _ bool, _ []string) {
	var state struct {
		Deliveries        []struct{ Hook int64 }
		DeliveriesWaiting int `json:"deliveries_waiting"`
	}
	client := &http.Client{Timeout: 2 * time.Minute}
	defer client.CloseIdleConnections()
	look := func() int {
		resp, err := client.Get(ts.Getenv("CODEARTS") + "/_fake/state") //nolint:noctx // the client has a limit
		ts.Check(err)
		defer func() { _ = resp.Body.Close() }()
		ts.Check(json.NewDecoder(resp.Body).Decode(&state))
		return len(state.Deliveries)
	}
	before := look()
	resp, err := client.Post(ts.Getenv("CODEARTS")+"/_fake/push", "application/json", strings.NewReader(`{"build":"none"}`)) //nolint:noctx // as above
	ts.Check(err)
	ts.Check(resp.Body.Close())
	deadline, tick := time.After(2*time.Minute), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for look() == before || state.DeliveriesWaiting > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("the push was told to nobody")
		}
	}
}
