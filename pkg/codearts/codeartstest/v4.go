package codeartstest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// limitedAbove is the size in bytes above which v4 marks a file as limited and does not send its content.
const limitedAbove = 1 << 20

// problem is why something was not done, before it has the shape of an answer.
type problem struct {
	status        int
	code, message string
}

// done is a success: of v4 the bare result, else the envelope.
func (r *request) done(result any) reply {
	if !r.route.v4 {
		return stored(result)
	}
	status := http.StatusOK
	if r.route.method == http.MethodPost {
		status = http.StatusCreated
	}
	return answer(status, result)
}

// reject is a failure: v4 says it as the gateway does.
func (r *request) reject(p *problem) reply {
	if r.route.v4 {
		return refuse(p.status, p.code, p.message)
	}
	return reject(p.status, p.code, p.message)
}

// shownV4 is a commit as v4 shows it. The counts of lines are there when asked for.
func (c *commit) shownV4(repo *repository, stats, changes bool) object {
	o := c.shown()
	o["status"], o["last_pipeline"], o["merge_request"] = nil, nil, nil
	o["project_id"] = number64(repo.ID)
	o["user_name"], o["nick_name"], o["tenant_name"] = c.author, c.author, Domain
	if !stats {
		delete(o, "stats")
	}
	if changes {
		list := []object{}
		for _, ch := range c.changes {
			list = append(list, object{"path": ch.Path, "added_line": lines(ch.Content), "deleted_line": 0})
		}
		o["code_changes"] = list
	}
	return o
}

// listCommitsV4 is GET /v4/repositories/{repository_id}/repository/commit-list. Neither bound is included.
func (f *Fake) listCommitsV4(r *request) reply {
	repo, refusal := f.repoOf(r)
	if repo == nil {
		return refusal
	}
	head, p := repo.at(r.query.Get("ref_name"))
	if head == nil {
		return r.reject(p)
	}
	since, ok1 := bound(r.query.Get("since"))
	until, ok2 := bound(r.query.Get("until"))
	offset, limit, ok3 := window(r)
	if !ok1 || !ok2 || !ok3 {
		return r.reject(&problem{http.StatusBadRequest, "FAKE.invalid", "since, until, offset or limit is wrong"})
	}
	list, days := []object{}, []object{}
	for _, c := range repo.history(head) {
		at, text := c.at.Truncate(time.Second), r.query.Get("message")
		if !since.IsZero() && !at.After(since) || !until.IsZero() && !at.Before(until) || !c.touches(r.query.Get("path")) ||
			!strings.Contains(c.message, text) && !strings.HasPrefix(c.id, text) || !strings.Contains(c.author, r.query.Get("author")) {
			continue
		}
		list = append(list, c.shownV4(repo, false, false))
	}
	list = list[min(offset, len(list)):min(offset+limit, len(list))]
	if len(list) > 0 {
		days = append(days, object{"day": f.now().Format(time.DateOnly), "commits_count": len(list)})
	}
	return r.done(object{"commits": list, "date_title": days})
}

// readFileV4 is GET /v4/repositories/{repository_id}/repository/files.
func (f *Fake) readFileV4(r *request) reply {
	repo, refusal := f.repoOf(r)
	if repo == nil {
		return refusal
	}
	at, p := repo.at(r.query.Get("ref"))
	if at == nil {
		return r.reject(p)
	}
	name := r.query.Get("file_path")
	entry, ok := at.tree[name]
	if !ok {
		return r.reject(&problem{http.StatusNotFound, "FAKE.no_such_file", "the file does not exist"})
	}
	content, sum := base64.StdEncoding.EncodeToString(entry.data), sha256.Sum256(entry.data)
	limited := len(entry.data) > limitedAbove
	if limited {
		content = ""
	}
	return r.done(object{
		"name": path.Base(name), "path": name, "size": len(entry.data), "encoding": "base64", "ref": r.query.Get("ref"), "file_type": "text",
		"content": content, "content_sha256": hex.EncodeToString(sum[:]), "is_limited": limited, "last_commit_id": entry.last, "blob_id": blobID(entry.data),
	})
}

// window reads offset and limit of a question for a page.
func window(r *request) (offset, limit int, ok bool) {
	offset, ok1 := number(r.query.Get("offset"), 0)
	limit, ok2 := number(r.query.Get("limit"), 20)
	return offset, limit, ok1 && ok2 && offset >= 0 && limit >= 1 && limit <= 100
}

func lines(text string) int { return strings.Count(text, "\n") + 1 }

func number64(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
