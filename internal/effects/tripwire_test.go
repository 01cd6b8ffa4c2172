package effects

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// tripwire kills a worker at its n-th call of an interface, before or after the call's effect.
type tripwire struct {
	mu    sync.Mutex
	at    int // 0: never
	after bool
	// Instead of dying it gets an error with lives, or stands still there until meanwhile returns.
	lives     bool
	meanwhile func()
	slept     time.Duration // of the world's time, in this call
	calls     int
	dead, hit bool
}

// overslept is what a call with a deadline comes to when its caller stood still just before for longer.
func (w *tripwire) overslept(limit time.Duration) error {
	if w.slept < limit {
		return nil
	}
	return &refusal{text: "deadline exceeded", maybe: true, again: true}
}

// errTimeout is what a call comes to that may have been carried out.
var errTimeout = errors.New("no answer in time")

// guard runs one call of an interface.
func guard[T any](w *tripwire, call func() (T, error)) (T, error) {
	var zero T
	w.mu.Lock()
	w.calls++
	hit := w.calls == w.at
	w.hit = w.hit || hit
	dies := !w.lives && w.meanwhile == nil
	if hit && !w.after && dies {
		w.dead = true
	}
	dead := w.dead
	w.mu.Unlock()
	switch {
	case hit && w.lives && !w.after:
		return zero, errTimeout
	case hit && w.lives:
		_, _ = call()
		return zero, errTimeout
	case hit && w.meanwhile != nil && !w.after:
		w.meanwhile()
		defer func() { w.slept = 0 }()
		return call()
	case hit && w.meanwhile != nil:
		v, err := call()
		w.meanwhile()
		return v, err
	}
	if dead {
		return zero, errCrash
	}
	v, err := call()
	if hit {
		w.mu.Lock()
		w.dead = true
		w.mu.Unlock()
		return zero, errCrash
	}
	return v, err
}

// mortal is what a worker sees of the world, through its tripwire.
type mortal struct {
	w  *world
	tw *tripwire
}

func (m mortal) Create(ctx context.Context, subject string, data []byte) (uint64, error) {
	return guard(m.tw, func() (uint64, error) { return m.w.store.Create(ctx, subject, data) })
}

func (m mortal) Get(ctx context.Context, subject string) ([]byte, uint64, error) {
	type read struct {
		data []byte
		rev  uint64
	}
	r, err := guard(m.tw, func() (read, error) {
		data, rev, err := m.w.store.Get(ctx, subject)
		return read{data, rev}, err
	})
	return r.data, r.rev, err
}

func (m mortal) Update(ctx context.Context, subject string, data []byte, rev uint64) (uint64, error) {
	return guard(m.tw, func() (uint64, error) { return m.w.store.Update(ctx, subject, data, rev) })
}

func (m mortal) Put(_ context.Context, subject string, header map[string]string, data []byte) error {
	_, err := guard(m.tw, func() (any, error) {
		m.w.put(subject, header, data)
		return nil, nil
	})
	return err
}

func (m mortal) Notify(_ context.Context, key string, a rules.Action) error {
	_, err := guard(m.tw, func() (any, error) {
		if err := m.tw.overslept(12 * time.Second); err != nil {
			return nil, err
		}
		if m.w.notifyErr != nil {
			return nil, m.w.notifyErr
		}
		m.w.sent = append(m.w.sent, a)
		m.w.sentKeys = append(m.w.sentKeys, key)
		return nil, nil
	})
	return err
}
