package effects

import (
	"context"
	"errors"
	"sync"
)

// errBusy says that too many of this process wait for the same key already.
var errBusy = errors.New("too many wait for this already")

// keyLocks let one at a time through for each key: a branch, or a message. The zero value with a
// limit is ready for use; a key nobody waits for takes no memory.
type keyLocks struct {
	limit int // holders and waiters of one key

	mu    sync.Mutex
	byKey map[string]*keyLock
}

type keyLock struct {
	token chan struct{} // holds one value while the key is taken
	users int           // holder and waiters
}

// acquire waits for the key until ctx ends. release must be called once, also when ctx ended
// since. errBusy comes at once.
func (l *keyLocks) acquire(ctx context.Context, key string) (release func(), err error) {
	b := l.enter(key)
	if b == nil {
		return nil, errBusy
	}
	select {
	case b.token <- struct{}{}:
		return func() { <-b.token; l.leave(key, b) }, nil
	case <-ctx.Done():
		l.leave(key, b)
		return nil, ctx.Err()
	}
}

func (l *keyLocks) enter(key string) *keyLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.byKey[key]
	if b == nil {
		if l.byKey == nil {
			l.byKey = map[string]*keyLock{}
		}
		b = &keyLock{token: make(chan struct{}, 1)}
		l.byKey[key] = b
	}
	if b.users >= l.limit {
		return nil
	}
	b.users++
	return b
}

func (l *keyLocks) leave(key string, b *keyLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b.users--; b.users == 0 {
		delete(l.byKey, key)
	}
}
