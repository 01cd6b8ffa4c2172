//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const brokers = 3

// healthyWithin is how long a cluster may take to be whole again.
const healthyWithin = 2 * time.Minute

// broker is one nats-server with the links that lead to it.
type broker struct {
	*process
	folder  string
	clients map[string]*link // from a receiver or a worker, by its name
	routes  map[int]*link    // from another broker
	monitor string           // address of its monitoring, once it is ready
}

// cluster is three brokers.
type cluster struct {
	brokers []*broker
	client  *http.Client
}

// newCluster lays the links and writes the configurations of the brokers; clients are the names of who connects to them.
func newCluster(ctx context.Context, s *site, clients []string) (*cluster, error) {
	c := &cluster{client: &http.Client{Timeout: 2 * time.Second}}
	for i := range brokers {
		b := &broker{folder: filepath.Join(s.folder, fmt.Sprintf("broker-%d", i)), clients: map[string]*link{}, routes: map[int]*link{}}
		if err := os.Mkdir(b.folder, 0o700); err != nil {
			return nil, err
		}
		for _, name := range clients {
			if err := s.lay(ctx, func(l *link) { b.clients[name] = l }); err != nil {
				return nil, err
			}
		}
		for j := range brokers {
			if j == i {
				continue
			}
			if err := s.lay(ctx, func(l *link) { b.routes[j] = l }); err != nil {
				return nil, err
			}
		}
		c.brokers = append(c.brokers, b)
	}
	var nowhere *link
	if err := s.lay(ctx, func(l *link) { nowhere = l }); err != nil {
		return nil, err
	}
	for i, b := range c.brokers {
		if err := c.configure(s, i, nowhere.address()); err != nil {
			return nil, err
		}
		b.keep()
	}
	return c, nil
}

func (c *cluster) configure(s *site, i int, nowhere string) error {
	b := c.brokers[i]
	name := filepath.Base(b.folder)
	var routes []string
	for j, other := range c.brokers {
		if j != i {
			routes = append(routes, "nats://"+other.routes[i].address())
		}
	}
	file := filepath.Join(b.folder, "nats.conf")
	err := s.write("nats.conf", file, map[string]any{
		"Name": name, "Folder": b.folder, "Store": filepath.Join(b.folder, "store"), "Nowhere": nowhere, "Routes": routes,
	})
	if err != nil {
		return err
	}
	b.process, err = s.process(name, nil, filepath.Join(s.bin, "nats-server"), "-c", file)
	if err != nil {
		return err
	}
	b.ready = func(line []byte) bool { return bytes.Contains(line, []byte("Server is ready")) }
	b.started = b.found
	return nil
}

// found reads which ports the server has chosen and leads the links there.
func (b *broker) found(pid int) error {
	file := filepath.Join(b.folder, fmt.Sprintf("nats-server_%d.ports", pid))
	var ports struct{ NATS, Monitoring, Cluster []string }
	err := until(context.Background(), readyWithin, func() bool {
		data, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(data, &ports) == nil && len(ports.NATS) > 0 && len(ports.Cluster) > 0 && len(ports.Monitoring) > 0
	})
	if err != nil {
		return fmt.Errorf("ports in %s: %w", file, err)
	}
	client, err := host(ports.NATS[0])
	if err != nil {
		return err
	}
	route, err := host(ports.Cluster[0])
	if err != nil {
		return err
	}
	for _, l := range b.clients {
		l.leadTo(client)
	}
	for _, l := range b.routes {
		l.leadTo(route)
	}
	b.mu.Lock()
	b.monitor = ports.Monitoring[0]
	b.mu.Unlock()
	return nil
}

func host(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%q is no address", address)
	}
	return u.Host, nil
}

// links are all that lead to the broker or from it.
func (c *cluster) links(i int) []*link {
	var all []*link
	for _, l := range c.brokers[i].clients {
		all = append(all, l)
	}
	for j, b := range c.brokers {
		if j != i {
			all = append(all, b.routes[i], c.brokers[i].routes[j])
		}
	}
	return all
}

// linksOf are the links of a receiver or worker to all brokers.
func (c *cluster) linksOf(client string) []*link {
	var all []*link
	for _, b := range c.brokers {
		all = append(all, b.clients[client])
	}
	return all
}

// url is where a receiver or worker finds the cluster.
func (c *cluster) url(client string) string {
	text := ""
	for i, l := range c.linksOf(client) {
		if i > 0 {
			text += ","
		}
		text += "nats://" + l.address()
	}
	return text
}

// ask reads a page of a broker's monitoring.
func (c *cluster) ask(ctx context.Context, b *broker, path string, into any) error {
	b.mu.Lock()
	monitor := b.monitor
	b.mu.Unlock()
	if monitor == "" {
		return fmt.Errorf("%s is not there yet", b.name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, monitor+path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s of %s answers %d: %s", path, b.name, resp.StatusCode, bytes.TrimSpace(data))
	}
	if err == nil && into != nil {
		err = json.Unmarshal(data, into)
	}
	return err
}

// awaitHealthy waits until every broker has all that the others have, and all streams have a leader.
func (c *cluster) awaitHealthy(ctx context.Context) error {
	var last error
	err := until(ctx, healthyWithin, func() bool {
		for _, b := range c.brokers {
			if !b.up.Load() {
				last = fmt.Errorf("%s is not ready", b.name)
				return false
			}
			if last = c.ask(ctx, b, "/healthz", nil); last != nil {
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("the brokers are not healthy: %w: %w", err, last)
	}
	return nil
}

// leader is the index of the broker that leads a stream, -1 when nobody does.
func (c *cluster) leader(ctx context.Context, stream string) int {
	for _, b := range c.brokers {
		var page struct {
			Accounts []struct {
				Streams []struct {
					Name    string
					Cluster struct{ Leader string }
				} `json:"stream_detail"`
			} `json:"account_details"`
		}
		if c.ask(ctx, b, "/jsz?accounts=true&streams=true", &page) != nil {
			continue
		}
		for _, a := range page.Accounts {
			for _, s := range a.Streams {
				if s.Name != stream {
					continue
				}
				for i, b := range c.brokers {
					if b.name == s.Cluster.Leader {
						return i
					}
				}
			}
		}
	}
	return -1
}
