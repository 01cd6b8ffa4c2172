package notifytest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	robotSize = 20_000    // bytes of a request, both products
	robotSkew = time.Hour // between the signed time and now, both products
	hookSkew  = 5 * time.Minute
)

// dingTalk answers as a custom robot: always HTTP 200, the verdict is in errcode.
func dingTalk(a *Account, req *http.Request, body []byte, now time.Time) (*Message, Answer) {
	refuse := func(code int, message string) (*Message, Answer) {
		return nil, answerJSON(map[string]any{"errcode": code, "errmsg": message})
	}
	if a == nil {
		return refuse(300005, "token is not exist")
	}
	if a.Secret != "" {
		stamp := req.URL.Query().Get("timestamp")
		ms, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || !near(now, time.UnixMilli(ms), robotSkew) {
			return refuse(310000, "invalid timestamp")
		}
		if !signed(a.Secret, stamp+"\n"+a.Secret, req.URL.Query().Get("sign")) {
			return refuse(310000, "sign not match")
		}
	}
	var m struct {
		MsgType  string `json:"msgtype"`
		Markdown struct{ Title, Text string }
	}
	switch {
	case !isJSON(req):
		return refuse(43004, "the content type must be application/json")
	case len(body) > robotSize:
		return refuse(460101, "message too long")
	case json.Unmarshal(body, &m) != nil || m.MsgType != "markdown":
		return refuse(40035, "param error: msgtype")
	case m.Markdown.Title == "" || m.Markdown.Text == "":
		return refuse(40035, "param error: title or text")
	}
	return &Message{Title: m.Markdown.Title, Text: m.Markdown.Text, Link: lastLink(m.Markdown.Text)},
		answerJSON(map[string]any{"errcode": 0, "errmsg": "ok"})
}

// lastLink is the target of the last link of a markdown text.
func lastLink(text string) string {
	links := regexp.MustCompile(`\]\(([^()\s]*)\)`).FindAllStringSubmatch(text, -1)
	if len(links) == 0 {
		return ""
	}
	return links[len(links)-1][1]
}

// feishu answers as a custom bot: HTTP 200, or 400 for a body it cannot read; the verdict is in code.
func feishu(a *Account, body []byte, now time.Time) (*Message, Answer) {
	refuse := func(status, code int, message string) (*Message, Answer) {
		answer := answerJSON(map[string]any{"code": code, "msg": message, "data": map[string]any{}})
		answer.Status = status
		return nil, answer
	}
	if a == nil {
		return refuse(http.StatusBadRequest, 19001, "param invalid: incoming webhook access token invalid")
	}
	var m feishuRequest
	if len(body) > robotSize || json.Unmarshal(body, &m) != nil || m.MsgType != "interactive" {
		return refuse(http.StatusBadRequest, 9499, "Bad Request")
	}
	if a.Secret != "" {
		seconds, err := strconv.ParseInt(m.Timestamp, 10, 64)
		if err != nil || !near(now, time.Unix(seconds, 0), robotSkew) || !signed(m.Timestamp+"\n"+a.Secret, "", m.Sign) {
			return refuse(http.StatusOK, 19021, "sign match fail or timestamp is not within one hour from current time")
		}
	}
	shown := m.message()
	if len(m.Card.Elements) == 0 || shown == nil {
		return refuse(http.StatusBadRequest, 9499, "Bad Request")
	}
	return shown, answerJSON(map[string]any{"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": map[string]any{}, "msg": "success"})
}

type feishuRequest struct {
	Timestamp, Sign string
	MsgType         string `json:"msg_type"`
	Card            struct {
		Header struct {
			Title struct{ Tag, Content string }
		}
		Elements []struct {
			Tag, Content string
			Actions      []struct {
				Tag, URL string
				Text     struct{ Tag, Content string }
			}
		}
	}
}

// message is what the card shows, nil when it holds something a card cannot.
func (r *feishuRequest) message() *Message {
	m := &Message{Title: r.Card.Header.Title.Content}
	if r.Card.Header.Title.Tag != "plain_text" || m.Title == "" {
		return nil
	}
	for _, e := range r.Card.Elements {
		switch {
		case e.Tag == "markdown" && e.Content != "":
			m.Text += e.Content
		case e.Tag == "action" && len(e.Actions) == 1 && e.Actions[0].Tag == "button" && e.Actions[0].Text.Tag == "plain_text":
			m.Link = e.Actions[0].URL
		default:
			return nil
		}
	}
	return m
}

// webhook answers as a receiver by Standard Webhooks: 204, or 401 for a signature that is not right.
func webhook(a *Account, req *http.Request, body []byte, now time.Time) (*Message, Answer) {
	if a == nil {
		return nil, Answer{Status: http.StatusNotFound, Body: `{"error":"no such receiver"}`}
	}
	id, stamp := req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp")
	if a.Secret != "" {
		key := a.Secret
		if encoded, ok := strings.CutPrefix(key, "whsec_"); ok {
			raw, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return nil, Answer{Status: http.StatusInternalServerError, Body: `{"error":"the receiver's secret is not base64"}`}
			}
			key = string(raw)
		}
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		signature, v1 := strings.CutPrefix(req.Header.Get("webhook-signature"), "v1,")
		if err != nil || !v1 || !near(now, time.Unix(seconds, 0), hookSkew) || !signed(key, fmt.Sprintf("%s.%s.%s", id, stamp, body), signature) {
			return nil, Answer{Status: http.StatusUnauthorized, Body: `{"error":"signature"}`}
		}
	}
	var m struct {
		ID, Title, Text, Link string
	}
	if !isJSON(req) || json.Unmarshal(body, &m) != nil || id == "" || m.ID != id {
		return nil, Answer{Status: http.StatusBadRequest, Body: `{"error":"body"}`}
	}
	return &Message{ID: id, Title: m.Title, Text: m.Text, Link: m.Link}, Answer{Status: http.StatusNoContent}
}

func answerJSON(v map[string]any) Answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic("notifytest: " + err.Error())
	}
	return Answer{Body: string(body)}
}

// signed compares base64 of HMAC-SHA256 of text.
func signed(key, text, signature string) bool {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	got, err := base64.StdEncoding.DecodeString(signature)
	return err == nil && hmac.Equal(got, mac.Sum(nil))
}

func near(a, b time.Time, skew time.Duration) bool { return a.Sub(b).Abs() <= skew }

func isJSON(req *http.Request) bool {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}
