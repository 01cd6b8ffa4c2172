package codeartstest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
)

func webhookHandlers() map[string]handler {
	return map[string]handler{
		"check_webhook_url": (*Fake).checkWebhook,
	}
}

// WebhookCheck is an address that was asked about.
type WebhookCheck struct{ JobID, NoticeType, URL string }

// WebhookChecks returns what was asked about addresses so far. No message is sent there.
func (f *Fake) WebhookChecks() []WebhookCheck {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.checks)
}

// checkWebhook is POST /v1/job/check/webhook-url. Its answer has a status and an error, and no result.
func (f *Fake) checkWebhook(r *request) reply {
	var q struct {
		JobID      string `json:"job_id"`
		NoticeType string `json:"notice_type"`
		WebhookURL string `json:"webhook_url"`
	}
	kinds := []string{"MESSAGE", "MAIL", "WECOM", "DING_TALK", "FEISHU"}
	if json.Unmarshal(r.body, &q) != nil || q.WebhookURL == "" || !slices.Contains(kinds, q.NoticeType) {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	if f.jobs[q.JobID] == nil {
		return refuse(http.StatusBadRequest, "CB.00060201", "Invalid task ID")
	}
	f.checks = append(f.checks, WebhookCheck{q.JobID, q.NoticeType, q.WebhookURL})
	if u, err := url.Parse(q.WebhookURL); err != nil || u.Scheme != "https" || u.Host == "" {
		return answer(http.StatusOK, object{"status": "fail", "error": "the webhook address cannot be used"})
	}
	return answer(http.StatusOK, object{"status": "success", "error": nil})
}
