package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lastEvent is an archive of which only the newest event matters. It fails while broken is set.
type lastEvent struct {
	sequence uint64
	broken   bool
}

func (e *lastEvent) LastEvent(context.Context) (uint64, error) {
	if e.broken {
		return 0, errBroken
	}
	return e.sequence, nil
}

func (r *reloading) timeline(events *lastEvent) {
	r.loader.Record(NewTimeline(r.store, events, "host/one", r.log.logger()))
}

func (r *reloading) load() {
	r.t.Helper()
	if err := r.loader.Load(r.t.Context(), r.at); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reloading) wantTimeline(want ...LiveEntry) {
	r.t.Helper()
	got, err := ReadTimeline(r.t.Context(), r.store)
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("timeline: %s", diff)
	}
}

func wantLive(t *testing.T, store *memory, sequence uint64, digest string, since time.Time) {
	t.Helper()
	got, at, err := LiveAt(t.Context(), store, sequence)
	if err != nil || got != digest || !at.Equal(since) {
		t.Errorf("live at %d: %q since %v, %v; want %q since %v", sequence, got, at, err, digest, since)
	}
}

func TestTimelineFollowsTheRules(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	events := &lastEvent{sequence: 7}
	r.timeline(events)
	if digest, err := LiveNow(t.Context(), r.store); digest != "" || err != nil {
		t.Errorf("before the first load: %q, %v", digest, err)
	}
	r.load()
	first := LiveEntry{Sequence: 7, Digest: r.live.Current().Digest(), At: r.at, By: "host/one"}
	r.poll(20)
	r.wantTimeline(first)

	events.sequence = 12
	r.write("b.yaml", oneRule("two"))
	r.poll(2)
	second := LiveEntry{Sequence: 12, Digest: r.live.Current().Digest(), At: r.at, By: "host/one"}
	r.wantTimeline(first, second)

	for sequence, want := range map[uint64]LiveEntry{7: {}, 8: first, 12: first, 13: second, 1000: second} {
		wantLive(t, r.store, sequence, want.Digest, want.At)
	}
	if digest, err := LiveNow(t.Context(), r.store); digest != second.Digest || err != nil {
		t.Errorf("live now: %q, %v", digest, err)
	}
}

// A worker that takes into use what another one has written down already writes nothing.
func TestTimelineIsSharedByWorkers(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	r.timeline(&lastEvent{sequence: 7})
	r.load()
	digest := r.live.Current().Digest()
	entry := LiveEntry{Sequence: 7, Digest: digest, At: start, By: "host/one"}

	other := NewTimeline(r.store, &lastEvent{sequence: 9}, "host/two", r.log.logger())
	other.swapped(t.Context(), digest, start.Add(time.Minute))
	r.wantTimeline(entry)

	// A worker that read an older sequence than is written by now does not go back.
	late := NewTimeline(r.store, &lastEvent{sequence: 3}, "host/three", r.log.logger())
	late.swapped(t.Context(), "other", start.Add(time.Minute))
	r.wantTimeline(entry, LiveEntry{Sequence: 7, Digest: "other", At: start.Add(time.Minute), By: "host/three"})
	wantLive(t, r.store, 8, "other", start.Add(time.Minute))
}

// Two workers that write at the same moment both find their way into the timeline.
func TestTimelineSurvivesARace(t *testing.T) {
	store, log := newMemory(), &lines{}
	slow := NewTimeline(store, &lastEvent{sequence: 5}, "slow", log.logger())
	races := 0
	store.onCreate = func(string) {
		if races++; races == 1 {
			NewTimeline(store, &lastEvent{sequence: 6}, "fast", log.logger()).swapped(t.Context(), "new", start)
		}
	}
	slow.swapped(t.Context(), "old", start)
	got, err := ReadTimeline(t.Context(), store)
	if err != nil || len(got) != 2 || got[0].Digest != "new" || got[1].Digest != "old" || got[1].Sequence != 6 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTimelineIsWrittenLater(t *testing.T) {
	for call := 1; call <= 3; call++ { // of those to the store after the ruleset is stored: none, read, create
		t.Run(fmt.Sprint(call), func(t *testing.T) {
			r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
			events := &lastEvent{sequence: 7}
			r.timeline(events)
			if call == 1 {
				events.broken = true
			} else {
				r.store.breakAt = call
			}
			r.load()
			r.wantRules("one") // whatever the timeline does
			r.wantTimeline()
			at, digest := r.at, r.live.Current().Digest()
			if line := r.wantLines("timeline not written", 1); len(line) == 1 {
				wantField(t, line[0], "digest", digest)
			}
			events.broken = false
			if call > 1 {
				events.sequence = 99 // meanwhile more came: they are matched with these rules already
			}
			r.poll(1) // the first one looks after everything
			r.poll(int(ensureEvery / time.Second))
			r.wantTimeline(LiveEntry{Sequence: 7, Digest: digest, At: at, By: "host/one"})
			r.wantLines("timeline not written", 1)
		})
	}
}

// An answer that was lost does not lead to a second entry.
func TestTimelineAfterALostAnswer(t *testing.T) {
	r := newReloading(t, map[string]string{"a.yaml": oneRule("one")})
	r.timeline(&lastEvent{sequence: 7})
	r.store.breakAt, r.store.afterwards = 3, true
	r.load()
	r.wantLines("timeline not written", 1)
	r.poll(2 * int(ensureEvery/time.Second))
	r.wantTimeline(LiveEntry{Sequence: 7, Digest: r.live.Current().Digest(), At: start, By: "host/one"})
	if n := r.store.revs[timelineSubject]; n != 1 {
		t.Errorf("written %d times", n)
	}
}

func TestTimelineIsBounded(t *testing.T) {
	store, digest := newMemory(), strings.Repeat("d", 60)
	full := timelineRecord{V: 1}
	for i := range maxTimeline {
		full.Entries = append(full.Entries, LiveEntry{
			Sequence: 1<<40 + uint64(i), Digest: fmt.Sprintf("%s%04d", digest, i), At: start, By: "host/" + digest,
		})
	}
	store.setRecord(t, timelineSubject, full)
	newest := uint64(1<<40 + maxTimeline + 7)
	NewTimeline(store, &lastEvent{sequence: newest}, "host/one", (&lines{}).logger()).swapped(t.Context(), "new", start)
	got, err := ReadTimeline(t.Context(), store)
	if err != nil || len(got) != maxTimeline || got[0] != full.Entries[1] || got[maxTimeline-1].Sequence != newest {
		t.Errorf("%d entries from %+v on, %v", len(got), got[0], err)
	}
	wantLive(t, store, full.Entries[1].Sequence, "", time.Time{}) // it was known once
	if size := len(store.records[timelineSubject]); size > maxRecord/4 {
		t.Errorf("the record has %d bytes", size)
	}
}

func TestTimelineThatCannotBeRead(t *testing.T) {
	for _, record := range []any{"no record", map[string]any{"v": 1, "entries": "none"}, map[string]any{"v": 1000}} {
		store := newMemory()
		store.setRecord(t, timelineSubject, record)
		if _, _, err := LiveAt(t.Context(), store, 1); err == nil {
			t.Errorf("%v: live at: no error", record)
		}
		if _, err := LiveNow(t.Context(), store); err == nil {
			t.Errorf("%v: live now: no error", record)
		}
		log := &lines{}
		NewTimeline(store, &lastEvent{}, "host/one", log.logger()).swapped(t.Context(), "digest", start)
		if len(log.all(t, "timeline not written")) != 1 || store.revs[timelineSubject] != 1 {
			t.Errorf("%v: written over, or nothing said", record)
		}
	}
}

func TestTimelineIsNotBlamedOnTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	log := &lines{}
	line := NewTimeline(newMemory(), &lastEvent{broken: true}, "host/one", log.logger())
	line.swapped(ctx, "digest", start)
	if n := len(log.all(t, "timeline not written")); n != 0 || line.due == nil {
		t.Errorf("%d lines, due %v", n, line.due)
	}
	if !errors.Is(line.write(t.Context()), errBroken) {
		t.Error("the cause is lost")
	}
}
