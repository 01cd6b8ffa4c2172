package codearts

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
)

// The names of the operations about packages, as they stand in APIError.Op.
const (
	OpPackageStatus    = "package_status"
	OpPackageCountdown = "package_countdown"
)

func packageOperations() []Operation {
	return []Operation{
		{
			Name: OpPackageStatus, Service: ServiceBuild, Method: http.MethodGet, Path: "/v2/resource/package-spec/status",
			Title: "Package resource ids", TitleZH: "获取套餐资源id,影响临期,超期提示", Doc: "the packages of a project with a status", Page: "ShowPackageSpecStatus",
			Args:   []Arg{projectArg, need("status", ArgText, "normal, close or freeze")},
			Result: reflect.TypeFor[[]PackageStatus](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return orEmpty(c.PackageStatus(ctx, ProjectID(a.Text("project_id")), a.Text("status")))
			},
		},
		{
			Name: OpPackageCountdown, Service: ServiceBuild, Method: http.MethodPost, Path: "/v2/resource/countdown",
			Title: "Package expiry countdown", TitleZH: "获取套餐临期信息", Doc: "how long packages last", Page: "ShowPackageSpecCountDown",
			Args: []Arg{
				need("service_type", ArgText, "kind of service, as package_status has it"),
				arg("resource_id", ArgText, "the package; without it the main one of the service"),
				arg("reminder_day", ArgInt, "tips come only when fewer days are left; -1, the default: always"),
			},
			Result: reflect.TypeFor[[]PackageCountdown](), Repeat: RepeatFreely, // a query by POST
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return orEmpty(c.PackageCountdown(ctx, PackageCountdownQuery{
					ServiceType: a.Text("service_type"), ResourceID: a.Text("resource_id"), ReminderDay: a.Int("reminder_day"),
				}))
			},
		},
	}
}

// PackageStatus is a bought package, as CodeArts page ShowPackageSpecStatus has it.
type PackageStatus struct {
	ResourceID        *Text   `json:"resource_id" doc:"id of the package; asks package_countdown"`
	RegionID          *Text   `json:"region_id" doc:"region"`
	TenantID          *Text   `json:"tenant_id" doc:"account id"`
	TenantName        *string `json:"tenant_name" doc:"account"`
	ConsoleUpdateTime *Text   `json:"console_update_time" doc:"as CodeArts sent it"`
	ServiceType       *string `json:"service_type" doc:"kind of service; asks package_countdown"`
	ResourceType      *string `json:"resource_type" doc:"kind of package"`
	SpecCode          *string `json:"spec_code" doc:"edition"`
	ResourceStatus    *Text   `json:"resource_status" doc:"as CodeArts sent it"`
	CreateTime        *Text   `json:"create_time" doc:"when it was bought"`
	UpdateTime        *Text   `json:"update_time" doc:"when it was last changed"`
}

// PackageStatus lists a project's packages with a status, normal, close or freeze: Package resource ids, 获取套餐资源id,影响临期,超期提示
// (CodeArts page ShowPackageSpecStatus).
func (c *Client) PackageStatus(ctx context.Context, project ProjectID, status string) ([]PackageStatus, error) {
	op := c.op(OpPackageStatus)
	if project == "" || status == "" {
		return nil, invalid(op, "project_id and status are needed")
	}
	var list []PackageStatus
	q := question{query: url.Values{"project_id": {string(project)}, "status": {status}}}
	if err := c.do(ctx, OpPackageStatus, q, &list); err != nil {
		return nil, err
	}
	return list, nil
}

// PackageCountdown is how long a package still lasts, as CodeArts page ShowPackageSpecCountDown has it.
type PackageCountdown struct {
	ServiceType      *string      `json:"service_type" doc:"kind of service"`
	ResourceID       *Text        `json:"resource_id" doc:"id of the package"`
	ResourceName     *string      `json:"resource_name" doc:"name of the package"`
	ResourceType     *string      `json:"resource_type" doc:"kind of package"`
	ResourceSpecCode *string      `json:"resource_spec_code" doc:"edition"`
	Tips             *PackageTips `json:"tips" doc:"null when there is more time left than was asked for"`
}

// PackageTips is what there is to say about a package.
type PackageTips struct {
	Summary *PackageSummary `json:"summary" doc:"what happens next, and when"`
}

// PackageSummary says what happens next to a package. The numbers of status are documented for CodeArts Pipeline only:
// 1 not in effect yet, 2 in effect, 3 deleted, 4 retention, 5 grace, 99 frozen.
type PackageSummary struct {
	Status              *Int    `json:"status" doc:"2 in effect, 5 grace, 4 retention, 99 frozen, 3 deleted"`
	NextAction          *Int    `json:"next_action" doc:"what happens next, in the numbers of status"`
	NextActionRemainDay *Int    `json:"next_action_remain_day" doc:"days until then"`
	NextActionURL       *string `json:"next_action_url" doc:"where to renew it"`
}

// PackageCountdownQuery asks for one package.
type PackageCountdownQuery struct {
	ServiceType string // required
	ResourceID  string // "": the main one of the service
	// ReminderDay: tips come only when fewer days are left; -1, or 0, always.
	ReminderDay int
}

// PackageCountdown tells how long packages last: Package expiry countdown, 获取套餐临期信息 (CodeArts page ShowPackageSpecCountDown). It is a
// question, though sent by POST.
func (c *Client) PackageCountdown(ctx context.Context, q PackageCountdownQuery) ([]PackageCountdown, error) {
	if q.ServiceType == "" {
		return nil, invalid(c.op(OpPackageCountdown), "service_type is needed")
	}
	if q.ReminderDay == 0 {
		q.ReminderDay = -1
	}
	body := struct {
		ServiceType string `json:"service_type"`
		ResourceID  string `json:"resource_id,omitempty"`
		ReminderDay string `json:"reminder_day"` // a string that holds a number
	}{q.ServiceType, q.ResourceID, strconv.Itoa(q.ReminderDay)}
	var list []PackageCountdown
	if err := c.do(ctx, OpPackageCountdown, question{body: body}, &list); err != nil {
		return nil, err
	}
	return list, nil
}
