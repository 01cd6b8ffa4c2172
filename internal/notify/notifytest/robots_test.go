package notifytest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/notify/notifytest"
)

func now() time.Time { return time.UnixMilli(1_700_000_000_123) }

func accounts() []notifytest.Account {
	return []notifytest.Account{
		{Kind: notifytest.DingTalk, Token: "d", Secret: "SECmarker"},
		{Kind: notifytest.Feishu, Token: "f", Secret: "SECmarker"},
		{Kind: notifytest.Webhook, Token: "w", Secret: "whsec_bWlsbHJhY2UtdGVzdC1rZXktMDEyMzQ1"},
		{Kind: notifytest.DingTalk, Token: "open"},
	}
}

// The signatures here were computed outside of Go.
const (
	dingTalkBody = `{"msgtype":"markdown","markdown":{"title":"T","text":"# T\n[a](https://a.example)"}}`
	dingTalkSign = "&timestamp=1700000000123&sign=uWlf%2FDd5TrZTz3Md6MIY5KpEXO1dbXKRw4%2FCHr3rDKU%3D"
	feishuCard   = `"msg_type":"interactive","card":{"header":{"title":{"tag":"plain_text","content":"T"}},"elements":[{"tag":"markdown","content":"x"}]}}`
	feishuSigned = `{"timestamp":"1700000000","sign":"UV1LmT9wX4pyK/74bLDu1OqgKLHH1vjZUEGBwUcyQis=",`
	webhookSign  = "v1,x048wirfuoaL0vBcKXEHELrNSYq623SVkzI/GHDnXtk=" // of msg_1.1700000000.{}
)

func post(r http.Handler, path, body string, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func TestAccounts(t *testing.T) {
	hook := []string{"webhook-id", "msg_1", "webhook-timestamp", "1700000000", "webhook-signature"}
	tests := []struct {
		name, path, body string
		header           []string
		status           int
		answer           string
	}{
		{"dingtalk", "/robot/send?access_token=d" + dingTalkSign, dingTalkBody, nil, 200, `"errcode":0`},
		{"dingtalk unsigned", "/robot/send?access_token=open", dingTalkBody, nil, 200, `"errcode":0`},
		{"dingtalk no token", "/robot/send?access_token=x" + dingTalkSign, dingTalkBody, nil, 200, `"errcode":300005`},
		{"dingtalk no sign", "/robot/send?access_token=d&timestamp=1700000000123", dingTalkBody, nil, 200, "sign not match"},
		{"dingtalk old", "/robot/send?access_token=d&timestamp=1600000000123&sign=x", dingTalkBody, nil, 200, "invalid timestamp"},
		{"dingtalk large", "/robot/send?access_token=open", strings.Repeat(" ", 20_001), nil, 200, `"errcode":460101`},
		{"dingtalk body", "/robot/send?access_token=open", `{"msgtype":"text"}`, nil, 200, `"errcode":40035`},
		{"dingtalk type", "/robot/send?access_token=open", dingTalkBody, []string{"Content-Type", "text/plain"}, 200, `"errcode":43004`},
		{"feishu", "/open-apis/bot/v2/hook/f", feishuSigned + feishuCard, nil, 200, `"code":0`},
		{"feishu no sign", "/open-apis/bot/v2/hook/f", "{" + feishuCard, nil, 200, `"code":19021`},
		{"feishu no hook", "/open-apis/bot/v2/hook/x", feishuSigned + feishuCard, nil, 400, `"code":19001`},
		{"feishu body", "/open-apis/bot/v2/hook/f", `{"msg_type":"text"}`, nil, 400, `"code":9499`},
		{"webhook", "/webhook/w", `{}`, append(hook, webhookSign), 400, "body"}, // signed right, and no message
		{"webhook no sign", "/webhook/w", `{}`, append(hook, "v1,AAAA"), 401, "signature"},
		{"webhook nobody", "/webhook/x", `{}`, nil, 404, "no such receiver"},
		{"nothing", "/elsewhere", `{}`, nil, 404, ""},
	}
	for _, tt := range tests {
		r := notifytest.New(now, accounts()...)
		w := post(r, tt.path, tt.body, tt.header...)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.answer) {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
		if taken := strings.Contains(w.Body.String(), `code":0`); taken != (len(r.Messages()) == 1) {
			t.Errorf("%s: took %+v", tt.name, r.Messages())
		}
	}
}

func TestList(t *testing.T) {
	r := notifytest.New(now, accounts()...)
	list := func() string {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/_fake/messages", http.NoBody))
		return strings.TrimSpace(w.Body.String())
	}
	if got := list(); got != "[]" {
		t.Errorf("nothing yet: %s", got)
	}
	r.Answer(notifytest.DingTalk, notifytest.Answer{Status: 503, Header: map[string]string{"Retry-After": "1"}, Body: "busy"})
	if w := post(r, "/robot/send?access_token=open", dingTalkBody); w.Code != 503 || w.Header().Get("Retry-After") != "1" || w.Body.String() != "busy" {
		t.Errorf("told: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := post(r, "/robot/send?access_token=open", dingTalkBody); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
	var got []notifytest.Message
	if err := json.Unmarshal([]byte(list()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Kind != notifytest.DingTalk || got[0].Title != "T" || got[0].Link != "https://a.example" || r.Refused() != 1 {
		t.Errorf("got %+v", got)
	}
}
