package stream

import (
	"testing"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

func TestWentBack(t *testing.T) {
	b := streamtest.Server(t)
	b.Front()
	c, _ := open(t, b)
	wentBack := func(when string, want bool) {
		t.Helper()
		if got, err := c.WentBack(t.Context()); got != want || err != nil {
			t.Errorf("%s: %t, %v", when, got, err)
		}
	}
	publish := func(id string) {
		t.Helper()
		if _, err := c.PublishEvent(t.Context(), event(id)); err != nil {
			t.Fatal(err)
		}
	}
	wentBack("at first", false)
	publish("1")
	publish("2")
	wentBack("with more in it", false)
	b.Purge(string(Events), "events.>")
	wentBack("purged", false)
	c.past.saw(100) // as if it had been acknowledged and lost
	wentBack("with less in it", true)
	wentBack("told once", false)
	if err := c.js.DeleteStream(t.Context(), string(Events)); err != nil {
		t.Fatal(err)
	}
	wentBack("deleted", true)
	wentBack("still deleted", false)
	if err := c.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish("3")
	wentBack("made anew after that was told", false)
	if err := c.js.DeleteStream(t.Context(), string(Events)); err != nil {
		t.Fatal(err)
	}
	if err := c.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	wentBack("made anew", true)
	publish("4")
	b.Restart()
	eventually(t, "the connection to be found again", func() bool { return c.Reachable(t.Context()) == nil && c.past.created.Load() == nil })
	wentBack("what the connection has told", false)
	b.Stop()
	if _, err := c.WentBack(t.Context()); err == nil {
		t.Error("a broker that is away says something")
	}
}
