package codearts

import (
	"context"
	"net/http"
	"reflect"
)

// OpNoticeSettings is the name of the operation about a task's notices, as it stands in APIError.Op.
const OpNoticeSettings = "notice_settings"

func noticeOperations() []Operation {
	return []Operation{{
		Name: OpNoticeSettings, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/job/{job_id}/notice",
		Title: "Notification settings", TitleZH: "获取通知信息", Doc: "what a build task tells whom, channel by channel", Page: "ShowJobNoticeConfigInfo",
		Args: []Arg{jobIDArg}, Result: reflect.TypeFor[[]NoticeSetting](), Repeat: RepeatFreely,
		call: func(ctx context.Context, c *Client, a Values) (any, error) {
			return orEmpty(c.NoticeSettings(ctx, a.Text("job_id")))
		},
	}}
}

// NoticeSetting is one channel of a task's notices, as CodeArts page ShowJobNoticeConfigInfo has it. The page lists no names of events; its
// example has buildJobSuccess, buildJobFail, forbiddenJob, updateConfigJob and deleteJob.
type NoticeSetting struct {
	NoticeType  *string          `json:"notice_type" doc:"channel: MESSAGE, MAIL, WECOM, DING_TALK or FEISHU"`
	EnableMap   map[string]*bool `json:"enable_map" doc:"whether a notice is sent, by the event: buildJobSuccess, buildJobFail, forbiddenJob, updateConfigJob, deleteJob"`
	ParamConfig *Text            `json:"param_config" doc:"settings of the channel, such as the address of a robot and its key" secret:"true"`
}

// NoticeSettings returns what a task tells whom: Notification settings, 获取通知信息 (CodeArts page ShowJobNoticeConfigInfo). What it
// returns may hold addresses and keys of robots as CodeArts sent them; see NoticeSetting.Redact.
func (c *Client) NoticeSettings(ctx context.Context, jobID string) ([]NoticeSetting, error) {
	var list []NoticeSetting
	if err := c.do(ctx, OpNoticeSettings, question{path: []string{jobID}}, &list); err != nil {
		return nil, err
	}
	return list, nil
}

// Redact replaces the settings of the channel by "[redacted]" in place.
func (n *NoticeSetting) Redact() { n.ParamConfig = redactText(n.ParamConfig) }
