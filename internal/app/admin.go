package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/journal"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/internal/telemetry"
)

// adminOff is the admin_listen of a server that nobody monitors.
const adminOff = "off"

// watch is what a server shows of itself to monitoring: its metrics, and how far it has come.
type watch struct {
	metrics *telemetry.Metrics
	log     zerolog.Logger // counted
	ending  context.Context

	conn      atomic.Pointer[stream.Conn]
	ensured   atomic.Bool // the stores are there and safe
	live      atomic.Pointer[engine.Live]
	loader    atomic.Pointer[engine.Loader]
	journal   atomic.Pointer[journal.Journal]
	listening atomic.Pointer[string]
	away      atomic.Pointer[string] // why the broker cannot be used, as it was told

	address string // of the admin listener, "" when there is none
	stop    func()
}

// newWatch makes the metrics and the log of a server that ends with ctx. logs gets a line for each thing that happens.
func newWatch(ctx context.Context, cfg *config.Config, logs io.Writer) *watch {
	w := &watch{ending: ctx, stop: func() {}}
	w.metrics = telemetry.NewMetrics(telemetry.Names{
		Sources: slices.Collect(maps.Keys(cfg.Sources)), Targets: slices.Collect(maps.Keys(cfg.Targets)),
		Polled: polled(cfg),
	})
	w.log = w.metrics.Logger(logs, cfg.Log.Format, cfg.Log.Level)
	w.metrics.Read(w.gauges)
	return w
}

// serve opens the admin listener with the checks that decide whether the server is ready; setting is the name of listen. It answers
// until close.
func (w *watch) serve(listen, setting string, checks ...telemetry.Check) error {
	if listen == "" || listen == adminOff {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(w.ending, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s for monitoring: %w; another %s may be free, or set it to %s", listen, err, setting, adminOff)
	}
	server := telemetry.AdminServer(telemetry.Admin(append([]telemetry.Check{w.running()}, checks...), w.metrics))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	w.address = listener.Addr().String()
	w.stop = func() {
		err := server.Close()
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = served
		}
		if err != nil {
			w.log.Warn().Err(err).Msg("monitoring stopped")
		}
	}
	return nil
}

// close stops answering. It comes after everything else has stopped, so that a server that drains says so.
func (w *watch) close() { w.stop() }

func (w *watch) running() telemetry.Check {
	return telemetry.Check{Name: "running", Ready: func(context.Context) (string, error) {
		if w.ending.Err() != nil {
			return "", errors.New("it is finishing what it has begun and takes nothing new")
		}
		return "", nil
	}}
}

func (w *watch) streamReachable() telemetry.Check {
	return telemetry.Check{Name: "stream", Ready: func(ctx context.Context) (string, error) {
		conn := w.conn.Load()
		if conn == nil {
			if why := w.away.Load(); why != nil {
				return "", fmt.Errorf("NATS cannot be used yet: %s", *why)
			}
			return "", errors.New("NATS is not connected yet")
		}
		if !w.ensured.Load() {
			if !conn.Connected() {
				return "", errors.New("the connection to NATS is lost, it is being opened again")
			}
			return "connected", nil
		}
		if err := conn.Reachable(ctx); err != nil {
			return "", fmt.Errorf("NATS does not answer for the stream EVENTS: %w", err)
		}
		return "EVENTS answers", nil
	}}
}

func (w *watch) storesEnsured() telemetry.Check {
	return telemetry.Check{Name: "stores", Ready: func(context.Context) (string, error) {
		if !w.ensured.Load() {
			return "", errors.New("the stores in NATS are not looked at yet")
		}
		return "made, or found safe, at the start", nil
	}}
}

// journalTakes holds while a delivery would be accepted, also when NATS is away.
func (w *watch) journalTakes() telemetry.Check {
	return telemetry.Check{Name: "journal", Ready: func(context.Context) (string, error) {
		j := w.journal.Load()
		if j == nil {
			return "", errors.New("the journal is not open yet")
		}
		if err := j.Ready(); err != nil {
			return "", err
		}
		return fmt.Sprintf("%d bytes wait for NATS", j.Stats().Unpublished), nil
	}}
}

func (w *watch) rulesLoaded() telemetry.Check {
	return telemetry.Check{Name: "rules", Ready: func(context.Context) (string, error) {
		if live := w.live.Load(); live != nil && live.Current() != nil {
			return "digest " + live.Current().Digest(), nil
		}
		if loader := w.loader.Load(); loader != nil && loader.Trouble() != "" {
			return "", errors.New(loader.Trouble())
		}
		return "", errors.New("no rules are loaded yet")
	}}
}

func (w *watch) receiving() telemetry.Check {
	return telemetry.Check{Name: "listening", Ready: func(context.Context) (string, error) {
		if address := w.listening.Load(); address != nil {
			return *address, nil
		}
		return "", errors.New("deliveries are not taken yet")
	}}
}

// gauges reads what is shown at a scrape.
func (w *watch) gauges(ctx context.Context) ([]telemetry.Gauge, error) {
	var all []telemetry.Gauge
	add := func(name string, value float64, labels ...string) {
		all = append(all, telemetry.Gauge{Name: name, Labels: labels, Value: value})
	}
	if live := w.live.Load(); live != nil && live.Current() != nil {
		add("millrace_ruleset_info", 1, live.Current().Digest())
		add("millrace_ruleset_rules", float64(len(live.Current().Rules())))
	}
	if j := w.journal.Load(); j != nil {
		s := j.Stats()
		add("millrace_journal_bytes", float64(s.Bytes))
		add("millrace_journal_limit_bytes", float64(s.MaxBytes))
		add("millrace_journal_unpublished_bytes", float64(s.Unpublished))
		closed := 0.0
		if s.Closed {
			closed = 1
		}
		add("millrace_journal_door_closed", closed)
	}
	conn := w.conn.Load()
	if conn == nil {
		return all, errors.New("NATS is not connected yet")
	}
	stats, err := conn.Stats(ctx)
	if err != nil {
		return all, err
	}
	for _, s := range stats.Stores {
		add("millrace_store_messages", float64(s.Messages), string(s.Store))
		add("millrace_store_bytes", float64(s.Bytes), string(s.Store))
		if s.MaxBytes > 0 {
			add("millrace_store_limit_bytes", float64(s.MaxBytes), string(s.Store))
		}
	}
	add("millrace_events_unmatched", float64(stats.Unmatched))
	for source, n := range stats.Sources {
		add("millrace_source_events_unmatched", float64(n.Unmatched), source)
		add("millrace_source_runs_waiting", float64(n.Runs), source)
	}
	for subject, n := range stats.Waiting {
		kind, target, _ := strings.Cut(subject, ".")
		add("millrace_work_waiting", float64(n), kind, target)
	}
	add("millrace_work_parked", float64(stats.Parked))
	add("millrace_schedules", float64(stats.Crons))
	for class, n := range stats.Dead {
		add("millrace_dead_letters", float64(n), class)
	}
	return all, nil
}

// warnOfUnclaimed says once for each target that has work and is not configured that nobody will carry it out.
func (w *watch) warnOfUnclaimed(ctx context.Context, cfg *config.Config, conn *stream.Conn) {
	waiting, err := unclaimed(ctx, cfg, conn)
	if err != nil {
		w.log.Warn().Err(err).Str("reason", "work of targets that are not configured was not looked for").Msg("target not configured")
		return
	}
	for _, target := range slices.Sorted(maps.Keys(waiting)) {
		w.log.Warn().Str("target", target).
			Str("reason", fmt.Sprintf("messages wait for it: %d; they stay until a worker is started with the target", waiting[target])).
			Msg("target not configured")
	}
}

// unclaimed counts the work that waits for targets that are not configured, by target.
func unclaimed(ctx context.Context, cfg *config.Config, conn *stream.Conn) (map[string]uint64, error) {
	waiting, err := conn.Waiting(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string]uint64)
	for subject, n := range waiting {
		target, ok := strings.CutPrefix(subject, "notify.")
		if _, configured := cfg.Targets[target]; ok && !configured {
			found[target] = n
		}
	}
	return found, nil
}
