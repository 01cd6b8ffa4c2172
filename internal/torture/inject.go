//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// follow carries out a plan. A fault whose target is busy with another one waits for it; what could not begin before ctx ends is left out.
func (t *torture) follow(ctx context.Context, began time.Time, faults []fault) {
	for _, f := range faults {
		if !waitUntil(ctx, began.Add(f.At)) {
			return
		}
		t.injections.Go(func() { t.inject(ctx, f) })
	}
}

// inject carries out one fault and returns when it is healed.
func (t *torture) inject(ctx context.Context, f fault) {
	switch f.Kind {
	case killBetween:
		t.between.Add(1)
	case killReceiver, pauseReceiver:
		i := int(f.Pick % receivers)
		p := t.receivers[i].process
		if f.Kind == killReceiver {
			t.onProcess(ctx, f, p, func() { t.balancer.at(i, ""); t.killAndAwait(f, p) })
		} else {
			t.onProcess(ctx, f, p, func() { t.pause(f, p) })
		}
	case killWorker:
		p := t.pickWorker(f).process
		t.onProcess(ctx, f, p, func() { t.killAndAwait(f, p) })
	case pauseWorker:
		p := t.pickWorker(f).process
		t.onProcess(ctx, f, p, func() { t.pause(f, p) })
	case partitionWorker:
		w := t.pickWorker(f)
		t.onProcess(ctx, f, w.process, func() { t.partition(f, t.cluster.linksOf(w.name)) })
	case partitionDoor:
		r := t.receivers[f.Pick%receivers]
		t.onProcess(ctx, f, r.process, func() { t.partitionDoor(f, r) })
	case killAtLine, pauseAtLine:
		t.setTrap(ctx, f)
	case killBroker, killLeader, pauseBroker, partitionBroker:
		t.onBroker(ctx, f)
	case journalFull:
		t.fillDisk(ctx, f, t.receivers[f.Pick%receivers])
	default:
		t.inWeather(f)
	}
}

func (t *torture) pickWorker(f fault) *worker { return t.workers[f.Pick%workers] }

// over takes note of a fault that is over.
func (t *torture) over(kind string, start time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spells = append(t.spells, spell{kind, start, time.Now()})
}

// onProcess does something to a process as soon as nothing else is being done to it.
func (t *torture) onProcess(ctx context.Context, f fault, p *process, do func()) {
	if until(ctx, time.Hour, func() bool { return p.up.Load() && p.busy.TryLock() }) != nil {
		return
	}
	defer p.busy.Unlock()
	t.progress("%s: %s", f.Kind, p.name)
	start := time.Now()
	do()
	t.over(f.Kind, start)
}

func (t *torture) killAndAwait(f fault, p *process) {
	p.kill(f.For)
	if err := p.awaitReady(context.Background()); err != nil {
		t.fail(err)
	}
}

// pause stops a process and lets it go on after a time, as if nothing had been.
func (t *torture) pause(f fault, p *process) {
	p.signal(syscall.SIGSTOP)
	hold(f.For)
	p.signal(syscall.SIGCONT)
}

func hold(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

// way is whether a partition cuts links, or lets everything vanish in them.
func (f fault) way() linkState {
	if f.Pick>>32%2 == 0 {
		return hole
	}
	return cut
}

func (t *torture) partition(f fault, links []*link) {
	setAll(links, f.way())
	hold(f.For)
	setAll(links, linked)
}

func setAll(links []*link, state linkState) {
	for _, l := range links {
		l.set(state)
	}
}

// partitionDoor keeps a receiver from the brokers. Where everything has vanished it is killed before it is let back: then what it has
// accepted meanwhile is on its disk and nowhere else.
func (t *torture) partitionDoor(f fault, r *receiver) {
	links := t.cluster.linksOf(r.name)
	setAll(links, f.way())
	hold(f.For)
	if f.way() == cut {
		setAll(links, linked)
		return
	}
	t.balancer.at(r.number, "")
	r.kill(restAfter)
	setAll(links, cut) // what was under way is gone, as with the machine of the dead
	setAll(links, linked)
	if err := r.awaitReady(context.Background()); err != nil {
		t.fail(err)
	}
}

const (
	refusedWithin = 20 * time.Second // of the first moment without room
	takenWithin   = 60 * time.Second // of the first moment with room again
)

// fillDisk fills the disk of a receiver's journal. It counts when the receiver has refused deliveries and takes some again afterwards.
func (t *torture) fillDisk(ctx context.Context, f fault, r *receiver) {
	if !r.disk.mounted {
		t.progress("%s: not here, there is no disk that could be filled", f.Kind)
		return
	}
	if until(ctx, time.Hour, func() bool { return r.up.Load() && r.busy.TryLock() }) != nil {
		return
	}
	defer r.busy.Unlock()
	start := time.Now()
	_, before := t.balancer.answers(r.number)
	empty, err := r.disk.fill()
	if err != nil {
		t.fail(err)
		return
	}
	refused := until(ctx, refusedWithin, func() bool { _, n := t.balancer.answers(r.number); return n > before })
	hold(f.For)
	_, after := t.balancer.answers(r.number)
	err = empty()
	t.progress("%s: %s, %d deliveries refused", f.Kind, r.name, after-before)
	if refused != nil || err != nil {
		if err != nil {
			t.fail(err)
		}
		return
	}
	full := time.Now()
	taken, _ := t.balancer.answers(r.number)
	if err := until(ctx, takenWithin, func() bool { n, _ := t.balancer.answers(r.number); return n > taken }); err == nil {
		t.mu.Lock()
		t.spells = append(t.spells, spell{f.Kind, start, full})
		t.mu.Unlock()
	} else if ctx.Err() == nil {
		t.fail(fmt.Errorf("%s takes nothing since there is room on its disk again: %w", r.name, err))
	}
}

// onBroker does something to a broker as soon as the others are healthy.
func (t *torture) onBroker(ctx context.Context, f fault) {
	if until(ctx, time.Hour, t.brokerBusy.TryLock) != nil {
		return
	}
	defer t.brokerBusy.Unlock()
	if ctx.Err() != nil {
		return
	}
	i := int(f.Pick % brokers)
	if f.Kind == killLeader {
		stream := []string{"EVENTS", "WORK", "RECORDS"}[f.Pick%3]
		if until(ctx, time.Hour, func() bool { i = t.cluster.leader(ctx, stream); return i >= 0 }) != nil {
			return
		}
	}
	b := t.cluster.brokers[i]
	t.progress("%s: %s", f.Kind, b.name)
	start := time.Now()
	switch f.Kind {
	case pauseBroker:
		t.pause(f, b.process)
	case partitionBroker:
		t.partition(f, t.cluster.links(i))
	default:
		t.killAndAwait(f, b.process)
	}
	t.over(f.Kind, start)
	if err := t.cluster.awaitHealthy(context.Background()); err != nil {
		t.fail(err)
	}
}

// inWeather makes a service outside bad for a time.
func (t *torture) inWeather(f fault) {
	of := map[string]*atomic.Int32{
		codeArtsSlow: &t.codeArtsWeather.slow, codeArtsFailing: &t.codeArtsWeather.failing, codeArtsCut: &t.codeArtsWeather.cut,
		robotsSlow: &t.chatWeather.slow, robotsFailing: &t.chatWeather.failing, robotsCut: &t.chatWeather.cut,
	}[f.Kind]
	t.progress("%s", f.Kind)
	start := time.Now()
	of.Add(1)
	hold(f.For)
	of.Add(-1)
	t.over(f.Kind, start)
}

// Lines where a worker is killed, or stopped for longer than the broker waits for it.
func killLines() [][]string {
	return [][]string{
		{`"message":"run decided"`, `"rule":"turn"`},
		{`"message":"match recorded"`},
		{`"message":"alert recorded"`},
		{`"message":"alert put"`},
		{`"message":"action started"`},
		{`"message":"commit sent"`},
		{`"message":"run recorded"`, `"rule":"turn"`},
		{`"message":"message sent"`},
	}
}

func pauseLines() [][]string {
	return [][]string{
		{"GET ", fmt.Sprintf("/%d/", notesRepository)}, // the fact of "turn": others decide with another one meanwhile
		{`"message":"alert recorded"`, `"rule":"short-ladder"`},
		{`"message":"alert put"`, `"rule":"short-ladder"`},
		{`"message":"commit sent"`},
		{`"message":"action started"`},
	}
}

// setTrap waits for a line, or for a request that has been carried out and is not answered yet, and kills or stops the worker that wrote it, there.
func (t *torture) setTrap(ctx context.Context, f fault) {
	lines := killLines()
	if f.Kind == pauseAtLine {
		lines = pauseLines()
	}
	texts := lines[f.Pick%uint64(len(lines))]
	var caught *worker
	var start time.Time
	sprung := make(chan struct{})
	trap := &trap{spring: func(w *worker) bool {
		if !w.up.Load() || !w.busy.TryLock() {
			return false
		}
		start = time.Now()
		if f.Kind == killAtLine && !w.kill(f.For) || f.Kind == pauseAtLine && !w.signal(syscall.SIGSTOP) {
			w.busy.Unlock()
			return false
		}
		caught = w
		close(sprung)
		return true
	}}
	for _, text := range texts {
		trap.texts = append(trap.texts, []byte(text))
	}
	t.traps.add(trap)
	select {
	case <-sprung:
	case <-ctx.Done():
		if t.traps.remove(trap) {
			return
		}
		<-sprung
	}
	defer caught.busy.Unlock()
	t.progress("%s: %s at %s", f.Kind, caught.name, texts)
	if f.Kind == pauseAtLine {
		if strings.HasPrefix(texts[0], "GET ") {
			hold(requestPause)
		} else {
			hold(max(f.For, longPause))
		}
		caught.signal(syscall.SIGCONT)
	} else if err := caught.awaitReady(context.Background()); err != nil {
		t.fail(err)
	}
	t.over(f.Kind, start)
}

// longPause is longer than ack_wait of the configuration, and shorter than timeout and settle together.
const longPause = 3500 * time.Millisecond

// requestPause is longer than ack_wait, too, and short enough for the answer to a request to be taken after it.
const requestPause = 2700 * time.Millisecond

// committed is told of a commit that a worker has made, before the worker knows; after is called when it may know. If a kill is due the
// worker is killed before it is answered, or just after.
func (t *torture) committed(w *worker, commit string) (after func()) {
	nothing := func() {}
	if commit == "" || !t.takeBetween() {
		return nothing
	}
	if !w.up.Load() || !w.busy.TryLock() {
		t.between.Add(1)
		return nothing
	}
	early := t.luck.heads()
	delay := time.Duration(t.luck.below(int64(2 * time.Millisecond)))
	start := time.Now()
	var once sync.Once
	kill := func() {
		once.Do(func() {
			run := w.current()
			done := w.kill(time.Duration(50+t.luck.below(250)) * time.Millisecond)
			t.injections.Go(func() { t.afterBetween(w, commit, start, run, done) })
		})
	}
	if early {
		kill()
		return nothing
	}
	return func() { hold(delay); kill() }
}

// afterBetween counts a kill as one between call and mark if the worker has not said that it had marked, and waits until it is back.
func (t *torture) afterBetween(w *worker, commit string, start time.Time, run int, killed bool) {
	defer w.busy.Unlock()
	if !killed || until(context.Background(), readyWithin, func() bool { return w.current() != run }) != nil {
		t.between.Add(1)
		return
	}
	kind := killBetween
	if w.recorded(commit) {
		kind = killWorker
		t.between.Add(1)
	}
	if err := w.awaitReady(context.Background()); err != nil {
		t.fail(err)
	}
	t.progress("%s: %s", kind, w.name)
	t.over(kind, start)
}

// takeBetween takes one of the kills that are due.
func (t *torture) takeBetween() bool {
	for {
		n := t.between.Load()
		if n <= 0 {
			return false
		}
		if t.between.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// counts are the faults that are over, by kind.
func (t *torture) counts() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := map[string]int{}
	for _, kind := range allFaults() {
		n[kind] = len(slices.DeleteFunc(slices.Clone(t.spells), func(s spell) bool { return s.kind != kind }))
	}
	return n
}
