package codearts

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter holds back requests so that a host is not asked more often than it should be. Share one among all clients of a process: it
// keeps one count for each host. What it allows is this process's part of what CodeArts allows to all of a fleet, whose published limits
// are unknown. It also remembers for everybody when a host has asked for a pause. Safe for concurrent use; it holds no goroutine.
type Limiter struct {
	rate    rate.Limit
	burst   int
	circuit Circuit

	mu    sync.Mutex
	hosts map[string]*hostLimit
}

// hostLimit is what a limiter knows of one host.
type hostLimit struct {
	bucket  *rate.Limiter
	opens   time.Time // closed until then: it has asked for a pause
	circuit hostCircuit
	queue   queue
}

// NewLimiter returns a limiter that lets through perSecond requests to each host in the long run, and burst at once. A perSecond that
// is not positive means no such limit: then only the pauses count that hosts ask for. A burst below 1 is 1.
func NewLimiter(perSecond float64, burst int) *Limiter {
	l := &Limiter{rate: rate.Limit(perSecond), burst: max(burst, 1), hosts: map[string]*hostLimit{}}
	if perSecond <= 0 || math.IsNaN(perSecond) {
		l.rate = rate.Inf
	}
	return l
}

// host returns what is known of a host; l.mu is held.
func (l *Limiter) host(name string) *hostLimit {
	h := l.hosts[name]
	if h == nil {
		h = &hostLimit{bucket: rate.NewLimiter(l.rate, l.burst)}
		l.hosts[name] = h
	}
	return h
}

// pass waits for a place among the requests to a host. A wait that is longer than longest, or than half of what is left until the deadline
// of ctx, is not begun: the other half is for the request, which would else end in the middle. late is then how long it would have taken,
// and closed tells that the host asked for it. err is the end of ctx.
func (l *Limiter) pass(ctx context.Context, name string, now func() time.Time, longest time.Duration) (late time.Duration, closed bool, err error) {
	if deadline, ok := ctx.Deadline(); ok {
		longest = min(longest, time.Until(deadline)/2)
	}
	for {
		began := now()
		place, wait, closed := l.reserve(ctx, name, began, longest)
		switch {
		case wait <= 0:
			return 0, false, nil
		case place == nil:
			return wait, closed, nil
		}
		if late, err := l.await(ctx, name, place, now, longest); err != nil || late > 0 {
			return late, false, err
		}
		longest -= now().Sub(began)
		if !l.closed(name, now()) {
			return 0, false, nil
		}
	}
}

// reserve takes a place and says how long it is until then; it takes none, and t is nil, when that is longer than longest. The places
// of a closed host begin when it opens, so that those who wait for it do not all come at once.
func (l *Limiter) reserve(ctx context.Context, name string, now time.Time, longest time.Duration) (t *ticket, wait time.Duration, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.host(name)
	from := h.from(now)
	if from.Equal(now) && h.bucket.AllowN(now, 1) {
		return nil, 0, false
	}
	place := h.bucket.ReserveN(from, 1)
	wait = place.DelayFrom(now)
	switch {
	case wait <= 0:
	case wait > longest:
		place.CancelAt(from)
	default:
		t = h.queue.add(ctx, place, now.Add(wait))
	}
	return t, wait, from.After(now)
}

// from is when places may begin: now, or when the host opens.
func (h *hostLimit) from(now time.Time) time.Time {
	if h.opens.After(now) {
		return h.opens
	}
	return now
}

func (l *Limiter) closed(name string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.host(name).opens.After(now)
}

// pause closes a host for everybody, as it has asked.
func (l *Limiter) pause(name string, now time.Time, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.host(name)
	if until := now.Add(min(wait, time.Hour)); until.After(h.opens) {
		h.opens = until
	}
}
