//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/stream"
)

const (
	quietWithin = 5 * time.Minute
	looks       = 4 // that must find nothing left, one after the other
	lookEvery   = 500 * time.Millisecond
	shown       = 20 // things of each kind that are wrong
)

// settle waits until nothing is left to be done, compares the ledgers and fills in the report.
func (t *torture) settle(ctx context.Context, r *Report) error {
	if err := t.awaitAll(ctx); err != nil {
		return err
	}
	conn, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	left := t.awaitQuiet(ctx, conn)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	stored := map[string]bool{}
	err = conn.ReadEvents(ctx, stream.ReadOptions{Source: source}, func(e *stream.StoredEvent) error {
		if e.Err == nil {
			stored[e.ID] = true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	stats, err := conn.Stats(ctx)
	if err != nil {
		return err
	}
	b := compare(t.balancer.events(), stored, t.effects())
	r.fill(&b)
	if t.Power != noLoss {
		r.Power = &PowerReport{
			Loss: t.Power, Destroyed: t.destroyed(), LostRungs: ofAlerts(b.LostEffects), StrangeRungs: ofAlerts(b.Strange),
			Redecided: ofPurpose(t.balancer.events(), b.DuplicateCommits, turn),
		}
		r.DuplicateCommits -= r.Power.Redecided
	}
	for _, n := range stats.Dead {
		r.DeadLetters += int(n)
	}
	r.Faults = t.counts()
	t.mu.Lock()
	defer t.mu.Unlock()
	r.spells, r.done = t.spells, b.Done
	recovered, took := recoveries(r.spells, r.done), times(r.done)
	r.RecoveryP50, r.RecoveryP99 = percentile(recovered, 50), percentile(recovered, 99)
	r.DoneP50, r.DoneP99 = percentile(took, 50), percentile(took, 99)
	if left != "" {
		r.Why = append(r.Why, left)
	}
	if t.broken != nil {
		r.Why = append(r.Why, t.broken.Error())
	}
	t.show(&b)
	return nil
}

// awaitAll waits until all processes are there again.
func (t *torture) awaitAll(ctx context.Context) error {
	if err := t.cluster.awaitHealthy(ctx); err != nil {
		return err
	}
	var all []*process
	for _, r := range t.receivers {
		all = append(all, r.process)
	}
	for _, w := range t.workers {
		all = append(all, w.process)
	}
	for _, p := range all {
		if err := p.awaitReady(ctx); err != nil {
			return err
		}
		if p.crashes > 0 {
			t.progress("%s has ended by itself %d times and was started again", p.name, p.crashes)
		}
	}
	return nil
}

// connect opens a connection of our own to the brokers.
func (t *torture) connect(ctx context.Context) (conn *stream.Conn, err error) {
	cfg := stream.Config{Name: harness, Log: zerolog.Nop()}
	for _, l := range t.cluster.linksOf(harness) {
		cfg.URLs = append(cfg.URLs, "nats://"+l.address())
	}
	again := until(ctx, healthyWithin, func() bool {
		conn, err = stream.Connect(ctx, cfg)
		return err == nil
	})
	if again != nil {
		return nil, fmt.Errorf("connect to the brokers: %w: %w", again, err)
	}
	return conn, nil
}

// awaitQuiet waits until nothing is left to be done; what it returns says what is left at the end of its patience.
func (t *torture) awaitQuiet(ctx context.Context, conn *stream.Conn) (left string) {
	quiet := 0
	until, said := time.Now().Add(quietWithin), time.Now()
	for quiet < looks {
		if time.Now().After(until) || !waitUntil(ctx, time.Now().Add(lookEvery)) {
			return "it did not become quiet within " + quietWithin.String() + ": " + left
		}
		quiet++
		stats, err := conn.Stats(ctx)
		if err != nil {
			left, quiet = err.Error(), 0
			continue
		}
		work := uint64(0)
		for _, n := range stats.Waiting {
			work += n
		}
		unpublished, err := t.unpublished(ctx)
		if err != nil {
			left, quiet = err.Error(), 0
			continue
		}
		if unpublished > 0 || stats.Unmatched+work+stats.Parked > 0 {
			left = fmt.Sprintf("%d bytes of journals to be published, %d events to be matched, work %v, %d parked",
				unpublished, stats.Unmatched, stats.Waiting, stats.Parked)
			quiet = 0
		}
		if quiet == 0 && time.Since(said) > 5*time.Second {
			t.progress("waiting for quiet: %s", left)
			said = time.Now()
		}
	}
	return ""
}

// unpublished is how many bytes of journals the brokers may not have.
func (t *torture) unpublished(ctx context.Context) (int64, error) {
	sum := int64(0)
	for _, r := range t.receivers {
		n, err := t.unpublishedBy(ctx, r)
		if err != nil {
			return 0, fmt.Errorf("metrics of %s: %w", r.name, err)
		}
		sum += n
	}
	return sum, nil
}

// show says what is wrong, in full as far as that helps.
func (t *torture) show(b *balance) {
	for _, list := range []struct {
		what string
		all  []string
	}{
		{"accepted, not in EVENTS", b.LostEvents},
		{"never happened", b.LostEffects},
		{"committed twice", b.DuplicateCommits},
		{"rung sent twice", b.DuplicateRungs},
		{"message sent twice", b.DuplicateMessages},
		{"asked for by nothing", b.Strange},
	} {
		for i, one := range list.all {
			if i == shown {
				t.progress("%s: … and %d more", list.what, len(list.all)-shown)
				break
			}
			t.progress("%s: %s", list.what, one)
		}
	}
}
