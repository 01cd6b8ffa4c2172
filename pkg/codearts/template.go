package codearts

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
)

// OpRecommendedTemplates is the name of the operation about build templates, as it stands in APIError.Op.
const OpRecommendedTemplates = "recommended_templates"

func templateOperations() []Operation {
	return []Operation{{
		Name: OpRecommendedTemplates, Service: ServiceBuild, Method: http.MethodPost, Path: "/v1/template/recommend",
		Title: "Recommended official templates", TitleZH: "获取官方推荐模板",
		Doc: "the build templates that CodeArts recommends for a repository", Page: "ListRecommendOfficialTemplate",
		Args: []Arg{
			need("git_url", ArgText, "address the repository is cloned from"), need("branch", ArgText, "branch"), arg("tags", ArgText, "tag"),
		},
		Result: reflect.TypeFor[RecommendedTemplates](), Repeat: RepeatFreely, // a query by POST
		call: func(ctx context.Context, c *Client, a Values) (any, error) {
			return c.RecommendedTemplates(ctx, TemplatesQuery{GitURL: a.Text("git_url"), Branch: a.Text("branch"), Tags: a.Text("tags")})
		},
	}}
}

// TemplatesQuery says for which repository templates are recommended.
type TemplatesQuery struct {
	GitURL string `json:"git_url"`        // address it is cloned from; required
	Branch string `json:"branch"`         // required
	Tags   string `json:"tags,omitempty"` // of the repository
}

// RecommendedTemplates are build templates, as CodeArts page ListRecommendOfficialTemplate has them.
type RecommendedTemplates struct {
	TotalSize *Int            `json:"total_size" doc:"how many there are"`
	Items     []BuildTemplate `json:"items" doc:"the templates"`
}

// BuildTemplate is a build template. Scripts and parameters may hold secrets when it is somebody's own: Redact before it is shown or kept.
type BuildTemplate struct {
	Favourite       *bool           `json:"favourite" doc:"marked as a favourite"`
	NickName        *string         `json:"nick_name" doc:"other name of who made it"`
	ID              *Text           `json:"id" doc:"id"`
	UUID            *Text           `json:"uuid" doc:"unique id"`
	Template        *TemplateBody   `json:"template" doc:"what it does"`
	Type            *string         `json:"type" doc:"kind of template"`
	Public          *bool           `json:"public" doc:"for everybody"`
	Name            *string         `json:"name" doc:"name"`
	CreateTime      *Text           `json:"create_time" doc:"when it was made, as CodeArts sent it"`
	DomainID        *Text           `json:"domain_id" doc:"account id"`
	Weight          *float64        `json:"weight" doc:"as CodeArts sent it"`
	UserID          *Text           `json:"user_id" doc:"who made it"`
	UserName        *string         `json:"user_name" doc:"their name"`
	DomainName      *string         `json:"domain_name" doc:"account"`
	Scope           *string         `json:"scope" doc:"custom or official"`
	Description     *string         `json:"description" doc:"description"`
	ToolType        *Text           `json:"tool_type" doc:"kind of tool"`
	IntlDescription json.RawMessage `json:"intl_description" doc:"description by language, as CodeArts sent it"`
	Parameters      []JobParameter  `json:"parameters" doc:"parameters of a run"`
	I18N            json.RawMessage `json:"i18n" doc:"words by language, as CodeArts sent it"`
}

// TemplateBody is what a template does. The type of auto_update_sub_module differs between this page and that of a task.
type TemplateBody struct {
	Steps               []JobStep       `json:"steps" doc:"what it does"`
	Actions             json.RawMessage `json:"actions" doc:"the same in another form, as CodeArts sent it" secret:"true"`
	AutoUpdateSubModule json.RawMessage `json:"auto_update_sub_module" doc:"whether submodules are updated: true or false, or that as a text"`
	Image               *string         `json:"image" doc:"image it runs in"`
	ImageSource         *string         `json:"image_source" doc:"where the image comes from"`
}

// RecommendedTemplates returns the build templates that CodeArts recommends for a repository: Recommended official templates,
// 获取官方推荐模板 (CodeArts page ListRecommendOfficialTemplate). It is a question, though sent by POST. The vendor's pages disagree whether
// address and branch are needed; here they are.
func (c *Client) RecommendedTemplates(ctx context.Context, q TemplatesQuery) (*RecommendedTemplates, error) {
	values := url.Values{"git_url": {q.GitURL}, "branch": {q.Branch}}
	if q.Tags != "" {
		values.Set("tags", q.Tags)
	}
	if err := c.op(OpRecommendedTemplates).complete(values); err != nil {
		return nil, err
	}
	var got *RecommendedTemplates
	if err := c.do(ctx, OpRecommendedTemplates, question{body: q}, &got); err != nil {
		return nil, err
	}
	return got, nil
}

// Redact replaces in place what may be secret by "[redacted]", as JobConfig.Redact does: parameters and scripts.
func (r *RecommendedTemplates) Redact() {
	for i := range r.Items {
		t := &r.Items[i]
		for k := range t.Parameters {
			t.Parameters[k].redact()
		}
		if t.Template == nil {
			continue
		}
		redactSteps(t.Template.Steps)
		if len(t.Template.Actions) > 0 && !bytes.Equal(t.Template.Actions, []byte("null")) {
			t.Template.Actions = json.RawMessage(`"` + redacted + `"`)
		}
	}
}
