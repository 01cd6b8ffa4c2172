package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJudge(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	policy := Retry{Jitter: -1}.withDefaults()
	ending, cancel := context.WithCancel(t.Context())
	cancel()
	failedFor := func(d time.Duration) *delivery {
		return &delivery{Message: &Message{Attempts: 3}, firstFailure: now.Add(-d)}
	}
	fresh := &delivery{Message: &Message{}}
	tests := map[string]struct {
		ctx  context.Context
		d    *delivery
		err  error
		want ruling
	}{
		"done":           {d: fresh, want: ruling{verdict: done}},
		"parked":         {d: fresh, err: fmt.Errorf("x: %w", wait{until: now.Add(time.Hour), state: "s"}), want: ruling{verdict: parked, until: now.Add(time.Hour), state: "s"}},
		"state too long": {d: fresh, err: wait{state: strings.Repeat("s", 1025)}, want: ruling{verdict: buried, class: "size", reason: "the state to be kept has 1025 bytes, over the 1024 allowed"}},
		"plain":          {d: fresh, err: errors.New("away"), want: ruling{verdict: retried, until: now.Add(time.Second), reason: "away"}},
		"fourth failure": {d: failedFor(time.Hour), err: errors.New("away"), want: ruling{verdict: retried, until: now.Add(8 * time.Second), reason: "away"}},
		"retryable":      {d: fresh, err: failure{class: "throttled", after: time.Minute}, want: ruling{verdict: retried, until: now.Add(time.Minute), class: "throttled", reason: "the service said no"}},
		"absurd wait":    {d: fresh, err: failure{after: 10000 * time.Hour}, want: ruling{verdict: retried, until: now.Add(24 * time.Hour), reason: "the service said no"}},
		"final":          {d: fresh, err: fmt.Errorf("x: %w", failure{final: true, class: "breaker"}), want: ruling{verdict: buried, class: "breaker", reason: "x: the service said no"}},
		"final, unnamed": {d: fresh, err: failure{final: true}, want: ruling{verdict: buried, class: "failed", reason: "the service said no"}},
		"exhausted":      {d: failedFor(25 * time.Hour), err: failure{class: "throttled"}, want: ruling{verdict: buried, class: "exhausted", reason: "the service said no"}},
		"parked, though exhausted": {
			d: failedFor(25 * time.Hour), err: wait{until: now}, want: ruling{verdict: parked, until: now},
		},
		"shutdown":               {ctx: ending, d: fresh, err: fmt.Errorf("x: %w", context.Canceled), want: ruling{verdict: returned}},
		"shutdown, own failure":  {ctx: ending, d: fresh, err: errors.New("away"), want: ruling{verdict: retried, until: now.Add(time.Second), reason: "away"}},
		"cancelled, no shutdown": {d: fresh, err: context.Canceled, want: ruling{verdict: retried, until: now.Add(time.Second), reason: "context canceled"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if tt.ctx != nil {
				ctx = tt.ctx
			}
			got := judge(ctx, tt.d, tt.err, policy, now)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(ruling{})); diff != "" {
				t.Errorf("ruling (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDelays(t *testing.T) {
	var got []time.Duration
	plain := Retry{Jitter: -1}.withDefaults()
	for _, failures := range []int{0, 1, 2, 8, 9, 10_000} {
		got = append(got, plain.delay(failures))
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 256 * time.Second, 5 * time.Minute, 5 * time.Minute}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
	low, high := time.Hour, time.Duration(0)
	chance := Retry{Jitter: 1}.withDefaults()
	half := Retry{}.withDefaults()
	for range 1000 {
		d := chance.delay(6)
		low, high = min(low, d), max(high, d)
		if d := half.delay(6); d < 32*time.Second || d > 64*time.Second {
			t.Fatalf("half jitter drew %s of 64s", d)
		}
	}
	if low < 0 || low > 8*time.Second || high > 64*time.Second || high < 56*time.Second {
		t.Errorf("a thousand draws of 64s lie between %s and %s", low, high)
	}
}

// Those who were asked to wait for the same time do not all come back at once, and none before it.
func TestAskedPauseIsSpread(t *testing.T) {
	now := time.Now()
	seen := map[time.Time]bool{}
	for range 100 {
		r := judge(t.Context(), &delivery{Message: &Message{}}, failure{after: time.Minute}, Retry{First: 10 * time.Second}.withDefaults(), now)
		if wait := r.until.Sub(now); wait < time.Minute || wait > 65*time.Second {
			t.Fatalf("a pause of a minute takes %s, want at most half of the first pause more", wait)
		}
		seen[r.until] = true
	}
	if len(seen) < 50 {
		t.Errorf("a hundred come back at %d times", len(seen))
	}
}

func TestRetryOfAConsumer(t *testing.T) {
	base := Retry{First: time.Second, Max: time.Minute, GiveUpAfter: time.Hour, Jitter: -1}.withDefaults()
	if diff := cmp.Diff(base, Retry{}.over(base)); diff != "" {
		t.Errorf("nothing said (-want +got):\n%s", diff)
	}
	got := Retry{First: 2 * time.Minute, GiveUpAfter: 3 * time.Hour}.over(base)
	want := Retry{First: 2 * time.Minute, Max: 2 * time.Minute, GiveUpAfter: 3 * time.Hour, Factor: 2, Jitter: -1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ladder (-want +got):\n%s", diff)
	}
}

// An event is given up after as many deliveries as take GiveUpAfter at their full delays.
func TestEventIsGivenUp(t *testing.T) {
	policy := Retry{}.withDefaults()
	last := 0
	for n := range 1000 {
		if !policy.exhausted(&delivery{isEvent: true, Message: &Message{Attempts: n}}, time.Time{}) {
			last = n
		}
	}
	if last != 295 { // 511 s for the first nine, then 5 min each
		t.Errorf("the last delivery that is tried again is number %d, want 295", last)
	}
}

// A message that waits for days is not given up for a failure of the first day.
func TestCleanPassForgetsFailures(t *testing.T) {
	now := time.Now()
	for since, want := range map[time.Duration]int{time.Minute: 3, 2 * time.Hour: 0} {
		d := &delivery{Message: &Message{Attempts: 3}, firstFailure: now.Add(-3 * time.Hour), lastFailure: now.Add(-since)}
		got := d.afterWaiting(now)
		if got.Attempts != want || got.firstFailure.IsZero() != (want == 0) {
			t.Errorf("%s after the last failure: %d attempts, first failure %s; want %d attempts", since, got.Attempts, got.firstFailure, want)
		}
		if d.Attempts != 3 {
			t.Error("the original was changed")
		}
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("two\nlines\r\x00", 5)
	f.Add(strings.Repeat("界", 20), 31)
	f.Add("\xff\xfe", 4)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = 8 + most&0xff
		got := oneLine(text, most)
		if len(got) > most || strings.ContainsAny(got, "\r\n\x00") || strings.ToValidUTF8(got, "") != got {
			t.Errorf("oneLine(%q, %d) = %q", text, most, got)
		}
		if class := token(text); !validToken(class) {
			t.Errorf("token(%q) = %q", text, class)
		}
	})
}
