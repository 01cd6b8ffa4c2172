package app_test

import (
	"fmt"
	"testing"

	"github.com/millrace/millrace/internal/app"
)

// TestArchiveTimeline: which ruleset was live when an event came is known by its sequence, also after the rules have changed.
func TestArchiveTimeline(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "shop"})
	archive, err := app.OpenArchive(t.Context(), w.file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	sequence := func(eventID string) uint64 {
		_, sequence, err := archive.Event(t.Context(), eventID)
		if err != nil {
			t.Fatal(err)
		}
		return sequence
	}
	other := func(than string) (digest string) {
		eventually(t, "another ruleset to be live", func() error {
			if digest, err = archive.LiveNow(t.Context()); err == nil && digest == than {
				err = fmt.Errorf("it is %q", digest)
			}
			return err
		})
		return digest
	}
	first := other("")
	before := sequence(w.deliver(mergeRequest(t, 1)).EventID)
	w.writeRule("another.yaml", "rules:\n  - name: another\n    on: push\n    do: [{ notify: { to: [team], title: t, text: t } }]\n")
	second := other(first)
	after := sequence(w.deliver(mergeRequest(t, 2)).EventID)
	for at, want := range map[uint64]string{0: "", before: first, after: second} {
		if got, err := archive.LiveAt(t.Context(), at); got != want || err != nil {
			t.Errorf("live at %d: %q, %v, want %q", at, got, err, want)
		}
	}
}
