package stream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/millrace/millrace/internal/stream/streamtest"
	"github.com/millrace/millrace/pkg/events"
)

// mask stands before a broker and has it say another version, as long as the true one.
type mask struct {
	t        *testing.T
	listener net.Listener
	broker   string
	all      sync.WaitGroup

	mu      sync.Mutex
	version string
	conns   []net.Conn
}

func newMask(t *testing.T, b *streamtest.Broker) *mask {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mask{t: t, listener: l, broker: strings.TrimPrefix(b.URL(), "nats://")}
	m.all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			m.all.Go(func() { m.pass(in) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		m.says("")
		m.all.Wait()
	})
	return m
}

func (m *mask) pass(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", m.broker)
	if err != nil {
		m.t.Error(err)
		return
	}
	defer out.Close()
	m.mu.Lock()
	m.conns = append(m.conns, in, out)
	version := m.version
	m.mu.Unlock()
	m.all.Go(func() {
		_, _ = io.Copy(out, in)
		_ = out.Close()
	})
	// The server says its version twice: at the beginning, and again once it knows who connected.
	said := fmt.Appendf(nil, `"version":"%s"`, server.VERSION)
	says := said
	if version != "" {
		says = fmt.Appendf(nil, `"version":"%s"`, version)
	}
	chunk := make([]byte, 64<<10)
	for {
		n, err := out.Read(chunk)
		if err != nil {
			return
		}
		if _, err := in.Write(bytes.ReplaceAll(chunk[:n], said, says)); err != nil {
			return
		}
	}
}

// says cuts all connections; the next ones see a broker of that version, "" for the true one.
func (m *mask) says(version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.version = version
	for _, c := range m.conns {
		_ = c.Close()
	}
	m.conns = nil
}

// TestOlderServerAfterwards: a connection that leads to an older server after it was lost is refused with the reason: no event and no
// schedule goes there and no message is consumed, until it leads to a right one.
func TestOlderServerAfterwards(t *testing.T) {
	b := streamtest.Server(t)
	m := newMask(t, b)
	c, j := open(t, b, func(cfg *Config) { cfg.URLs = []string{"nats://" + m.listener.Addr().String()} })
	handled := make(chan string, 10)
	consume(t, c, Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents, Concurrency: 2, AckWait: time.Second, Handler: func(_ context.Context, msg *Message) error {
		handled <- msg.Header["ce-id"]
		return nil
	}})
	event := func(n int) *events.Event {
		return &events.Event{ID: fmt.Sprintf("shop/%d", n), Source: "shop", Type: "push", Body: []byte("{}")}
	}
	if _, err := c.PublishEvent(t.Context(), event(1)); err != nil {
		t.Fatal(err)
	}
	if got := <-handled; got != "shop/1" {
		t.Errorf("handled %s", got)
	}

	m.says("2.12.0")
	eventually(t, "it is refused", func() bool { return len(j.with("broker refused")) > 0 })
	const reason = "it is nats-server 2.12.0, and Millrace needs 2.14 or newer"
	if line := j.with("broker refused")[0]; line["level"] != "error" || !strings.Contains(fmt.Sprint(line["error"]), reason) {
		t.Errorf("log line %v", line)
	}
	_, published := c.PublishEvent(t.Context(), event(2))
	for name, err := range map[string]error{
		"publish": published, "schedule": c.EnsureSchedule(t.Context(), "s", "@every 1h", ""), "reachable": c.Reachable(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
	direct, _ := dial(t, b) // somebody else's event is not consumed
	if _, err := direct.PublishEvent(t.Context(), event(3)); err != nil {
		t.Fatal(err)
	}
	if n := len(handled); n != 0 {
		t.Errorf("%d messages were handled", n)
	}

	m.says("")
	eventually(t, "it is accepted again", func() bool { return c.Reachable(t.Context()) == nil })
	if _, err := c.PublishEvent(t.Context(), event(2)); err != nil {
		t.Error(err)
	}
	got := map[string]bool{}
	for !got["shop/2"] || !got["shop/3"] { // the first may come again, if the cut took its acknowledgement
		got[<-handled] = true
	}
}

// TestOlderServerAtOnce: nothing goes to an older server either before the client library tells of it.
func TestOlderServerAtOnce(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	c.cfg.serverVersion = "2.13.9"
	_, published := c.PublishEvent(t.Context(), event("1"))
	for name, err := range map[string]error{
		"publish": published, "schedule": c.EnsureSchedule(t.Context(), "s", "@every 1h", ""), "reachable": c.Reachable(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), "it is nats-server 2.13.9") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
