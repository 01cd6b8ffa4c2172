//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"

	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// receiver is one receiver with the disk that its journal is on.
type receiver struct {
	*process
	number int
	disk   *disk

	admin string // address of its admin listener, once it is ready; under the lock of the process
}

// startReceivers starts the receivers.
func (t *torture) startReceivers(ctx context.Context) error {
	for i := range receivers {
		name := receiverName(i)
		file := filepath.Join(t.site.folder, name+".yaml")
		r := &receiver{number: i}
		var err error
		if r.disk, err = t.site.disk(name + "-disk"); err != nil {
			return err
		}
		// What it has no use for has to be right all the same.
		if err := t.configure(file, setting{name: name, codeArts: "http://127.0.0.1:1", chatPort: "1", journal: r.disk.journal()}); err != nil {
			return err
		}
		env := []string{"TORTURE_WEBHOOK_SECRET=" + t.balancer.secret, "TORTURE_SECRET_KEY=-"}
		for _, name := range []string{"TEAM_URL", "OPS_URL"} {
			env = append(env, "TORTURE_"+name+"=http://127.0.0.1:1/x")
		}
		env = append(env, "TORTURE_TEAM_SECRET=-", "TORTURE_OPS_SECRET=-")
		if t.Break != "" {
			env = append(env, "TORTURE_BREAK="+t.Break)
		}
		if r.process, err = t.site.process(name, env, filepath.Join(t.site.bin, "receiver"), "--config", file); err != nil {
			return err
		}
		r.ready = said("receiver started")
		r.line = func(line []byte) { t.found(r, line) }
		t.receivers = append(t.receivers, r)
		r.keep()
		// The first one makes the stores.
		if err := r.awaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// found reads from a line of the log where the receiver listens.
func (t *torture) found(r *receiver, line []byte) {
	var at struct{ Message, Listen, Admin string }
	if r.up.Load() || json.Unmarshal(line, &at) != nil || at.Message != "receiver started" {
		return
	}
	r.mu.Lock()
	r.admin = at.Admin
	r.mu.Unlock()
	t.balancer.at(r.number, at.Listen)
}

// unpublishedBy is how many bytes of its journal the brokers may not have.
func (t *torture) unpublishedBy(ctx context.Context, r *receiver) (int64, error) {
	r.mu.Lock()
	admin := r.admin
	r.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := t.cluster.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(page) {
		if value, ok := bytes.CutPrefix(line, []byte("millrace_journal_unpublished_bytes ")); ok {
			n, err := strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
			return int64(n), err
		}
	}
	return 0, errors.New("it says nothing of a journal")
}

// setting is what is different between the configurations of processes.
type setting struct{ name, codeArts, chatPort, journal string }

func (t *torture) configure(file string, s setting) error {
	hold := "10s"
	if t.Power != noLoss {
		hold = "10m" // all of the run
	}
	return t.site.write("millrace.yaml", file, map[string]any{
		"NATS": t.cluster.url(s.name), "CodeArts": s.codeArts, "ChatPort": s.chatPort, "AccessKey": codeartstest.AccessKeyID, "Journal": s.journal, "Hold": hold,
	})
}

func receiverName(i int) string { return fmt.Sprintf("receiver-%d", i) }
