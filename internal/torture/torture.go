//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

const (
	receivers = 2
	workers   = 2
	harness   = "harness" // the name of our own connection to the brokers

	copies       = 2                       // readings of each step of an alert, at the same time
	stepEvery    = 1500 * time.Millisecond // least time between two steps of an alert
	acceptWithin = time.Minute             // after the load has ended
	// leastOvertime is how long the load may go on until the run counts: some faults wait for a line of a log, or for other faults.
	leastOvertime = time.Minute
)

// torture is one run.
type torture struct {
	options
	site *site

	cluster   *cluster
	receivers []*receiver
	workers   []*worker
	fronts    []*front
	balancer  *balancer

	codeArts                     *codeartstest.Fake
	robots                       *notifytest.Robots
	team, ops                    notifytest.Account
	codeArtsWeather, chatWeather weather
	luck                         *luck
	traps                        traps
	between                      atomic.Int64 // kills between call and mark that are waiting for a commit
	injections                   sync.WaitGroup
	brokerBusy                   sync.Mutex

	mu     sync.Mutex
	spells []spell
	// What was accepted between them is not in the stores that the brokers got back.
	lossFrom, lossTo time.Time
	heard            map[string]bool // marks of the messages that came
	broken           error           // what went wrong with the harness, or was refused for good
}

// run runs it with the programs in bin and returns what came of it. An error is that of the harness; there is no report then.
func run(ctx context.Context, o options, bin string) (*Report, error) {
	s, err := newSite(bin, o.progress)
	if err != nil {
		return nil, err
	}
	t := &torture{options: o, site: s, heard: map[string]bool{}, luck: &luck{rnd: rand.New(rand.NewPCG(o.Seed, 3))}}
	r := &Report{Seed: o.Seed, Seconds: o.Seconds, Rate: o.Rate, Break: o.Break, Faults: map[string]int{}}
	good := false
	defer func() { t.close(o.Keep || !good && ctx.Err() == nil) }()
	if err := t.open(ctx); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	t.loadAndBreak(ctx, r)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := t.settle(ctx, r); err != nil {
		return nil, err
	}
	good = r.judge(allFaults())
	return r, nil
}

// open starts everything.
func (t *torture) open(ctx context.Context) error {
	t.codeArts = codeartstest.New(codeartstest.Options{})
	furnish(t.codeArts)
	t.team, t.ops = account("team"), account("ops")
	t.robots = notifytest.New(nil, t.team, t.ops)
	t.balancer = newBalancer(secret(), receivers)
	clients := []string{harness}
	for i := range receivers {
		clients = append(clients, receiverName(i))
	}
	for i := range workers {
		clients = append(clients, workerName(i))
	}
	var err error
	if t.cluster, err = newCluster(ctx, t.site, clients); err != nil {
		return err
	}
	if err := t.cluster.awaitHealthy(ctx); err != nil {
		return err
	}
	rules, err := setup.ReadFile("setup/rules.yaml")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(t.site.folder, "rules.yaml"), rules, 0o600); err != nil {
		return err
	}
	if err := t.startReceivers(ctx); err != nil {
		return err
	}
	return t.startWorkers(ctx)
}

// close ends everything.
func (t *torture) close(keep bool) {
	t.site.close(keep)
	for _, f := range t.fronts {
		f.close()
	}
	if t.codeArts != nil {
		t.codeArts.Close()
	}
	if t.balancer != nil {
		t.balancer.client.CloseIdleConnections()
	}
}

// endWhenEnough ends the load at a time, or later when the run does not count yet: what has been planned is still to come then.
func (t *torture) endWhenEnough(loading context.Context, end func(), at time.Time, r *Report) {
	if !waitUntil(loading, at) {
		return
	}
	for said := false; t.Break == "" && t.Power == noLoss && loading.Err() == nil; said = true {
		b := compare(t.balancer.events(), nil, t.effects())
		now := Report{Rate: r.Rate, Seconds: r.Seconds, Accepted: b.Accepted, Commits: b.Commits, Rungs: b.Rungs, Faults: t.counts()}
		short := now.shortcomings(allFaults())
		if len(short) == 0 {
			break
		}
		if !said {
			t.progress("going on, as it %s", strings.Join(short, "; "))
		}
		waitUntil(loading, time.Now().Add(time.Second))
	}
	end()
}

// loadAndBreak delivers and injects faults for a time, heals what is broken, and waits until what was being delivered is accepted.
func (t *torture) loadAndBreak(ctx context.Context, r *Report) {
	length := time.Duration(t.Seconds) * time.Second
	overtime := max(leastOvertime, length/2)
	draining, stop := context.WithTimeout(ctx, length+overtime+acceptWithin)
	defer stop()
	loading, end := context.WithTimeout(ctx, length+overtime)
	defer end()
	began := time.Now()
	var delivering, aside sync.WaitGroup
	aside.Go(func() { keepTurning(loading, t.codeArts) })
	aside.Go(func() { t.tell(loading, began) })
	aside.Go(func() { t.endWhenEnough(loading, end, began.Add(length), r) })
	faults := plan(t.Seed, length)
	if t.Break != "" {
		faults = control(t.Seed, length, t.Break)
	}
	if t.Power == noLoss {
		aside.Go(func() { t.follow(loading, began, faults) })
	} else {
		aside.Go(func() { t.losePower(draining, began, length) })
	}
	for _, l := range ladders(t.Seed) {
		aside.Go(func() { t.climb(loading, draining, l) })
	}
	for _, d := range load(t.Seed, t.Rate, length+overtime) {
		if !waitUntil(loading, began.Add(d.At)) {
			break
		}
		delivering.Go(func() { t.deliver(draining, d.parcel) })
	}
	<-loading.Done()
	t.between.Store(0)
	aside.Wait()
	t.injections.Wait()
	t.progress("the load has ended, everything is healed")
	delivering.Wait()
}

// waitUntil waits until a time; false: ctx ended before.
func waitUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (t *torture) deliver(ctx context.Context, p parcel) {
	if err := t.balancer.deliver(ctx, p); err != nil {
		t.fail(err)
	}
}

// fail keeps the first error that makes the run worthless.
func (t *torture) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken == nil {
		t.broken = err
	}
}

// climb sends the readings of an alert. Those of a step are sent when the message of the step before has come, and all of that are
// accepted, so that it is certain what each step leads to.
func (t *torture) climb(loading, draining context.Context, l *ladder) {
	for step := 0; loading.Err() == nil; step++ {
		next := time.Now().Add(stepEvery)
		if t.Break == "alert_cas" {
			next = time.Now() // as many steps as there can be: a write that is late has to be late by a step
		}
		var both sync.WaitGroup
		mark := ""
		for i := range copies {
			p := reading(l, step, i)
			mark = p.Mark
			both.Go(func() { t.deliver(draining, p) })
		}
		both.Wait()
		if until(loading, time.Hour, func() bool { return t.hasHeard(mark) }) != nil || !waitUntil(loading, next) {
			return
		}
	}
}

func (t *torture) hasHeard(mark string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard[mark]
}

// told takes note of a message that a robot has taken.
func (t *torture) told(body []byte) (after func()) {
	mark, _ := messageMark(titleOf(body))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard[mark] = true
	return func() {}
}

// tell says every now and then how it goes.
func (t *torture) tell(ctx context.Context, began time.Time) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		t.mu.Lock()
		faults := len(t.spells)
		t.mu.Unlock()
		t.progress("%3.0fs: %d accepted, %d requests tried again, %d effects, %d faults over", time.Since(began).Seconds(),
			t.balancer.accepted(), t.balancer.failed.Load(), len(t.effects()), faults)
	}
}
