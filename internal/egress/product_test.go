package egress

import "testing"

func TestProducts(t *testing.T) {
	r := newRig(t, Settings{}, Options{})
	for _, row := range []struct {
		address string
		product Product
		shape   Verdict
	}{
		{"https://oapi.dingtalk.com/robot/send?access_token=x", DingTalk, OK},
		{"https://oapi.dingtalk.com/robot/send", DingTalk, Fail},
		{"https://oapi.dingtalk.com/robot/send?access_token=", DingTalk, Fail},
		{"https://oapi.dingtalk.com/robot/send/?access_token=x", DingTalk, Fail},
		{"https://oapi.dingtalk.com/robot/send?access_token=%zz", DingTalk, Fail},
		{"https://dingtalk.com/robot/send?access_token=x", Unknown, Skipped},
		{"https://oapi.dingtalk.com.evil.example/robot/send?access_token=x", Unknown, Skipped},
		{"https://open.feishu.cn/open-apis/bot/v2/hook/x", Feishu, OK},
		{"https://open.feishu.cn/open-apis/bot/hook/x", Feishu, Fail},
		{"https://open.feishu.cn/open-apis/bot/v2/hook/", Feishu, Fail},
		{"https://open.feishu.cn/open-apis/bot/v2/hook/x/y", Feishu, Fail},
		{"https://open.larksuite.com/open-apis/bot/v2/hook/x", Lark, OK},
		{"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x", WeCom, OK},
		{"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?token=x", WeCom, Fail},
		{"https://open.welink.huaweicloud.com/api/werobot/v1/webhook/send?token=x&channel=standard", WeLink, OK},
		{"https://open.welink.huaweicloud.com/api/werobot/v1/webhook/send?token=x", WeLink, Fail},
		{"https://hooks.slack.com/services/T0/B0/x", Slack, OK},
		{"https://hooks.slack.com/services/T0//x", Slack, Fail},
		{"https://hooks.slack.com/services/T0/B0", Slack, Fail},
		{"https://prod-12.westeurope.logic.azure.com/workflows/x/triggers/manual/paths/invoke?sig=x", Teams, OK},
		{"https://prod-12.westeurope.logic.azure.com/workflows/x/triggers/manual/paths/invoke", Teams, Fail},
		{"https://d.1.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/x/triggers/manual/paths/invoke?api-version=1&sig=x", Teams, OK},
		{"https://acme.webhook.office.com/webhookb2/x", Teams, Fail},
		{"https://logic.azure.com/workflows/x/triggers/y?sig=x", Unknown, Skipped},
		{"https://discord.com/api/webhooks/1/x", Discord, OK},
		{"https://discord.com/api/v10/webhooks/1/x?wait=true", Discord, OK},
		{"https://discord.com/api/webhooks/1", Discord, Fail},
		{"https://discord.com/api/webhooks/1/x/slack", Discord, Fail},
		{"https://hooks.example.com/", Unknown, Skipped},
	} {
		report := r.CheckForm(row.address)
		if p := point(t, report, ProductShape); report.Product != row.product || p.Verdict != row.shape {
			t.Errorf("%s: %s, %+v", row.address, report.Product, p)
		}
	}
}
