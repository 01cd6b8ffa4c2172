package codeartstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

func buildHandlers() map[string]handler {
	return map[string]handler{
		"build_record": (*Fake).recordInfo,
		"job_runs":     (*Fake).listRuns,
		"job_config":   (*Fake).jobConfig,
		"project_jobs": (*Fake).listJobs,
	}
}

// Job is a build task to add.
type Job struct {
	ID        string // 32 letters and digits
	ProjectID string // CodeArts project, 32 letters and digits
	Name      string
	RepoID    string
	// Config is answered as the task's definition; nil is made up, with a parameter that is marked sensitive.
	Config json.RawMessage
	// Takes is how long a run takes that is started by a call, and Ends the status it has then; a minute, and SUCCESS, if they are zero.
	Takes time.Duration
	Ends  string
	// Disabled is a task that starts no run.
	Disabled bool
}

// job is a Job with its runs.
type job struct {
	Job
	runs []*run
	late []lateBuild
}

// run is one run; its state follows from the time.
type run struct {
	number         int
	commit, branch string
	message        string
	final          string
	created, start time.Time
	end            time.Time
	trigger        string
	tag            string
	parameters     []Parameter // of a run that was started by a call
}

// AddJob adds a build task.
func (f *Fake) AddJob(j Job) {
	if j.Name == "" {
		j.Name = "build-" + j.RepoID
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.jobs[j.ID]; !ok {
		f.jobOrder = append(f.jobOrder, j.ID)
	}
	f.jobs[j.ID] = &job{Job: j}
}

// StartBuild starts a run of a task and returns its number. It is QUEUED at first, RUNNING after a quarter of the time, and has status,
// such as SUCCESS or FAILED, when after has gone by on the Fake's clock. Without an after it is final at once.
func (f *Fake) StartBuild(jobID, commit, branch, status string, after time.Duration) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.jobs[jobID]
	if j == nil {
		panic("codeartstest: there is no build task " + jobID)
	}
	now := f.now()
	j.settle(now)
	r := &run{number: len(j.runs) + 1, commit: commit, branch: branch, final: status, trigger: "CODE_UPDATE", created: now, start: now.Add(after / 4), end: now.Add(after)}
	if repo := f.repos[j.RepoID]; repo != nil {
		if c := repo.commits[commit]; c != nil {
			r.message = c.message
		}
	}
	j.runs = append(j.runs, r)
	return r.number
}

// daily is the number with the day.
func (r *run) daily() string { return fmt.Sprintf("%s.%d", r.created.Format("20060102"), r.number) }

func (r *run) status(now time.Time) string {
	switch {
	case !now.Before(r.end):
		return r.final
	case !now.Before(r.start):
		return "RUNNING"
	}
	return "QUEUED"
}

// jobOf returns the task of a path, nil and the refusal when there is none.
func (f *Fake) jobOf(r *request) (*job, reply) {
	if j := f.jobs[r.path[0]]; j != nil {
		j.settle(f.now())
		return j, reply{}
	}
	return nil, refuse(http.StatusBadRequest, "CB.00060201", "Invalid task ID")
}

// recordInfo is GET /v1/record/{job_id}/{build_no}/record-info.
func (f *Fake) recordInfo(r *request) reply {
	j, refusal := f.jobOf(r)
	if j == nil {
		return refusal
	}
	n, err := strconv.Atoi(r.path[1])
	if err != nil || n < 1 {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	if n > len(j.runs) {
		return refuse(http.StatusNotFound, "FAKE.no_such_run", "The record does not exist")
	}
	return built(f.record(j, j.runs[n-1]))
}

// record is a run as record-info shows it.
func (f *Fake) record(j *job, r *run) object {
	now := f.now()
	started := nullTime(r.start, now)
	o := object{
		"id": uuid("row", j.ID, strconv.Itoa(r.number)), "build_project_id": uuid("project", j.ID),
		"build_record_id": uuid("record", j.ID, strconv.Itoa(r.number)), "parent_record_id": nil,
		"devcloud_project_id": j.ProjectID, "codeci_job_id": j.ID, "user_id": "u0000000000000000000000000000001",
		"domain_id": "d0000000000000000000000000000001", "build_no": r.number,
		"daily_build_num": r.daily(), "execution_id": "j_Fake" + strconv.Itoa(r.number),
		"repo_id": j.RepoID, "repo_name": nil, "branch": r.branch, "tag": nullText(r.tag), "commit": r.commit, "commit_message": r.message,
		"commit_create_time": stamp(r.created), "trigger_type": r.trigger, "build_type": "branch", "status": r.status(now),
		"create_time": stamp(r.created), "schedule_time": stamp(r.created), "queued_time": stamp(r.created),
		"start_time": started, "runnable_time": started, "finish_time": nullTime(r.end, now), "duration": nil,
		"record_status": nil, "use_private_slave": 0, "region": f.opts.Region, "err_msg": nil, "build_config_type": "YAML",
	}
	if repo := f.repos[j.RepoID]; repo != nil {
		o["repo_name"] = repo.Path
	}
	if !now.Before(r.end) {
		o["duration"] = r.end.Sub(r.start).Milliseconds()
		if r.final != "SUCCESS" {
			o["err_msg"] = "step 1 ended with exit code 1"
		}
	}
	return o
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000+00:00") }

// nullText is a text, or null when it is empty.
func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// nullTime is a time, or null while it lies ahead.
func nullTime(t, now time.Time) any {
	if now.Before(t) {
		return nil
	}
	return stamp(t)
}

// listRuns is GET /v1/record/{job_id}/list.
func (f *Fake) listRuns(r *request) reply {
	j, refusal := f.jobOf(r)
	if j == nil {
		return refusal
	}
	from, ok3 := f.runTime(r.query.Get("start_time"))
	to, ok4 := f.runTime(r.query.Get("end_time"))
	page, ok1 := number(r.query.Get("page_index"), 0)
	size, ok2 := number(r.query.Get("page_size"), 10)
	if from.IsZero() || to.IsZero() || !ok1 || !ok2 || !ok3 || !ok4 || page < 0 || size < 1 || size > 100 {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	now := f.now()
	states := []object{}
	for i := len(j.runs) - 1; i >= 0; i-- { // newest first
		run := j.runs[i]
		if run.created.Before(from) || run.created.After(to) {
			continue
		}
		states = append(states, object{
			"number": run.number, "build_time": 0, "start_time": run.created.UnixMilli(), "job_running_status": run.status(now), "state": run.status(now),
			"user_id": "u0000000000000000000000000000001", "executor": "dev", "nickname": "Dev", "trigger_type": run.trigger,
			"daily_build_number": run.daily(), "cost_time": 0,
			"commit_id": run.commit, "commit_info": object{"commit_id": run.commit, "created_at": stamp(run.created)},
			"build_type": "branch", "code_branch": run.branch, "scm_type": "codehub", "scm_web_url": nil, "commit_detail_url": nil,
		})
	}
	first := min(page*size, len(states))
	return built(object{
		"health_score": "80", "page_index": strconv.Itoa(page), "total_page": strconv.Itoa((len(states) + size - 1) / size),
		"total_record": strconv.Itoa(len(states)), "job_build_states": states[first:min(first+size, len(states))],
	})
}

// listJobs is GET /v1/job/{project_id}/list. Its answer has no envelope.
func (f *Fake) listJobs(r *request) reply {
	page, ok1 := number(r.query.Get("page_index"), -1)
	size, ok2 := number(r.query.Get("page_size"), -1)
	if !ok1 || !ok2 || page < 0 || size < 1 || size > 100 {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	now := f.now()
	jobs := []object{}
	for _, id := range f.jobOrder {
		j := f.jobs[id]
		if j.ProjectID != r.path[0] {
			continue
		}
		o := object{
			"id": j.ID, "job_name": j.Name, "repo_id": j.RepoID, "scm_web_url": nil, "scm_type": "codehub", "build_project_id": uuid("project", j.ID),
			"last_build_status": nil, "last_build_time": nil, "is_finished": true, "disabled": j.Disabled,
		}
		j.settle(now)
		if n := len(j.runs); n > 0 {
			last := j.runs[n-1]
			o["last_build_status"], o["last_build_time"] = last.status(now), last.created.UnixMilli()
			o["is_finished"] = !now.Before(last.end)
		}
		jobs = append(jobs, o)
	}
	first := min(page*size, len(jobs))
	return answer(http.StatusOK, object{"jobs": jobs[first:min(first+size, len(jobs))], "total": len(jobs)})
}

// jobConfig is GET /v1/job/{job_id}/config.
func (f *Fake) jobConfig(r *request) reply {
	j, refusal := f.jobOf(r)
	if j == nil {
		return refusal
	}
	if j.Config != nil {
		return built(j.Config)
	}
	property := func(name, value string) object { return object{"name": name, "value": value} }
	return built(object{
		"job_id": j.ID, "job_name": j.Name, "project_id": j.ProjectID, "arch": "x86-64", "flavor": "2U8G", "host_type": "devcloud",
		"build_config_type": "ACTION", "timeout": object{"limit": "30", "unit": "minutes"},
		"scms": []object{{"url": "git@codearts.example:" + j.Name + ".git", "scm_type": "codehub", "branch": "main", "repo_id": j.RepoID, "is_auto_build": true}},
		"parameters": []object{
			{"name": "hudson.model.StringParameterDefinition", "params": []object{property("name", "codeBranch"), property("defaultValue", "main"), property("sensitiveVar", "false")}},
			{"name": "hudson.model.StringParameterDefinition", "params": []object{property("name", "deployKey"), property("defaultValue", "fake-sensitive-value"), property("sensitiveVar", "true")}},
		},
		"steps":    []object{{"module_id": "devcloud2018.codeci_action_20057.action", "name": "Maven", "version": "17", "enable": true, "properties": object{"command": "mvn -B package"}}},
		"triggers": []object{},
	})
}
