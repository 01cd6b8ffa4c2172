package stream

import (
	"context"
	"testing"
	"testing/synctest"
)

// holding is a lane with always something to do: it takes what it gets and gives nothing back until told.
func holding(ctx context.Context, p *places, l *lane) {
	for {
		if _, ok := p.await(ctx, l, p.limit); !ok {
			return
		}
	}
}

func TestPlacesAreSharedByWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{limit: 12}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		a, b, c := &lane{weight: 1}, &lane{weight: 2}, &lane{weight: 1}
		go holding(ctx, p, a)
		synctest.Wait()
		if a.taken != 12 {
			t.Errorf("alone it has %d of 12", a.taken)
		}
		go holding(ctx, p, b)
		go holding(ctx, p, c)
		synctest.Wait()
		if b.taken != 1 || c.taken != 1 || p.taken != 14 {
			t.Errorf("with all places taken the others have %d and %d, each its own", b.taken, c.taken)
		}
		for range 40 { // handlers end, of whoever has the most for its weight
			most := a
			for _, l := range []*lane{b, c} {
				if l.taken*most.weight > most.taken*l.weight {
					most = l
				}
			}
			p.free(most, 1)
			synctest.Wait()
		}
		if a.taken < 2 || a.taken > 4 || c.taken < 2 || c.taken > 4 || b.taken < 5 || b.taken > 7 || p.taken > 14 {
			t.Errorf("weights 1, 2 and 1 have %d, %d and %d of 12", a.taken, b.taken, c.taken)
		}
	})
}

// Who listens takes no place before something comes, and may always listen while it has none.
func TestListeningTakesNoPlace(t *testing.T) {
	p := &places{limit: 1}
	a, b := &lane{weight: 1}, &lane{weight: 1}
	for range 3 {
		for _, l := range []*lane{a, b} {
			if _, ok := p.await(t.Context(), l, 0); !ok {
				t.Fatal("may not listen")
			}
		}
	}
	p.take(a)
	if _, ok := p.await(t.Context(), b, 0); !ok {
		t.Error("its own place is free")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := p.await(ended, a, 0); ok {
		t.Error("there is no place for a second message")
	}
	if len(p.waiting) != 0 {
		t.Error("it still waits")
	}
	p.free(a, 1)
	if n, ok := p.await(t.Context(), a, 5); n != 1 || !ok || p.taken != 1 {
		t.Errorf("fetches %d with one place", n)
	}
}
