package egress

import (
	"net/url"
	"slices"
	"strings"
)

// Product is a chat product, known by its host.
type Product string

// The products.
const (
	DingTalk Product = "dingtalk"
	Feishu   Product = "feishu"
	Lark     Product = "lark"
	WeCom    Product = "wecom"
	WeLink   Product = "welink"
	Slack    Product = "slack"
	Teams    Product = "teams"
	Discord  Product = "discord"
	Unknown  Product = "unknown"
)

// shape is how the addresses of one product look. The sources are the products' pages on incoming webhooks.
type shape struct {
	product Product
	hosts   []string // .suffix stands for all below it
	fits    func(path []string, query url.Values) bool
	remedy  string
}

// shapes is the table of products; it is never written to.
var shapes = []shape{
	{
		DingTalk,
		[]string{"oapi.dingtalk.com"},
		func(path []string, query url.Values) bool {
			return slices.Equal(path, []string{"robot", "send"}) && query.Get("access_token") != ""
		},
		"copy the robot's Webhook: https://oapi.dingtalk.com/robot/send?access_token=…",
	},
	{Feishu, []string{"open.feishu.cn"}, feishuShape, "copy the bot's webhook address: https://open.feishu.cn/open-apis/bot/v2/hook/…"},
	{Lark, []string{"open.larksuite.com"}, feishuShape, "copy the bot's webhook address: https://open.larksuite.com/open-apis/bot/v2/hook/…"},
	{
		WeCom,
		[]string{"qyapi.weixin.qq.com"},
		func(path []string, query url.Values) bool {
			return slices.Equal(path, []string{"cgi-bin", "webhook", "send"}) && query.Get("key") != ""
		},
		"copy the robot's Webhook: https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…",
	},
	{
		WeLink,
		[]string{"open.welink.huaweicloud.com"},
		func(path []string, query url.Values) bool {
			return slices.Equal(path, []string{"api", "werobot", "v1", "webhook", "send"}) && query.Get("token") != "" && query.Get("channel") != ""
		},
		"copy the robot's address: https://open.welink.huaweicloud.com/api/werobot/v1/webhook/send?token=…&channel=standard",
	},
	{
		Slack,
		[]string{"hooks.slack.com"},
		func(path []string, _ url.Values) bool { return len(path) == 4 && path[0] == "services" && filled(path) },
		"copy the Webhook URL: https://hooks.slack.com/services/T…/B…/…",
	},
	{
		Teams,
		[]string{".logic.azure.com", ".environment.api.powerplatform.com"},
		func(path []string, query url.Values) bool {
			return slices.Contains(path, "workflows") && slices.Contains(path, "triggers") && query.Get("sig") != ""
		},
		"copy the URL of the workflow \"when a Teams webhook request is received\", with its sig=…",
	},
	{
		Teams,
		[]string{".webhook.office.com"},
		func([]string, url.Values) bool { return false },
		"connectors of Office 365 are retired: make a workflow in Teams and use its URL",
	},
	{
		Discord,
		[]string{"discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"},
		func(path []string, _ url.Values) bool {
			if len(path) == 5 && strings.HasPrefix(path[1], "v") {
				path = slices.Delete(slices.Clone(path), 1, 2)
			}
			return len(path) == 4 && path[0] == "api" && path[1] == "webhooks" && filled(path)
		},
		"copy the Webhook URL: https://discord.com/api/webhooks/…/…",
	},
}

func feishuShape(path []string, _ url.Values) bool {
	return len(path) == 5 && slices.Equal(path[:4], []string{"open-apis", "bot", "v2", "hook"}) && filled(path)
}

func filled(path []string) bool { return !slices.Contains(path, "") }

// shapeOf is the shape that addresses at a host have, nil for a host of no known product.
func shapeOf(h host) *shape {
	for i := range shapes {
		for _, at := range shapes[i].hosts {
			if h.text == at || at[0] == '.' && strings.HasSuffix(h.text, at) {
				return &shapes[i]
			}
		}
	}
	return nil
}

// has reports whether an address has the shape.
func (s *shape) has(u *url.URL) bool {
	query, err := url.ParseQuery(u.RawQuery)
	return err == nil && s.fits(strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/"), query)
}
