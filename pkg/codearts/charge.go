package codearts

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
)

// The names of the operations about what the account has bought, as they stand in APIError.Op.
const (
	OpChargeType   = "charge_type"
	OpPackageQuota = "package_quota"
)

func chargeOperations() []Operation {
	return []Operation{
		{
			Name: OpChargeType, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/domain/charge-type",
			Title: "Charge type of the account", TitleZH: "查询当前租户(计费)类型", Doc: "how the account pays, and for which packages", Page: "ShowUserChargeType",
			Result: reflect.TypeFor[ChargeType](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, _ Values) (any, error) { return c.ChargeType(ctx) },
		},
		{
			Name: OpPackageQuota, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/domain/package/quota",
			Title: "Monthly quota of the package", TitleZH: "当前用户所在项目所属租户的包周期每月时长是否超额",
			Doc: "how much of the package of this month the account has used", Page: "ShowUserOverPackageQuota",
			Args: []Arg{projectArg}, Result: reflect.TypeFor[PackageQuota](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) {
				return c.PackageQuota(ctx, ProjectID(a.Text("project_id")))
			},
		},
	}
}

// ChargeType is how the account pays, as CodeArts page ShowUserChargeType has it. The page has one example of each value and no list:
// charge_type effective_business_service, status normal, service_type hws.service.type.devcloud.
type ChargeType struct {
	Type             *Text          `json:"type" doc:"kind of package, as CodeArts sent it"`
	ChargeType       *Text          `json:"charge_type" doc:"how it is paid for, as CodeArts sent it"`
	MainResourceList []MainResource `json:"main_resource_list" doc:"the packages"`
}

// MainResource is a package that the account pays for.
type MainResource struct {
	Status           *Text   `json:"status" doc:"as CodeArts sent it"`
	ServiceType      *string `json:"service_type" doc:"kind of service; asks package_countdown"`
	ResourceType     *string `json:"resource_type" doc:"kind of package"`
	ResourceSpecCode *string `json:"resource_spec_code" doc:"edition"`
}

// PackageQuota is how much of this month's package the account has used, as CodeArts page ShowUserOverPackageQuota has it. Units are not
// documented.
type PackageQuota struct {
	IsOverQuota *bool `json:"is_over_quota" doc:"more is used than the package has"`
	BuildQuota  *Text `json:"build_quota" doc:"what the package has, as CodeArts sent it: a number, or unlimit"`
	UsedQuota   *Text `json:"used_quota" doc:"what is used, as CodeArts sent it; missing when there is no limit"`
}

// ChargeType returns how the account pays and for which packages, whose service_type PackageCountdown asks for: Charge type of the
// account, 查询当前租户(计费)类型 (CodeArts page ShowUserChargeType).
func (c *Client) ChargeType(ctx context.Context) (*ChargeType, error) {
	var got *ChargeType
	if err := c.do(ctx, OpChargeType, question{}, &got); err != nil {
		return nil, err
	}
	return got, nil
}

// PackageQuota returns how much of this month's package the account of a project has used: Monthly quota of the package,
// 当前用户所在项目所属租户的包周期每月时长是否超额 (CodeArts page ShowUserOverPackageQuota).
func (c *Client) PackageQuota(ctx context.Context, project ProjectID) (*PackageQuota, error) {
	query := url.Values{"project_id": {string(project)}}
	if err := c.op(OpPackageQuota).complete(query); err != nil {
		return nil, err
	}
	var got *PackageQuota
	if err := c.do(ctx, OpPackageQuota, question{query: query}, &got); err != nil {
		return nil, err
	}
	return got, nil
}
