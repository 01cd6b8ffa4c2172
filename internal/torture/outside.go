//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// slowest is the longest an answer takes in slow weather, and the longest after which a request is still carried out. It is less than
// the settle time of the configuration.
const slowest = 2500 * time.Millisecond

// weather is what is wrong with a service outside. Several faults of one kind may overlap.
type weather struct {
	slow, failing, cut atomic.Int32
}

// luck is a source of chance for many.
type luck struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func (l *luck) below(n int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rnd.Int64N(n)
}

func (l *luck) heads() bool { return l.below(2) == 0 }

// front is how one worker sees a service outside: through it the harness knows whose request it is, and what has happened already when
// things go wrong.
type front struct {
	behind  http.Handler
	weather *weather
	luck    *luck
	// made, if set, is told of a request that was carried out, before it is answered and after; what it returns is called when the
	// answer is out.
	made func(r *http.Request, body []byte, answer *httptest.ResponseRecorder) (after func())

	server   *http.Server
	listener net.Listener
	running  sync.WaitGroup
}

// open serves the front on a port of its own.
func (f *front) open(ctx context.Context) error {
	var err error
	if f.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	f.running.Go(func() { _ = f.server.Serve(f.listener) })
	return nil
}

func (f *front) url() string { return "http://" + f.listener.Addr().String() }

func (f *front) port() string {
	_, port, _ := strings.Cut(f.listener.Addr().String(), ":")
	return port
}

func (f *front) close() {
	_ = f.server.Close()
	f.running.Wait()
}

// ServeHTTP has the request carried out even if its sender is gone, as a service does that has read it.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return
	}
	if f.weather.slow.Load() > 0 && f.luck.heads() {
		timer := time.NewTimer(time.Duration(f.luck.below(int64(slowest))))
		<-timer.C
	}
	if f.weather.failing.Load() > 0 && f.luck.heads() {
		f.fail(w)
		return
	}
	answer := httptest.NewRecorder()
	again := r.Clone(context.WithoutCancel(r.Context()))
	again.Body = io.NopCloser(bytes.NewReader(body))
	f.behind.ServeHTTP(answer, again)
	after := func() {}
	if f.made != nil && answer.Code < http.StatusMultipleChoices {
		after = f.made(r, body, answer)
	}
	if f.weather.cut.Load() > 0 && f.luck.heads() {
		after()
		panic(http.ErrAbortHandler) // which closes the connection
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	after()
}

// fail answers without doing anything.
func (f *front) fail(w http.ResponseWriter) {
	status := []int{http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusTooManyRequests}[f.luck.below(3)]
	w.Header().Set("Content-Type", "application/json")
	if status != http.StatusInternalServerError {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"error_code":"TORTURE.0001","error_msg":"not now"}`)
}

var commitID = regexp.MustCompile(`"id":\s*"([0-9a-f]{40})"`)

// madeCommit is the id of the commit that a request made; "" is none.
func madeCommit(r *http.Request, answer *httptest.ResponseRecorder) string {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/repository/commits") {
		return ""
	}
	if id := commitID.FindSubmatch(answer.Body.Bytes()); id != nil {
		return string(id[1])
	}
	return ""
}

// messageMark is the mark of a message's title, and what kind of message it is.
func messageMark(title string) (mark string, kind effectKind) {
	rest, renewed := strings.CutPrefix(title, "Renewed: ")
	of, mark, _ := strings.Cut(rest, " ")
	switch {
	case renewed:
		return mark, renewalSent
	case of == string(rung):
		return mark, rungSent
	}
	return mark, messageSent
}

// titleOf is the title of the message in a request to a webhook.
func titleOf(body []byte) string {
	var m struct{ Title string }
	_ = json.Unmarshal(body, &m) // what is no message has no title
	return m.Title
}
