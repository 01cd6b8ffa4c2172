package stream

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// past is what was known of EVENTS when it was last asked.
type past struct {
	created atomic.Pointer[time.Time] // nil: nothing is known
	acked   atomic.Uint64             // the last sequence that was seen, or acknowledged since
	copies  atomic.Int64
}

// forget is called when the connection leads to a server again: what is lost until then is told by that.
func (p *past) forget() {
	p.created.Store(nil)
	p.acked.Store(0)
}

// saw notes that a sequence is in EVENTS.
func (p *past) saw(sequence uint64) {
	for {
		have := p.acked.Load()
		if sequence <= have || p.acked.CompareAndSwap(have, sequence) {
			return
		}
	}
}

// WentBack asks for EVENTS, and tells whether it has lost something that was in it when it was asked before, or that this connection
// has stored since: its last sequence is lower than it was, or it was deleted, or made anew. What was purged is not lost. In a cluster this
// happens without a connection being lost, when it is another server that has the stream. Not to be called twice at the same time.
func (c *Conn) WentBack(ctx context.Context) (bool, error) {
	before, acked := c.past.created.Load(), c.past.acked.Load()
	info, err := c.info(ctx, Events)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		c.past.forget()
		return before != nil, nil
	}
	if err != nil {
		return false, err
	}
	gone := before != nil && (!before.Equal(info.Created) || info.State.LastSeq < acked)
	if gone {
		c.past.acked.Store(info.State.LastSeq)
	}
	c.past.copies.Store(int64(info.Config.Replicas))
	c.past.created.Store(&info.Created)
	c.past.saw(info.State.LastSeq)
	return gone, nil
}

// Copies is how many copies of EVENTS there were when [Conn.WentBack] last saw it; 0: it did not yet.
func (c *Conn) Copies() int { return int(c.past.copies.Load()) }
