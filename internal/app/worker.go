package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/notify"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Worker matches events, runs rules and carries out actions until ctx ends; then it finishes what it has begun, or hands it
// back, within cfg.Worker.Drain; what had to be cut off is [ErrCut]. logs gets a line for each thing that happens, as cfg.Log says, and must take concurrent writes. ready, if not nil, is called
// once the rules are loaded and consuming is about to start.
func Worker(ctx context.Context, cfg *config.Config, logs io.Writer, ready func()) error {
	if err := cfg.CheckWorker(); err != nil {
		return err
	}
	watch := newWatch(ctx, cfg, logs)
	log := watch.log
	if err := watch.serve(cfg.Worker.AdminListen, "worker.admin_listen", watch.streamReachable(), watch.storesEnsured(), watch.rulesLoaded()); err != nil {
		return err
	}
	defer watch.close()
	conn, err := awaitBroker(ctx, streamConfig(cfg, "millrace-worker", log), watch)
	if err != nil {
		return stopped(ctx, err, log, "worker stopped")
	}
	defer conn.Close()
	live := engine.NewLive(Catalogue(cfg), conn)
	watch.live.Store(live)
	loader, stopReporting := newLoader(cfg, conn, live, log)
	defer stopReporting()
	watch.loader.Store(loader)
	if err := loadRules(ctx, cfg, loader, watch); err != nil {
		return stopped(ctx, err, log, "worker stopped")
	}
	out, err := newOutside(cfg, watch.metrics, log)
	if err != nil {
		return err
	}
	defer out.close()
	consumers, err := consumers(cfg, conn, live, out, log)
	if err != nil {
		return err
	}
	poller, err := newPoller(cfg, conn, out, log)
	if err != nil {
		return err
	}
	if poller != nil {
		consumers = append(consumers, pollConsumer(cfg, poller))
	}
	watch.warnOfUnclaimed(ctx, cfg, conn)
	log.Info().Str("digest", live.Current().Digest()).Str("admin", watch.address).Msg("worker started")
	if ready != nil {
		ready()
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { loader.Watch(ctx, cfg.Worker.ReloadEvery); return nil })
	group.Go(func() error { return conn.Housekeep(ctx) })
	if poller != nil {
		group.Go(func() error { poller.Keep(ctx); return nil })
	}
	for _, c := range consumers {
		c.Drain, c.Cut = drainTimes(cfg.Worker.Drain)
		group.Go(func() error { return conn.Consume(ctx, c) })
	}
	defer context.AfterFunc(ctx, func() { log.Info().Dur("within", cfg.Worker.Drain).Msg("worker draining") })()
	if err = group.Wait(); errors.Is(err, stream.ErrCut) {
		log.Error().Err(err).Dur("within", cfg.Worker.Drain).Msg("worker cut")
		return fmt.Errorf("%w: %w", ErrCut, err)
	}
	log.Info().Msg("worker stopped")
	return err
}

// drainTimes says for how long of its time to stop a worker lets work go on, and how long what is interrupted then may take to end.
func drainTimes(within time.Duration) (drain, cut time.Duration) {
	cut = min(within/4, 5*time.Second)
	return within - cut, cut
}

// consumers are all handlers of a worker, each on its own durable consumer.
func consumers(cfg *config.Config, conn *stream.Conn, live *engine.Live, out *outside, log zerolog.Logger) ([]stream.Consumer, error) {
	facts := engine.NewFacts(out.codeArts, factTimeout(cfg))
	eng, err := engine.New(engine.Stores{Records: wholeEngineRecords(conn), Work: conn, Events: conn}, live,
		engine.Sources{Facts: facts, Fence: facts}, engineLimits(cfg), log, nil)
	if err != nil {
		return nil, err
	}
	eff := effects.New(effects.Seams{
		Records: wholeEffectRecords(conn), Work: conn, Notifiers: out.targets,
		Repos: func(connection string) (effects.Repo, error) {
			if c := out.codeArts[connection]; c != nil {
				return wholeRepo(c), nil
			}
			return nil, fmt.Errorf("there is no connection %q to CodeArts in the configuration", connection)
		},
		Builders: func(connection string) (effects.Builder, error) {
			if c := out.codeArts[connection]; c != nil {
				return c, nil
			}
			return nil, fmt.Errorf("there is no connection %q to CodeArts in the configuration", connection)
		},
	}, effectSettings(cfg), log)

	n, again := cfg.Worker.Concurrency, cfg.Worker.Retry
	all := []stream.Consumer{
		{Name: stream.MatchConsumer, Stream: stream.Events, Filter: stream.AllEvents, Weights: weights(cfg), Concurrency: n.Match, Handler: toEngine(eng.Match)},
		{Name: "rematch", Stream: stream.Work, Filter: stream.Matches, Concurrency: max(n.Match/2, 1), Handler: toEngine(eng.Match)},
		{Name: "run", Stream: stream.Work, Filter: stream.AllRuns, Weights: weights(cfg), Concurrency: n.Run, Retry: ladder(again.Run), Handler: toEngine(eng.Run)},
		{Name: "tick", Stream: stream.Work, Filter: stream.Ticks, Concurrency: 1, Handler: toEngine(eng.Tick)},
		{Name: "commit", Stream: stream.Work, Filter: "work.commit", Concurrency: n.Commit, Retry: ladder(again.Commit), Handler: toEffects(eff.Commit), Buried: buried(eff)},
		{Name: "build", Stream: stream.Work, Filter: "work.build", Concurrency: n.Build, Retry: ladder(again.Build), Handler: toEffects(eff.Build), Buried: buried(eff)},
		{Name: "alert", Stream: stream.Work, Filter: "work.alert", Concurrency: n.Alert, Retry: ladder(again.Alert), Handler: toEffects(eff.Alert), Buried: buried(eff)},
	}
	for _, target := range slices.Sorted(maps.Keys(cfg.Targets)) {
		all = append(all, stream.Consumer{
			Name: "notify-" + target, Stream: stream.Work, Filter: "work.notify." + target,
			Concurrency: n.Notify, Retry: ladder(cfg.Targets[target].Retry.Over(again.Notify)), Circuit: out.circuits[target],
			Handler: toEffects(eff.Notify), Buried: buried(eff),
		})
	}
	for i := range all {
		all[i].AckWait = cfg.Worker.AckWait
	}
	return all, nil
}

// weights are the parts of the sources in what a worker does at the same time. Its own events are those of its schedules.
func weights(cfg *config.Config) map[string]int {
	all := map[string]int{events.SourceSchedule: 1}
	for name, s := range cfg.Sources {
		all[name] = s.Weight
	}
	return all
}

// ladder is what a kind of work has of its own.
func ladder(l config.Ladder) stream.Retry {
	return stream.Retry{First: l.First, Max: l.Max, GiveUpAfter: l.GiveUpAfter}
}

func toEngine(handle func(context.Context, engine.Message) error) func(context.Context, *stream.Message) error {
	return func(ctx context.Context, m *stream.Message) error {
		return handle(onBehalf(ctx, m), engine.Message{
			Header: m.Header, Data: m.Data, Attempts: m.Attempts, FirstTried: m.FirstTried, State: m.State, Stored: m.Stored,
		})
	}
}

func toEffects(handle func(context.Context, effects.Message) error) func(context.Context, *stream.Message) error {
	return func(ctx context.Context, m *stream.Message) error { return handle(onBehalf(ctx, m), effectMessage(m)) }
}

// onBehalf has the sources take turns where calls of CodeArts are held back.
func onBehalf(ctx context.Context, m *stream.Message) context.Context {
	id := m.Header["ce-id"]
	if id == "" {
		id = m.Header["Millrace-Event"]
	}
	source, _, _ := strings.Cut(id, "/")
	return codearts.WithShare(ctx, source)
}

func effectMessage(m *stream.Message) effects.Message {
	return effects.Message{
		Header: m.Header, Data: m.Data, Attempts: m.Attempts, FirstTried: m.FirstTried, State: m.State, Stored: m.Stored,
	}
}

func buried(eff *effects.Effects) func(context.Context, *stream.Message, string, string) error {
	return func(ctx context.Context, m *stream.Message, reason, class string) error {
		return eff.Buried(ctx, effectMessage(m), reason, class)
	}
}

// notifier sends actions through a chat target, and tells its circuit how that went.
type notifier struct {
	to      notify.Notifier
	circuit *stream.Circuit
}

func (n notifier) Notify(ctx context.Context, key string, a rules.Action) error {
	err := n.to.Notify(ctx, notify.Message{
		ID: key, Title: a.Notify.Title, Text: a.Notify.Text, Link: a.Notify.Link, EventID: a.EventID, Rule: a.Rule, At: a.Accepted,
	})
	n.circuit.Report(err)
	return err
}
