package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/pkg/rules"
)

// TestArchive: what a worker decided about an event is found again by the event's id, and the ruleset by the digest in its record.
func TestArchive(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "shop"})
	accepted := w.deliver(mergeRequest(t, 7))
	archive, err := app.OpenArchive(t.Context(), w.file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	eventually(t, "the decision", func() error {
		recorded, err := archive.Recorded(t.Context(), accepted.EventID)
		if err != nil {
			return err
		}
		if recorded == nil || len(recorded.Decisions) == 0 {
			return fmt.Errorf("recorded: %+v", recorded)
		}
		ruleset, err := archive.Ruleset(t.Context(), recorded.Digest)
		if err != nil {
			return err
		}
		for name, d := range recorded.Decisions {
			if ruleset.Rule(name) == nil || d.Outcome != rules.OutcomeActed {
				t.Errorf("rule %s: %+v", name, d)
			}
		}
		return nil
	})
	event, sequence, err := archive.Event(t.Context(), accepted.EventID)
	if err != nil || event.ID != accepted.EventID || sequence == 0 {
		t.Errorf("event %+v at %d: %v", event, sequence, err)
	}
	if _, _, err := archive.Event(t.Context(), "shop/never"); err == nil || !strings.Contains(err.Error(), "there is no event shop/never") {
		t.Errorf("an event that is not there: %v", err)
	}
	if _, err := app.OpenArchive(t.Context(), "nowhere.yaml"); err == nil || !strings.Contains(err.Error(), "nowhere.yaml") {
		t.Errorf("a file that is not there: %v", err)
	}
}
