package streamtest

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// front passes connections on to wherever the server is.
type front struct {
	listener net.Listener

	mu      sync.Mutex
	behind  string // address of the server
	open    map[net.Conn]bool
	closed  bool
	running sync.WaitGroup
}

// Front puts a listener of its own before the server; [Broker.URL] is its address from now on. The port of a server that is away may
// be taken by any other process or connection before the server is back, this one cannot.
func (b *Broker) Front() {
	b.t.Helper()
	b.front = newFront(b.t)
	b.front.leadTo(b.now.Addr().String())
	b.opts.Port = server.RANDOM_PORT
}

// newFront is a front that leads nowhere yet.
func newFront(t testing.TB) *front {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen before a nats-server: %v", err)
	}
	f := &front{listener: l, open: map[net.Conn]bool{}}
	f.running.Go(f.accept)
	t.Cleanup(func() { f.close(t) })
	return f
}

func (f *front) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.running.Go(func() { f.pass(conn) })
	}
}

// pass joins a connection with one to the server, until either ends.
func (f *front) pass(conn net.Conn) {
	f.mu.Lock()
	behind := f.behind
	f.mu.Unlock()
	next, err := new(net.Dialer).DialContext(context.Background(), "tcp", behind)
	if err != nil {
		_ = conn.Close() // the server is away
		return
	}
	if !f.keep(conn, next) {
		return
	}
	defer f.drop(conn, next)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(conn, next)
		_ = conn.Close()
	})
	_, _ = io.Copy(next, conn)
	_ = next.Close()
	back.Wait()
}

func (f *front) keep(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		if f.closed {
			_ = c.Close()
		} else {
			f.open[c] = true
		}
	}
	return !f.closed
}

func (f *front) drop(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(f.open, c)
	}
}

// leadTo makes new connections go to another address.
func (f *front) leadTo(address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.behind = address
}

func (f *front) close(t testing.TB) {
	if err := f.listener.Close(); err != nil {
		t.Errorf("stop listening before the nats-server: %v", err)
	}
	f.mu.Lock()
	f.closed = true
	for c := range f.open {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.running.Wait()
}
