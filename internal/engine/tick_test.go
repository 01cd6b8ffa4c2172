package engine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

func TestTickBecomesAnEventOnce(t *testing.T) {
	f := newFixture(t, notifyRules, nil)
	m := Message{
		Header: map[string]string{headerSchedule: "abc", headerSchedulePattern: "0 0 9 * * *", headerScheduleZone: "Asia/Shanghai"},
		Data:   []byte(`{"v":1}`), Stored: time.Date(2026, 4, 1, 1, 0, 0, 120e6, time.UTC),
	}
	for range 2 {
		if err := f.engine.Tick(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	want := []*events.Event{events.NewTick("abc", "0 0 9 * * *", "Asia/Shanghai", time.Date(2026, 4, 1, 1, 0, 0, 0, time.UTC))}
	if diff := cmp.Diff(want, f.store.events); diff != "" {
		t.Error(diff)
	}
	f.wantLines("event accepted", 1)
	f.wantLines("event duplicate", 1)
}

func TestTickFailures(t *testing.T) {
	f := newFixture(t, notifyRules, nil)
	wantFinal(t, f.engine.Tick(t.Context(), Message{Stored: start}), ClassMessage)
	wantFinal(t, f.engine.Tick(t.Context(), Message{Header: map[string]string{headerSchedule: "abc"}}), ClassMessage)
	f.store.breakAt = f.store.calls + 1
	err := f.engine.Tick(t.Context(), Message{Header: map[string]string{headerSchedule: "abc"}, Stored: start})
	if _, final := verdict(err); err == nil || final {
		t.Errorf("verdict %v, want to be tried again", err)
	}
}
