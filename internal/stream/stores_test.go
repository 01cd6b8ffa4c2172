package stream

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEnsureMakesTheStores(t *testing.T) {
	c, _ := open(t, streamtest.Server(t))
	got := map[string]jetstream.StreamConfig{}
	for list := c.js.ListStreams(t.Context()); ; {
		info, open := <-list.Info()
		if !open {
			break
		}
		got[info.Config.Name] = info.Config
	}
	for name, limits := range map[string]jetstream.StreamConfig{
		"EVENTS":  {Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxBytes: 64 << 20, MaxMsgsPerSubject: -1, Duplicates: 10 * time.Minute},
		"WORK":    {Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardOld, MaxBytes: -1, MaxMsgsPerSubject: -1, Duplicates: 2 * time.Minute, AllowMsgSchedules: true},
		"RECORDS": {Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxBytes: 64 << 20, MaxMsgsPerSubject: 1, Duplicates: 2 * time.Minute, AllowMsgTTL: true},
		"DEAD":    {Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxBytes: 64 << 20, MaxMsgsPerSubject: -1, Duplicates: 2 * time.Minute, MaxAge: 90 * 24 * time.Hour},
	} {
		s, ok := got[name]
		if !ok {
			t.Errorf("no stream %s", name)
			continue
		}
		have := jetstream.StreamConfig{
			Retention: s.Retention, Discard: s.Discard, MaxBytes: s.MaxBytes, MaxAge: s.MaxAge, MaxMsgsPerSubject: s.MaxMsgsPerSubject,
			Duplicates: s.Duplicates, AllowMsgSchedules: s.AllowMsgSchedules, AllowMsgTTL: s.AllowMsgTTL,
		}
		if diff := cmp.Diff(limits, have); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if s.Storage != jetstream.FileStorage || s.Replicas != 1 || s.MaxMsgs != -1 {
			t.Errorf("%s = %+v", name, s)
		}
	}
	if _, ok := got["OBJ_rulesets"]; !ok {
		t.Error("no object store rulesets")
	}
	if err := c.Ensure(t.Context()); err != nil {
		t.Errorf("ensure again: %v", err)
	}
}

func TestEnsureAtOnceByMany(t *testing.T) {
	for name, opts := range map[string][]streamtest.Option{
		"space for all":        nil,
		"space for each store": {streamtest.MaxStore(200 << 20)}, // once
	} {
		t.Run(name, func(t *testing.T) {
			b := streamtest.Server(t, opts...)
			var all sync.WaitGroup
			for range 8 {
				c, _ := dial(t, b)
				all.Go(func() {
					if err := c.Ensure(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
	}
}

func TestEnsureKeepsHarmlessDifferences(t *testing.T) {
	b := streamtest.Server(t)
	first, _ := open(t, b)
	second, _ := dial(t, b, func(cfg *Config) {
		cfg.EventsMaxBytes, cfg.RecordsMaxBytes, cfg.DeadMaxBytes, cfg.DuplicateWindow = 1<<20, 1<<20, 1<<20, time.Second
	})
	if err := second.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := first.js.Stream(t.Context(), string(Events))
	if err != nil {
		t.Fatal(err)
	}
	if cfg := s.CachedInfo().Config; cfg.MaxBytes != 64<<20 || cfg.Duplicates != 10*time.Minute {
		t.Errorf("settings were changed: %+v", cfg)
	}
}

// wrong are streams whose settings would lose something, each with what is changed.
var wrong = map[string]func(s map[string]*jetstream.StreamConfig){
	"events discard old": func(s map[string]*jetstream.StreamConfig) { s["EVENTS"].Discard = jetstream.DiscardOld },
	"events max age":     func(s map[string]*jetstream.StreamConfig) { s["EVENTS"].MaxAge = time.Hour },
	"events max msgs":    func(s map[string]*jetstream.StreamConfig) { s["EVENTS"].MaxMsgs = 5 },
	"events per subject": func(s map[string]*jetstream.StreamConfig) { s["EVENTS"].MaxMsgsPerSubject = 5 },
	"events in memory":   func(s map[string]*jetstream.StreamConfig) { s["EVENTS"].Storage = jetstream.MemoryStorage },
	"events interest":    func(s map[string]*jetstream.StreamConfig) { s["EVENTS"].Retention = jetstream.InterestPolicy },
	"events subjects":    func(s map[string]*jetstream.StreamConfig) { s["EVENTS"].Subjects = []string{"events.gitlab.>"} },
	"events no ack":      func(s map[string]*jetstream.StreamConfig) { s["EVENTS"].NoAck = true },
	"events size":        func(s map[string]*jetstream.StreamConfig) { s["EVENTS"].MaxMsgSize = 1000 },
	"events async":       func(s map[string]*jetstream.StreamConfig) { s["EVENTS"].PersistMode = jetstream.AsyncPersistMode },
	"work limits":        func(s map[string]*jetstream.StreamConfig) { s["WORK"].Retention = jetstream.LimitsPolicy },
	"work max age":       func(s map[string]*jetstream.StreamConfig) { s["WORK"].MaxAge = time.Hour },
	"work max bytes":     func(s map[string]*jetstream.StreamConfig) { s["WORK"].MaxBytes = 1 << 30 },
	"work max msgs":      func(s map[string]*jetstream.StreamConfig) { s["WORK"].MaxMsgs = 5 },
	"work max consumers": func(s map[string]*jetstream.StreamConfig) { s["WORK"].MaxConsumers = 1 },
	"work no schedules":  func(s map[string]*jetstream.StreamConfig) { s["WORK"].AllowMsgSchedules = false },
	"records no ttl":     func(s map[string]*jetstream.StreamConfig) { s["RECORDS"].AllowMsgTTL = false },
	"records history":    func(s map[string]*jetstream.StreamConfig) { s["RECORDS"].MaxMsgsPerSubject = 5 },
	"records discard":    func(s map[string]*jetstream.StreamConfig) { s["RECORDS"].Discard = jetstream.DiscardOld },
	"records max age":    func(s map[string]*jetstream.StreamConfig) { s["RECORDS"].MaxAge = time.Hour },
	"records markers": func(s map[string]*jetstream.StreamConfig) {
		s["RECORDS"].SubjectDeleteMarkerTTL, s["RECORDS"].AllowRollup = time.Hour, true
	},
	"records per subject": func(s map[string]*jetstream.StreamConfig) { s["RECORDS"].DiscardNewPerSubject = true },
	"dead discard old":    func(s map[string]*jetstream.StreamConfig) { s["DEAD"].Discard = jetstream.DiscardOld },
	"dead max age":        func(s map[string]*jetstream.StreamConfig) { s["DEAD"].MaxAge = time.Hour },
	"dead per subject":    func(s map[string]*jetstream.StreamConfig) { s["DEAD"].MaxMsgsPerSubject = 1 },
	"two streams": func(s map[string]*jetstream.StreamConfig) {
		s["EVENTS"].MaxAge, s["EVENTS"].MaxMsgs, s["WORK"].AllowMsgSchedules = time.Hour, 5, false
	},
}

// Each wrong setting is refused with its sentence; testdata/complaints holds all of them.
func TestEnsureRefusesWhatWouldLoseSomething(t *testing.T) {
	for name, change := range wrong {
		t.Run(name, func(t *testing.T) {
			c, _ := dial(t, streamtest.Server(t))
			streams := map[string]*jetstream.StreamConfig{}
			for _, s := range c.blueprint() {
				streams[s.Name] = &s
			}
			change(streams)
			for _, s := range streams {
				if _, err := c.js.CreateStream(t.Context(), *s); err != nil {
					t.Fatal(err)
				}
			}
			err := c.Ensure(t.Context())
			var complaints Complaints
			if !errors.As(err, &complaints) || complaints.Retryable() {
				t.Fatalf("ensure = %v, want complaints", err)
			}
			golden(t, filepath.Join("complaints", strings.ReplaceAll(name, " ", "_")+".txt"), err.Error()+"\n")
		})
	}
}

func TestEnsureRefusesTheBroker(t *testing.T) {
	t.Run("max payload", func(t *testing.T) {
		c, _ := dial(t, streamtest.Server(t, streamtest.MaxPayload(512<<10)))
		golden(t, "complaints/max_payload.txt", c.Ensure(t.Context()).Error()+"\n")
	})
	t.Run("storage", func(t *testing.T) {
		c, _ := dial(t, streamtest.Server(t, streamtest.MaxStore(1<<20)), func(cfg *Config) { cfg.EventsMaxBytes = 0 })
		golden(t, "complaints/storage.txt", c.Ensure(t.Context()).Error()+"\n")
	})
	t.Run("overlap", func(t *testing.T) {
		c, _ := dial(t, streamtest.Server(t))
		if _, err := c.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"work.run"}}); err != nil {
			t.Fatal(err)
		}
		golden(t, "complaints/overlap.txt", c.Ensure(t.Context()).Error()+"\n")
	})
	t.Run("rulesets in memory", func(t *testing.T) {
		c, _ := dial(t, streamtest.Server(t))
		if _, err := c.js.CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: "rulesets", Storage: jetstream.MemoryStorage, TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
		golden(t, "complaints/rulesets.txt", c.Ensure(t.Context()).Error()+"\n")
	})
}

// golden compares text with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
