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

// servers asks each server that is configured, or that the connection was told of, who it is. silent is how many addresses of them lead
// nowhere from here, which is usual where servers have addresses of their own behind a balancer.
func (c *Conn) servers(ctx context.Context) (found []Server, silent int) {
	urls := c.nc.Servers()
	urls = urls[:min(len(urls), mostServers)]
	answers := make([]*Server, len(urls))
	var all sync.WaitGroup
	for i, url := range urls {
		all.Go(func() { answers[i] = c.introduce(ctx, url) })
	}
	all.Wait()
	found = append(found, Server{ID: c.nc.ConnectedServerId(), Name: c.nc.ConnectedServerName(), Version: or(c.cfg.serverVersion, c.nc.ConnectedServerVersion())})
	for _, s := range answers {
		switch {
		case s == nil:
			silent++
		case !slices.ContainsFunc(found, func(f Server) bool { return f.ID == s.ID }):
			found = append(found, *s)
		}
	}
	slices.SortFunc(found, func(a, b Server) int { return strings.Compare(a.Name, b.Name) })
	return found, silent
}

// introduce connects to a server as this connection did, and returns who it is; nil when it does not let us in.
func (c *Conn) introduce(ctx context.Context, url string) *Server {
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
		return nil
	}
	defer nc.Close()
	return &Server{ID: nc.ConnectedServerId(), Name: nc.ConnectedServerName(), Version: nc.ConnectedServerVersion()}
}
