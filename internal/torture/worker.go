//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// worker is one worker with the fronts it sees the world through.
type worker struct {
	*process
	codeArts, chat *front

	mu     sync.Mutex
	marked map[string]bool // commits whose action it has recorded as done
}

// recorded tells whether the worker said that a commit is recorded as done.
func (w *worker) recorded(commit string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.marked[commit]
}

// hear takes a line of the worker's log.
func (w *worker) hear(line []byte) {
	if !bytes.Contains(line, []byte(`"message":"action done"`)) {
		return
	}
	var said struct{ Commit string }
	if json.Unmarshal(line, &said) == nil && said.Commit != "" {
		w.mu.Lock()
		w.marked[said.Commit] = true
		w.mu.Unlock()
	}
}

// startWorkers opens the fronts of the workers and starts them.
func (t *torture) startWorkers(ctx context.Context) error {
	for i := range workers {
		name := workerName(i)
		w := &worker{marked: map[string]bool{}}
		w.codeArts = &front{behind: t.codeArts, weather: &t.codeArtsWeather, luck: t.luck}
		w.chat = &front{behind: t.robots, weather: &t.chatWeather, luck: t.luck}
		w.codeArts.made = func(r *http.Request, _ []byte, answer *httptest.ResponseRecorder) func() {
			t.traps.spring(w, []byte(r.Method+" "+r.URL.Path))
			return t.committed(w, madeCommit(r, answer))
		}
		w.chat.made = func(_ *http.Request, body []byte, _ *httptest.ResponseRecorder) func() { return t.told(body) }
		t.workers = append(t.workers, w)
		for _, f := range []*front{w.codeArts, w.chat} {
			if err := f.open(ctx); err != nil {
				return err
			}
			t.fronts = append(t.fronts, f)
		}
		file := filepath.Join(t.site.folder, name+".yaml")
		if err := t.configure(file, setting{name: name, codeArts: w.codeArts.url(), chatPort: w.chat.port(), journal: filepath.Join(t.site.folder, "none")}); err != nil {
			return err
		}
		env := []string{
			"TORTURE_WEBHOOK_SECRET=" + t.balancer.secret, "TORTURE_SECRET_KEY=" + codeartstest.SecretKey,
			"TORTURE_TEAM_URL=" + t.team.URL(w.chat.url()), "TORTURE_TEAM_SECRET=" + t.team.Secret,
			"TORTURE_OPS_URL=" + t.ops.URL(w.chat.url()), "TORTURE_OPS_SECRET=" + t.ops.Secret,
		}
		if t.Break != "" {
			env = append(env, "TORTURE_BREAK="+t.Break)
		}
		var err error
		if w.process, err = t.site.process(name, env, filepath.Join(t.site.bin, "worker"), "--config", file); err != nil {
			return err
		}
		w.ready = said("worker started")
		w.line = func(line []byte) {
			w.hear(line)
			t.traps.spring(w, line)
		}
		w.keep()
	}
	for _, w := range t.workers {
		if err := w.awaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// said tells whether a line of a log has a message.
func said(message string) func(line []byte) bool {
	text := []byte(`"message":"` + message + `"`)
	return func(line []byte) bool { return bytes.Contains(line, text) }
}

func workerName(i int) string { return fmt.Sprintf("worker-%d", i) }

// furnish puts repositories into the fake CodeArts.
func furnish(fake *codeartstest.Fake) {
	for i := range repositories {
		fake.AddRepository(codeartstest.Repository{ID: fmt.Sprint(repositoryNumber(i)), Path: fmt.Sprintf("shop/orders-%d", i)})
	}
	fake.AddRepository(codeartstest.Repository{ID: fmt.Sprint(notesRepository), Path: "shop/notes"})
}

// keepTurning changes, all the time, the fact that the rule "turn" reads.
func keepTurning(ctx context.Context, fake *codeartstest.Fake) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fake.Push(fmt.Sprint(notesRepository), codeartstest.Push{Message: fmt.Sprint("turn ", n), Quiet: true, Files: map[string]string{"now": fmt.Sprint(n)}})
		}
	}
}

// effects are all that happened outside.
func (t *torture) effects() []effect {
	var all []effect
	for i := range repositories {
		for _, c := range t.codeArts.Commits(fmt.Sprint(repositoryNumber(i))) {
			if c.Via != "api" {
				continue
			}
			title, _, _ := strings.Cut(c.Message, "\n")
			_, mark, _ := strings.Cut(title, " ")
			all = append(all, effect{commitMade, mark, c.ID, c.Time})
		}
	}
	for _, m := range t.robots.Messages() {
		mark, kind := messageMark(m.Title)
		all = append(all, effect{kind, mark, m.ID, m.At})
	}
	return all
}

// account is a robot of a run.
func account(name string) notifytest.Account {
	return notifytest.Account{Kind: notifytest.Webhook, Token: name + secret(), Secret: secret()}
}
