package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers each line with itself and its name, until the test ends.
func echo(t *testing.T, name string) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutListener(l) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				for lines := bufio.NewScanner(c); lines.Scan(); {
					fmt.Fprintln(c, lines.Text(), name)
				}
				shut(c)
			}()
		}
	}()
	return l.Addr().String()
}

func shutListener(l net.Listener) { _ = l.Close() }

type caller struct {
	net.Conn
	lines *bufio.Reader
}

func call(t *testing.T, l *link) *caller {
	t.Helper()
	c, err := new(net.Dialer).DialContext(context.Background(), "tcp", l.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(c) })
	return &caller{c, bufio.NewReader(c)}
}

// answer waits for a line; one that does not come within the time is "…", the end of the connection is "".
func (c *caller) answer(t *testing.T, within time.Duration) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	line, err := c.lines.ReadString('\n')
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "…"
	}
	if err != nil {
		return ""
	}
	return line[:len(line)-1]
}

func (c *caller) say(line string) { fmt.Fprintln(c, line) } // whether it can be said shows in the answer

const (
	patience = 2 * time.Minute
	moment   = 100 * time.Millisecond // for what must not come, which a wait can only miss
)

func TestLink(t *testing.T) {
	l, err := newLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if got := call(t, l).answer(t, patience); got != "" {
		t.Errorf("a link to nowhere answers %q", got)
	}
	l.leadTo(echo(t, "one"))
	c := call(t, l)
	c.say("a")
	if got := c.answer(t, patience); got != "a one" {
		t.Fatalf("a whole link answers %q", got)
	}

	l.set(hole)
	c.say("b")
	later := call(t, l)
	later.say("c")
	if got := c.answer(t, moment); got != "…" {
		t.Errorf("a hole answers %q", got)
	}
	if got := later.answer(t, moment); got != "…" {
		t.Errorf("a hole answers %q to who comes later", got)
	}
	l.set(linked)
	if got := c.answer(t, patience); got != "b one" {
		t.Errorf("after the hole: %q", got)
	}
	if got := later.answer(t, patience); got != "c one" {
		t.Errorf("after the hole, who came later: %q", got)
	}

	l.set(cut)
	if got := c.answer(t, patience); got != "" {
		t.Errorf("a cut link answers %q", got)
	}
	if got := call(t, l).answer(t, patience); got != "" {
		t.Errorf("a cut link answers %q to who comes later", got)
	}
	l.leadTo(echo(t, "two"))
	l.set(linked)
	c = call(t, l)
	c.say("d")
	if got := c.answer(t, patience); got != "d two" {
		t.Errorf("a link that leads elsewhere answers %q", got)
	}
}

// TestLinkEnds: closing ends what waits in a hole, too.
func TestLinkEnds(t *testing.T) {
	l, err := newLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.leadTo(echo(t, "one"))
	c := call(t, l)
	c.say("a")
	c.answer(t, patience)
	l.set(hole)
	c.say("b")
	l.close()
	if got := c.answer(t, patience); got != "" {
		t.Errorf("a closed link answers %q", got)
	}
}
