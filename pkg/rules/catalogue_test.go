package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

// The facts of the tests are shaped like those of CodeArts, with few fields.
type (
	testBuild struct {
		JobID         string     `json:"job_id" doc:"id of the job"`
		BuildNo       *int       `json:"build_no" doc:"number of the build"`
		DailyBuildNum *string    `json:"daily_build_num"`
		RepoID        *string    `json:"repo_id"`
		Commit        *string    `json:"commit"`
		Outcome       string     `json:"outcome" values:"succeeded failed canceled queued running unknown"`
		Finished      bool       `json:"finished"`
		Duration      *float64   `json:"duration"`
		Stages        []testStep `json:"stages"`
	}
	testStep struct {
		Name *string `json:"name"`
		Took *int    `json:"took"`
	}
	testJob struct {
		Name   string            `json:"name"`
		Scms   []testScm         `json:"scms"`
		Token  string            `json:"token" secret:"true"`
		Labels map[string]string `json:"labels"`
	}
	testScm struct {
		RepoID *string `json:"repo_id"`
		Branch *string `json:"branch"`
	}
	testPackage struct {
		ServiceType *string `json:"service_type"`
		ResourceID  *string `json:"resource_id"`
	}
	testCountdown struct {
		ResourceID *string   `json:"resource_id"`
		Tips       *testTips `json:"tips"`
	}
	testTips struct {
		Summary *testSummary `json:"summary"`
	}
	testSummary struct {
		Status              *int    `json:"status"`
		NextAction          *int    `json:"next_action"`
		NextActionRemainDay *int    `json:"next_action_remain_day"`
		NextActionURL       *string `json:"next_action_url"`
	}
	testCommit struct {
		ID      *string `json:"id"`
		Message *string `json:"message"`
	}
	testFile struct {
		Content      *string `json:"content"`
		LastCommitID *string `json:"last_commit_id"`
	}
)

// TestDefaultConnection reports every place that needs the default connection when there is none.
func TestDefaultConnection(t *testing.T) {
	file := File{Name: "r.yaml", Data: []byte(`rules:
  - name: r
    on: push
    fetch:
      one: { commit: { repo_id: 1, sha: main } }
      two: { commit: { repo_id: 1, sha: main }, connection: beijing }
      three:
        commit: { repo_id: 1, sha: main }
        connection:
    do:
      - notify: { to: ops, title: t, text: x }
      - commit: { repo_id: 1, branch: b, message: m, actions: [{ action: create, file_path: a, content: b }] }
      - commit: { connection: beijing, repo_id: 1, branch: b, message: m, actions: [{ action: create, file_path: a, content: b }] }
`)}
	const hint = "add connection: (one of beijing, guiyang), or configure codearts.default [name]"
	for _, c := range []struct {
		connections []string
		want        string
	}{
		{nil, ""},
		{[]string{"beijing", DefaultConnection}, ""},
		{[]string{"guiyang", "beijing"}, `r.yaml:5:14: fetch.one names no connection, and there is none named "default"; ` + hint + `
r.yaml:8:9: fetch.three names no connection, and there is none named "default"; ` + hint + `
r.yaml:12:17: do[1].commit names no connection, and there is none named "default"; ` + hint},
		{[]string{}, `r.yaml:5:14: fetch.one names no connection, and there is none named "default"; configure codearts.default [name]
r.yaml:6:61: fetch.two.connection: there is no connection "beijing" [name]
r.yaml:8:9: fetch.three names no connection, and there is none named "default"; configure codearts.default [name]
r.yaml:12:17: do[1].commit names no connection, and there is none named "default"; configure codearts.default [name]
r.yaml:13:31: do[2].commit.connection: there is no connection "beijing" [name]`},
	} {
		cat := testCatalogue()
		cat.Connections = c.connections
		_, problems := Compile([]File{file}, cat)
		if diff := cmp.Diff(c.want, problems.Error()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.connections, diff)
		}
	}
	// What calls for no connection needs none.
	cat := testCatalogue()
	cat.Connections = []string{}
	if _, problems := Compile([]File{{Name: "r.yaml", Data: []byte("rules: [{ name: r, on: push, " + strings.TrimSpace(notifyAll) + " }]")}}, cat); len(problems) > 0 {
		t.Error(problems)
	}
}

func testCatalogue() *Catalogue {
	text := func(name string, required bool) Arg { return Arg{Name: name, Type: String, Required: required} }
	build := TypeFor[testBuild]("build")
	return &Catalogue{
		Event:      TypeFor[events.View]("event"),
		EventTypes: events.Types(),
		Facts: []FactKind{
			{Name: "build_of_commit", Args: []Arg{text("job_id", true), text("commit", true)}, Result: build, Commit: "commit"},
			{Name: "build_record", Args: []Arg{text("job_id", true), {Name: "build_no", Type: Int, Required: true}}, Result: build, Commit: "commit"},
			{Name: "job_config", Args: []Arg{text("job_id", true)}, Result: TypeFor[testJob]("job_config")},
			{Name: "package_status", Args: []Arg{text("project_id", true), text("status", true)}, Result: TypeFor[[]testPackage]("package_status")},
			{
				Name:   "package_countdown",
				Args:   []Arg{text("service_type", true), text("resource_id", false), text("reminder_day", false)},
				Result: TypeFor[[]testCountdown]("package_countdown"),
			},
			{Name: "commit", Args: []Arg{text("repo_id", true), text("sha", true)}, Result: TypeFor[testCommit]("commit"), Commit: "id"},
			{Name: "file", Args: []Arg{text("repo_id", true), text("file_path", true), text("ref", false)}, Result: TypeFor[testFile]("file")},
		},
		Targets:     []string{"payments-dingtalk", "ops", "finance"},
		Connections: []string{"default", "beijing"},
	}
}
