package codeartstest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// taskHandlers are what there is to ask about one task beside its runs.
func taskHandlers() map[string]handler {
	return map[string]handler{
		"job_history":         (*Fake).jobHistory,
		"notice_settings":     (*Fake).noticeSettings,
		"job_permissions":     (*Fake).jobPermissions,
		"default_permissions": (*Fake).defaultPermissions,
		"job_repositories":    (*Fake).jobRepositories,
		"job_branches":        (*Fake).jobBranches,
		"copy_name":           (*Fake).copyName,
	}
}

// change is a change of a task's definition.
type change struct {
	kind, user string
	at         time.Time
}

// ChangeJob notes that somebody changed the definition of a task, now.
func (f *Fake) ChangeJob(jobID, user string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.jobs[jobID] == nil {
		panic("codeartstest: there is no build task " + jobID)
	}
	f.changes[jobID] = append(f.changes[jobID], change{kind: "UPDATE", user: user, at: f.now()})
}

// jobHistory is GET /v1/job/{job_id}/history: newest first, and last of all that the task was made when the Fake was.
func (f *Fake) jobHistory(r *request) reply {
	j, refusal := f.jobOf(r)
	if j == nil {
		return refusal
	}
	page, ok1 := number(r.query.Get("page_no"), 1)
	size, ok2 := number(r.query.Get("page_size"), 10)
	if !ok1 || !ok2 || page < 1 || size < 1 || size > 100 {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	all := append([]change{{kind: "CREATE", user: "dev", at: f.began}}, f.changes[j.ID]...)
	records := make([]object, 0, len(all))
	for i, c := range slices.Backward(all) {
		records = append(records, object{
			"id": uuid("change", j.ID, strconv.Itoa(i)), "update_number": i + 1, "update_type": c.kind, "update_at": c.at.UnixMilli(),
			"user_id": uuid("user", c.user), "user_name": c.user, "nick_name": c.user,
		})
	}
	first := min((page-1)*size, len(records))
	return built(object{"total": len(records), "job_update_records": records[first:min(first+size, len(records))]})
}

// noticeSettings is GET /v1/job/{job_id}/notice. The settings of the robot are made up and no secret of anybody.
func (f *Fake) noticeSettings(r *request) reply {
	if j, refusal := f.jobOf(r); j == nil {
		return refusal
	}
	list := []object{}
	for _, kind := range []string{"DING_TALK", "MAIL", "MESSAGE", "WECOM", "FEISHU"} {
		var config any
		if kind == "DING_TALK" {
			config = `{"webhook":"https://oapi.dingtalk.com/robot/send?access_token=fake-sensitive-value","secret":"fake-sensitive-value"}`
		}
		list = append(list, object{"notice_type": kind, "param_config": config, "enable_map": map[string]bool{
			"buildJobSuccess": false, "buildJobFail": config != nil, "forbiddenJob": false, "updateConfigJob": false, "deleteJob": false,
		}})
	}
	return built(list)
}

// role is a role of every project.
type role struct {
	id     int
	name   string
	writes bool // may change, start and copy tasks
	owns   bool // may do everything
}

func roles() []role {
	return []role{{3, "Project manager", true, true}, {4, "Developer", true, false}, {6, "Viewer", false, false}}
}

func (r role) permissions() object {
	return object{
		"role_id": r.id, "is_view": true, "is_modify": r.writes, "is_execute": r.writes, "is_copy": r.writes,
		"is_delete": r.owns, "is_forbidden": r.owns, "is_manager": r.owns,
	}
}

// jobOfQuery returns the task named in the query, in the project named there, nil and the refusal when there is none.
func (f *Fake) jobOfQuery(r *request) (*job, reply) {
	j := f.jobs[r.query.Get("job_id")]
	switch {
	case j == nil:
		return nil, refuse(http.StatusBadRequest, "CB.00060201", "Invalid task ID")
	case r.query.Get("project_id") != j.ProjectID:
		return nil, refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	return j, reply{}
}

// jobPermissions is GET /v1/job/permission: one object, as the vendor's page shows it, for whoever asks. Its times have words in them, and
// there is no error member.
func (f *Fake) jobPermissions(r *request) reply {
	j, refusal := f.jobOfQuery(r)
	if j == nil {
		return refusal
	}
	o := roles()[0].permissions()
	made := f.began.Format("Jan 2, 2006 3:04:05 PM")
	maps.Copy(o, object{"role_id": -1, "job_id": j.ID, "create_time": made, "last_update_time": made, "count": 0})
	return answer(http.StatusOK, object{"status": "success", "result": o})
}

// defaultPermissions is GET /v1/job/project/default-permission.
func (f *Fake) defaultPermissions(r *request) reply {
	if j, refusal := f.jobOfQuery(r); j == nil {
		return refusal
	}
	list := []object{}
	for _, role := range roles() {
		o := role.permissions()
		o["role_name"] = role.name
		list = append(list, o)
	}
	return built(list)
}

// jobRepositories is GET /v1/report/{job_id}/repositories.
func (f *Fake) jobRepositories(r *request) reply {
	j, refusal := f.jobOf(r)
	if j == nil {
		return refusal
	}
	repo := f.repos[j.RepoID]
	if repo == nil {
		return built(object{"latest": nil, "repositories": []string{}})
	}
	return built(object{"latest": repo.name(), "repositories": []string{repo.name()}})
}

// jobBranches is GET /v1/report/branches: the branches the task has built; those of the repository, as long as it has built none. There is
// no error member.
func (f *Fake) jobBranches(r *request) reply {
	j := f.jobs[r.query.Get("job_id")]
	if j == nil || r.query.Get("repository_name") == "" {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	branches := map[string]bool{}
	if repo := f.repos[j.RepoID]; repo != nil && repo.name() == r.query.Get("repository_name") {
		for _, run := range j.runs {
			branches[run.branch] = true
		}
		for name := range repo.branches {
			branches[name] = branches[name] || len(j.runs) == 0
		}
	}
	maps.DeleteFunc(branches, func(_ string, built bool) bool { return !built })
	list := slices.Sorted(maps.Keys(branches))
	if list == nil {
		list = []string{}
	}
	return answer(http.StatusOK, object{"status": "success", "result": list})
}

// copyName is GET /v1/job/{job_id}/copy-name.
func (f *Fake) copyName(r *request) reply {
	j, refusal := f.jobOf(r)
	if j == nil {
		return refusal
	}
	taken := map[string]bool{}
	for _, other := range f.jobs {
		taken[other.Name] = taken[other.Name] || other.ProjectID == j.ProjectID
	}
	name := j.Name + "_copy"
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s_copy%d", j.Name, i)
	}
	return built(name)
}
