package main

import (
	"context"
	"net"
	"sync"
	"time"
)

// linkState is what a link does with bytes.
type linkState int

const (
	linked linkState = iota
	cut              // connections are closed and new ones refused
	hole             // connections stay, and nothing comes through
)

// link is one way from one process to another: what connects to it is passed on to where the other is, as long as the link is whole.
type link struct {
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	moved *sync.Cond // the state or the address is another one
	to    string     // "" is nowhere
	state linkState
	over  bool
	conns map[net.Conn]bool
}

func newLink(ctx context.Context) (*link, error) {
	l := &link{conns: map[net.Conn]bool{}}
	l.moved = sync.NewCond(&l.mu)
	var err error
	if l.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	l.running.Go(l.accept)
	return l, nil
}

func (l *link) address() string { return l.listener.Addr().String() }

// leadTo says where the other is now; "" is nowhere. Connections to where it was end by themselves.
func (l *link) leadTo(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = address
	l.moved.Broadcast()
}

// set makes the link whole, cuts it, or lets everything vanish in it.
func (l *link) set(state linkState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = state
	if state == cut {
		l.dropAll()
	}
	l.moved.Broadcast()
}

func (l *link) dropAll() {
	for c := range l.conns {
		_ = c.Close()
	}
	clear(l.conns)
}

func (l *link) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	l.over = true
	l.dropAll()
	l.moved.Broadcast()
	l.mu.Unlock()
	l.running.Wait()
}

func (l *link) accept() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.pass(in) })
	}
}

// pass joins a connection with one to the other side, until either ends.
func (l *link) pass(in net.Conn) {
	defer shut(in)
	if !l.keep(in) || !l.through() {
		return
	}
	defer l.forget(in)
	l.mu.Lock()
	to := l.to
	l.mu.Unlock()
	if to == "" {
		return
	}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	out, err := dialer.DialContext(context.Background(), "tcp", to)
	if err != nil {
		return
	}
	defer shut(out)
	if !l.keep(out) {
		return
	}
	defer l.forget(out)
	var back sync.WaitGroup
	back.Go(func() { l.pump(in, out) })
	l.pump(out, in)
	back.Wait()
}

func shut(c net.Conn) { _ = c.Close() }

// pump moves bytes one way; at its end both connections are closed.
func (l *link) pump(to, from net.Conn) {
	defer shut(to)
	defer shut(from)
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !l.through() {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// through waits while everything vanishes; false: the link is cut.
func (l *link) through() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.state == hole && !l.over {
		l.moved.Wait()
	}
	return l.state != cut && !l.over
}

func (l *link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.state == cut {
		_ = c.Close()
		return false
	}
	l.conns[c] = true
	return true
}

func (l *link) forget(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}
