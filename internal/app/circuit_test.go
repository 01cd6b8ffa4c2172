package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/notify/notifytest"
)

// TestRobotThatIsDown: while one robot has a problem the other is told everything, and it costs no more tries than there were calls. Then
// everything is told.
func TestRobotThatIsDown(t *testing.T) {
	t.Parallel()
	const events, failures = 12, 7
	w := newWorld(t, settings{Rules: "shop"})
	for range failures {
		w.robots.Answer(notifytest.DingTalk, notifytest.Answer{Status: http.StatusServiceUnavailable})
	}
	w.startReceiver()
	log, _ := w.startWorkerHere()
	var want []string
	for iid := range events {
		w.deliver(mergeRequest(t, iid))
		want = append(want, announced(iid)...)
	}
	eventually(t, "all messages", func() error { return w.atLeast(want...) })
	eventually(t, "the end of all work", w.settled)
	if n := len(log.lines("retried", "target", "team")); n != failures {
		t.Errorf("%d messages were tried again, want one for each of the %d calls that failed", n, failures)
	}
	for _, message := range []string{"circuit opened", "circuit closed"} {
		lines := log.lines(message, "target", "team")
		if len(lines) == 0 {
			t.Errorf("no line %q", message)
		}
		if len(log.lines(message)) != len(lines) {
			t.Errorf("%q of another target", message)
		}
	}
	if opened := log.lines("circuit opened"); len(opened) > 0 && !strings.Contains(fmt.Sprint(opened[0]), "the target has a problem") {
		t.Errorf("no reason: %v", opened[0])
	}
	if n := w.counts().Dead; n != 0 {
		t.Errorf("%d dead letters", n)
	}
	if told := w.told(); len(told) != 2*events {
		t.Errorf("told %v", told)
	}
}
