package codearts_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/codearts"
)

func TestRedact(t *testing.T) {
	parameter := func(name, value, mark string) string {
		return `{"name":"p","params":[{"name":"name","value":"` + name + `"},{"name":"defaultValue","value":"` + value + `","limits":[{"name":"` + value + `"}]},` +
			`{"name":"description","value":"` + value + `"}` + mark + `]}`
	}
	body := `{"status":"success","result":{"job_name":"orders-ci","parameters":[` + strings.Join([]string{
		parameter("branch", "KEEP-1", ""),
		parameter("level", "KEEP-2", `,{"name":"sensitiveVar","value":"false"}`),
		parameter("key", "HIDE-1", `,{"name":"sensitiveVar","value":"true"}`),
		parameter("key", "HIDE-2", `,{"name":"sensitiveVar","value":true}`),
		parameter("NPM_TOKEN", "HIDE-3", ""),
		parameter("DB_PASS", "HIDE-10", ""),
		parameter("DEPLOY_KEY", "HIDE-11", ""),
		parameter("ROBOT_WEBHOOK", "https://example.com/HIDE-12", ""),
		parameter("BYPASS_TESTS", "KEEP-8", ""),
		parameter("registry", "https://u:HIDE-13@example.com/KEEP-9?a=KEEP-10", ""),
		parameter("mirror", "https://example.com/KEEP-11?private_token=HIDE-14", ""),
		parameter("why", "is https://x KEEP-12? a@b", ""),
	}, ",") + `],
	"scms":[{"url":"https://user:HIDE-4@example.com/g/r.git","web_url":"https://example.com/KEEP-3"},{"url":"git@example.com:g/KEEP-4.git"},{"url":"https://u:HIDE-5@exa mple"}],
	"steps":[{"name":"KEEP-5","properties":{"command":"curl -H HIDE-6","deploy_token":17011,"list":["HIDE-7",{"x":"HIDE-8"}],"on":true,"n":42,"empty":"","none":null}}],
	"triggers":[{"name":"KEEP-6","parameters":[{"name":"branch","value":"KEEP-7"},{"name":"secretKey","value":"HIDE-9"}]}]}}`
	cfg, err := newCanned(t, canned{body: body}).JobConfig(t.Context(), jobID)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice is as good as once
		cfg.Redact()
		data, err := json.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if strings.Contains(text, "HIDE") || strings.Contains(text, "17011") {
			t.Errorf("it shows: %s", text)
		}
		for _, keep := range []string{"KEEP-1", "KEEP-2", "KEEP-3", "KEEP-4", "KEEP-5", "KEEP-6", "KEEP-7", "KEEP-8", "KEEP-9", "KEEP-10", "KEEP-11", "NPM_TOKEN", `"command":"[redacted]"`, `"n":42`, `"on":true`} {
			if !strings.Contains(text, keep) {
				t.Errorf("%s is gone: %s", keep, text)
			}
		}
	}
	(&codearts.JobConfig{}).Redact() // nothing in it, nothing happens
}

// Addresses of repositories in lists of tasks and runs show no user and no secret.
func TestRedactLists(t *testing.T) {
	const address = `"https://user:HIDE-1@example.com/KEEP-1?access_token=HIDE-2"`
	for op, c := range map[string]struct {
		body string
		args map[string]any
	}{
		codearts.OpProjectJobs: {
			`{"total":1,"jobs":[{"id":"1","scm_web_url":` + address + `}]}`,
			map[string]any{"project_id": "aaaabbbbccccddddeeeeffff00001111"},
		},
		codearts.OpJobRuns: {
			`{"status":"success","result":{"total_page":1,"job_build_states":[{"number":1,"scm_web_url":` + address + `,"commit_detail_url":` + address + `}]}}`,
			map[string]any{"job_id": jobID, "start_time": "2026-04-01T00:00:00Z", "end_time": "2026-04-02T00:00:00Z"},
		},
	} {
		got, err := newCanned(t, canned{body: c.body}).Call(t.Context(), op, c.args)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(data); strings.Contains(text, "HIDE") || !strings.Contains(text, "example.com/KEEP-1") {
			t.Errorf("%s shows: %s", op, text)
		}
	}
}
