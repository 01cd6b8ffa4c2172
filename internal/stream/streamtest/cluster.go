package streamtest

import (
	"fmt"
	"net/url"
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
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !c.whole() {
		select {
		case <-tick.C:
		case <-deadline.C:
			c.t.Fatal("the cluster of nats-servers is not whole after 2 minutes")
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
