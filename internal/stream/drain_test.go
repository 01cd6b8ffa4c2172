package stream

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

// TestCutHandsBack: a handler that does not return when it is told to loses its message to another one, at once.
func TestCutHandsBack(t *testing.T) {
	c, j := open(t, streamtest.Server(t))
	begun, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	cons := runs(func(context.Context, *Message) error {
		close(begun)
		<-release
		return nil
	})
	cons.AckWait, cons.Drain, cons.Cut = 10*time.Minute, time.Millisecond, time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Consume(ctx, cons) }()
	put(t, c, Runs, "k1")
	receive(t, begun, "the first delivery")
	cancel()
	if err := receive(t, ended, "the end of consuming"); !errors.Is(err, ErrCut) {
		t.Errorf("it ended with %v", err)
	}
	if n := len(j.with("cut, handed back")); n != 1 {
		t.Errorf("%d messages were handed back", n)
	}

	got := make(chan *Message, 1)
	cons = runs(func(_ context.Context, m *Message) error { got <- m; return nil })
	cons.AckWait = 10 * time.Minute
	consume(t, c, cons)
	if m := receive(t, got, "the message, handed back"); m.Attempts != 0 || !m.Redelivered {
		t.Errorf("message = %+v, want no attempt counted", m)
	}
}
