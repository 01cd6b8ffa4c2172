package stream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func FuzzHeaders(f *testing.F) {
	f.Add("work.run", "k1", "3", "2026-05-04T03:02:01Z", "fact%202", "2026-05-04T03:02:01Z", "@every 1s")
	f.Add("work.tick.a", "", "-1", "yesterday", "%zz", "", "@at 2026-05-04T03:02:01Z")
	f.Add("work.notify.ops", "a.b", "99999999999999999999", "0000-00-00T00:00:00Z", "%", "x", "@at ")
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	meta := &jetstream.MsgMetadata{Stream: string(Work), NumDelivered: 1, Timestamp: now, Sequence: jetstream.SequencePair{Stream: 7}}
	f.Fuzz(func(t *testing.T, subject, key, attempts, first, state, failed, pattern string) {
		d := newDelivery(subject, nats.Header{
			headerKey: {key}, headerAttempts: {attempts}, headerFirstTried: {first}, headerState: {state},
			headerFirstFailure: {failed}, headerStored: {failed}, HeaderSchedulePattern: {pattern}, "Nats-Msg-Id": {"x"},
		}, meta, now)
		if !validToken(d.key) || d.Header[headerKey] != d.key {
			t.Errorf("key %q", d.key)
		}
		if d.Attempts < 0 || d.failedAt(now).Attempts <= d.Attempts {
			t.Errorf("attempts %d", d.Attempts)
		}
		if d.Header["Nats-Msg-Id"] != "" || d.Header[headerState] != "" {
			t.Errorf("header %v", d.Header)
		}
		if r := judge(t.Context(), d, failure{}, quick, now); r.verdict != retried && r.verdict != buried {
			t.Errorf("ruling %+v", r)
		}
	})
}
