package engine

import (
	"testing"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

const storedRules = `
rules:
  - name: note
    on: push
    match: { repository.path: shop/orders }
    do: [{ notify: { to: [team], title: "t", text: "${{ event.after }}" } }]
`

// Whatever is stored where a record of ours should be: matching and running end, and a run that cannot read its record makes no work of it.
func FuzzStored(f *testing.F) {
	f.Add(uint8(0), []byte(`{"v":1,"event_id":"repo/1","digest":"d","candidates":["note"],"chain":{},"at":"2026-04-01T08:30:00Z"}`))
	f.Add(uint8(0), []byte(`{"v":2}`))
	f.Add(uint8(1), []byte(`{"v":1,"rule":"note","event_id":"repo/1","items":[{"key":"","actions":[{"v":1,"kind":"notify","id":"a"}]}]}`))
	f.Add(uint8(1), []byte(`{"v":1,"items":[{"actions":[null]}]}`))
	f.Add(uint8(1), []byte(`[`))
	f.Add(uint8(2), []byte(`{"v":1,"times":["2026-04-01T08:30:00Z"]}`))
	var fix *fixture
	f.Fuzz(func(t *testing.T, where uint8, data []byte) {
		if fix == nil { // compiled once
			fix = newFixture(t, storedRules, nil)
		}
		runID := rules.RunID("repo/1", "note")
		subject := []string{matchSubject("repo/1"), runSubject(runID), commitSubject(commitA)}[where%3]
		store := newMemory()
		store.rulesets = fix.store.rulesets
		store.records[subject], store.revs[subject] = data, 1
		e, err := New(Stores{store, store, store}, fix.live, Sources{fix.source, fix.source}, Limits{}, zerolog.Nop(), fix.clock.now)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Match(t.Context(), push("1", commitA, "fix totals")); err != nil && len(store.put("")) > 0 {
			t.Errorf("work was put, and matching failed: %v", err)
		}
		for _, s := range store.put(subjectRun) {
			err := e.Run(t.Context(), Message{Header: s.header, Data: s.data})
			var rec rules.Decision
			if unread := decodeRecord(subject, data, &rec); subject == runSubject(runID) && unread != nil {
				if put := store.put("work.notify"); err == nil || len(put) > 0 {
					t.Errorf("%d messages put by a record that cannot be read (%v): %v", len(put), unread, err)
				}
			}
		}
	})
}

// A ruleset comes out of the store as what its digest names, or not at all.
func FuzzBundle(f *testing.F) {
	f.Add([]byte(`{"v":1,"files":[{"name":"rules.yaml","data":"cnVsZXM6IFtdCg=="}]}`))
	f.Add([]byte(`{"v":1,"files":[null]}`))
	f.Add([]byte(`{"v":2,"files":{}}`))
	f.Add([]byte(`{"v":1,"files":[{"name":"","data":"!"}]}`))
	catalogue := Catalogue([]string{"team"}, []string{rules.DefaultConnection})
	f.Fuzz(func(t *testing.T, data []byte) {
		store := newMemory()
		store.rulesets["d"] = data
		if rs, err := NewLive(catalogue, store).Ruleset(t.Context(), "d"); err == nil {
			t.Errorf("files with digest %s were taken for those of another", rs.Digest())
		}
	})
}
