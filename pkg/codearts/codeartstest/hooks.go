package codeartstest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxHooks is how many hooks a scope may have.
	maxHooks = 20
	// keptLogs is how many deliveries a hook remembers.
	keptLogs = 1000
	// masked stands for what CodeArts shows nobody.
	masked = "***"
	// hookTime is the form of the times of hooks and their logs.
	hookTime = "2006-01-02T15:04:05.000Z07:00"
)

func hookHandlers() map[string]handler {
	return map[string]handler{
		"hooks":       (*Fake).listHooks,
		"hook":        (*Fake).getHook,
		"create_hook": (*Fake).createHook,
		"update_hook": (*Fake).updateHook,
		"delete_hook": (*Fake).deleteHook,
		"hook_logs":   (*Fake).listHookLogs,
		"hook_log":    (*Fake).getHookLog,
	}
}

// repoHook is a hook made by a call.
type repoHook struct {
	id               int64
	scope, scopeID   string // as in the path
	settings         hookSettings
	compiled         *regexp.Regexp
	created, updated time.Time
	logs             []hookLog
}

// hookSettings is the body of a create or update. What an update leaves out stays.
type hookSettings struct {
	URL           *string  `json:"url"`
	Name          *string  `json:"name"`
	Description   *string  `json:"description"`
	Token         *string  `json:"token"`
	TokenType     *string  `json:"token_type"`
	Push          *bool    `json:"push_events"`
	TagPush       *bool    `json:"tag_push_events"`
	MergeRequests *bool    `json:"merge_requests_events"`
	Notes         *bool    `json:"note_events"`
	BranchFilter  *string  `json:"push_events_branch_regex_filter"`
	NoteFilter    []string `json:"note_plain_text_filter"`
}

// hookLog is one delivery of a hook.
type hookLog struct {
	id        int64
	repo      *repository
	url       string
	header    http.Header // as it was sent
	body      []byte
	uuid      string
	at        time.Time
	took      time.Duration
	status    int // 0: no answer
	answer    http.Header
	answered  []byte
	triggered string
}

// Hook is a hook made by a call, as tests look at it.
type Hook struct {
	ID                     int64
	Scope, ScopeID         string // repositories, groups or projects, and the id
	URL, Name, TokenHeader string
	Token                  string // in the open
	Push, TagPush          bool
	MergeRequests, Notes   bool
	BranchFilter           string
	NoteFilter             []string
}

// Hooks returns the hooks made by calls, as they were made.
func (f *Fake) Hooks() []Hook {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Hook
	for _, h := range f.hooks {
		s := &h.settings
		all = append(all, Hook{
			ID: h.id, Scope: h.scope, ScopeID: h.scopeID, URL: text(s.URL), Name: text(s.Name), TokenHeader: h.tokenHeader(), Token: text(s.Token),
			Push: on(s.Push), TagPush: on(s.TagPush), MergeRequests: on(s.MergeRequests), Notes: on(s.Notes),
			BranchFilter: text(s.BranchFilter), NoteFilter: slices.Clone(s.NoteFilter),
		})
	}
	return all
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func on(b *bool) bool { return b != nil && *b }

func (h *repoHook) tokenHeader() string {
	if name := text(h.settings.TokenType); name != "" {
		return name
	}
	return "X-Repo-Token"
}

// covers reports whether a hook is told of what happens in a repository.
func (h *repoHook) covers(repo *repository) bool {
	switch h.scope {
	case "repositories":
		return h.scopeID == repo.ID
	case "groups":
		return h.scopeID == repo.GroupID
	default:
		return h.scopeID == repo.ProjectID
	}
}

// check says what is wrong with settings, and reads the branch filter.
func (s *hookSettings) check() (*regexp.Regexp, string) {
	u, err := url.Parse(text(s.URL))
	switch {
	case err != nil || u.Host == "" || long(s.URL, 500):
		return nil, "url is missing or wrong"
	case long(s.Name, 200) || long(s.Description, 200) || long(s.TokenType, 200) || long(s.Token, 2000):
		return nil, "name, description, token_type or token is too long"
	case !on(s.Push) && !on(s.TagPush) && !on(s.MergeRequests) && !on(s.Notes):
		return nil, "at least one event is needed"
	case on(s.Push) && (text(s.BranchFilter) == "" || long(s.BranchFilter, 500)):
		return nil, "push_events_branch_regex_filter is missing or too long"
	case on(s.Notes) && len(s.NoteFilter) == 0 || len(s.NoteFilter) > 10 || slices.ContainsFunc(s.NoteFilter, func(t string) bool { return long(&t, 50) }):
		return nil, "note_plain_text_filter is missing or too long"
	}
	filter, err := regexp.Compile("^(?:" + text(s.BranchFilter) + ")$")
	if err != nil {
		return nil, "push_events_branch_regex_filter is no regular expression"
	}
	return filter, ""
}

func long(s *string, limit int) bool { return utf8.RuneCountInString(text(s)) > limit }

// hooksOf returns the hooks of the scope in a path; a refusal when there is no such scope.
func (f *Fake) hooksOf(r *request) ([]*repoHook, *problem) {
	probe := &repoHook{scope: r.path[0], scopeID: r.path[1]}
	there := slices.Contains([]string{"repositories", "groups", "projects"}, probe.scope)
	if there {
		there = false
		for _, repo := range f.repos {
			there = there || probe.covers(repo)
		}
	}
	if !there {
		return nil, &problem{http.StatusNotFound, "FAKE.no_such_scope", "there is no such repository, group or project"}
	}
	var list []*repoHook
	for _, h := range f.hooks {
		if h.scope == probe.scope && h.scopeID == probe.scopeID {
			list = append(list, h)
		}
	}
	return list, nil
}

// hookOf returns the hook in a path.
func (f *Fake) hookOf(r *request) (*repoHook, *problem) {
	list, p := f.hooksOf(r)
	for _, h := range list {
		if strconv.FormatInt(h.id, 10) == r.path[2] {
			return h, nil
		}
	}
	if p == nil {
		p = &problem{http.StatusNotFound, "FAKE.no_such_hook", "there is no such webhook"}
	}
	return nil, p
}

// shown is a hook as the API shows it.
func (h *repoHook) shown() object {
	s, token := &h.settings, any(nil)
	if text(s.Token) != "" {
		token = masked
	}
	return object{
		"id": h.id, "url": s.URL, "name": s.Name, "description": s.Description, "token": token, "token_type": h.tokenHeader(),
		"push_events": on(s.Push), "tag_push_events": on(s.TagPush), "merge_requests_events": on(s.MergeRequests), "note_events": on(s.Notes),
		"push_events_branch_regex_filter": s.BranchFilter, "note_plain_text_filter": s.NoteFilter,
		"created_at": h.created.Format(hookTime), "updated_at": h.updated.Format(hookTime),
	}
}

// listHooks is GET /v4/{scope}/{scope_id}/hooks.
func (f *Fake) listHooks(r *request) reply {
	list, p := f.hooksOf(r)
	if p != nil {
		return refuse(p.status, p.code, p.message)
	}
	shown := make([]object, 0, len(list))
	for _, h := range list {
		shown = append(shown, h.shown())
	}
	return pageOf(r, shown)
}

// pageOf answers the part of a list that was asked for, with the length of all of it in X-Total.
func pageOf(r *request, list []object) reply {
	offset, limit, ok := window(r)
	if !ok {
		return refuse(http.StatusBadRequest, "FAKE.invalid", "offset or limit is wrong")
	}
	a := answer(http.StatusOK, list[min(offset, len(list)):min(offset+limit, len(list))])
	a.header.Set("X-Total", strconv.Itoa(len(list)))
	return a
}

// getHook is GET /v4/{scope}/{scope_id}/hooks/{hook_id}.
func (f *Fake) getHook(r *request) reply {
	h, p := f.hookOf(r)
	if h == nil {
		return refuse(p.status, p.code, p.message)
	}
	return answer(http.StatusOK, h.shown())
}

// createHook is POST /v4/{scope}/{scope_id}/hooks.
func (f *Fake) createHook(r *request) reply {
	list, p := f.hooksOf(r)
	if p != nil {
		return refuse(p.status, p.code, p.message)
	}
	h := &repoHook{scope: r.path[0], scopeID: r.path[1], created: f.now()}
	if reason := h.set(r.body, f.now()); reason != "" {
		return refuse(http.StatusBadRequest, "FAKE.invalid", reason)
	}
	if len(list) >= maxHooks {
		return refuse(http.StatusBadRequest, "FAKE.too_many_hooks", "there are 20 webhooks already")
	}
	h.id = 1000 + f.next()
	f.hooks = append(f.hooks, h)
	return answer(http.StatusCreated, h.shown())
}

// updateHook is PUT /v4/{scope}/{scope_id}/hooks/{hook_id}.
func (f *Fake) updateHook(r *request) reply {
	h, p := f.hookOf(r)
	if h == nil {
		return refuse(p.status, p.code, p.message)
	}
	if reason := h.set(r.body, f.now()); reason != "" {
		return refuse(http.StatusBadRequest, "FAKE.invalid", reason)
	}
	return answer(http.StatusOK, h.shown())
}

// set takes over the settings of a body, if they are right.
func (h *repoHook) set(body []byte, now time.Time) string {
	old, _ := json.Marshal(h.settings)
	var settings hookSettings
	if json.Unmarshal(old, &settings) != nil || json.Unmarshal(body, &settings) != nil {
		return "the body is not what it should be"
	}
	filter, reason := settings.check()
	if reason == "" {
		h.settings, h.compiled, h.updated = settings, filter, now
	}
	return reason
}

// deleteHook is DELETE /v4/{scope}/{scope_id}/hooks/{hook_id}.
func (f *Fake) deleteHook(r *request) reply {
	h, p := f.hookOf(r)
	if h == nil {
		return refuse(p.status, p.code, p.message)
	}
	f.hooks = slices.DeleteFunc(f.hooks, func(other *repoHook) bool { return other == h })
	return reply{status: http.StatusNoContent, header: http.Header{}}
}

// listHookLogs is GET /v4/{scope}/{scope_id}/hooks/{hook_id}/logs: newest first.
func (f *Fake) listHookLogs(r *request) reply {
	h, p := f.hookOf(r)
	if h == nil {
		return refuse(p.status, p.code, p.message)
	}
	after, ok1 := bound(r.query.Get("created_after"))
	before, ok2 := bound(r.query.Get("created_before"))
	if !ok1 || !ok2 {
		return refuse(http.StatusBadRequest, "FAKE.invalid", "created_after or created_before is wrong")
	}
	shown := []object{}
	for _, l := range slices.Backward(h.logs) {
		if id := r.query.Get("uuid"); id != "" && id != l.uuid || !after.IsZero() && l.at.Before(after) || !before.IsZero() && l.at.After(before) {
			continue
		}
		if id := r.query.Get("repository_id"); id == "" || id == l.repo.ID {
			shown = append(shown, l.shown(h))
		}
	}
	return pageOf(r, shown)
}

// getHookLog is GET /v4/{scope}/{scope_id}/hooks/{hook_id}/logs/{log_id}.
func (f *Fake) getHookLog(r *request) reply {
	h, p := f.hookOf(r)
	if h == nil {
		return refuse(p.status, p.code, p.message)
	}
	for i := range h.logs {
		if l := &h.logs[i]; strconv.FormatInt(l.id, 10) == r.path[3] {
			o := l.shown(h)
			o["request_headers"], o["request_data"] = flat(l.header, h.tokenHeader()), withoutMail(l.body)
			o["response_headers"], o["response_body"] = flat(l.answer, ""), string(l.answered)
			return answer(http.StatusOK, o)
		}
	}
	return refuse(http.StatusNotFound, "FAKE.no_such_log", "there is no such log")
}

// shown is a log as the list shows it.
func (l *hookLog) shown(h *repoHook) object {
	status := "internal error"
	if l.status != 0 {
		status = strconv.Itoa(l.status)
	}
	o := object{
		"id": l.id, "web_hook_id": h.id, "trigger": l.triggered, "url": l.url, "response_status": status, "execution_duration": l.took.Seconds(),
		"uuid": l.uuid, "created_at": l.at.Format(hookTime), "updated_at": l.at.Format(hookTime),
	}
	if h.scope != "repositories" {
		o["repository"] = object{"id": number64(l.repo.ID), "namespace": l.repo.Path}
	}
	return o
}

// flat are headers as a log shows them; the one with the token is masked.
func flat(h http.Header, secret string) map[string]string {
	all := map[string]string{}
	for name, values := range h {
		all[name] = strings.Join(values, ", ")
		if strings.EqualFold(name, secret) {
			all[name] = masked
		}
	}
	return all
}

// withoutMail is a body as a log shows it: without the addresses of people.
func withoutMail(body []byte) any {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return nil
	}
	hideMail(v)
	return v
}

func hideMail(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			if strings.HasSuffix(name, "email") {
				v[name] = masked
			}
			hideMail(v[name])
		}
	case []any:
		for _, item := range v {
			hideMail(item)
		}
	}
}
