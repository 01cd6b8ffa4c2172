package stream

import (
	"context"
	"slices"
	"sync"
)

// places share out how many handlers may run at once among lanes, which are consumers that must not keep one another waiting. Each lane
// has one place of its own, and so always somebody who listens; the others go to whoever has the fewest for its weight. So limit-1+lanes
// handlers run at most, and what is asked for is handled as soon as it comes.
type places struct {
	limit int

	mu      sync.Mutex
	taken   int
	waiting []*waiter // in the order they came
}

// lane is one of those that share places. The places it holds are guarded by their mu.
type lane struct {
	weight int
	taken  int
}

// waiter is a lane that wants to ask for messages.
type waiter struct {
	*lane
	most    int      // that it asks for at once; 0: it listens for one that may come at any time
	granted chan int // receives once
	grant   int
}

// await waits until a lane may ask for messages, and returns for how many places are reserved: up to most, and none with most 0, for who
// listens takes a place only when something comes. ok is false when ctx has ended.
func (p *places) await(ctx context.Context, l *lane, most int) (reserved int, ok bool) {
	w := &waiter{lane: l, most: most, granted: make(chan int, 1)}
	p.mu.Lock()
	p.waiting = append(p.waiting, w)
	p.share()
	p.mu.Unlock()
	select {
	case reserved = <-w.granted:
		return reserved, true
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.waiting = slices.DeleteFunc(p.waiting, func(other *waiter) bool { return other == w })
	p.mu.Unlock()
	select {
	case reserved = <-w.granted: // in the same moment
		p.free(l, reserved)
	default:
	}
	return 0, false
}

// take takes a place for what came to a lane that listened.
func (p *places) take(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.taken++
	p.taken++
}

// free gives places back.
func (p *places) free(l *lane, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.taken -= n
	p.taken -= n
	p.share()
}

// share lets those go on for whom there is a place, one place after the other. The caller holds mu.
func (p *places) share() {
	var served []*waiter
	for {
		w := p.next()
		if w == nil {
			break
		}
		if w.most > 0 {
			w.grant++
			w.taken++
			p.taken++
		}
		if w.grant == min(w.most, 1) {
			served = append(served, w)
		}
		if w.grant == w.most {
			p.waiting = slices.DeleteFunc(p.waiting, func(other *waiter) bool { return other == w })
		}
	}
	for _, w := range served {
		p.waiting = slices.DeleteFunc(p.waiting, func(other *waiter) bool { return other == w })
		w.granted <- w.grant
	}
}

// next is who gets the next place, nil when nobody may have one. The caller holds mu.
func (p *places) next() (best *waiter) {
	for _, w := range p.waiting {
		if w.taken > 0 && p.taken >= p.limit {
			continue
		}
		if best == nil || w.taken*best.weight < best.taken*w.weight {
			best = w
		}
	}
	return best
}
