package codearts

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
)

// The names of the operations about permissions, as they stand in APIError.Op.
const (
	OpJobPermissions     = "job_permissions"
	OpDefaultPermissions = "default_permissions"
)

func permissionOperations() []Operation {
	args := []Arg{projectArg, jobIDArg}
	return []Operation{
		{
			Name: OpJobPermissions, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/job/permission",
			Title: "Task permission matrix", TitleZH: "获取任务权限矩阵", Doc: "what each role may do with a build task", Page: "ShowProjectJobPermission",
			Args: args, Result: reflect.TypeFor[[]JobPermission](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return orEmpty(c.JobPermissions(ctx, ProjectID(a.Text("project_id")), a.Text("job_id")))
			},
		},
		{
			Name: OpDefaultPermissions, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/job/project/default-permission",
			Title: "Default role matrix of a project", TitleZH: "获取当前项目默认角色权限矩阵信息",
			Doc: "what each role of a project may do with its build tasks, where nothing else is set", Page: "ShowDefaultProjectPermission",
			Args: slices.Clone(args), Result: reflect.TypeFor[[]RolePermission](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return orEmpty(c.DefaultPermissions(ctx, ProjectID(a.Text("project_id")), a.Text("job_id")))
			},
		},
	}
}

// JobPermission is what one role may do with a task, as CodeArts page ShowProjectJobPermission has it. Its times are in the words of some
// locale, as in "Apr 1, 2026 4:00:58 PM", without a zone: they are as they were sent.
type JobPermission struct {
	RoleID         *Int    `json:"role_id" doc:"role; what -1 stands for, as in the vendor's example, is not documented"`
	JobID          *string `json:"job_id" doc:"task id"`
	IsModify       *bool   `json:"is_modify" doc:"may change it"`
	IsDelete       *bool   `json:"is_delete" doc:"may delete it"`
	IsView         *bool   `json:"is_view" doc:"may see it"`
	IsExecute      *bool   `json:"is_execute" doc:"may start it"`
	IsCopy         *bool   `json:"is_copy" doc:"may copy it"`
	IsForbidden    *bool   `json:"is_forbidden" doc:"may disable it"`
	IsManager      *bool   `json:"is_manager" doc:"may change its permissions"`
	CreateTime     *Text   `json:"create_time" doc:"when it was set, as CodeArts sent it"`
	LastUpdateTime *Text   `json:"last_update_time" doc:"when it was last changed, as CodeArts sent it"`
	Count          *Int    `json:"count" doc:"as CodeArts sent it"`
}

// RolePermission is what one role may do with the tasks of a project, as CodeArts page ShowDefaultProjectPermission has it.
type RolePermission struct {
	RoleID      *Int    `json:"role_id" doc:"role"`
	RoleName    *string `json:"role_name" doc:"its name"`
	IsCopy      *bool   `json:"is_copy" doc:"may copy them"`
	IsDelete    *bool   `json:"is_delete" doc:"may delete them"`
	IsExecute   *bool   `json:"is_execute" doc:"may start them"`
	IsForbidden *bool   `json:"is_forbidden" doc:"may disable them"`
	IsManager   *bool   `json:"is_manager" doc:"may change their permissions"`
	IsModify    *bool   `json:"is_modify" doc:"may change them"`
	IsView      *bool   `json:"is_view" doc:"may see them"`
}

// JobPermissions returns what each role may do with a task: Task permission matrix, 获取任务权限矩阵 (CodeArts page
// ShowProjectJobPermission). The page shows one object where its name promises a matrix: one object is a list of one.
func (c *Client) JobPermissions(ctx context.Context, project ProjectID, jobID string) ([]JobPermission, error) {
	var list oneOrMany[JobPermission]
	if err := c.ofJob(ctx, OpJobPermissions, project, jobID, &list); err != nil {
		return nil, err
	}
	return list, nil
}

// DefaultPermissions returns what each role of a project may do with its tasks where nothing else is set: Default role matrix of a
// project, 获取当前项目默认角色权限矩阵信息 (CodeArts page ShowDefaultProjectPermission), which needs the id of a task, too.
func (c *Client) DefaultPermissions(ctx context.Context, project ProjectID, jobID string) ([]RolePermission, error) {
	var list []RolePermission
	if err := c.ofJob(ctx, OpDefaultPermissions, project, jobID, &list); err != nil {
		return nil, err
	}
	return list, nil
}

// ofJob asks about a task that is named in the query, with its project.
func (c *Client) ofJob(ctx context.Context, name string, project ProjectID, jobID string, out any) error {
	query := url.Values{"project_id": {string(project)}, "job_id": {jobID}}
	if err := c.op(name).complete(query); err != nil {
		return err
	}
	return c.do(ctx, name, question{query: query}, out)
}

// oneOrMany is a list that may be sent as its only element.
type oneOrMany[T any] []T

// UnmarshalJSON takes an array, an object, or null for none.
func (l *oneOrMany[T]) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return json.Unmarshal(b, (*[]T)(l))
	}
	var one T
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*l = oneOrMany[T]{one}
	return nil
}
