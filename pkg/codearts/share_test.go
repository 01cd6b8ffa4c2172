package codearts

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Those with different names take turns, each in the order it came; the rate is kept, and nobody's place is lost.
func TestWhoWaitsTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(10, 1)
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		began := time.Now()
		call := func(share string, number int) {
			wg.Go(func() {
				if late, _, err := l.pass(WithShare(t.Context(), share), "host", time.Now, time.Minute); late != 0 || err != nil {
					t.Errorf("%s %d: late %s, %v", share, number, late, err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, fmt.Sprint(share, number))
			})
			synctest.Wait() // they come one after the other
		}
		for i := range 31 {
			call("loud", i)
		}
		call("quiet", 0)
		call("quiet", 1)
		call("other", 0)
		wg.Wait()
		place := map[string]int{}
		for i, who := range order {
			place[who] = i
		}
		if place["quiet0"] > 4 || place["other0"] > 4 || place["quiet1"] > 8 {
			t.Errorf("the quiet ones came at %d, %d and %d: %v", place["quiet0"], place["other0"], place["quiet1"], order)
		}
		for i := range 30 {
			if place[fmt.Sprint("loud", i)] > place[fmt.Sprint("loud", i+1)] {
				t.Errorf("loud %d came after the next one: %v", i, order)
			}
		}
		if took := time.Since(began).Round(time.Millisecond); took != 3300*time.Millisecond {
			t.Errorf("34 requests took %s at 10 a second after one at once", took)
		}
		if q := &l.hosts["host"].queue; len(q.waiting) != 0 || q.served != nil {
			t.Errorf("left behind: %+v", q)
		}
	})
}

// Who is passed over for too long is told how long it would be, and who goes away leaves its place to the others.
func TestWaitingIsBoundedAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(1, 1)
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan string, 10)
		var wg sync.WaitGroup
		call := func(ctx context.Context, share string, longest time.Duration) {
			wg.Go(func() {
				late, _, err := l.pass(WithShare(ctx, share), "host", time.Now, longest)
				results <- fmt.Sprint(share, late > 0, err)
			})
			synctest.Wait()
		}
		call(t.Context(), "a", time.Minute)   // at once
		call(t.Context(), "a", time.Minute)   // at 1 s
		call(t.Context(), "a", 2*time.Second) // at 2 s, but b comes before
		call(ctx, "gone", time.Minute)
		call(t.Context(), "b", time.Minute)
		cancel()
		synctest.Wait()
		wg.Wait()
		close(results)
		got := map[string]int{}
		for r := range results {
			got[r]++
		}
		if got["afalse <nil>"] != 2 || got["atrue <nil>"] != 1 || got["bfalse <nil>"] != 1 || got["gonefalse context canceled"] != 1 {
			t.Errorf("got %v", got)
		}
		if q := &l.hosts["host"].queue; len(q.waiting) != 0 {
			t.Errorf("left behind: %+v", q)
		}
	})
}
