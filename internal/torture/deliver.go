//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	answerWithin = 5 * time.Second        // one request; more than the receiver's publish_timeout
	retryAfter   = 100 * time.Millisecond // a receiver refused or was away
)

// balancer delivers as a retrying load balancer does: what one receiver does not take another one gets, until somebody takes it.
type balancer struct {
	client *http.Client
	secret string
	next   atomic.Uint64
	failed atomic.Int64 // requests that had to be tried again

	mu        sync.Mutex
	receivers []string // addresses, "" while one is not there
	refused   []int    // answers of each that say to come again later
	taken     []int    // 2xx of each
	sent      map[string]*event
}

func newBalancer(secret string, receivers int) *balancer {
	return &balancer{
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second}, Timeout: answerWithin},
		secret: secret, receivers: make([]string, receivers), refused: make([]int, receivers), taken: make([]int, receivers), sent: map[string]*event{},
	}
}

// at says where a receiver is.
func (b *balancer) at(i int, address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.receivers[i] = address
}

// answers counts what a receiver has answered so far.
func (b *balancer) answers(i int) (taken, refused int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken[i], b.refused[i]
}

// count counts an answer of a receiver.
func (b *balancer) count(of []int, i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of[i]++
}

// deliver delivers until it is accepted, or ctx ends. Only what goes wrong for good is an error.
func (b *balancer) deliver(ctx context.Context, p parcel) error {
	b.mu.Lock()
	e := b.sent[p.ID]
	if e == nil {
		sent := p.event
		e = &sent
		b.sent[p.ID] = e
	}
	b.mu.Unlock()
	for {
		accepted, err := b.try(ctx, p)
		if err != nil {
			return err
		}
		if accepted {
			b.mu.Lock()
			if e.Accepted.IsZero() {
				e.Accepted = time.Now()
			}
			b.mu.Unlock()
			return nil
		}
		b.failed.Add(1)
		timer := time.NewTimer(retryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// try asks one receiver.
func (b *balancer) try(ctx context.Context, p parcel) (accepted bool, err error) {
	b.mu.Lock()
	i := int(b.next.Add(1) % uint64(len(b.receivers)))
	address := b.receivers[i]
	b.mu.Unlock()
	if address == "" {
		return false, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/hooks/"+source, bytes.NewReader(p.Body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", sign(b.secret, p.Body))
	resp, err := b.client.Do(req)
	if err != nil {
		return false, nil //nolint:nilerr // the other one may take it
	}
	defer func() { _ = resp.Body.Close() }()
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // a 2xx is a promise, whatever comes after it
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusTooManyRequests:
		if resp.Header.Get("Retry-After") == "" {
			return false, fmt.Errorf("delivery %s was answered %d without Retry-After: %s", p.ID, resp.StatusCode, data)
		}
		b.count(b.refused, i)
		return false, nil
	case resp.StatusCode/100 != 2:
		return false, fmt.Errorf("delivery %s was refused: %d %s", p.ID, resp.StatusCode, data)
	}
	b.count(b.taken, i)
	var said struct {
		EventID string `json:"event_id"`
	}
	if json.Unmarshal(data, &said) == nil && said.EventID != p.ID {
		return false, fmt.Errorf("delivery %s was accepted as %q", p.ID, said.EventID)
	}
	return true, nil
}

// events are all that were sent.
func (b *balancer) events() []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]event, 0, len(b.sent))
	for _, e := range b.sent {
		all = append(all, *e)
	}
	return all
}

// accepted counts those that were.
func (b *balancer) accepted() int {
	n := 0
	for _, e := range b.events() {
		if !e.Accepted.IsZero() {
			n++
		}
	}
	return n
}
