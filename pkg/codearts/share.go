package codearts

import (
	"context"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

type shareKey struct{}

// WithShare names on whose behalf calls with this context are made. Where a [Limiter] holds requests back, those with different names take
// turns, so that who has many waiting does not keep the others from theirs. Those without a name are one of them.
func WithShare(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, shareKey{}, name)
}

// ticket is a request that waits for its place.
type ticket struct {
	share string
	place *rate.Reservation
	at    time.Time     // when the place begins
	gone  chan struct{} // closed when it may go earlier, in the place of another one
}

// queue is who waits for a host. When a place begins, whoever was served longest ago gets it, and whose it was gets that one's place instead.
type queue struct {
	waiting []*ticket
	turn    uint64
	served  map[string]uint64 // the last turn of each share, while somebody waits
}

func (q *queue) add(ctx context.Context, place *rate.Reservation, at time.Time) *ticket {
	share, _ := ctx.Value(shareKey{}).(string)
	t := &ticket{share: share, place: place, at: at, gone: make(chan struct{})}
	q.waiting = append(q.waiting, t)
	return t
}

// begin gives the place of t, which begins, to whoever is next. mine is false when that is another one; then t has a later place.
func (q *queue) begin(t *ticket) (mine bool) {
	next := t
	for _, other := range q.waiting {
		if q.served[other.share] < q.served[next.share] {
			next = other
		}
	}
	if i := slices.IndexFunc(q.waiting, func(other *ticket) bool { return other.share == next.share }); i >= 0 {
		next = q.waiting[i] // of one share in the order they came
	}
	q.remove(next)
	if q.turn++; len(q.waiting) == 0 {
		q.served = nil
	} else if q.served == nil {
		q.served = map[string]uint64{next.share: q.turn}
	} else {
		q.served[next.share] = q.turn
	}
	if next == t {
		return true
	}
	t.place, t.at = next.place, next.at
	close(next.gone)
	return false
}

// remove tells whether t was waiting.
func (q *queue) remove(t *ticket) (was bool) {
	i := slices.Index(q.waiting, t)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}

// await waits until t may go. late is how long it would have to wait still when that is longer than longest in all.
func (l *Limiter) await(ctx context.Context, name string, t *ticket, now func() time.Time, longest time.Duration) (late time.Duration, err error) {
	for begin := now(); ; {
		wait := t.at.Sub(now())
		if t.at.Sub(begin) > longest && l.giveBack(name, t, now()) {
			return max(wait, 1), nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			if l.begin(name, t) {
				return 0, nil
			}
		case <-t.gone:
			timer.Stop()
			return 0, nil
		case <-ctx.Done():
			timer.Stop()
			l.giveBack(name, t, now())
			return 0, context.Cause(ctx)
		}
	}
}

func (l *Limiter) begin(name string, t *ticket) (mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-t.gone: // in the same moment, in the place of another one: its own is not needed
		return true
	default:
	}
	return l.host(name).queue.begin(t)
}

// giveBack frees a place that is not used. ok is false when t may go already.
func (l *Limiter) giveBack(name string, t *ticket, now time.Time) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.host(name)
	if !h.queue.remove(t) {
		return false
	}
	t.place.CancelAt(h.from(now))
	return true
}
