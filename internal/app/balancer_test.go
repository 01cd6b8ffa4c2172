package app_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/app"
)

// balancer stands before two receivers, as a reverse proxy does: a request that one of them does not take, or refuses with 503, goes to
// the other. Once it looks after them, it prefers those that say that they are ready.
type balancer struct {
	out     *http.Transport
	retried atomic.Int64 // requests that were sent a second time

	mu       sync.Mutex
	backends [2]backend
	next     int
}

type backend struct {
	address, admin string
	down           bool // it is not ready
}

// lookEvery is the pause between two questions of a balancer.
const lookEvery = 100 * time.Millisecond

func newBalancer(t testing.TB) *balancer {
	b := &balancer{out: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(b.out.CloseIdleConnections)
	return b
}

// lead sends the requests for one of the receivers to a process.
func (b *balancer) lead(i int, p *process) {
	p.said("receiver started")
	b.mu.Lock()
	defer b.mu.Unlock()
	admin, _ := p.log.lines("receiver started")[0]["admin"].(string)
	b.backends[i] = backend{address: p.addr, admin: "http://" + admin}
}

// lookAfter asks the receivers again and again whether they are ready, until the end of the test.
func (b *balancer) lookAfter(t testing.TB) {
	ctx, stop := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	t.Cleanup(func() {
		stop()
		asking.Wait()
	})
	asking.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			for _, asked := range b.pick() {
				down := app.Health(ctx, asked.admin+"/readyz") != nil
				b.mu.Lock()
				for i := range b.backends {
					if b.backends[i].admin == asked.admin {
						b.backends[i].down = down
					}
				}
				b.mu.Unlock()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
}

// pick is the receiver to send to, and the one to turn to when it does not take the request.
func (b *balancer) pick() [2]backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	first, second := b.backends[b.next%2], b.backends[(b.next+1)%2]
	if first.down && !second.down {
		first, second = second, first
	}
	return [2]backend{first, second}
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for i, to := range b.pick() {
		if i == 1 {
			b.retried.Add(1)
		}
		if status, answer, err := b.ask(r, to.address, body); err == nil && status != http.StatusServiceUnavailable {
			w.WriteHeader(status)
			_, _ = w.Write(answer)
			return
		}
	}
	w.WriteHeader(http.StatusBadGateway)
}

func (b *balancer) ask(r *http.Request, address string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, address+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header = r.Header.Clone()
	resp, err := b.out.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}
