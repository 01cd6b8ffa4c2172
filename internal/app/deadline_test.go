package app_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// TestDeadlineAndReplay: what was accepted a week ago and is decided now leads to a commit, and to the message that waited for it, but to no other
// message. Who wants it all the same replays the dead letter, or the event.
func TestDeadlineAndReplay(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "replay"})
	a := w.archive()
	for i, replay := range []string{"dead letter", "event"} {
		iid := i + 1
		old := &events.Event{
			ID: fmt.Sprintf("shop/old-%d", iid), Source: "shop", Type: "merge_request.open", Time: time.Now().AddDate(0, 0, -7), Repository: repoPath,
			Body: mergeRequest(t, iid),
		}
		if _, err := w.look().PublishEvent(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		l := w.theDeadLetter(a)
		if l.Class != "expired" || l.Kind != "notify" || l.Target != "ops" {
			t.Fatalf("dead letter %+v", l)
		}
		recorded, opened := fmt.Sprintf("dingtalk: Recorded %d", iid), fmt.Sprintf("feishu: Opened %d", iid)
		if told := w.told(); told[recorded] != 1 || told[opened] != 0 {
			t.Errorf("told %v", told)
		}
		if replay == "dead letter" {
			r, err := a.PlanReplay(t.Context(), l, false)
			if err != nil || !slices.Contains(r.Will, "its deadline counts from the replay") {
				t.Errorf("%+v, %v", r, err)
			}
			if r, err := a.ReplayDeadLetter(t.Context(), l, false); err != nil || r.Refused != "" {
				t.Errorf("%+v, %v", r, err)
			}
		} else {
			stored, _, err := a.Event(t.Context(), old.ID)
			if err != nil {
				t.Fatal(err)
			}
			if r, err := a.ReplayEvent(t.Context(), stored, nil, false); err != nil || r.Refused != "" {
				t.Errorf("%+v, %v", r, err)
			}
			if _, err := a.DropDeadLetter(t.Context(), l.ID); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "the message", func() error { return w.atLeast(opened) })
		eventually(t, "the end of all work", w.settled)
		if told := w.told(); told[recorded] != 1 || told[opened] != 1 || len(w.made()) != iid {
			t.Errorf("told %v, %d commits", told, len(w.made()))
		}
	}
}
