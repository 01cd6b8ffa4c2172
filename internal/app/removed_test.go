package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/rules"
)

// TestCommitRemoved: a commit whose answer is lost is made, its push is delivered, and somebody sets the branch back before it is looked for. The
// branch looks as if nothing had been made; still it is not made a second time.
func TestCommitRemoved(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{})
	w.fake.SetHook(w.receiver+"/hooks/shop", webhookToken)
	w.fake.Fail("create_commit", codeartstest.Failure{Drop: true, Done: true, Times: 1})
	w.fake.Fail("commits", codeartstest.Failure{Skip: 1, Status: http.StatusBadGateway}) // the worker cannot look for it
	head, body := w.push("count totals in cents", 0, "FAILED")
	w.deliver(body)
	eventually(t, "the push of the commit to be noticed", func() error {
		made := w.made()
		if len(made) == 0 {
			return errors.New("it is not made yet")
		}
		key, _ := rules.Trailer(made[0].Message)
		data, _, err := w.look().Get(t.Context(), "landed."+key)
		if err == nil && !strings.Contains(string(data), made[0].ID) {
			err = fmt.Errorf("noted is %q", data)
		}
		return err
	})
	w.fake.Reset(repoID, "main", head)
	w.fake.Clear("commits")
	eventually(t, "the end of it", func() error {
		if n := len(w.dead()); n != 1 {
			return fmt.Errorf("%d dead letters", n)
		}
		return w.settled()
	})
	if d := w.dead()[0]; d.Class != "rewritten" || !strings.Contains(d.Reason, w.made()[0].ID+" was pushed to it and is not there any more") {
		t.Errorf("dead letter of class %s: %s", d.Class, d.Reason)
	}
	if n := len(w.made()); n != 1 {
		t.Errorf("%d commits", n)
	}

	a := w.archive()
	l := w.theDeadLetter(a)
	if r, err := a.ReplayDeadLetter(t.Context(), l, false); err != nil || !strings.Contains(r.Refused, "replay it with --force") {
		t.Errorf("a replay without force: %+v, %v", r, err)
	}
	if r, err := a.ReplayDeadLetter(t.Context(), l, true); err != nil || r.Refused != "" {
		t.Fatalf("a replay by force: %+v, %v", r, err)
	}
	w.noDeadLetters()
	if made := w.made(); len(made) != 2 || w.fake.Head(repoID, "main") != made[1].ID {
		t.Errorf("commits %+v", made)
	}
}
