package effects

import (
	"testing"

	"github.com/millrace/millrace/pkg/rules"
)

// TestReadResult reads what commits left in the ledger.
func TestReadResult(t *testing.T) {
	w := newWorld(t)
	note := commitAction("note", "a.md")
	if _, ended, err := ReadResult(t.Context(), w.store, note.Key); ended || err != nil {
		t.Errorf("before: %t, %v", ended, err)
	}
	w.putAction(note)
	w.run()
	got, ended, err := ReadResult(t.Context(), w.store, note.Key)
	if err != nil || !ended || got.Failed || got.ID == "" {
		t.Errorf("done: %+v, %t, %v", got, ended, err)
	}
	put := func(key string, rec actionRecord) {
		data, err := encodeRecord(rec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Create(t.Context(), actionSubject(key), data); err != nil {
			t.Fatal(err)
		}
	}
	failed := newActionRecord(&note, stateFailed, start)
	failed.Error = "a.md exists"
	put("failed", failed)
	put("started", newActionRecord(&note, stateStarted, start))
	put("broken", actionRecord{V: 1, State: "else"})
	if got, ended, err := ReadResult(t.Context(), w.store, "failed"); err != nil || !ended || got != (rules.Result{Failed: true, Error: "a.md exists"}) {
		t.Errorf("failed: %+v, %t, %v", got, ended, err)
	}
	if _, ended, err := ReadResult(t.Context(), w.store, "started"); ended || err != nil {
		t.Errorf("started: %t, %v", ended, err)
	}
	if _, _, err := ReadResult(t.Context(), w.store, "broken"); err == nil {
		t.Error("a broken record is read")
	}
	put("told", newActionRecord(&rules.Action{Kind: rules.KindNotify}, stateDone, start))
	for key, want := range map[string]*End{
		"none": nil, "started": nil, "told": {Done: true}, "failed": {Error: "a.md exists"}, note.Key: {Done: true, Result: got},
	} {
		if end, err := ReadEnd(t.Context(), w.store, key); err != nil || (end == nil) != (want == nil) || want != nil && *end != *want {
			t.Errorf("%s ended as %+v, %v; want %+v", key, end, err, want)
		}
	}
	if _, err := ReadEnd(t.Context(), w.store, "broken"); err == nil {
		t.Error("a broken record is read")
	}
}
