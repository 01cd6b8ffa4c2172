package app_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// said waits until a process has written a line with a message.
func (p *process) said(message string) {
	p.t.Helper()
	eventually(p.t, p.name+" to say "+message, func() error {
		if len(p.log.lines(message)) == 0 {
			return errors.New("it does not")
		}
		return nil
	})
}

// TestReceiverLeaves: a receiver that is told to stop is not ready any more, but takes deliveries for as long as a balancer may need to
// notice, and ends each connection with its next answer. A second signal ends it at once.
func TestReceiverLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{DrainDelay: "5m"})
	r := w.startChild("receiver", childRole+"=receiver", "MILLRACE_RECEIVER_DRAIN=10m")
	w.receiver = r.addr
	deliver := func(id string) (closes bool) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.receiver+"/hooks/shop", strings.NewReader(string(probe("push", id))))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Repo-Token", webhookToken)
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusAccepted {
			t.Errorf("%s is answered %s, %v", id, resp.Status, err)
		}
		return resp.Close
	}
	if deliver("before") {
		t.Error("the connection is ended before it was told to stop")
	}
	r.signal(syscall.SIGTERM)
	r.said("receiver draining")
	if status, names := w.unready(adminOf(t, r.log, "receiver started")); status != http.StatusServiceUnavailable || len(names) != 1 || names[0] != "running" {
		t.Errorf("readyz %d %q", status, names)
	}
	for _, id := range []string{"on the open connection", "on a new one"} {
		if !deliver(id) {
			t.Errorf("the connection goes on %s", id)
		}
	}
	r.signal(syscall.SIGTERM)
	if code := r.exited(); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d", code)
	}
	r.said("receiver aborted")
}

// begun opens a delivery that is under way, and does not end it.
func (w *world) begun() net.Conn {
	w.t.Helper()
	conn, err := new(net.Dialer).DialContext(w.t.Context(), "tcp", strings.TrimPrefix(w.receiver, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "POST /hooks/shop HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nX-Repo-Token: %s\r\n"+
		"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n", webhookToken)
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		w.t.Fatalf("%q, %v", line, err)
	}
	return conn
}

// TestReceiverIsCut: a request that does not end is cut when the time is over; log and exit code say so.
func TestReceiverIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Durability: "journal"})
	r := w.startChild("receiver", childRole+"=receiver", "MILLRACE_RECEIVER_DRAIN=1s")
	w.receiver = r.addr
	w.begun()
	r.signal(syscall.SIGTERM)
	if code := r.exited(); code != 2 {
		t.Errorf("exit code %d", code)
	}
	if lines := r.log.lines("receiver cut", "requests", "1"); len(lines) != 1 {
		t.Errorf("it says:\n%s", r.log)
	}
}

// TestReceiverStopsWithoutBroker: what the broker does not have when the receiver is stopped is published after its next start.
func TestReceiverStopsWithoutBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Durability: "journal", Restarts: true})
	w.look() // before the broker is away
	r := w.startReceiverProcess("receiver")
	w.broker.Stop()
	w.deliver(probe("push", "kept"))
	r.stop()
	w.broker.Start()
	w.startReceiverProcess("receiver again")
	eventually(t, "the event to be published", func() error {
		n, err := w.look().Counts(t.Context())
		if err == nil && n.Events != 1 {
			err = fmt.Errorf("%d events are there", n.Events)
		}
		return err
	})
}

// TestWorkerIsCut: work that does not end is handed back when the time is over, and another worker does it at once: the broker would wait
// for ten minutes.
func TestWorkerIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{AckWait: "10m"})
	w.startReceiver()
	stuck := w.startChild("stuck worker", "MILLRACE_WORKER_DRAIN=1s", childBrake+"="+brake{Message: "run decided"}.String())
	_, body := w.push("count totals in cents", 0, "FAILED")
	w.deliver(body)
	stuck.braked()
	stuck.signal(syscall.SIGTERM)
	if code := stuck.exited(); code != 2 {
		t.Errorf("exit code %d", code)
	}
	for _, message := range []string{"worker draining", "cut, handed back", "worker cut"} {
		if len(stuck.log.lines(message)) != 1 {
			t.Errorf("it does not say %q:\n%s", message, stuck.log)
		}
	}
	w.startWorkerHere()
	eventually(t, "the message", func() error { return w.atLeast(recorded) })
	eventually(t, "the end of all work", w.settled)
	if n := len(w.made()); n != 1 {
		t.Errorf("%d commits", n)
	}
}

// TestEveryOrder: broker, receiver and worker may be started in any order.
func TestEveryOrder(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{
		{"receiver", "worker", "broker"}, {"worker", "receiver", "broker"}, {"receiver", "broker", "worker"}, {"worker", "broker", "receiver"},
	} {
		for _, durability := range []string{"broker", "journal"} {
			w := newWorld(t, settings{Restarts: true, Durability: durability})
			w.broker.Stop()
			var all []*process
			for _, what := range order {
				if what == "broker" {
					w.broker.Start()
					continue
				}
				p := w.beginChild(what, childRole+"="+what)
				all = append(all, p)
				if len(all) == 1 || order[2] == "broker" {
					p.said("broker away")
				}
			}
			for _, p := range all {
				p.whenReady()
				if p.addr != "" {
					w.receiver = p.addr
				}
			}
			w.worksOnce()
			for _, p := range all {
				p.stop()
			}
		}
	}
}

// TestIdleConnectionsHoldNobody: a receiver that is told to stop waits for no connection that says nothing, or is slow to say what it wants.
func TestIdleConnectionsHoldNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{})
	r := w.startChild("receiver", childRole+"=receiver", "MILLRACE_RECEIVER_DRAIN=10m")
	w.receiver = r.addr
	w.deliver(probe("push", "kept open"))
	for _, said := range []string{"", "POST /hooks/shop HTTP/1.1\r\nHost: te"} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.receiver, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, said); err != nil {
			t.Fatal(err)
		}
	}
	r.stop()
}
