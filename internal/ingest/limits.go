package ingest

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound one source. A field that is 0 bounds nothing. They count verified deliveries only, so nobody else uses them up.
type Limits struct {
	// Rate is how many deliveries a second are taken in the long run, and Burst how many at once before that. Burst 0: as many as
	// Rate.
	Rate, Burst int
	// InFlight is how many deliveries may be on their way to the Publisher at the same time.
	InFlight int
}

// limiter keeps the Limits of one source.
type limiter struct {
	rate   *rate.Limiter // nil: none
	flying chan struct{} // nil: no bound
}

func newLimiter(l Limits) limiter {
	var made limiter
	if l.Rate > 0 {
		made.rate = rate.NewLimiter(rate.Limit(l.Rate), orDefault(l.Burst, l.Rate))
	}
	if l.InFlight > 0 {
		made.flying = make(chan struct{}, l.InFlight)
	}
	return made
}

// enter takes a place for a verified delivery, which leave gives back, or says why there is none, and when there may be one.
func (l *limiter) enter(now time.Time) (leave func(), refused *refusal) {
	leave = func() {}
	if l.flying != nil {
		select {
		case l.flying <- struct{}{}:
			leave = func() { <-l.flying }
		default:
			return nil, refuseMany("in_flight", time.Second)
		}
	}
	if l.rate == nil || l.rate.AllowN(now, 1) {
		return leave, nil
	}
	leave()
	missing := 1 - l.rate.TokensAt(now)
	return nil, refuseMany("rate", time.Duration(missing/float64(l.rate.Limit())*float64(time.Second)))
}

func refuseMany(reason string, after time.Duration) *refusal {
	r := refuse(http.StatusTooManyRequests, reason, "this source sends too much at a time, please send it again later")
	r.after = strconv.Itoa(max(int(math.Ceil(after.Seconds())), 1))
	return r
}

// memory is what deliveries under way may hold together, in bytes: what is read of them, and what the Publisher has not stored yet. Where
// there is more than one source none may hold more than half of it, so that nobody, whoever sends to its address, takes it from the others.
type memory struct {
	total, each int64

	mu   sync.Mutex
	used int64
	of   map[*source]int64
}

func newMemory(total int64, sources int) *memory {
	m := &memory{total: total, each: total, of: make(map[*source]int64)}
	if sources > 1 {
		m.each = total / 2
	}
	return m
}

// hold is what one delivery holds.
type hold struct {
	memory *memory
	source *source
	bytes  int64
}

// more takes as many bytes, unless that is too much; less gives back.
func (h *hold) more(bytes int) bool {
	m, n := h.memory, int64(bytes)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used+n > m.total || m.of[h.source]+n > m.each {
		return false
	}
	m.used += n
	m.of[h.source] += n
	h.bytes += n
	return true
}

func (h *hold) less(bytes int) {
	m, n := h.memory, int64(bytes)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= n
	m.of[h.source] -= n
	h.bytes -= n
}

// end gives all of it back.
func (h *hold) end() { h.less(int(h.bytes)) }
