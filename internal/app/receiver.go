package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/ingest"
	"github.com/millrace/millrace/internal/telemetry"
)

// Receiver accepts deliveries until ctx ends; then it finishes those it has begun, within cfg.Receiver.Drain, or it is [ErrCut]. logs gets a line for each thing that happens, as
// cfg.Log says, and must take concurrent writes. ready, if not nil, is called with the address it listens on.
func Receiver(ctx context.Context, cfg *config.Config, logs io.Writer, ready func(addr string)) error {
	if err := cfg.CheckReceiver(); err != nil {
		return err
	}
	watch := newWatch(ctx, cfg, logs)
	log := watch.log
	checks := []telemetry.Check{watch.streamReachable(), watch.storesEnsured(), watch.receiving()}
	if journaled(cfg) {
		checks = []telemetry.Check{watch.journalTakes(), watch.receiving()}
	}
	if err := watch.serve(cfg.Receiver.AdminListen, "receiver.admin_listen", checks...); err != nil {
		return err
	}
	defer watch.close()
	publisher, closePublisher, err := newPublisher(ctx, cfg, watch)
	if err != nil {
		return stopped(ctx, err, log, "receiver stopped")
	}
	defer closePublisher()
	check, closeCheck, err := addressCheck(cfg, log)
	if err != nil {
		return err
	}
	defer closeCheck()
	handler, err := ingest.New(ingest.Options{
		Sources:        sources(cfg),
		Publisher:      publisher,
		MaxBody:        int64(cfg.Receiver.MaxBody),
		InFlight:       int64(cfg.Receiver.InFlightBytes),
		PublishTimeout: cfg.Receiver.PublishTimeout,
		Check:          check,
		Log:            log,
	})
	if err != nil {
		return fmt.Errorf("set up the receiver: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Receiver.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; another receiver.listen may be free", cfg.Receiver.Listen, err)
	}
	address := listener.Addr().String()
	watch.listening.Store(&address)
	log.Info().Str("listen", address).Str("admin", watch.address).Strs("sources", posting(cfg)).Msg("receiver started")
	if ready != nil {
		ready(address)
	}
	return serving{handler, ingest.HTTPServer(address, handler), listener, cfg.Receiver, log}.run(ctx)
}

// serving is a receiver that takes deliveries.
type serving struct {
	handler  *ingest.Server
	server   *http.Server
	listener net.Listener
	cfg      config.Receiver
	log      zerolog.Logger
}

// run serves until ctx ends. Then it goes on for a moment, as a balancer may not have noticed yet, and ends each connection with its next
// answer; takes no new connection; and gives the requests under way time to end.
func (s serving) run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.server.Serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	s.log.Info().Dur("delay", s.cfg.DrainDelay).Dur("within", s.cfg.Drain).Msg("receiver draining")
	s.handler.Leave()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Drain)
	defer cancel()
	delay := time.NewTimer(s.cfg.DrainDelay)
	defer delay.Stop()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-delay.C:
	}
	err := s.server.Shutdown(stop)
	if err != nil {
		s.log.Error().Dur("within", s.cfg.Drain).Int64("requests", s.handler.Open()).Msg("receiver cut")
		err = errors.Join(ErrCut, s.server.Close())
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve HTTP: %w", served))
	}
	if err == nil {
		s.log.Info().Msg("receiver stopped")
	}
	return err
}

// sources are those that post; the others have no address.
func sources(cfg *config.Config) []ingest.Source {
	var all []ingest.Source
	for _, name := range posting(cfg) {
		s := cfg.Sources[name]
		src := ingest.Source{
			Name: name, Verify: ingest.Verify{Scheme: s.Verify, Headers: s.Headers},
			Limits: ingest.Limits{Rate: s.MaxRate, Burst: s.MaxBurst, InFlight: s.MaxInFlight},
		}
		for _, secret := range s.Secrets {
			src.Verify.Secrets = append(src.Verify.Secrets, ingest.Secret(secret.Reveal()))
		}
		if slices.Equal(s.IDFrom, []string{"body"}) {
			src.IDFrom.Body = true
		} else {
			src.IDFrom.Fields = s.IDFrom
		}
		all = append(all, src)
	}
	return all
}
