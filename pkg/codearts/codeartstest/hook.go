package codeartstest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// hookTimeout bounds one delivery.
const hookTimeout = 10 * time.Second

// hook tells somebody about commits: one at a time, in their order, each once, for CodeArts is not known to try again.
type hook struct {
	url, token string
	waiting    []outgoing
	running    bool
	deliveries []Delivery
}

// outgoing is a delivery to make.
type outgoing struct {
	url, token string
	header     string // that carries the token
	delivery   Delivery
	body       []byte
	of         *repoHook // whose log it goes to; nil: SetHook's
	repo       *repository
}

// Delivery is what became of one webhook delivery.
type Delivery struct {
	UUID   string `json:"uuid"`
	RepoID string `json:"repo_id"`
	Commit string `json:"commit"`
	Status int    `json:"status"` // of the answer; 0: none
	Error  string `json:"error,omitempty"`
	Hook   int64  `json:"hook,omitempty"` // made by a call; 0: SetHook's
}

// SetHook has every commit from now on, made by a call or by Push, told to url as a push delivery with token in X-Repo-Token. An empty
// url ends it. Deliveries are made one after the other in a goroutine that Close waits for.
func (f *Fake) SetHook(url, token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook.url, f.hook.token = url, token
}

// Deliveries returns what became of the deliveries made so far.
func (f *Fake) Deliveries() []Delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Delivery{}, f.hook.deliveries...)
}

// PushBody returns the body of the push delivery of a commit, always the same one: send it again for a redelivery.
func (f *Fake) PushBody(repoID, commitID string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	repo := f.mustRepo(repoID)
	c := repo.commits[commitID]
	if c == nil {
		panic("codeartstest: there is no commit " + commitID)
	}
	return repo.pushBody(c)
}

// announce queues the deliveries of a commit, to SetHook's address and to the hooks made by calls; f.mu is held.
func (f *Fake) announce(repo *repository, c *commit) {
	if f.ctx.Err() != nil {
		return
	}
	push := outgoing{body: repo.pushBody(c), delivery: Delivery{UUID: c.uuid, RepoID: repo.ID, Commit: c.id}, repo: repo}
	if f.hook.url != "" {
		push.url, push.token, push.header = f.hook.url, f.hook.token, "X-Repo-Token"
		f.hook.waiting = append(f.hook.waiting, push)
	}
	for _, h := range f.hooks {
		if on(h.settings.Push) && h.covers(repo) && h.compiled.MatchString(c.branch) {
			push.url, push.token, push.header = text(h.settings.URL), text(h.settings.Token), h.tokenHeader()
			push.of, push.delivery.Hook = h, h.id
			f.hook.waiting = append(f.hook.waiting, push)
		}
	}
	if len(f.hook.waiting) > 0 && !f.hook.running {
		f.hook.running = true
		f.owned.Go(f.deliver)
	}
}

// deliver makes deliveries until none is waiting.
func (f *Fake) deliver() {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		f.mu.Lock()
		if len(f.hook.waiting) == 0 || f.ctx.Err() != nil {
			f.hook.running = false
			f.mu.Unlock()
			return
		}
		next := f.hook.waiting[0]
		f.hook.waiting = f.hook.waiting[1:]
		log := hookLog{id: f.next(), at: f.now()}
		f.mu.Unlock()
		began := time.Now()
		err := next.send(f.ctx, client, &log)
		log.took = time.Since(began)
		next.delivery.Status = log.status
		if err != nil {
			next.delivery.Error = "no answer"
		}
		f.mu.Lock()
		f.hook.deliveries = append(f.hook.deliveries, next.delivery)
		if next.of != nil {
			next.of.logs = append(next.of.logs[max(0, len(next.of.logs)+1-keptLogs):], log)
		}
		f.mu.Unlock()
	}
}

// send makes a delivery and writes down what went over the wire.
func (o *outgoing) send(ctx context.Context, client *http.Client, log *hookLog) error {
	log.repo, log.url, log.body, log.uuid, log.triggered = o.repo, o.url, o.body, o.delivery.UUID, "push_hooks"
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(o.body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Devcloud-Event", "Push Hook")
	if o.token != "" {
		req.Header.Set(o.header, o.token)
	}
	log.header = req.Header.Clone()
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	log.status, log.answer = resp.StatusCode, resp.Header
	log.answered, _ = io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	return resp.Body.Close()
}

// pushBody is the push delivery of a commit.
func (r *repository) pushBody(c *commit) []byte {
	id, _ := strconv.ParseInt(r.ID, 10, 64)
	ssh, web := "git@codearts.example:"+r.Path+".git", "https://codearts.example/"+r.Path+".git"
	author := object{"name": c.author, "email": c.email}
	data, _ := json.Marshal(object{
		"object_kind": "push", "event_name": "push", "uuid": c.uuid, "project_id": id,
		"before": c.before, "after": c.id, "ref": "refs/heads/" + c.branch, "checkout_sha": c.id, "message": nil,
		"user_id": 1, "user_name": c.author, "user_username": c.author, "user_email": c.email, "user_avatar": nil,
		"project": object{
			"id": id, "name": r.name(), "description": "", "web_url": r.WebURL, "avatar_url": nil, "git_ssh_url": ssh, "git_http_url": web,
			"namespace": r.Path[:max(0, len(r.Path)-len(r.name())-1)], "visibility_level": 0, "path_with_namespace": r.Path,
			"default_branch": r.DefaultBranch, "homepage": r.WebURL, "url": ssh, "ssh_url": ssh, "http_url": web,
		},
		"repository": object{
			"name": r.name(), "url": ssh, "description": "", "homepage": r.WebURL, "git_http_url": web, "git_ssh_url": ssh, "visibility_level": 0,
		},
		"commits": []object{{
			"id": c.id, "message": c.message, "timestamp": c.at.Format(time.RFC3339), "url": r.WebURL + "/commits/detail/" + c.id, "author": author,
			"added": c.paths("added"), "modified": c.paths("modified"), "removed": c.paths("removed"),
		}},
		"total_commits_count": 1, "git_branch": c.branch, "git_commit_no": c.id, "manual_build": false, "push_options": []string{},
	})
	return data
}

func (r *repository) name() string {
	for i := len(r.Path) - 1; i >= 0; i-- {
		if r.Path[i] == '/' {
			return r.Path[i+1:]
		}
	}
	return r.Path
}

func (c *commit) paths(action string) []string {
	list := []string{}
	for _, ch := range c.changes {
		if ch.Action == action {
			list = append(list, ch.Path)
		}
	}
	return list
}
