package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// autoReplicas is how many copies of every store there are where a cluster has servers for them, unless a number is configured: they
// survive the loss of one server.
const autoReplicas = 3

// wantedReplicas is how many copies of a store are asked for. A server that belongs to no cluster has room for one.
func (c *Conn) wantedReplicas() int {
	switch {
	case c.cfg.Replicas > 0:
		return c.cfg.Replicas
	case c.nc.ConnectedClusterName() == "":
		return 1
	}
	return autoReplicas
}

// tooFewServers tells that a store has not so many copies because there are no servers for them: there is no cluster, it is smaller, or
// the account may have no such stores. Servers without storage are another matter, which somebody has to mend.
func tooFewServers(err error) bool {
	switch apiCode(err) {
	case codeNotClustered, codeNoTier:
		return true
	case codeNoPeers:
		return !strings.Contains(err.Error(), "insufficient storage")
	}
	return false
}

// replicasError is the error for a store that cannot have as many copies as the configuration asks for. More servers of a cluster may be on
// their way; a server that is alone stays so.
func replicasError(where string, replicas int, err error) error {
	found := fmt.Sprintf("there are no servers for the %d replicas that the configuration asks for", replicas)
	const remedy = "let more servers with JetStream join the cluster, or leave nats.replicas at auto"
	if apiCode(err) == codeNoPeers {
		return fmt.Errorf("%s: %s; %s: %w", where, found, remedy, err)
	}
	return Complaints{{Where: where, Found: found, Remedy: remedy}}
}

// raiseReplicas gives each store that has fewer copies than it should as many, while it is in use. Without servers for them everything
// stays as it is. That it fails is no reason not to go on: what is there is as safe as before.
func (c *Conn) raiseReplicas(ctx context.Context) {
	want := c.wantedReplicas()
	for _, name := range []string{string(Events), string(Work), string(Records), string(Dead), rulesetStream} {
		before, err := c.raise(ctx, name, want)
		switch {
		case tooFewServers(err), errors.Is(err, jetstream.ErrStreamNotFound), ctx.Err() != nil:
			return
		case err != nil:
			c.log.Warn().Str("store", name).Err(err).Msg("replicas not raised")
			return
		case before < want:
			c.log.Info().Str("store", name).Int("replicas", want).Msg("replicas raised")
		}
	}
}

// raise does it with one stream and returns how many copies it had.
func (c *Conn) raise(ctx context.Context, name string, want int) (before int, err error) {
	s, err := c.js.Stream(ctx, name)
	if err != nil {
		return 0, err
	}
	cfg := s.CachedInfo().Config
	before = cfg.Replicas
	// The client library makes object stores so, and a copy may lack what has just been stored: a ruleset would seem not to be there.
	stale := cfg.AllowDirect && (want > 1 || before > 1)
	if before >= want && !stale {
		return before, nil
	}
	cfg.Replicas, cfg.AllowDirect = max(before, want), cfg.AllowDirect && !stale
	_, err = c.js.UpdateStream(ctx, cfg)
	return before, err
}
