package codeartstest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// admin is what people and verifiers look at: /_fake/state, /_fake/requests and /_fake/repos/{id}/commits[?branch=]. It changes nothing
// and needs no token.
func (f *Fake) admin(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.Error(w, "only to be looked at", http.StatusMethodNotAllowed)
		return
	}
	f.mu.Lock()
	f.settle()
	shown, ok := f.look(strings.TrimPrefix(r.URL.Path, "/_fake/"), r.URL.Query().Get("branch"))
	f.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(shown)
}

// look returns what there is to see under a path, copied.
func (f *Fake) look(path, branch string) (any, bool) {
	switch path {
	case "state":
		return f.state(), true
	case "requests":
		counters := map[string]counter{}
		for op, c := range f.calls {
			counters[op] = counter{Calls: c.Calls, Statuses: maps.Clone(c.Statuses)}
		}
		return counters, true
	}
	id, ok := strings.CutSuffix(strings.TrimPrefix(path, "repos/"), "/commits")
	repo := f.repos[id]
	if !ok || repo == nil {
		return nil, false
	}
	list := repo.infos()
	if branch != "" {
		list = slices.DeleteFunc(list, func(c CommitInfo) bool { return c.Branch != branch })
	}
	return list, true
}

func (f *Fake) state() object {
	now := f.now()
	repos, jobs, packages := []object{}, []object{}, []object{}
	for _, id := range slices.Sorted(maps.Keys(f.repos)) {
		r := f.repos[id]
		repos = append(repos, object{"id": r.ID, "path": r.Path, "web_url": r.WebURL, "branches": maps.Clone(r.branches), "commits": len(r.order)})
	}
	for _, id := range f.jobOrder {
		j := f.jobs[id]
		jobs = append(jobs, object{"id": j.ID, "name": j.Name, "repo_id": j.RepoID, "project_id": j.ProjectID, "runs": j.infos(now)})
	}
	for _, p := range f.packages {
		status, next, days := p.phase(now)
		packages = append(packages, object{
			"resource_id": p.ResourceID, "name": p.Name, "status": status, "next_action": next, "days": days, "expires": p.Expires.UTC().Format(time.RFC3339),
		})
	}
	hooks := []object{}
	for _, h := range f.hooks {
		hooks = append(hooks, object{"id": h.id, "scope": h.scope, "scope_id": h.scopeID, "url": h.settings.URL})
	}
	return object{
		"now": now.Format(time.RFC3339Nano), "repos": repos, "jobs": jobs, "packages": packages, "tokens": len(f.tokens),
		"pending_commits": len(f.pending), "hooks": hooks, "deliveries": append([]Delivery{}, f.hook.deliveries...), "deliveries_waiting": len(f.hook.waiting),
	}
}
