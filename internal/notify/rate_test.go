package notify_test

import (
	"testing"
	"time"

	"github.com/millrace/millrace/internal/notify"
	"github.com/millrace/millrace/internal/notify/notifytest"
)

// TestRate: the limit is kept without a wait, and a place is free again in time.
func TestRate(t *testing.T) {
	tests := []struct {
		kind  string
		burst int
		wait  time.Duration
	}{
		{notify.KindDingTalk, 20, 61 * time.Second},
		{notify.KindFeishu, 5, 2 * time.Second},
	}
	for _, tt := range tests {
		now := start()
		clock := func() time.Time { return now }
		fake := notifytest.New(clock, account(tt.kind))
		n := target(t, account(tt.kind), serve(t, fake).URL, func(c *notify.Config) { c.Now = clock })
		for range tt.burst {
			if err := n.Notify(t.Context(), message()); err != nil {
				t.Fatal(err)
			}
		}
		e := failure(t, n.Notify(t.Context(), message()))
		if !e.Retryable() || e.Class() != notify.ClassRate || e.RetryAfter() != tt.wait {
			t.Errorf("%s: class %s, after %v", tt.kind, e.Class(), e.RetryAfter())
		}
		now = now.Add(e.RetryAfter())
		if err := n.Notify(t.Context(), message()); err != nil {
			t.Errorf("%s, after the wait: %v", tt.kind, err)
		}
		if got := len(fake.Messages()); got != tt.burst+1 {
			t.Errorf("%s: the fake took %d messages", tt.kind, got)
		}
	}
}

// TestRest: after a robot said it is too much, nothing is sent to it for a while.
func TestRest(t *testing.T) {
	for kind, body := range map[string]string{
		notify.KindDingTalk: `{"errcode":130101,"errmsg":"send too fast"}`,
		notify.KindFeishu:   `{"code":11232,"msg":"frequency limited"}`,
	} {
		now := start()
		clock := func() time.Time { return now }
		fake := notifytest.New(clock, account(kind))
		fake.Answer(kind, notifytest.Answer{Body: body})
		n := target(t, account(kind), serve(t, fake).URL, func(c *notify.Config) { c.Now = clock })
		for i := range 2 {
			e := failure(t, n.Notify(t.Context(), message()))
			if e.Class() != notify.ClassRate || e.RetryAfter() != time.Minute {
				t.Errorf("%s, try %d: class %s, after %v", kind, i, e.Class(), e.RetryAfter())
			}
		}
		if fake.Refused() != 1 || len(fake.Messages()) != 0 {
			t.Errorf("%s: the fake was asked again", kind)
		}
		now = now.Add(time.Minute)
		if err := n.Notify(t.Context(), message()); err != nil {
			t.Errorf("%s, after the rest: %v", kind, err)
		}
	}
}
