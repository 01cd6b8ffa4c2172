package codearts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// HookLog is one delivery of a hook (CodeArts pages ListRepositoryWebhookLogs and ShowRepositoryWebhookLog). A nil field was null or absent;
// the last four come with one log only. What the delivery carried may be secret: Redact before it is shown or kept.
type HookLog struct {
	ID                Int             `json:"id" doc:"id"`
	WebHookID         *Int            `json:"web_hook_id" doc:"hook"`
	Trigger           *string         `json:"trigger" doc:"what it told of, as CodeArts sent it"`
	URL               *string         `json:"url" doc:"address that was told, without its query; what may be a key in its path reads …"`
	ResponseStatus    *Text           `json:"response_status" doc:"HTTP status of the answer, or internal error when there was none"`
	Delivered         bool            `json:"delivered" doc:"the answer was a 2xx"`
	ExecutionDuration *Seconds        `json:"execution_duration" doc:"how long the answer took, seconds"`
	UUID              *string         `json:"uuid" doc:"id of the delivery"`
	CreatedAt         *string         `json:"created_at" doc:"when it was made"`
	UpdatedAt         *string         `json:"updated_at" doc:"when this was last changed"`
	Repository        *HookRepository `json:"repository" doc:"where it happened; of the hooks of a group or project"`
	RequestHeaders    json.RawMessage `json:"request_headers" doc:"headers it was sent with; values that may be secret are [redacted]; of one log only" secret:"true"`
	RequestData       json.RawMessage `json:"request_data" doc:"[redacted]; of one log only" secret:"true"`
	ResponseHeaders   json.RawMessage `json:"response_headers" doc:"headers of the answer; of one log only"`
	ResponseBody      json.RawMessage `json:"response_body" doc:"the answer; of one log only"`
}

// HookRepository is the repository a delivery is about.
type HookRepository struct {
	ID        *Text   `json:"id" doc:"repository id, digits"`
	Namespace *string `json:"namespace" doc:"its path"`
}

// Seconds is a number of seconds that may come as text; it is encoded as a number.
type Seconds float64

// UnmarshalJSON takes a number, or a string that holds one. null and the empty string leave the value as it is.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	b = bytes.Trim(b, `"`)
	if len(b) == 0 || string(b) == "null" {
		return nil
	}
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return errors.New("not a number of seconds")
	}
	*s = Seconds(f)
	return nil
}

// HookLogsQuery says which logs are listed.
type HookLogsQuery struct {
	Scope  HookScope
	HookID int64
	UUID   string // full id of a delivery, or the number of a merge request; "" all
	// CreatedAfter and CreatedBefore bound the time of the delivery; zero: no bound. Whether they are included is not documented.
	CreatedAfter, CreatedBefore time.Time
	RepositoryID                string // of a group's or project's hook: only this repository's; "" all
}

// hookLogLimit bounds the answer with one log, in bytes: what it carried is as large as a delivery.
const hookLogLimit = 4 << 20

// HookLogs lists the deliveries of a hook: List webhook logs, 获取仓库下指定Webhook的日志列表 (CodeArts page ListRepositoryWebhookLogs), in
// CodeArts's order, which is not documented. Pages are fetched as they are needed. An error ends the sequence.
func (c *Client) HookLogs(ctx context.Context, q HookLogsQuery) iter.Seq2[*HookLog, error] {
	return func(yield func(*HookLog, error) bool) {
		path, err := q.Scope.path(c.op(OpHookLogs), &q.HookID)
		if err != nil {
			yield(nil, err)
			return
		}
		query := url.Values{}
		for name, value := range map[string]string{
			"uuid": q.UUID, "created_after": commitTime(q.CreatedAfter), "created_before": commitTime(q.CreatedBefore), "repository_id": q.RepositoryID,
		} {
			if value != "" {
				query.Set(name, value)
			}
		}
		for log, err := range offsetPages(ctx, c, OpHookLogs, path, query, func(a, b *HookLog) bool { return a.ID == b.ID }) {
			if err == nil {
				log.Delivered = log.ok()
			}
			if !yield(log, err) || err != nil {
				return
			}
		}
	}
}

// HookLog returns one delivery with what was sent and answered: Get webhook log, 获取仓库下指定Webhook的指定日志详情 (CodeArts page
// ShowRepositoryWebhookLog). CodeArts masks the token and the addresses of people; see Redact for the rest.
func (c *Client) HookLog(ctx context.Context, scope HookScope, hookID, logID int64) (*HookLog, error) {
	op := c.op(OpHookLog)
	path, err := scope.path(op, &hookID)
	if err != nil {
		return nil, err
	}
	if logID < 1 {
		return nil, invalid(op, "log_id is at least 1")
	}
	var got *HookLog
	if err := c.do(ctx, OpHookLog, question{path: append(path, strconv.FormatInt(logID, 10))}, &got); err != nil {
		return nil, err
	}
	if int64(got.ID) != logID {
		e := newError(op)
		e.Err, e.class = errors.New("the answer is about another delivery"), classUnreadable
		return nil, e
	}
	got.Delivered = got.ok()
	return got, nil
}

// ok reports whether the delivery was answered with a 2xx.
func (l *HookLog) ok() bool {
	if l.ResponseStatus == nil {
		return false
	}
	status, err := strconv.Atoi(strings.TrimSpace(string(*l.ResponseStatus)))
	return err == nil && status >= 200 && status <= 299
}

// Redact replaces in place what may be secret: the body that was sent, the values of its headers but for a few that never are, and
// what may be a key in the address.
func (l *HookLog) Redact() {
	l.URL = publicURL(l.URL)
	if said(l.RequestData) {
		l.RequestData = json.RawMessage(`"` + redacted + `"`)
	}
	if !said(l.RequestHeaders) {
		return
	}
	var headers map[string]json.RawMessage
	if json.Unmarshal(l.RequestHeaders, &headers) != nil || headers == nil {
		l.RequestHeaders = json.RawMessage(`"` + redacted + `"`)
		return
	}
	for name := range headers {
		if !plainHeader(name) {
			headers[name] = json.RawMessage(`"` + redacted + `"`)
		}
	}
	l.RequestHeaders, _ = json.Marshal(headers) //nolint:errchkjson // it was JSON before
}

func said(b json.RawMessage) bool { return len(b) > 0 && string(b) != "null" }

// plainHeader reports whether a header of a delivery is never secret: the usual ones, and those that name the event.
func plainHeader(name string) bool {
	switch name = strings.ToLower(name); name {
	case "accept", "accept-encoding", "content-type", "content-length", "host", "user-agent":
		return true
	}
	return strings.HasPrefix(name, "x-") && strings.HasSuffix(name, "-event")
}
