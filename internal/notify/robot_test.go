package notify_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/notify"
	"github.com/millrace/millrace/internal/notify/notifytest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestAnswers is what robots say with HTTP 200 and do not mean as success. Unless a person has to act it is tried again: an answer
// nobody understands is no proof that the message was shown.
func TestAnswers(t *testing.T) {
	const ding, lark = notify.KindDingTalk, notify.KindFeishu
	tests := []struct {
		kind, body string
		code       string
		class      string
		retry      bool
		reason     string // part of it
	}{
		{ding, `{"errcode":310000,"errmsg":"sign not match, more: [https://ding-doc]"}`, "310000", notify.ClassConfig, false, "SEC…"},
		{ding, `{"errcode":310000,"errmsg":"keywords not in content"}`, "310000", notify.ClassConfig, false, "keyword"},
		{ding, `{"errcode":310000,"errmsg":"ip 10.0.0.1 not in whitelist"}`, "310000", notify.ClassConfig, false, "address"},
		{ding, `{"errcode":310000,"errmsg":"invalid timestamp"}`, "310000", notify.ClassConfig, false, "clock"},
		{ding, `{"errcode":310000}`, "310000", notify.ClassConfig, false, "safety setting"},
		{ding, `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}`, "130101", notify.ClassRate, true, "too many"},
		{ding, `{"errcode":410100}`, "410100", notify.ClassRate, true, "too many"},
		{ding, `{"status":1111,"wait":5,"punish":"…"}`, "1111", notify.ClassRate, true, "too many"},
		{ding, `{"errcode":300005,"errmsg":"token is not exist"}`, "300005", notify.ClassConfig, false, "url"},
		{ding, `{"errcode":400101}`, "400101", notify.ClassConfig, false, "url"},
		{ding, `{"errcode":400102}`, "400102", notify.ClassConfig, false, "stopped"},
		{ding, `{"errcode":40035,"errmsg":"缺少参数 json"}`, "40035", notify.ClassRefused, false, "缺少参数"},
		{ding, `{"errcode":-1,"errmsg":"系统繁忙"}`, "-1", notify.ClassUnavailable, true, "busy"},
		{ding, `{"errcode":987654,"errmsg":"new"}`, "987654", notify.ClassAnswer, true, "unknown code"},
		{ding, `{"status":0}`, "0", notify.ClassAnswer, true, "unknown code"},
		{ding, `{"code":0}`, "", notify.ClassAnswer, true, "without a code"},
		{ding, `{"errcode":"0"}`, "", notify.ClassAnswer, true, "without a code"},
		{ding, `{"errcode":0.0}`, "", notify.ClassAnswer, true, "without a code"},
		{ding, `{"errcode":null}`, "", notify.ClassAnswer, true, "without a code"},
		{ding, `{"errcode":0} {}`, "", notify.ClassAnswer, true, "without a code"},
		{lark, `{"code":19021,"msg":"sign match fail"}`, "19021", notify.ClassConfig, false, "secret"},
		{lark, `{"code":19022,"msg":"Ip Not Allowed"}`, "19022", notify.ClassConfig, false, "address"},
		{lark, `{"code":19024,"msg":"Key Words Not Found"}`, "19024", notify.ClassConfig, false, "keyword"},
		{lark, `{"code":19001,"msg":"param invalid"}`, "19001", notify.ClassConfig, false, "url"},
		{lark, `{"code":9499,"msg":"Bad Request"}`, "9499", notify.ClassRefused, false, "cannot read"},
		{lark, `{"code":11232,"msg":"frequency limited"}`, "11232", notify.ClassRate, true, "too many"},
		{lark, `{"code":7,"StatusCode":0}`, "7", notify.ClassAnswer, true, "unknown code"},
		{lark, `{"StatusCode":7}`, "7", notify.ClassAnswer, true, "unknown code"},
		{lark, `{"errcode":0}`, "", notify.ClassAnswer, true, "without a code"},
		{ding, ``, "", notify.ClassAnswer, true, "without a code"},
		{lark, ``, "", notify.ClassAnswer, true, "without a code"},
		{lark, `ok`, "", notify.ClassAnswer, true, "without a code"},
		{lark, `null`, "", notify.ClassAnswer, true, "without a code"},
		{lark, `[{"code":0}]`, "", notify.ClassAnswer, true, "without a code"},
		{lark, `<html>log in</html>`, "", notify.ClassAnswer, true, "without a code"},
	}
	for _, tt := range tests {
		fake := notifytest.New(start, account(tt.kind))
		fake.Answer(tt.kind, notifytest.Answer{Body: tt.body})
		e := failure(t, target(t, account(tt.kind), serve(t, fake).URL, nil).Notify(t.Context(), message()))
		if e.Status != 200 || e.Code != tt.code || e.Class() != tt.class || e.Retryable() != tt.retry || !strings.Contains(e.Reason, tt.reason) {
			t.Errorf("%s %s: status %d, code %q, class %s, retryable %v: %v", tt.kind, tt.body, e.Status, e.Code, e.Class(), e.Retryable(), e)
		}
		if wantsRest := tt.class == notify.ClassRate; wantsRest != (e.RetryAfter() == time.Minute) {
			t.Errorf("%s %s: after %v", tt.kind, tt.body, e.RetryAfter())
		}
	}
}

// TestCodeBesideStatus: a code explains more than the status it comes with, and 0 with another status than 200 is no success.
func TestCodeBesideStatus(t *testing.T) {
	tests := []struct {
		status int
		body   string
		class  string
		retry  bool
	}{
		{400, `{"code":9499,"msg":"Bad Request"}`, notify.ClassRefused, false},
		{400, `{"code":11232,"msg":"frequency limited"}`, notify.ClassRate, true},
		{500, `{"code":0}`, notify.ClassUnavailable, true},
		{201, `{"code":0}`, notify.ClassAnswer, true},
		{403, `{"code":5}`, notify.ClassConfig, false},
	}
	for _, tt := range tests {
		fake := notifytest.New(start, account(notify.KindFeishu))
		fake.Answer(notify.KindFeishu, notifytest.Answer{Status: tt.status, Body: tt.body})
		e := failure(t, target(t, account(notify.KindFeishu), serve(t, fake).URL, nil).Notify(t.Context(), message()))
		if e.Class() != tt.class || e.Retryable() != tt.retry {
			t.Errorf("%d %s: class %s, retryable %v", tt.status, tt.body, e.Class(), e.Retryable())
		}
	}
}

func TestOldFeishuSuccess(t *testing.T) {
	fake := notifytest.New(start, account(notify.KindFeishu))
	fake.Answer(notify.KindFeishu, notifytest.Answer{Body: `{"Extra":null,"StatusCode":0,"StatusMessage":"success"}`})
	if err := target(t, account(notify.KindFeishu), serve(t, fake).URL, nil).Notify(t.Context(), message()); err != nil {
		t.Error(err)
	}
}

// TestRequests compares whole requests with testdata/*.golden: the query, the headers of ours, the body.
func TestRequests(t *testing.T) {
	for _, kind := range kinds() {
		var got bytes.Buffer
		n := target(t, account(kind), "https://example.com", func(c *notify.Config) {
			c.Now = func() time.Time { return time.UnixMilli(1_700_000_000_123) }
			c.Secret = map[string]string{notify.KindWebhook: "whsec_bWlsbHJhY2UtdGVzdC1rZXktMDEyMzQ1"}[kind]
			if c.Secret == "" {
				c.Secret = "SECmarker"
			}
			c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				got.WriteString(r.Method + " " + r.URL.String() + "\n")
				for _, name := range []string{"Content-Type", "User-Agent", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
					if v := r.Header.Get(name); v != "" {
						got.WriteString(name + ": " + v + "\n")
					}
				}
				var body bytes.Buffer
				if _, err := body.ReadFrom(r.Body); err != nil {
					return nil, err
				}
				if err := json.Indent(&got, body.Bytes(), "", "  "); err != nil {
					return nil, err
				}
				return nil, http.ErrHandlerTimeout
			})
		})
		failure(t, n.Notify(t.Context(), message()))
		got.WriteByte('\n')
		golden := filepath.Join("testdata", kind+".golden")
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

// TestNoTitle: no product takes a message without one.
func TestNoTitle(t *testing.T) {
	for _, kind := range []string{notify.KindDingTalk, notify.KindFeishu} {
		fake := notifytest.New(start, account(kind))
		n := target(t, account(kind), serve(t, fake).URL, nil)
		if err := n.Notify(t.Context(), notify.Message{ID: "k", Rule: "a-rule"}); err != nil {
			t.Fatal(err)
		}
		if got := fake.Messages()[0]; got.Title != "a-rule" || got.Link != "" {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}
