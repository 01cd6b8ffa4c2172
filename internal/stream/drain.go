package stream

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrCut says that handlers had not returned when their time was over. Their messages were handed back.
var ErrCut = errors.New("handlers did not end in time")

// drain waits until ctx has ended and the last handler has returned. Those that take longer than they may lose first their context, by
// cancel, and then their messages.
func (r *consuming) drain(ctx context.Context, cancel context.CancelFunc, finished <-chan struct{}) error {
	<-ctx.Done()
	for _, step := range []struct {
		after time.Duration
		do    func() error
	}{
		{r.Drain, func() error { cancel(); return nil }},
		{r.Cut, r.handBackHeld},
	} {
		timer := time.NewTimer(step.after)
		select {
		case <-timer.C:
		case <-finished:
			timer.Stop()
			return nil
		}
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil // no handler runs; what has not ended waits for the broker, and ends with the connection
}

// handBackHeld gives what handlers hold to whoever asks next.
func (r *consuming) handBackHeld() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := r.held
	r.held = nil
	if len(held) == 0 {
		return nil
	}
	for d := range held {
		r.handBack(d, 0)
		r.about(r.log.Warn(), d).Str("consumer", r.Name).Msg("cut, handed back")
	}
	return fmt.Errorf("consumer %s: %w: %d messages", r.Name, ErrCut, len(held))
}

func (r *consuming) hold(d *delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = make(map[*delivery]bool)
	}
	r.held[d] = true
}

// holds is false once d was handed back.
func (r *consuming) holds(d *delivery) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[d]
}

func (r *consuming) letGo(d *delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, d)
}
