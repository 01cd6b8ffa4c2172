package app_test

import (
	"fmt"
	"net/http"
	"testing"
)

// TestShortestDuplicateWindow: the broker's memory of event ids saves work, and no more than that. A webhook that comes again
// when the broker has forgotten it is stored again, and does nothing: the records know it.
func TestShortestDuplicateWindow(t *testing.T) {
	t.Parallel()
	const copies = 4
	w, log := open(t, settings{Rules: "failed-build", DuplicateWindow: "100ms"})
	_, body := w.push("count totals in cents", 0, "FAILED")
	for stored := 0; stored < copies; {
		eventually(t, "the broker to forget the event", func() error {
			a, err := w.post(body, webhookToken)
			switch {
			case err != nil:
				return err
			case a.code != http.StatusAccepted:
				return fmt.Errorf("answered %d", a.code)
			case a.Status != "accepted":
				return fmt.Errorf("it is a %s", a.Status)
			}
			stored++
			return nil
		})
	}
	all := []string{failedOps, recorded, patienceOps, patienceTm}
	eventually(t, "the messages", func() error { return w.atLeast(all...) })
	eventually(t, "the end of all work", w.settled)
	if n := w.counts(); n.Events != copies || n.Dead != 0 {
		t.Errorf("in the stores: %+v", n)
	}
	if n := len(w.made()); n != 1 || w.fake.Calls("create_commit") != 1 {
		t.Errorf("%d commits after %d calls", n, w.fake.Calls("create_commit"))
	}
	told := w.told()
	for _, title := range all {
		if told[title] != 1 {
			t.Errorf("%q came %d times", title, told[title])
		}
	}
	if len(log.lines("match recorded")) != 1 || len(log.lines("run decided")) != 1 {
		t.Errorf("matched %d times, decided %d times", len(log.lines("match recorded")), len(log.lines("run decided")))
	}
}
