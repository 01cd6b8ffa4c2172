package app_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// TestSecretsStayIn drives every effect and every channel, at debug level and through their failures, with a mark in every secret
// of the configuration, and looks for the mark in all that is written down.
func TestSecretsStayIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Rules: "secrets", Token: mark + "-nats-token"})
	w.fake.AddJob(codeartstest.Job{ID: deployJob, ProjectID: projectID, RepoID: repoID})
	receiver, _ := w.startReceiver()
	worker, _ := w.startWorkerHere()

	// Everything fails once, and says in its answer what it should not.
	w.fake.Fail("iam_token", codeartstest.Failure{Times: 1, Status: http.StatusServiceUnavailable, Message: "password " + password + " not looked at"})
	w.fake.Fail("create_commit", codeartstest.Failure{Times: 1, Status: http.StatusInternalServerError, Message: "user with " + password})
	w.fake.Fail("start_build", codeartstest.Failure{Times: 1, Status: http.StatusInternalServerError, Code: "CB.00060211", Message: "too busy for " + password})
	w.robots.Answer(notifytest.DingTalk, notifytest.Answer{Body: `{"errcode":-1,"errmsg":"busy: ` + teamRobot.Token + ` ` + teamRobot.Secret + `"}`})
	w.robots.Answer(notifytest.Feishu, notifytest.Answer{Status: http.StatusBadGateway, Body: opsRobot.Token + " " + opsRobot.Secret})
	w.robots.Answer(notifytest.Webhook, notifytest.Answer{Status: http.StatusBadGateway, Body: hookRobot.Token + " " + hookRobot.Secret})
	if a, err := w.post(mergeRequest(t, 1), webhookToken+"x"); err != nil || a.code != http.StatusUnauthorized {
		t.Fatalf("%+v, %v", a, err)
	}
	_, body := w.push("count totals in cents", 0, "FAILED")
	w.deliver(body)
	eventually(t, "the messages", func() error {
		return w.atLeast("dingtalk: Recorded", "feishu: Recorded", "webhook: Recorded", "dingtalk: Alert")
	})
	eventually(t, "the end of all work", w.settled)
	if n := len(w.fake.Builds(deployJob)); n != 1 {
		t.Errorf("%d builds are started", n)
	}

	// And once more, for good.
	w.fake.Fail("create_commit", codeartstest.Failure{Status: http.StatusForbidden, Message: "no right for the one with " + password})
	w.fake.Fail("start_build", codeartstest.Failure{Status: http.StatusForbidden, Message: "no right for the one with " + password})
	w.robots.Answer(notifytest.DingTalk, notifytest.Answer{Body: `{"errcode":300005,"errmsg":"token is not exist: ` + teamRobot.Token + `"}`})
	w.robots.Answer(notifytest.Feishu, notifytest.Answer{Status: http.StatusBadRequest, Body: `{"code":19001,"msg":"invalid: ` + opsRobot.Token + ` ` + opsRobot.Secret + `"}`})
	w.robots.Answer(notifytest.Webhook, notifytest.Answer{Status: http.StatusUnauthorized, Body: hookRobot.Secret})
	_, body = w.push("count totals in yuan", 0, "FAILED")
	w.deliver(body)
	eventually(t, "the dead letters", func() error {
		if n := w.counts().Dead; n != 5 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	eventually(t, "the end of all work", w.settled)

	w.wantNoMark("log of the receiver", receiver.String())
	w.wantNoMark("log of the worker", worker.String())
	for _, d := range w.dead() {
		w.wantNoMark("dead letter", fmt.Sprintf("%+v %s", d, d.Data))
	}
	w.wantNoMark("printed configuration", fmt.Sprintf("%+v %#v", *w.config(), *w.config()))
	if n, err := w.broker.Holds([]byte(mark)); err != nil || n != 0 {
		t.Errorf("the mark is in %d files of the broker, %v", n, err)
	}
	if !bytes.Contains([]byte(strings.Join(w.environ(), "\n")), []byte(mark)) || len(worker.lines("retried")) == 0 {
		t.Error("this test does not test what it should")
	}
}

func (w *world) wantNoMark(where, text string) {
	w.t.Helper()
	for line := range strings.Lines(text) {
		if strings.Contains(line, mark) {
			w.t.Errorf("a secret is in the %s: %s", where, line)
		}
	}
}
