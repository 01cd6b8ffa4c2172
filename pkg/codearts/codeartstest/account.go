package codeartstest

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// accountHandlers are what there is to ask about an account and about what CodeArts offers everybody.
func accountHandlers() map[string]handler {
	return map[string]handler{
		"system_parameters":     (*Fake).systemParameters,
		"job_summary":           (*Fake).jobSummary,
		"job_count_limit":       (*Fake).jobCountLimit,
		"image_templates":       (*Fake).imageTemplates,
		"dockerfile_template":   (*Fake).dockerfileTemplate,
		"recommended_templates": (*Fake).recommendedTemplates,
		"charge_type":           (*Fake).chargeType,
		"package_quota":         (*Fake).packageQuota,
	}
}

// maxJobs is how many tasks an account may have, as the limits of the product say.
const maxJobs = 10_000

// systemParameters is GET /v1/job/system-parameters.
func (f *Fake) systemParameters(*request) reply {
	list := []object{}
	for i, p := range [][2]string{
		{"BUILDNUMBER", "number of the run with its day"},
		{"COMMIT_ID", "commit that is built"},
		{"PROJECT_ID", "project of the task"},
		{"TIMESTAMP", "when the run began"},
	} {
		list = append(list, object{"id": i + 1, "parameter_name": p[0], "description": p[1]})
	}
	return built(list)
}

// jobSummary is GET /v1/domain/job-summary, in the older of its two forms.
func (f *Fake) jobSummary(*request) reply {
	now := f.now()
	ended, good, took := 0, 0, int64(0)
	for _, j := range f.jobs {
		for _, r := range j.runs {
			if now.Before(r.end) {
				continue
			}
			ended++
			took += r.end.Sub(r.start).Milliseconds()
			if r.final == "SUCCESS" {
				good++
			}
		}
	}
	return built(object{"summary": object{
		"avg_success_ratio": good * 100 / max(1, ended), "build_no": took, "job_total": len(f.jobs), "version_total": "0",
	}})
}

// jobCountLimit is GET /v1/job/check/count: true while there is room, which is what the newest pages of the vendor say. There is no error
// member.
func (f *Fake) jobCountLimit(*request) reply {
	return answer(http.StatusOK, object{"status": "success", "result": len(f.jobs) < maxJobs})
}

// imageTemplate is a base image that is offered to everybody.
type imageTemplate struct{ id, name, system, title string }

func images() []imageTemplate {
	return []imageTemplate{
		{"e1579739-0000-11e9-b7c2-286ed4890000", "base-ubuntu", "ubuntu18", "Ubuntu"},
		{"e1579739-0001-11e9-b7c2-286ed4890001", "base-centos", "centos7", "CentOS"},
	}
}

// imageTemplates is GET /v1/image/templates.
func (f *Fake) imageTemplates(*request) reply {
	list := []object{}
	for _, image := range images() {
		list = append(list, object{
			"image_id": image.id, "organization": "codeci", "image_name": image.name, "image_label": "1.0", "base_image": image.system,
			"title": image.title, "description": image.title + " and nothing else", "create_time": "2024-06-05",
		})
	}
	return built(object{"image_templates": list})
}

// dockerfileTemplate is GET /v1/image/dockerfile-template: the file itself.
func (f *Fake) dockerfileTemplate(r *request) reply {
	for _, image := range images() {
		if image.id == r.query.Get("image_id") {
			return reply{
				status: http.StatusOK, body: []byte("FROM swr.codearts.example/codeci/" + image.name + ":1.0\nUSER build\n"),
				header: http.Header{"Content-Type": {"application/octet-stream"}, "Content-Disposition": {"attachment; filename=Dockerfile"}},
			}
		}
	}
	return refuse(http.StatusNotFound, "FAKE.no_such_image", "The image does not exist")
}

// recommendedTemplates is POST /v1/template/recommend.
func (f *Fake) recommendedTemplates(r *request) reply {
	var q struct {
		GitURL string `json:"git_url"`
		Branch string `json:"branch"`
	}
	if json.Unmarshal(r.body, &q) != nil || q.GitURL == "" || q.Branch == "" {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	items := []object{}
	for i, tool := range [][2]string{{"Maven", "mvn -B package"}, {"Npm", "npm ci && npm test"}} {
		items = append(items, object{
			"favourite": false, "uuid": uuid("template", tool[0]), "name": tool[0], "type": "codeci", "public": true, "scope": "official",
			"weight": 1 - float64(i)/2, "description": tool[0] + " build", "tool_type": tool[0], "i18n": object{"en": tool[0]},
			"template": object{
				"image": "codeci/" + tool[0] + ":1.0", "image_source": "official", "auto_update_sub_module": false, "actions": nil,
				"steps": []object{{"module_id": "devcloud2018.codeci_action_20057.action", "name": tool[0], "enable": true, "properties": object{"command": tool[1]}}},
			},
			"parameters": []object{{"name": "hudson.model.StringParameterDefinition", "params": []object{
				{"name": "name", "value": "codeBranch"}, {"name": "defaultValue", "value": q.Branch},
			}}},
		})
	}
	return built(object{"total_size": len(items), "items": items})
}

// chargeType is GET /v1/domain/charge-type.
func (f *Fake) chargeType(*request) reply {
	now := f.now()
	list := []object{}
	for _, p := range f.packages {
		status, _, _ := p.phase(now)
		list = append(list, object{
			"status":       map[int]string{inEffect: "normal", inGrace: "close", frozen: "freeze"}[status],
			"service_type": p.ServiceType, "resource_type": "hws.resource.type.codearts.combo", "resource_spec_code": p.SpecCode,
		})
	}
	return built(object{"type": "charge_type", "charge_type": "effective_business_service", "main_resource_list": list})
}

// packageQuota is GET /v1/domain/package/quota: one minute for each run, of a thousand for each package of the project.
func (f *Fake) packageQuota(r *request) reply {
	project := r.query.Get("project_id")
	if len(project) != 32 {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	quota, used := 0, 0
	for _, p := range f.packages {
		if p.ProjectID == project {
			quota += 1000
		}
	}
	for _, j := range f.jobs {
		if j.ProjectID == project {
			used += len(j.runs)
		}
	}
	if quota == 0 {
		return built(object{"is_over_quota": false, "build_quota": "unlimit"})
	}
	return built(object{"is_over_quota": used > quota, "build_quota": strconv.Itoa(quota), "used_quota": strconv.Itoa(used)})
}
