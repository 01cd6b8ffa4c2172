//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// losePower plays a loss of power: the stores of all brokers are copied at the same moment, with the brokers standing still; some time
// later all of them are killed, and go on with the copies, or with nothing.
func (t *torture) losePower(ctx context.Context, began time.Time, length time.Duration) {
	copyAt, cutAt := began.Add(length*4/10), began.Add(length*6/10)
	if !waitUntil(ctx, copyAt) {
		return
	}
	if t.Power == lossStores {
		copyAt = began
	} else if err := t.copyStores(); err != nil {
		t.fail(err)
		return
	}
	if !waitUntil(ctx, cutAt) {
		return
	}
	t.progress("power is lost: %s", t.Power)
	cut := time.Now()
	var dark []*process
	for _, b := range t.cluster.brokers {
		dark = append(dark, b.process)
	}
	if t.Power == lossAll {
		for i, r := range t.receivers {
			t.balancer.at(i, "")
			dark = append(dark, r.process)
		}
		for _, w := range t.workers {
			dark = append(dark, w.process)
		}
	}
	if err := t.inTheDark(dark, t.exchangeStores); err != nil {
		t.fail(err)
		return
	}
	t.mu.Lock()
	t.lossFrom, t.lossTo = copyAt, cut
	t.mu.Unlock()
	for _, p := range dark {
		if err := p.awaitReady(ctx); err != nil && ctx.Err() == nil {
			t.fail(err)
			return
		}
	}
	t.over("power_loss", cut)
	t.progress("power is back after %.1f s", time.Since(cut).Seconds())
}

// inTheDark kills processes at once, and lets them start again after do.
func (*torture) inTheDark(dark []*process, do func() error) error {
	gone := make([]int, len(dark))
	for i, p := range dark {
		p.dark.Lock()
		defer p.dark.Unlock()
		gone[i] = p.current()
	}
	var all sync.WaitGroup
	for _, p := range dark {
		all.Go(func() { p.kill(0) })
	}
	all.Wait()
	for i, p := range dark {
		if err := until(context.Background(), readyWithin, func() bool { return p.current() != gone[i] }); err != nil {
			return err
		}
	}
	return do()
}

func (b *broker) store() string  { return filepath.Join(b.folder, "store") }
func (b *broker) copied() string { return filepath.Join(b.folder, "copy") }

// copyStores copies the stores of all brokers as they are at one moment.
func (t *torture) copyStores() (err error) {
	for _, b := range t.cluster.brokers {
		b.signal(syscall.SIGSTOP)
		defer b.signal(syscall.SIGCONT)
	}
	for _, b := range t.cluster.brokers {
		if err := os.CopyFS(b.copied(), os.DirFS(b.store())); err != nil {
			return err
		}
	}
	return nil
}

// exchangeStores gives the brokers, which must not run, their copies, or nothing.
func (t *torture) exchangeStores() error {
	for _, b := range t.cluster.brokers {
		if err := os.RemoveAll(b.store()); err != nil {
			return err
		}
		if t.Power == lossStores {
			continue
		}
		if err := os.Rename(b.copied(), b.store()); err != nil {
			return err
		}
	}
	return nil
}

// destroyed is how many events were accepted between the copy and the loss.
func (t *torture) destroyed() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.balancer.events() {
		if e.Accepted.After(t.lossFrom) && e.Accepted.Before(t.lossTo) {
			n++
		}
	}
	return n
}
