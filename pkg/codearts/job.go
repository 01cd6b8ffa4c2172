package codearts

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

// JobConfig is the definition of a build task, as CodeArts page ShowJobConfig has it. Scripts and parameters may hold secrets: Redact before
// it is shown or kept.
type JobConfig struct {
	JobID               *string        `json:"job_id" doc:"task id"`
	JobName             *string        `json:"job_name" doc:"name"`
	ProjectID           *ProjectID     `json:"project_id" doc:"CodeArts project id"`
	Description         *string        `json:"description" doc:"description"`
	Arch                *string        `json:"arch" doc:"like x86-64"`
	AutoUpdateSubModule *Text          `json:"auto_update_sub_module" doc:"whether submodules are updated"`
	Flavor              *Text          `json:"flavor" doc:"size of the machine"`
	HostType            *Text          `json:"host_type" doc:"kind of machine"`
	GroupID             *Text          `json:"group_id" doc:"group of the task"`
	BuildConfigType     *string        `json:"build_config_type" doc:"YAML or ACTION"`
	BuildIfCodeUpdated  *bool          `json:"build_if_code_updated" doc:"builds only when the code has changed"`
	Timeout             *JobTimeout    `json:"timeout" doc:"when a run is given up"`
	Parameters          []JobParameter `json:"parameters" doc:"parameters of a run"`
	SCMs                []JobSCM       `json:"scms" doc:"repositories it builds"`
	Steps               []JobStep      `json:"steps" doc:"what it does"`
	Triggers            []JobTrigger   `json:"triggers" doc:"what starts it"`
}

// JobTimeout is when a run is given up.
type JobTimeout struct {
	Limit *Text `json:"limit" doc:"how many"`
	Unit  *Text `json:"unit" doc:"of what"`
}

// JobParameter is a parameter of a task: a kind, and properties such as its name and its default value.
type JobParameter struct {
	Name   *string             `json:"name" doc:"kind of parameter"`
	Params []JobParameterField `json:"params" doc:"its properties"`
}

// JobParameterField is one property of a parameter.
type JobParameterField struct {
	Name   *string             `json:"name" doc:"name of the property"`
	Value  *Text               `json:"value" doc:"value; [redacted] when the parameter is secret"`
	Limits []JobParameterLimit `json:"limits" doc:"values to choose from"`
}

// JobParameterLimit is a value a parameter may have.
type JobParameterLimit struct {
	Disable     *Text   `json:"disable" doc:"0: may be chosen"`
	DisplayName *string `json:"display_name" doc:"as it is shown"`
	Name        *string `json:"name" doc:"value"`
}

// JobSCM is a repository of a task.
type JobSCM struct {
	URL          *string `json:"url" doc:"address it is cloned from"`
	SCMType      *string `json:"scm_type" doc:"kind of repository"`
	Branch       *string `json:"branch" doc:"branch"`
	RepoID       *Text   `json:"repo_id" doc:"repository id, digits"`
	WebURL       *string `json:"web_url" doc:"page"`
	BuildType    *string `json:"build_type" doc:"like branch"`
	Depth        *Text   `json:"depth" doc:"depth of the clone"`
	EndPointID   *Text   `json:"end_point_id" doc:"service endpoint"`
	Source       *string `json:"source" doc:"where it comes from"`
	GroupName    *string `json:"group_name" doc:"group"`
	RepoName     *string `json:"repo_name" doc:"name"`
	IsAutoBuild  *bool   `json:"is_auto_build" doc:"built on every push"`
	EnableGitLFS *bool   `json:"enable_git_lfs" doc:"large files are fetched"`
}

// JobStep is a step of a task. Its properties hold scripts and may hold secrets; rules never see them.
type JobStep struct {
	ModuleID   *string        `json:"module_id" doc:"kind of step"`
	Name       *string        `json:"name" doc:"name"`
	Version    *Text          `json:"version" doc:"version of the kind"`
	Enable     *bool          `json:"enable" doc:"switched on"`
	Properties map[string]any `json:"properties" doc:"settings of the step" secret:"true"`
}

// JobTrigger is something that starts a task.
type JobTrigger struct {
	Name       *string            `json:"name" doc:"kind of trigger"`
	Parameters []TriggerParameter `json:"parameters" doc:"its settings"`
}

// TriggerParameter is a setting of a trigger.
type TriggerParameter struct {
	Name  *string `json:"name" doc:"name"`
	Value *Text   `json:"value" doc:"value"`
}

// OpJobConfig is the name of the operation about the definition of a task, as it stands in APIError.Op.
const OpJobConfig = "job_config"

func jobOperations() []Operation {
	return []Operation{
		{
			Name: OpJobConfig, Service: ServiceBuild, Method: http.MethodGet, Path: "/v1/job/{job_id}/config",
			Title: "Task detail", TitleZH: "获取构建任务详情", Doc: "the definition of a build task, without its secrets", Page: "ShowJobConfig",
			Args: []Arg{jobIDArg}, Result: reflect.TypeFor[JobConfig](), Repeat: RepeatFreely,
			call: func(ctx context.Context, c *Client, a Values) (any, error) { return c.JobConfig(ctx, a.Text("job_id")) },
		},
	}
}

// JobConfig returns the definition of a task with all its parameters: Task detail, 获取构建任务详情 (CodeArts page ShowJobConfig). What it
// returns holds secrets as CodeArts sent them; see Redact.
func (c *Client) JobConfig(ctx context.Context, jobID string) (*JobConfig, error) {
	var cfg *JobConfig
	q := question{path: []string{jobID}, query: url.Values{"get_all_params": {"true"}}}
	if err := c.do(ctx, OpJobConfig, q, &cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}

// Redact replaces in place what may be secret by "[redacted]": every value of a parameter that is marked sensitive or named like a
// secret, every text in the properties of a step, trigger settings named like a secret, and the user and the secrets in addresses.
func (j *JobConfig) Redact() {
	for i := range j.Parameters {
		j.Parameters[i].redact()
	}
	for i := range j.SCMs {
		j.SCMs[i].URL = withoutUser(j.SCMs[i].URL)
		j.SCMs[i].WebURL = withoutUser(j.SCMs[i].WebURL)
	}
	redactSteps(j.Steps)
	for _, trigger := range j.Triggers {
		for i := range trigger.Parameters {
			if p := &trigger.Parameters[i]; p.Name != nil && looksSecret(*p.Name) {
				p.Value = redactText(p.Value)
			}
		}
	}
}

// redactSteps hides every text in the properties of steps.
func redactSteps(steps []JobStep) {
	for i := range steps {
		for name, value := range steps[i].Properties {
			steps[i].Properties[name] = redactValue(name, value)
		}
	}
}

// redact hides the values of a parameter marked by sensitiveVar, or named like a secret. Its name and its marks stay.
func (p *JobParameter) redact() {
	secret := false
	for _, f := range p.Params {
		if f.Name == nil || f.Value == nil {
			continue
		}
		switch {
		case strings.EqualFold(*f.Name, "sensitiveVar"):
			// Anything but a clear no is a yes.
			v := strings.ToLower(strings.TrimSpace(string(*f.Value)))
			secret = secret || v != "false" && v != "0" && v != ""
		case *f.Name == "name":
			secret = secret || looksSecret(string(*f.Value))
		}
	}
	for i := range p.Params {
		f := &p.Params[i]
		name := ""
		if f.Name != nil {
			name = strings.ToLower(*f.Name)
		}
		switch name {
		case "name", "sensitivevar", "type", "deletion", "runtimevar", "staticvar", "required":
			continue
		}
		if secret || looksSecret(name) {
			f.Value = redactText(f.Value)
			if secret {
				f.Limits = nil
			}
			continue
		}
		f.Value = withoutUser(f.Value)
		for k := range f.Limits {
			f.Limits[k].Name, f.Limits[k].DisplayName = withoutUser(f.Limits[k].Name), withoutUser(f.Limits[k].DisplayName)
		}
	}
}

func redactText(v *Text) *Text {
	if v == nil || *v == "" {
		return v
	}
	return new(Text(redacted))
}

// redactValue hides every text in value, and everything named like a secret.
func redactValue(name string, value any) any {
	switch v := value.(type) {
	case nil, bool:
		return v
	case map[string]any:
		for k := range v {
			v[k] = redactValue(k, v[k])
		}
		return v
	case []any:
		for i := range v {
			v[i] = redactValue(name, v[i])
		}
		return v
	case string:
		if v == "" {
			return v
		}
		return redacted
	}
	if looksSecret(name) {
		return redacted
	}
	return value
}

// looksSecret reports whether a name says that its value is nobody's business.
func looksSecret(name string) bool {
	name = strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(strings.ToLower(name))
	for _, word := range []string{
		"password", "passwd", "pwd", "passphrase", "secret", "token", "credential", "apikey", "accesskey", "privatekey", "signkey", "authorization",
		"passcode", "cookie", "webhook",
	} {
		if strings.Contains(name, word) {
			return true
		}
	}
	for _, end := range []string{"pass", "key", "auth", "dsn"} { // DB_PASS, but not BYPASS_TESTS
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return name == "ak" || name == "sk"
}

// withoutUser takes user and password out of an address, and what its query names like a secret. What does not parse and has an @ is
// hidden whole.
func withoutUser[T ~string](address *T) *T {
	if address == nil || !strings.Contains(string(*address), "://") || !strings.ContainsAny(string(*address), "@?") {
		return address // git@host:path has a user, but no password
	}
	u, err := url.Parse(string(*address))
	if err != nil && strings.Contains(string(*address), "@") {
		return new(T(redacted))
	} else if err != nil {
		return address
	}
	changed := u.User != nil
	if changed {
		u.User = url.User("redacted")
	}
	query := u.Query()
	for name := range query {
		if looksSecret(name) {
			query.Set(name, redacted)
			u.RawQuery, changed = query.Encode(), true
		}
	}
	if !changed {
		return address
	}
	return new(T(u.String()))
}
