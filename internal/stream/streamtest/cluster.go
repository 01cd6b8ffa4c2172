package streamtest

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster is several nats-servers that are one broker. Each is behind a front of its own, so all addresses are known before the first
// server is started, and stay the same.
type Cluster struct {
	t       testing.TB
	Servers []*Broker
	routes  []*front
}

// StartCluster starts a cluster of n servers with JetStream and waits until it is whole.
func StartCluster(t testing.TB, n int, opts ...Option) *Cluster {
	t.Helper()
	c := NewCluster(t, n, opts...)
	for i := range n {
		c.Start(i)
	}
	c.Whole()
	return c
}

// NewCluster makes a cluster of n servers with JetStream, and starts none of them.
func NewCluster(t testing.TB, n int, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	var routes []*url.URL
	for i := range n {
		clients, between := newFront(t), newFront(t)
		o := &server.Options{
			ServerName: fmt.Sprintf("server-%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 8 << 30, JetStreamMaxMemory: 64 << 20,
			// Nobody is told of an address that leads past a front.
			Cluster: server.ClusterOpts{Name: "streamtest", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true, PoolSize: -1},
		}
		for _, opt := range opts {
			opt(o)
		}
		c.Servers = append(c.Servers, &Broker{t: t, opts: o, front: clients})
		c.routes = append(c.routes, between)
		routes = append(routes, &url.URL{Scheme: "nats", Host: between.listener.Addr().String()})
	}
	for i, b := range c.Servers {
		for j, route := range routes {
			if j != i {
				b.opts.Routes = append(b.opts.Routes, route)
			}
		}
		b.opts.Cluster.Advertise = routes[i].Host
		t.Cleanup(b.Stop)
	}
	return c
}

// URLs are the addresses of all servers.
func (c *Cluster) URLs() []string {
	all := make([]string, len(c.Servers))
	for i, b := range c.Servers {
		all[i] = b.URL()
	}
	return all
}

// Start starts a server, or starts it again with its files. It does not wait for the others: a majority of them makes the cluster.
func (c *Cluster) Start(i int) {
	c.t.Helper()
	b := c.Servers[i]
	b.start()
	c.routes[i].leadTo(b.now.ClusterAddr().String())
}

// Whole waits until the cluster has a leader that sees every server.
func (c *Cluster) Whole() {
	c.t.Helper()
	c.await("the cluster of nats-servers to be whole", c.whole)
}

func (c *Cluster) await(what string, ok func() bool) {
	c.t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			c.t.Fatalf("waited 2 minutes in vain for %s", what)
		}
	}
}

func (c *Cluster) whole() bool {
	led := false
	for _, b := range c.Servers {
		if b.now == nil || !b.now.JetStreamIsCurrent() {
			return false
		}
		led = led || b.now.JetStreamIsLeader() && len(b.now.JetStreamClusterPeers()) == len(c.Servers)
	}
	return led
}

// Leader is the number of the server that leads a stream.
func (c *Cluster) Leader(stream string) (i int) {
	c.t.Helper()
	c.await("a leader of stream "+stream, func() bool {
		i = slices.IndexFunc(c.Servers, func(b *Broker) bool {
			return b.now.Running() && b.now.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream)
		})
		return i >= 0
	})
	return i
}

// Copied waits until every server has all that there is of a stream: its leader sees that they have.
func (c *Cluster) Copied(stream string) {
	c.t.Helper()
	c.await("every server to have stream "+stream, func() bool {
		for _, b := range c.Servers {
			if !b.now.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
				continue
			}
			info, err := b.now.Jsz(&server.JSzOptions{Account: server.DEFAULT_GLOBAL_ACCOUNT, Accounts: true, Streams: true})
			return err == nil && copied(info, stream, len(c.Servers))
		}
		return false
	})
}

// copied tells whether a leader has a stream in a group of so many of which none is behind.
func copied(info *server.JSInfo, stream string, copies int) bool {
	for _, account := range info.AccountDetails {
		for _, s := range account.Streams {
			if s.Name != stream || s.Cluster == nil || len(s.Cluster.Replicas) != copies-1 {
				continue
			}
			return !slices.ContainsFunc(s.Cluster.Replicas, func(p *server.PeerInfo) bool { return !p.Current || p.Offline })
		}
	}
	return false
}
