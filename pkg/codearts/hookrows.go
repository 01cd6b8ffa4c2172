package codearts

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
)

// The names of the operations about hooks, as they stand in APIError.Op.
const (
	OpHooks      = "hooks"
	OpHook       = "hook"
	OpCreateHook = "create_hook"
	OpUpdateHook = "update_hook"
	OpDeleteHook = "delete_hook"
	OpHookLogs   = "hook_logs"
	OpHookLog    = "hook_log"
)

// Arguments of the calls about hooks.
var (
	hookScopeArgs = []Arg{
		need("scope", ArgText, "what the hook belongs to: repositories, groups or projects"),
		need("scope_id", ArgText, "id of the repository or group, digits; of a project its CodeArts project id"),
	}
	hookArgs        = append(hookScopeArgs[:2:2], need("hook_id", ArgInt, "hook"))
	hookRequestArgs = []Arg{
		need("url", ArgText, "address to be told, at most 500 characters"),
		arg("name", ArgText, "name"),
		arg("description", ArgText, "description"),
		arg("token", ArgText, "secret that goes along with every delivery; @PATH reads it from a file"),
		arg("token_type", ArgText, "header that carries the token; X-Repo-Token when not given"),
		arg("push_events", ArgBool, "tell of pushes"),
		arg("tag_push_events", ArgBool, "tell of tags"),
		arg("merge_requests_events", ArgBool, "tell of merge requests"),
		arg("note_events", ArgBool, "tell of comments"),
		arg("push_events_branch_regex_filter", ArgText, "regular expression: branches whose pushes are told; .* when not given"),
		arg("note_plain_text_filter", ArgJSON, "which comments are told, a list of texts; all when not given"),
	}
)

// hookScope are the arguments hookScopeArgs.
func hookScope(a Values) HookScope {
	return HookScope{Kind: HookScopeKind(a.Text("scope")), ID: a.Text("scope_id")}
}

// hookRequest are the arguments hookRequestArgs.
func hookRequest(op *Operation, a Values) (HookRequest, error) {
	var notes []string
	if text := a.JSON("note_plain_text_filter"); text != nil && json.Unmarshal(text, &notes) != nil {
		return HookRequest{}, invalid(op, "note_plain_text_filter is a list of texts")
	}
	return HookRequest{
		URL: a.Text("url"), Name: a.Text("name"), Description: a.Text("description"), Token: NewSecret(a.Text("token")), TokenHeader: a.Text("token_type"),
		Push: a.Bool("push_events"), TagPush: a.Bool("tag_push_events"), MergeRequests: a.Bool("merge_requests_events"), Notes: a.Bool("note_events"),
		BranchFilter: a.Text("push_events_branch_regex_filter"), NoteFilter: notes,
	}, nil
}

func hookOperations() []Operation {
	const list = "/v4/{scope}/{scope_id}/hooks"
	const one, logs = list + "/{hook_id}", list + "/{hook_id}/logs"
	return []Operation{
		{
			Name: OpHooks, Service: ServiceRepo, Method: http.MethodGet, Path: list,
			Title: "List webhooks", TitleZH: "获取仓库下Webhook列表", Doc: "the webhooks of a repository, group or project, without their tokens",
			Page: "ListRepositoryWebhooks", Args: append(hookScopeArgs[:2:2], limitArg),
			Result: reflect.TypeFor[[]*Hook](), Repeat: RepeatFreely, shape: shapeBare,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return firstItems(a, c.Hooks(ctx, hookScope(a)))
			},
		},
		{
			Name: OpHook, Service: ServiceRepo, Method: http.MethodGet, Path: one,
			Title: "Get webhook", TitleZH: "获取仓库下单个Webhook数据", Doc: "a webhook, without its token", Page: "ShowRepositoryWebhook",
			Args: hookArgs, Result: reflect.TypeFor[Hook](), Repeat: RepeatFreely, shape: shapeBare,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return c.Hook(ctx, hookScope(a), int64(a.Int("hook_id")))
			},
		},
		{
			Name: OpCreateHook, Service: ServiceRepo, Method: http.MethodPost, Path: list,
			Title: "Create webhook", TitleZH: "添加仓库下Webhook", Doc: "makes a webhook", Page: "AddRepositoryWebhook",
			Args: append(hookScopeArgs[:2:2], hookRequestArgs...), Result: reflect.TypeFor[Hook](),
			Writes: true, Repeat: RepeatAfterCheck, shape: shapeBare,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				r, err := hookRequest(c.op(OpCreateHook), a)
				if err != nil {
					return nil, err
				}
				return c.CreateHook(ctx, hookScope(a), r)
			},
		},
		{
			Name: OpUpdateHook, Service: ServiceRepo, Method: http.MethodPut, Path: one,
			Title: "Update webhook", TitleZH: "更新仓库下单个Webhook数据", Doc: "makes a webhook what the arguments say", Page: "UpdateRepositoryWebhook",
			Args: append(hookArgs[:3:3], hookRequestArgs...), Result: reflect.TypeFor[Hook](),
			Writes: true, Repeat: RepeatFreely, shape: shapeBare,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				r, err := hookRequest(c.op(OpUpdateHook), a)
				if err != nil {
					return nil, err
				}
				return c.UpdateHook(ctx, hookScope(a), int64(a.Int("hook_id")), r)
			},
		},
		{
			Name: OpDeleteHook, Service: ServiceRepo, Method: http.MethodDelete, Path: one,
			Title: "Delete webhook", TitleZH: "删除仓库下单个Webhook", Doc: "removes a webhook", Page: "RemoveRepositoryWebhook",
			Args: hookArgs, Writes: true, Repeat: RepeatFreely, shape: shapeBare,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return nil, c.DeleteHook(ctx, hookScope(a), int64(a.Int("hook_id")))
			},
		},
		{
			Name: OpHookLogs, Service: ServiceRepo, Method: http.MethodGet, Path: logs,
			Title: "List webhook logs", TitleZH: "获取仓库下指定Webhook的日志列表", Doc: "the deliveries of a webhook, and how they were answered",
			Page: "ListRepositoryWebhookLogs",
			Args: append(
				hookArgs[:3:3],
				arg("uuid", ArgText, "id of a delivery, or number of a merge request"),
				arg("created_after", ArgTime, "only deliveries after that"),
				arg("created_before", ArgTime, "only deliveries before that"),
				arg("repository_id", ArgText, "of a group's or project's webhook: only this repository's"),
				limitArg,
			),
			Result: reflect.TypeFor[[]*HookLog](), Repeat: RepeatFreely, shape: shapeBare,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return firstItems(a, c.HookLogs(ctx, HookLogsQuery{
					Scope: hookScope(a), HookID: int64(a.Int("hook_id")), UUID: a.Text("uuid"),
					CreatedAfter: a.Time("created_after"), CreatedBefore: a.Time("created_before"), RepositoryID: a.Text("repository_id"),
				}))
			},
		},
		{
			Name: OpHookLog, Service: ServiceRepo, Method: http.MethodGet, Path: logs + "/{log_id}",
			Title: "Get webhook log", TitleZH: "获取仓库下指定Webhook的指定日志详情", Doc: "one delivery of a webhook, without what it carried",
			Page: "ShowRepositoryWebhookLog", Args: append(hookArgs[:3:3], need("log_id", ArgInt, "delivery")),
			Result: reflect.TypeFor[HookLog](), Repeat: RepeatFreely, shape: shapeBare, limit: hookLogLimit,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return c.HookLog(ctx, hookScope(a), int64(a.Int("hook_id")), int64(a.Int("log_id")))
			},
		},
	}
}
