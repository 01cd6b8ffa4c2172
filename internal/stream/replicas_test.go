package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

// in connects to all servers of a cluster.
func in(c *streamtest.Cluster, change ...func(*Config)) []func(*Config) {
	return append([]func(*Config){func(cfg *Config) { cfg.URLs = c.URLs() }}, change...)
}

// eachHas waits until every store has so many copies: while one is being raised, the broker may not answer for it.
func eachHas(t *testing.T, c *Conn, want int) {
	t.Helper()
	for _, name := range []string{"EVENTS", "WORK", "RECORDS", "DEAD", "OBJ_rulesets"} {
		var s jetstream.Stream
		eventually(t, "an answer for "+name, func() (ok bool) {
			var err error
			s, err = c.js.Stream(t.Context(), name)
			return err == nil
		})
		if got := s.CachedInfo().Config.Replicas; got != want {
			t.Errorf("%s has %d replicas, want %d", name, got, want)
		}
	}
}

// TestReplicasOfCluster: in a cluster of three everything has three copies, consumers included; no answer of 2xx is lost with the server
// that led EVENTS, disk and all, while events come.
func TestReplicasOfCluster(t *testing.T) {
	servers := streamtest.StartCluster(t, 3)
	c, _ := open(t, servers.Servers[0], in(servers)...)
	eachHas(t, c, 3)
	stop := consume(t, c, Consumer{Name: MatchConsumer, Stream: Events, Filter: AllEvents, Handler: func(context.Context, *Message) error { return nil }})
	eventually(t, "the consumer", func() bool {
		cons, err := c.js.Consumer(t.Context(), string(Events), MatchConsumer)
		return err == nil && cons.CachedInfo().Cluster != nil && len(cons.CachedInfo().Cluster.Replicas) == 2
	})
	stop()
	rulesets, err := c.js.Stream(t.Context(), rulesetStream)
	if err != nil || rulesets.CachedInfo().Config.AllowDirect {
		t.Errorf("a ruleset may be read from a copy that lacks it: %v", err)
	}

	publishing := publishEvents(t, c)
	publishing.await(50)
	leader := servers.Leader(string(Events))
	servers.Servers[leader].Stop()
	servers.Servers[leader].PutBack("") // its disk is gone, too
	publishing.await(50)
	servers.Start(leader)
	servers.Copied(string(Events))
	accepted := publishing.end()

	kept := map[string]bool{}
	s, err := c.js.Stream(t.Context(), string(Events))
	if err != nil {
		t.Fatal(err)
	}
	for seq := range s.CachedInfo().State.LastSeq {
		eventually(t, fmt.Sprintf("event %d", seq+1), func() bool { // while another leader is chosen nobody answers
			m, err := s.GetMsg(t.Context(), seq+1)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				t.Fatalf("event %d: %v", seq+1, err)
			}
			if err == nil {
				kept[m.Header.Get("ce-id")] = true
			}
			return err == nil
		})
	}
	for _, id := range accepted {
		if !kept["gitlab/"+id] {
			t.Errorf("event %s was acknowledged and is gone", id)
		}
	}
}

// publishing is one event after the other, each until the broker has it.
type publishing struct {
	t        *testing.T
	accepted []string
	n        atomic.Int64
	stop     context.CancelFunc
	done     sync.WaitGroup
}

func publishEvents(t *testing.T, c *Conn) *publishing {
	ctx, stop := context.WithCancel(context.Background())
	p := &publishing{t: t, stop: stop}
	t.Cleanup(stop)
	p.done.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			id := strconv.Itoa(i)
			for ctx.Err() == nil {
				wait, cancel := context.WithTimeout(ctx, 2*time.Second)
				_, err := c.PublishEvent(wait, event(id))
				cancel()
				if err == nil {
					p.accepted = append(p.accepted, id)
					p.n.Add(1)
					break
				}
				pause(ctx, 0)
			}
		}
	})
	return p
}

// await waits for so many more to be accepted.
func (p *publishing) await(more int64) {
	p.t.Helper()
	until := p.n.Load() + more
	eventually(p.t, "events to be accepted", func() bool { return p.n.Load() >= until })
}

func (p *publishing) end() []string {
	p.stop()
	p.done.Wait()
	return p.accepted
}

// TestReplicasAreRaised: stores of one copy are given three while events come, by whoever starts next, and nobody's number is lowered.
func TestReplicasAreRaised(t *testing.T) {
	servers := streamtest.StartCluster(t, 3)
	one, _ := open(t, servers.Servers[0], in(servers, func(cfg *Config) { cfg.Replicas = 1 })...)
	if err := one.PutRuleset(t.Context(), "d1", []byte("rules")); err != nil {
		t.Fatal(err)
	}
	eachHas(t, one, 1)
	publishing := publishEvents(t, one)
	publishing.await(20)
	auto, log := open(t, servers.Servers[0], in(servers)...)
	eachHas(t, auto, 3)
	if n := len(log.with("replicas raised")); n != 5 {
		t.Errorf("%d lines say that replicas were raised", n)
	}
	publishing.await(20)
	accepted := publishing.end()
	for _, name := range []string{"EVENTS", "WORK", "RECORDS", "DEAD", "OBJ_rulesets"} {
		servers.Copied(name)
	}
	if err := one.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	eachHas(t, auto, 3)
	leader := servers.Leader(string(Events))
	servers.Servers[leader].Stop()
	servers.Servers[leader].PutBack("")
	eventually(t, "the stores without that server", func() bool {
		s, err := auto.Stats(t.Context())
		if err != nil {
			return false
		}
		if got := s.Stores[0].Messages; got < uint64(len(accepted)) {
			t.Fatalf("%d events are left of %d", got, len(accepted))
		}
		return true
	})
	eventually(t, "the ruleset without that server", func() bool {
		data, err := auto.Ruleset(t.Context(), "d1")
		return err == nil && string(data) == "rules"
	})
}

// TestReplicasOfSmallCluster: a cluster of two has one copy of each store, unless more are asked for, which is told.
func TestReplicasOfSmallCluster(t *testing.T) {
	servers := streamtest.StartCluster(t, 2)
	three, _ := dial(t, servers.Servers[0], in(servers, func(cfg *Config) { cfg.Replicas = 3 })...)
	if err := three.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "no servers for the 3 replicas") {
		t.Errorf("three replicas on two servers: %v", err)
	}
	auto, log := open(t, servers.Servers[0], in(servers)...)
	if err := auto.Ensure(t.Context()); err != nil {
		t.Error(err)
	}
	eachHas(t, auto, 1)
	if lines := log.with("replicas not raised"); len(lines) > 0 {
		t.Errorf("complained of %v", lines)
	}
}

// TestReplicasOnOneServer: three on a server that is alone are refused in words; of stores that are there it takes what they have.
func TestReplicasOnOneServer(t *testing.T) {
	b := streamtest.Server(t)
	three := func(cfg *Config) { cfg.Replicas = 3 }
	c, _ := dial(t, b, three)
	if err := c.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "no servers for the 3 replicas") {
		t.Errorf("three replicas on one server: %v", err)
	}
	open(t, b)
	if err := c.Ensure(t.Context()); err != nil {
		t.Error(err)
	}
	eachHas(t, c, 1)
}
