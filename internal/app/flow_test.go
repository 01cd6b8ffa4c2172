package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/rules"
)

// mergeRequest is the delivery of a merge request, as CodeArts Repo shapes it.
func mergeRequest(t testing.TB, iid int) []byte {
	t.Helper()
	person := map[string]any{"id": 1002, "name": "Wang Fang", "username": "wangfang", "email": "wangfang@example.com"}
	body, err := json.Marshal(map[string]any{
		"object_kind": "merge_request", "event_type": "merge_request", "uuid": fmt.Sprintf("mr-%d", iid), "user": person,
		"project": map[string]any{
			"id": 2111000001, "name": "orders", "path_with_namespace": repoPath, "default_branch": "main", "web_url": "https://codearts.example/" + repoPath,
		},
		"object_attributes": map[string]any{
			"id": 500 + iid, "iid": iid, "title": "Discounts", "state": "opened", "action": "open",
			"source_branch": "feature/discounts", "target_branch": "main", "url": fmt.Sprintf("https://codearts.example/%s/merge_requests/%d", repoPath, iid),
			"last_commit": map[string]any{"id": "0d1c2b3a49586776655443322110ffeeddccbbaa", "message": "count discounts", "author": person},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func announced(iid int) []string {
	return []string{fmt.Sprintf("dingtalk: Merge request !%d", iid), fmt.Sprintf("feishu: Merge request !%d", iid)}
}

func probe(kind, uuid string) []byte {
	return fmt.Appendf(nil, `{"object_kind":%q,"uuid":%q}`, kind, uuid)
}

// open starts a world with receiver and worker in this process.
func open(t *testing.T, s settings) (w *world, worker *journal) {
	t.Helper()
	w = newWorld(t, s)
	w.startReceiver()
	worker, _ = w.startWorkerHere()
	return w, worker
}

func (w *world) counts() stream.Counts {
	w.t.Helper()
	n, err := w.look().Counts(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// dead are the dead letters.
func (w *world) dead() []*stream.DeadLetter {
	w.t.Helper()
	var all []*stream.DeadLetter
	if err := w.look().DeadLetters(w.t.Context(), func(d *stream.DeadLetter) error {
		all = append(all, d)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// TestFromPushToMessage is the main road: a push, the wait for its build, the commit, its coming back, the message.
func TestFromPushToMessage(t *testing.T) {
	t.Parallel()
	w, log := open(t, settings{Rules: "shop"})
	w.fake.SetHook(w.receiver+"/hooks/shop", webhookToken)
	_, body := w.push("count totals in cents", time.Hour, "FAILED")
	accepted := w.deliver(body)
	if accepted.Status != "accepted" || !strings.HasPrefix(accepted.EventID, "shop/") {
		t.Errorf("answer %+v", accepted)
	}
	if again := w.deliver(body); again.Status != "duplicate" || again.EventID != accepted.EventID {
		t.Errorf("answer to the redelivery %+v", again)
	}
	eventually(t, "the run to wait for its build", func() error {
		if len(log.lines("parked", "event_id", accepted.EventID)) == 0 {
			return fmt.Errorf("it is not parked yet")
		}
		return nil
	})
	w.fake.Advance(time.Hour)
	eventually(t, "the messages", func() error { return w.atLeast("dingtalk: Recorded", "webhook: Pushed") })
	eventually(t, "our own commit to come back", func() error {
		if len(log.lines("own commit recognised")) == 0 {
			return fmt.Errorf("it is not recognised yet")
		}
		return nil
	})
	eventually(t, "the end of all work", w.settled)
	if got := w.told(); len(got) != 2 || got["dingtalk: Recorded"] != 1 || got["webhook: Pushed"] != 1 {
		t.Errorf("messages %v", got)
	}
	made := w.made()
	if len(made) != 1 {
		t.Fatalf("commits %+v", made)
	}
	if _, ok := rules.Trailer(made[0].Message); !ok || made[0].Files[0].Path != "builds/1.md" {
		t.Errorf("commit %+v", made[0])
	}
	// Of the lines that tell a story every one names the event.
	for _, message := range []string{"matched", "facts awaited", "fact fetched", "run decided", "action started", "action done", "message sent", "parked"} {
		if len(log.lines(message, "event_id", accepted.EventID)) == 0 {
			t.Errorf("no line %q with the event's id", message)
		}
	}
}

func TestMergeRequest(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "shop"})
	w.deliver(mergeRequest(t, 7))
	eventually(t, "the messages", func() error { return w.atLeast(announced(7)...) })
	eventually(t, "the end of all work", w.settled)
	for _, m := range w.robots.Messages() {
		if m.Kind == "dingtalk" && (!strings.Contains(m.Text, "**Discounts** by Wang Fang") || m.Link != "https://codearts.example/shop/orders/merge_requests/7") {
			t.Errorf("message %+v", m)
		}
	}
	if n := len(w.robots.Messages()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

// TestRefusedAtTheDoor: what the receiver refuses is not stored.
func TestRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "shop"})
	for name, tt := range map[string]struct {
		body  []byte
		token string
		want  int
	}{
		"wrong token": {mergeRequest(t, 1), "guessed", http.StatusUnauthorized},
		"no token":    {mergeRequest(t, 1), "", http.StatusUnauthorized},
		"not JSON":    {[]byte("{"), webhookToken, http.StatusBadRequest},
		"too large":   {append([]byte(`{"x":"`), make([]byte, 800<<10)...), webhookToken, http.StatusRequestEntityTooLarge},
	} {
		if a, err := w.post(tt.body, tt.token); err != nil || a.code != tt.want {
			t.Errorf("%s: answered %d, %v", name, a.code, err)
		}
	}
	if n := w.counts(); n.Events != 0 {
		t.Errorf("%d events are stored", n.Events)
	}
	if a := w.deliver(mergeRequest(t, 1)); a.Status != "accepted" {
		t.Errorf("the right token: %+v", a)
	}
	eventually(t, "the messages", func() error { return w.atLeast(announced(1)...) })
}

// TestUnknownKind: such an event is stored, and only a rule that asks for its kind sees it.
func TestUnknownKind(t *testing.T) {
	t.Parallel()
	w, log := open(t, settings{Rules: "shop"})
	other := w.deliver(probe("something_new", "p-1"))
	asked := w.deliver(probe("demo_probe", "p-2"))
	eventually(t, "the message", func() error { return w.atLeast("webhook: Probe") })
	eventually(t, "the end of all work", w.settled)
	if n := w.counts(); n.Events != 2 {
		t.Errorf("%d events are stored", n.Events)
	}
	for id, want := range map[string]string{other.EventID: "0", asked.EventID: "1"} {
		if len(log.lines("matched", "event_id", id, "candidates", want)) != 1 {
			t.Errorf("%s: matched %v, wanted %s candidates", id, log.lines("matched", "event_id", id), want)
		}
	}
	if n := len(w.robots.Messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// TestCodeArtsAway: runs are parked and tried again, everything else goes on, and when CodeArts is back they are decided.
func TestCodeArtsAway(t *testing.T) {
	t.Parallel()
	w, log := open(t, settings{Rules: "shop"})
	for _, op := range codeartstest.Operations() {
		w.fake.Fail(op, codeartstest.Failure{Drop: true})
	}
	_, body := w.push("count totals in cents", 0, "FAILED")
	pushed := w.deliver(body)
	eventually(t, "the run to be tried again", func() error {
		n := len(log.lines("retried", "event_id", pushed.EventID, "kind", "run"))
		if n < 2 {
			return fmt.Errorf("%d times", n)
		}
		return nil
	})
	w.deliver(mergeRequest(t, 8))
	eventually(t, "the messages that need no facts", func() error { return w.atLeast(append(announced(8), "webhook: Pushed")...) })
	eventually(t, "the run to be parked", func() error {
		if n := w.counts(); n.Parked != 1 || n.Work != 0 {
			return fmt.Errorf("%+v", n)
		}
		return nil
	})
	if len(w.made()) != 0 || len(w.dead()) != 0 {
		t.Errorf("%d commits, %d dead letters", len(w.made()), len(w.dead()))
	}
	w.fake.Clear()
	eventually(t, "the message that waited", func() error { return w.atLeast("dingtalk: Recorded") })
	eventually(t, "the end of all work", w.settled)
	if len(w.made()) != 1 || len(w.dead()) != 0 {
		t.Errorf("%d commits, %d dead letters", len(w.made()), len(w.dead()))
	}
}

// TestCodeArtsRefuses: a commit that is refused for good becomes a dead letter with the reason, what waited for it is skipped, and
// the other rule of the same event goes on.
func TestCodeArtsRefuses(t *testing.T) {
	t.Parallel()
	w, log := open(t, settings{Rules: "shop"})
	w.fake.Fail("create_commit", codeartstest.Failure{Status: http.StatusForbidden, Code: "CH.004403", Message: "no permission to push to this branch"})
	_, body := w.push("count totals in cents", 0, "FAILED")
	pushed := w.deliver(body)
	eventually(t, "the dead letter and the other rule's message", func() error {
		if len(w.dead()) == 0 {
			return fmt.Errorf("no dead letter")
		}
		return w.atLeast("webhook: Pushed")
	})
	eventually(t, "the end of all work", w.settled)
	dead := w.dead()
	if len(dead) != 1 {
		t.Fatalf("%d dead letters", len(dead))
	}
	d := dead[0]
	if d.Subject != "work.commit" || d.Consumer != "commit" || !strings.Contains(d.Reason, "403") ||
		!strings.Contains(d.Reason, "no permission to push to this branch") || !strings.Contains(d.Reason, "commit to "+repoID+"@main") {
		t.Errorf("dead letter %s of %s, class %s: %s", d.Subject, d.Consumer, d.Class, d.Reason)
	}
	if len(log.lines("dead-lettered", "event_id", pushed.EventID)) != 1 || len(log.lines("action skipped", "action_id", "notify1")) != 1 {
		t.Error("the log does not say so")
	}
	if n := w.fake.Calls("create_commit"); n != 1 || len(w.robots.Messages()) != 1 {
		t.Errorf("asked %d times; messages %v", n, w.told())
	}
}

// TestCodeArtsAwayForGood: a run whose facts cannot be had until the end of patience is a dead letter.
func TestCodeArtsAwayForGood(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "shop", GiveUpAfter: "2s"})
	w.fake.Fail("job_runs", codeartstest.Failure{Status: http.StatusServiceUnavailable})
	_, body := w.push("count totals in cents", 0, "FAILED")
	w.deliver(body)
	eventually(t, "the dead letter", func() error {
		if len(w.dead()) == 0 {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	eventually(t, "the end of all work", w.settled)
	if d := w.dead()[0]; d.Subject != "work.run.shop" || d.Class != stream.ClassExhausted || d.Attempts < 2 || !strings.Contains(d.Reason, "503") || string(d.Data) != string(body) {
		t.Errorf("dead letter %s, class %s, %d attempts: %s", d.Subject, d.Class, d.Attempts, d.Reason)
	}
}
