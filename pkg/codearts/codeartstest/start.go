package codeartstest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// startHandlers are what starts and stops runs, and what else is to be seen of them.
func startHandlers() map[string]handler {
	return map[string]handler{
		"start_build":        (*Fake).execute,
		"stop_build":         (*Fake).stop,
		"running_status":     (*Fake).runningStatus,
		"build_project_runs": (*Fake).projectRuns,
	}
}

// Parameter is a parameter of a run that was started by a call.
type Parameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// BuildInfo is a run as /_fake/state shows it.
type BuildInfo struct {
	Number     int         `json:"build_no"`
	Commit     string      `json:"commit"`
	Tag        string      `json:"tag,omitempty"`
	Branch     string      `json:"branch"`
	Trigger    string      `json:"trigger"`
	Status     string      `json:"status"`
	Parameters []Parameter `json:"parameters,omitempty"`
}

// Builds returns all runs of a task, as they were started.
func (f *Fake) Builds(jobID string) []BuildInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.jobs[jobID]
	if j == nil {
		panic("codeartstest: there is no build task " + jobID)
	}
	return j.infos(f.now())
}

func (j *job) infos(now time.Time) []BuildInfo {
	j.settle(now)
	list := make([]BuildInfo, 0, len(j.runs))
	for _, r := range j.runs {
		list = append(list, BuildInfo{
			Number: r.number, Commit: r.commit, Tag: r.tag, Branch: r.branch, Trigger: r.trigger, Status: r.status(now),
			Parameters: slices.Clone(r.parameters),
		})
	}
	return list
}

// executeBody is the body of a start of a build.
type executeBody struct {
	JobID      string      `json:"job_id"`
	Parameters []Parameter `json:"parameter"`
	SCM        struct {
		Tag    string `json:"build_tag"`
		Commit string `json:"build_commit_id"`
	} `json:"scm"`
}

// lateBuild is a run that was accepted and is still to be started.
type lateBuild struct {
	run *run
	due time.Time
}

// settle starts the late runs that are due.
func (j *job) settle(now time.Time) {
	j.late = slices.DeleteFunc(j.late, func(l lateBuild) bool {
		if l.due.After(now) {
			return false
		}
		j.begin(l.run, l.due)
		return true
	})
}

// begin gives a run its number and its times.
func (j *job) begin(r *run, at time.Time) {
	takes := j.Takes
	if takes == 0 {
		takes = time.Minute
	}
	r.number, r.created, r.start, r.end = len(j.runs)+1, at, at.Add(takes/4), at.Add(takes)
	j.runs = append(j.runs, r)
}

// execute is POST /v1/job/execute: each call starts a run.
func (f *Fake) execute(r *request) reply {
	var body executeBody
	if err := json.Unmarshal(r.body, &body); err != nil || body.SCM.Tag != "" && body.SCM.Commit != "" {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	j := f.jobs[body.JobID]
	if j == nil {
		return refuse(http.StatusBadRequest, "CB.00060201", "Invalid task ID")
	}
	if j.Disabled {
		return refuse(http.StatusBadRequest, "FAKE.disabled", "The task is disabled")
	}
	started, reason := f.wanted(j, &body)
	if started == nil {
		return refuse(http.StatusBadRequest, "FAKE.invalid", reason)
	}
	if r.late != nil {
		j.late = append(j.late, lateBuild{run: started, due: f.now().Add(r.late.Late)})
		return reply{status: http.StatusOK}
	}
	j.settle(f.now())
	j.begin(started, f.now())
	return answer(http.StatusOK, object{
		"octopus_job_name": "j_Fake" + strconv.Itoa(started.number), "actual_build_number": strconv.Itoa(started.number), "daily_build_number": started.daily(),
	})
}

// wanted is the run that a start asks for; nil and the reason when there is nothing to build.
func (f *Fake) wanted(j *job, body *executeBody) (*run, string) {
	r := &run{commit: body.SCM.Commit, tag: body.SCM.Tag, branch: "main", final: "SUCCESS", trigger: "MANUAL", parameters: body.Parameters}
	if j.Ends != "" {
		r.final = j.Ends
	}
	repo := f.repos[j.RepoID]
	if repo == nil {
		return r, ""
	}
	r.branch = repo.DefaultBranch
	if r.commit == "" {
		r.commit = repo.branches[repo.DefaultBranch]
	}
	c := repo.commits[r.commit]
	if c == nil {
		return nil, "there is no such commit"
	}
	r.message, r.branch = c.message, c.branch
	return r, ""
}

// stop is POST /v1/job/{job_id}/stop. A run that has ended stays as it is.
func (f *Fake) stop(r *request) reply {
	j, refusal := f.jobOf(r)
	if j == nil {
		return refusal
	}
	n, ok := number(r.query.Get("build_no"), 0)
	if !ok || n < 1 || n > len(j.runs) {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	if run, now := j.runs[n-1], f.now(); now.Before(run.end) {
		run.final, run.start, run.end = "CANCELED", earlier(run.start, now), now
	}
	return answer(http.StatusOK, object{"status": "success"})
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// runningStatus is GET /v1/job/{job_id}/running-status. Its words for states are its own.
func (f *Fake) runningStatus(r *request) reply {
	j, refusal := f.jobOf(r)
	if j == nil {
		return refusal
	}
	if len(j.runs) == 0 {
		return built(object{"last_job_id": nil, "last_build_no": nil, "last_build_status": nil, "is_running": false})
	}
	last := j.runs[len(j.runs)-1]
	words := object{"last_job_id": j.ID, "last_build_no": strconv.Itoa(last.number), "last_build_status": "Finished", "is_running": false}
	if f.now().Before(last.end) {
		words["last_build_status"], words["is_running"] = "Running", true
	}
	return built(words)
}

// projectRuns is GET /v1/record/{build_project_id}/records.
func (f *Fake) projectRuns(r *request) reply {
	var j *job
	for _, id := range f.jobOrder {
		if uuid("project", id) == r.path[0] {
			j = f.jobs[id]
		}
	}
	if j == nil {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	j.settle(f.now())
	page, ok1 := number(r.query.Get("page"), 0)
	size, ok2 := number(r.query.Get("limit"), 10)
	from, ok3 := f.runTime(r.query.Get("from_date"))
	to, ok4 := f.runTime(r.query.Get("to_date"))
	if !ok1 || !ok2 || !ok3 || !ok4 || page < 0 || size < 1 || size > 100 {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	found := []object{}
	for _, run := range slices.Backward(j.runs) { // newest first
		if among(r.query["triggers"], run.trigger) && among(r.query["branches"], run.branch) && among(r.query["tags"], run.tag) &&
			(from.IsZero() || !run.created.Before(from)) && (to.IsZero() || !run.created.After(to)) {
			found = append(found, f.projectRun(j, run))
		}
	}
	first := min(page*size, len(found))
	return built(object{
		"pagination": object{"page": page, "limit": size, "total": len(found)}, "data": found[first:min(first+size, len(found))],
	})
}

// among reports whether a value is one of those asked for; none asked for are all.
func among(wanted []string, value string) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

// runTime reads a time of a list of runs, in the zone of the Fake; the zero time is none.
func (f *Fake) runTime(text string) (time.Time, bool) {
	if text == "" {
		return time.Time{}, true
	}
	t, err := time.ParseInLocation("2006-01-02 15:04:05", text, f.opts.RunZone)
	return t, err == nil
}

// projectRun is a run as the list of a build project shows it.
func (f *Fake) projectRun(j *job, r *run) object {
	now := f.now()
	parameters := []object{}
	for _, p := range r.parameters {
		parameters = append(parameters, object{"name": p.Name, "value": p.Value, "secret": false, "type": "normalparam"})
	}
	return object{
		"id": uuid("record", j.ID, strconv.Itoa(r.number)), "status": r.status(now), "status_code": 0, "create_time": stamp(r.created),
		"schedule_time": stamp(r.created), "queued_time": stamp(r.created), "start_time": nullTime(r.start, now), "finish_time": nullTime(r.end, now),
		"duration": 0, "build_duration": 0, "pending_duration": 0, "project_id": uuid("project", j.ID), "display_name": j.Name, "trigger_name": "dev", "group_name": nil,
		"execution_id": "j_Fake" + strconv.Itoa(r.number), "parameters": parameters, "repository": nil, "branch": r.branch, "revision": r.commit,
		"build_yml_path": nil, "build_yml_url": nil, "daily_build_number": r.daily(), "daily_build_no": strconv.Itoa(r.number),
		"build_record_type": object{"rerun": false, "trigger_type": r.trigger, "record_type": nil, "is_rerun": false}, "trigger_type": r.trigger,
		"scm_type": "codehub", "scm_web_url": nil, "user_id": "u0000000000000000000000000000001", "build_no": strconv.Itoa(r.number), "dev_cloud_build_type": "branch",
	}
}
