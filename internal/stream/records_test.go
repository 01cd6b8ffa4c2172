package stream

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

func exists(err error) bool {
	var e interface{ Exists() bool }
	return errors.As(err, &e) && e.Exists()
}

func retryable(err error) bool {
	var e interface{ Retryable() bool }
	return errors.As(err, &e) && e.Retryable()
}

func TestRecordLife(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	ctx := t.Context()
	if data, rev, err := c.Get(ctx, "run.a"); data != nil || rev != 0 || err != nil {
		t.Errorf("absent record: %q, %d, %v", data, rev, err)
	}
	rev, err := c.Create(ctx, "run.a", []byte("one"))
	if err != nil || rev == 0 {
		t.Fatalf("create: %d, %v", rev, err)
	}
	if data, got, err := c.Get(ctx, "run.a"); string(data) != "one" || got != rev || err != nil {
		t.Errorf("get: %q, %d, %v", data, got, err)
	}
	if _, err := c.Create(ctx, "run.a", []byte("two")); !exists(err) {
		t.Errorf("second create: %v, want Exists", err)
	}
	next, err := c.Update(ctx, "run.a", []byte("three"), rev)
	if err != nil || next <= rev {
		t.Fatalf("update: %d, %v", next, err)
	}
	if _, err := c.Update(ctx, "run.a", []byte("four"), rev); !exists(err) || !strings.HasPrefix(err.Error(), "update record run.a: ") {
		t.Errorf("update on an old revision: %v, want Exists", err)
	}
	if data, _, _ := c.Get(ctx, "run.a"); string(data) != "three" {
		t.Errorf("get: %q", data)
	}
	if _, err := c.Create(ctx, "run.empty", nil); err != nil {
		t.Fatal(err)
	}
	if data, rev, err := c.Get(ctx, "run.empty"); data == nil || len(data) != 0 || rev == 0 || err != nil {
		t.Errorf("empty record: %v, %d, %v, want it told from an absent one", data, rev, err)
	}
	for _, name := range []string{"", "run", "run.", "run.a.b", "run.*", "run.a b", ">"} {
		_, err := c.Create(ctx, name, nil)
		if err == nil || retryable(err) {
			t.Errorf("create %q: %v, want a final error", name, err)
		}
		if _, _, err := c.Get(ctx, name); err == nil {
			t.Errorf("get %q: no error", name)
		}
	}
}

func TestRecordTTL(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	s, err := c.js.Stream(t.Context(), string(Records))
	if err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]string{"run.a": "504h0m0s", "alert.a": "", "ruleset.timeline": "", "worker.a": "1m30s"} {
		rev, err := c.Create(t.Context(), subject, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // an update sets it again
			m, err := s.GetLastMsgForSubject(t.Context(), "records."+subject)
			if err != nil || m.Header.Get("Nats-TTL") != want {
				t.Errorf("%s: TTL %q, %v, want %q", subject, m.Header.Get("Nats-TTL"), err, want)
			}
			if rev, err = c.Update(t.Context(), subject, []byte("x"), rev); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRecordHasOneCreator(t *testing.T) {
	b := streamtest.Server(t)
	one, _ := open(t, b)
	two, _ := dial(t, b)
	var created, lost atomic.Int32
	var all sync.WaitGroup
	for i := range 100 {
		c := one
		if i%2 == 1 {
			c = two
		}
		all.Go(func() {
			switch _, err := c.Create(t.Context(), "action.a", []byte{byte(i)}); {
			case err == nil:
				created.Add(1)
				if data, rev, err := two.Get(t.Context(), "action.a"); err != nil || rev == 0 || data[0] != byte(i) {
					t.Errorf("read by another worker right after the write: %v, %d, %v", data, rev, err)
				}
			case exists(err):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if created.Load() != 1 || lost.Load() != 99 {
		t.Errorf("%d created and %d lost, want 1 and 99", created.Load(), lost.Load())
	}
	// And of a hundred who update one revision, one wins.
	_, rev, err := one.Get(t.Context(), "action.a")
	if err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	for range 100 {
		all.Go(func() {
			if _, err := one.Update(t.Context(), "action.a", []byte("x"), rev); err == nil {
				won.Add(1)
			} else if !exists(err) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d updates won, want 1", won.Load())
	}
}

func TestFullRecordsStartNothingNew(t *testing.T) {
	c, _ := open(t, streamtest.Server(t), func(cfg *Config) { cfg.RecordsMaxBytes = 100_000 })
	ctx := t.Context()
	rev, err := c.Create(ctx, "run.first", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(ctx, "match.big", make([]byte, 92_000)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"match.next", "run.next"} {
		_, err := c.Create(ctx, name, nil)
		if err == nil || exists(err) || !retryable(err) || !strings.Contains(err.Error(), "RECORDS is 92 % full, so nothing new is started") {
			t.Errorf("create %s: %v", name, err)
		}
	}
	for _, name := range []string{"action.a", "commit.a", "breaker.a", "alert.a"} {
		if _, err := c.Create(ctx, name, nil); err != nil {
			t.Errorf("what was begun: %v", err)
		}
	}
	if _, err := c.Update(ctx, "run.first", []byte("x"), rev); err != nil {
		t.Errorf("update: %v", err)
	}
	// Room that comes back is noticed.
	s, err := c.js.Stream(ctx, string(Records))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject("records.match.big")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "room", func() bool { _, err := c.Create(ctx, "match.next", nil); return err == nil })
	// At the very end the server refuses, and loses nothing.
	if _, err := c.Create(ctx, "action.huge", make([]byte, 100_000)); err == nil || !retryable(err) || exists(err) {
		t.Errorf("create over the cap: %v, want a retryable error", err)
	}
}

func TestTooLargeIsFinalAndNamesItsSize(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	_, created := c.Create(t.Context(), "run.a", make([]byte, 1<<20))
	put := c.Put(t.Context(), Runs, map[string]string{"Millrace-Key": "k"}, make([]byte, 1<<20-parkRoom))
	for _, err := range []error{created, put} {
		var e *Error
		if !errors.As(err, &e) || e.Retryable() || e.Class() != ClassSize || !strings.Contains(err.Error(), "bytes are over the 10") {
			t.Errorf("error = %v", err)
		}
	}
}

func TestBrokerAwayIsRetryableAtOnce(t *testing.T) {
	b := streamtest.Server(t)
	b.Front()
	c, _ := open(t, b)
	b.Stop()
	eventually(t, "disconnected", func() bool { return !c.Connected() })
	_, createErr := c.Create(t.Context(), "run.a", nil)
	_, _, getErr := c.Get(t.Context(), "run.a")
	_, eventErr := c.PublishEvent(t.Context(), event("1"))
	for _, err := range []error{createErr, getErr, eventErr, c.Put(t.Context(), Runs, map[string]string{"Millrace-Key": "k"}, nil)} {
		if !retryable(err) || !errors.Is(err, nats.ErrReconnectBufExceeded) {
			t.Errorf("error = %v, want a retryable one that did not wait for the broker", err)
		}
	}
	b.Start()
	eventually(t, "all well again", func() bool { _, err := c.Create(t.Context(), "run.a", nil); return err == nil || exists(err) })
}

func TestRecordNamesAndForget(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	for _, subject := range []string{"worker.b", "worker.a", "workers.c", "run.worker"} {
		if _, err := c.Create(t.Context(), subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	want := func(want ...string) {
		t.Helper()
		if got, err := c.RecordNames(t.Context(), "worker"); !slices.Equal(got, want) || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	want("worker.a", "worker.b")
	for range 2 {
		if err := c.Forget(t.Context(), "worker.b"); err != nil {
			t.Error(err)
		}
	}
	want("worker.a")
	if data, rev, err := c.Get(t.Context(), "worker.b"); data != nil || rev != 0 || err != nil {
		t.Errorf("%q, %d, %v", data, rev, err)
	}
	if _, err := c.Create(t.Context(), "worker.b", nil); err != nil {
		t.Errorf("once more: %v", err)
	}
	for _, subject := range []string{"run.worker", "worker.*", "worker", "workers.c"} {
		if err := c.Forget(t.Context(), subject); err == nil || retryable(err) {
			t.Errorf("forget %s: %v, want a final error", subject, err)
		}
	}
	if _, err := c.RecordNames(t.Context(), ">"); err == nil {
		t.Error("a wildcard is no kind")
	}
	if none, err := c.RecordNames(t.Context(), "none"); len(none) != 0 || err != nil {
		t.Errorf("%q, %v", none, err)
	}
}

func TestRulesetsAreListed(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	if none, err := c.Rulesets(t.Context()); len(none) != 0 || err != nil {
		t.Errorf("%q, %v", none, err)
	}
	for _, digest := range []string{"bb", "aa", "bb"} {
		if err := c.PutRuleset(t.Context(), digest, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.Rulesets(t.Context()); !slices.Equal(got, []string{"aa", "bb"}) || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
