package codearts

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The kinds of notice of a build task (CodeArts page ShowJobNoticeConfigInfo). Only the robots' have an address.
const (
	NoticeMessage  = "MESSAGE"
	NoticeMail     = "MAIL"
	NoticeWeCom    = "WECOM"
	NoticeDingTalk = "DING_TALK"
	NoticeFeishu   = "FEISHU"
)

// OpCheckWebhookURL is the name of the operation, as it stands in APIError.Op.
const OpCheckWebhookURL = "check_webhook_url"

func webhookOperations() []Operation {
	return []Operation{{
		Name: OpCheckWebhookURL, Service: ServiceBuild, Method: http.MethodPost, Path: "/v1/job/check/webhook-url",
		Title: "Check webhook address", TitleZH: "检查webhook地址参数", Doc: "asks whether Build would send a task's notices to an address; it may send a message there", Page: "CheckWebhookUrl",
		Args: []Arg{
			jobIDArg, need("notice_type", ArgText, "DING_TALK, FEISHU or WECOM"), need("webhook_url", ArgText, "address of the robot, a secret"),
		},
		Writes: true, Repeat: RepeatNever, // presumably sends a message to try the address
		call: func(ctx context.Context, c *Client, a Values) (any, error) {
			return nil, c.CheckWebhookURL(ctx, a.Text("job_id"), a.Text("notice_type"), a.Text("webhook_url"))
		},
	}}
}

// CheckWebhookURL asks Build whether it would send a task's notices to an address: Check webhook address, 检查webhook地址参数 (CodeArts page
// CheckWebhookUrl). A nil error is its yes, an *APIError of class refused or invalid its no, with its reason if it gave one; nothing more is
// documented.
//
// A message may be sent to the address, so a failure after which that may have happened is not retryable. The address is a secret, and is
// in no error.
func (c *Client) CheckWebhookURL(ctx context.Context, jobID, noticeType, address string) error {
	op := c.op(OpCheckWebhookURL)
	switch {
	case jobID == "" || address == "":
		return invalid(op, "job_id and webhook_url are needed")
	case !slices.Contains([]string{NoticeWeCom, NoticeDingTalk, NoticeFeishu}, noticeType):
		return invalid(op, "notice_type is none of %s, %s and %s", NoticeDingTalk, NoticeFeishu, NoticeWeCom)
	}
	body := struct {
		JobID      string `json:"job_id"`
		NoticeType string `json:"notice_type"`
		WebhookURL string `json:"webhook_url"`
	}{jobID, noticeType, address}
	err := c.do(ctx, OpCheckWebhookURL, question{body: body}, &noResult{})
	var failure *APIError
	if !errors.As(err, &failure) {
		return err
	}
	failure.again = failure.again && !failure.maybe
	if words := wordsOf(address); contains(failure.Message, words) || contains(failure.Code, words) || contains(failure.RequestID, words) {
		failure.Message, failure.Code, failure.RequestID = "it says something that has the address in it", "", ""
	}
	return failure
}

// noResult is the result of a call that has none, whatever comes in its place.
type noResult struct{}

// UnmarshalJSON takes anything.
func (*noResult) UnmarshalJSON([]byte) error { return nil }

// wordsOf are the parts of an address that are not for everybody: those of its path and its query that are too long for a plain word.
func wordsOf(address string) []string {
	words := []string{address}
	if u, err := url.Parse(address); err == nil {
		words = append(words, u.RawQuery)
		for _, text := range []string{u.Path, u.EscapedPath()} {
			words = append(words, strings.Split(text, "/")...)
		}
		for _, values := range u.Query() {
			words = append(words, values...)
		}
	}
	return slices.DeleteFunc(words, func(w string) bool { return len(w) < 8 })
}

func contains(text string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}
