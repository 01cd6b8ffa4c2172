package codearts_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

func TestCheckWebhookURL(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	const robot = "https://oapi.dingtalk.com/robot/send?access_token=" + markedToken
	if err := w.CheckWebhookURL(t.Context(), jobID, codearts.NoticeDingTalk, robot); err != nil {
		t.Fatal(err)
	}
	var no *codearts.APIError
	err := w.CheckWebhookURL(t.Context(), jobID, codearts.NoticeWeCom, "http://robot.example/"+markedToken)
	if !errors.As(err, &no) || no.Class() != "refused" || no.Retryable() || no.MayHaveHappened() || no.Message != "the webhook address cannot be used" {
		t.Errorf("an address it does not take: %v", err)
	}
	if err := w.CheckWebhookURL(t.Context(), strings.Repeat("0", 32), codearts.NoticeFeishu, robot); !errors.Is(err, codearts.ErrInvalid) {
		t.Errorf("a task that is not there: %v", err)
	}
	want := []codeartstest.WebhookCheck{{JobID: jobID, NoticeType: "DING_TALK", URL: robot}, {JobID: jobID, NoticeType: "WECOM", URL: "http://robot.example/" + markedToken}}
	if diff := cmp.Diff(want, w.WebhookChecks()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestCheckWebhookURLHidesTheAddress: whatever comes back, and however the call breaks, the address is in no error.
func TestCheckWebhookURLHidesTheAddress(t *testing.T) {
	const robot = "https://oapi.dingtalk.com/robot/" + markedToken + "?access_token=" + markedPassword
	for name, failure := range map[string]codeartstest.Failure{
		"whole":      {ErrorText: "cannot send to " + robot},
		"token":      {Status: http.StatusBadRequest, Code: "CB.00060200", Message: "token " + markedPassword},
		"path":       {Status: http.StatusOK, Code: "X.1", Message: "no /robot/" + markedToken},
		"code":       {Status: http.StatusBadRequest, Code: markedPassword},
		"request id": {Status: http.StatusBadRequest, Header: http.Header{"X-Request-Id": {markedToken}}},
		"dropped":    {Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, codeartstest.Options{})
			w.Fail(codearts.OpCheckWebhookURL, failure)
			err := w.CheckWebhookURL(t.Context(), jobID, codearts.NoticeDingTalk, robot)
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "MARKER") {
				t.Errorf("%v", err)
			}
			if n := w.Calls(codearts.OpCheckWebhookURL); n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}
