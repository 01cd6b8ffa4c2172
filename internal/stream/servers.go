package stream

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is one server of the cluster that a connection leads to.
type Server struct {
	ID, Name, Version string
}

const (
	// mostServers is how many addresses are looked at.
	mostServers   = 16
	serverTimeout = 2 * time.Second
)

// servers asks each server that is configured, or that one of them tells of, who it is. silent is how many addresses of them lead nowhere
// from here, which is usual where servers have addresses of their own behind a balancer.
func (c *Conn) servers(ctx context.Context) (found []Server, silent int) {
	found = append(found, Server{ID: c.nc.ConnectedServerId(), Name: c.nc.ConnectedServerName(), Version: or(c.cfg.serverVersion, c.nc.ConnectedServerVersion())})
	asked := map[string]bool{}
	for next := c.nc.Servers(); len(next) > 0; {
		var mu sync.Mutex
		var all sync.WaitGroup
		var told []string
		for _, url := range next {
			asked[url] = true
			all.Go(func() {
				server, others := c.introduce(ctx, url)
				mu.Lock()
				defer mu.Unlock()
				told = append(told, others...)
				switch {
				case server == nil:
					silent++
				case !slices.ContainsFunc(found, func(f Server) bool { return f.ID == server.ID }):
					found = append(found, *server)
				}
			})
		}
		all.Wait()
		slices.Sort(told)
		next = slices.DeleteFunc(slices.Compact(told), func(url string) bool { return asked[url] })
		next = next[:min(len(next), max(mostServers-len(asked), 0))]
	}
	slices.SortFunc(found, func(a, b Server) int { return strings.Compare(a.Name, b.Name) })
	return found, silent
}

// introduce connects to a server as this connection did, and returns who it is, nil when it does not let us in, and of whom it tells.
func (c *Conn) introduce(ctx context.Context, url string) (server *Server, others []string) {
	opts := c.nc.Opts
	opts.Url, opts.Servers = url, nil
	opts.AllowReconnect, opts.RetryOnFailedConnect = false, false
	opts.Timeout = serverTimeout
	opts.ReconnectedCB, opts.DisconnectedErrCB, opts.ClosedCB, opts.AsyncErrorCB = nil, nil, nil, nil
	if d, ok := ctx.Deadline(); ok {
		opts.Timeout = min(opts.Timeout, time.Until(d))
	}
	nc, err := opts.Connect()
	if err != nil {
		return nil, nil
	}
	defer nc.Close()
	return &Server{ID: nc.ConnectedServerId(), Name: nc.ConnectedServerName(), Version: nc.ConnectedServerVersion()}, nc.DiscoveredServers()
}
