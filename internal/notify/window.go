package notify

import (
	"sync"
	"time"
)

// window keeps to a product's limits: in any span at most so many messages. A token bucket of the same rate would let nearly twice
// as many through in its first span, and DingTalk then blocks the robot for ten minutes.
type window struct {
	mu      sync.Mutex
	spans   []*span
	blocked time.Time // the product said to rest until then
}

// span remembers when the last messages were sent, as many as the limit.
type span struct {
	per  time.Duration
	sent []time.Time // a ring
	next int         // the oldest
}

// limit is a number of messages in any time of per. A second is added: messages do not travel equally fast.
func limit(messages int, per time.Duration) *span {
	return &span{per: per + time.Second, sent: make([]time.Time, messages)}
}

// take counts one message, or returns how long to wait before asking again and counts nothing.
func (w *window) take(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	wait := w.blocked.Sub(now)
	for _, s := range w.spans {
		if oldest := s.sent[s.next]; !oldest.IsZero() {
			wait = max(wait, min(oldest.Add(s.per).Sub(now), s.per)) // a clock set back must not lock the door for longer
		}
	}
	if wait > 0 {
		return wait
	}
	for _, s := range w.spans {
		s.sent[s.next] = now
		s.next = (s.next + 1) % len(s.sent)
	}
	return 0
}

// block closes the door until then.
func (w *window) block(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if until.After(w.blocked) {
		w.blocked = until
	}
}
