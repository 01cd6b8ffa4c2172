package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/stream"
)

// newLoader makes the loader of a worker's rules, which says in NATS what it does: since when which rules are in use, and that this worker
// is there. stop ends that.
func newLoader(cfg *config.Config, conn *stream.Conn, live *engine.Live, log zerolog.Logger) (loader *engine.Loader, stop func()) {
	loader = engine.NewLoader(cfg.Worker.Rules, live, conn, log)
	if cfg.Worker.RulesFrom == engine.FromPushed {
		loader = engine.NewPushedLoader(conn, live, conn, log)
	}
	me := engine.WorkerState{
		ID: strings.ToLower(rand.Text()[:8]), Host: hostName(), Started: time.Now(), Version: programVersion(), From: cfg.Worker.RulesFrom,
	}
	presence := engine.NewPresence(conn, me, log)
	loader.Record(engine.NewTimeline(conn, conn, me.Name(), log))
	loader.Report(presence)
	ctx, cancel := context.WithCancel(context.Background()) // it is there until it has finished what it began
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		presence.Keep(ctx)
	}()
	return loader, func() {
		cancel()
		<-ended
	}
}

// loadRules loads the first rules. Files that are refused end the worker; what is pushed, and a broker that does not store them now, are
// awaited for as long as it takes. The end of ctx is an error.
func loadRules(ctx context.Context, cfg *config.Config, loader *engine.Loader, watch *watch) error {
	if cfg.Worker.RulesFrom == engine.FromPushed {
		watch.log.Info().Str("admin", watch.address).Msg("pushed rules looked for")
		loader.Await(ctx, cfg.Worker.ReloadEvery)
		return ctx.Err()
	}
	for ctx.Err() == nil {
		err := loader.Load(ctx, time.Now())
		var broker *stream.Error
		switch {
		case err == nil:
			watch.away.Store(nil)
			return nil
		case !errors.As(err, &broker) || !broker.Retryable():
			return fmt.Errorf("load the rules:\n%w", err)
		}
		watch.brokerAway(err)
		lookLater(ctx)
	}
	return ctx.Err()
}

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

// programVersion is the version of Millrace this program was built from, "" when that was not written down.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "(devel)" {
		return ""
	}
	return info.Main.Version
}
