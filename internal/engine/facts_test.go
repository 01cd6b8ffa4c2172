package engine

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/rules"
)

const projectID = "aaaabbbbccccddddeeeeffff00001111"

// served is a Facts on a CodeArts of our own. Its connection "v4" asks for commits and files with v4.
func served(t *testing.T) (*Facts, *codeartstest.Fake) {
	t.Helper()
	fake := codeartstest.New(codeartstest.Options{Tokens: []string{"token"}})
	t.Cleanup(fake.Close)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	clients := map[string]*codearts.Client{}
	for name, api := range map[string]string{"": codearts.RepoV2, "v4": codearts.RepoV4} {
		client, err := codearts.New(codearts.Config{
			BuildEndpoint: server.URL, RepoEndpoint: server.URL, IAMEndpoint: server.URL, RepoAPI: api,
			Credentials: codearts.StaticToken{Token: codearts.NewSecret("token")},
		})
		if err != nil {
			t.Fatal(err)
		}
		clients[name] = client
	}
	fake.AddRepository(codeartstest.Repository{ID: "7", Path: "shop/orders", Files: map[string]string{"docs/log.md": "# log\n"}})
	fake.AddJob(codeartstest.Job{ID: jobID, ProjectID: projectID, RepoID: "7"})
	fake.AddPackage(codeartstest.Package{ResourceID: "p1", ProjectID: projectID, Name: "CodeArts-pro", Expires: fake.Now().Add(7 * 24 * time.Hour)})
	return NewFacts(clients, time.Minute), fake
}

// Every kind of fact is fetched, and decodes as the catalogue says it does.
func TestFactsAreAsTheCatalogueSays(t *testing.T) {
	facts, fake := served(t)
	fake.StartBuild(jobID, commitA, "main", "FAILED", 0)
	hook, log := toldOnce(t, facts, fake)
	calls := map[string]struct {
		args map[string]any
		want string // a field and its value
	}{
		"build_of_commit":   {map[string]any{"job_id": jobID, "commit": commitA}, "outcome=failed"},
		"build_record":      {map[string]any{"job_id": jobID, "build_no": int64(1)}, "finished=true"},
		"job_runs":          {map[string]any{"job_id": jobID, "start_time": "2000-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z"}, "commit_id=" + commitA},
		"running_status":    {map[string]any{"job_id": jobID}, "last_build_no=1"},
		"project_jobs":      {map[string]any{"project_id": projectID}, "job_name=build-7"},
		"commits":           {map[string]any{"repo_id": "7", "limit": int64(1)}, "author_name=" + headOf(t, facts).author},
		"job_config":        {map[string]any{"job_id": jobID}, "job_name=build-7"},
		"package_status":    {map[string]any{"project_id": projectID, "status": "normal"}, "resource_id=p1"},
		"package_countdown": {map[string]any{"service_type": "hws.service.type.codearts", "resource_id": "p1", "reminder_day": int64(-1)}, "resource_name=CodeArts-pro"},
		"commit":            {map[string]any{"repo_id": "7", "sha": "main"}, "author_name=" + headOf(t, facts).author},

		"build_project_runs":    {map[string]any{"build_project_id": buildProject(t, facts)}, "revision=" + commitA},
		"job_history":           {map[string]any{"job_id": jobID}, "update_number=1"},
		"notice_settings":       {map[string]any{"job_id": jobID}, "param_config=[redacted]"},
		"job_permissions":       {map[string]any{"project_id": projectID, "job_id": jobID}, "is_modify=true"},
		"default_permissions":   {map[string]any{"project_id": projectID, "job_id": jobID}, "role_name=Project manager"},
		"job_repositories":      {map[string]any{"job_id": jobID}, "latest=orders"},
		"job_branches":          {map[string]any{"job_id": jobID, "repository_name": "orders"}, "=main"},
		"copy_name":             {map[string]any{"job_id": jobID}, "name=build-7_copy"},
		"system_parameters":     {nil, "parameter_name=BUILDNUMBER"},
		"job_summary":           {nil, "job_total=1"},
		"job_count_limit":       {nil, "result=true"},
		"image_templates":       {nil, "image_name=base-ubuntu"},
		"dockerfile_template":   {map[string]any{"image_id": "e1579739-0000-11e9-b7c2-286ed4890000"}, "image_id=e1579739-0000-11e9-b7c2-286ed4890000"},
		"recommended_templates": {map[string]any{"git_url": "https://codearts.example/r.git", "branch": "main"}, "total_size=2"},
		"charge_type":           {nil, "charge_type=effective_business_service"},
		"package_quota":         {map[string]any{"project_id": projectID}, "build_quota=1000"},
		"hooks":                 {map[string]any{"scope": "repositories", "scope_id": "7"}, "token=[redacted]"},
		"hook":                  {map[string]any{"scope": "repositories", "scope_id": "7", "hook_id": hook}, "url=http://127.0.0.1:1/hook/…"},
		"hook_logs":             {map[string]any{"scope": "repositories", "scope_id": "7", "hook_id": hook}, "response_status=internal error"},
		"hook_log":              {map[string]any{"scope": "repositories", "scope_id": "7", "hook_id": hook, "log_id": log}, "request_data=[redacted]"},
		"file":                  {map[string]any{"repo_id": "7", "file_path": "docs/log.md", "ref": "main"}, "content=# log\n"},
	}
	for _, kind := range Catalogue(nil, nil).Facts {
		t.Run(kind.Name, func(t *testing.T) {
			c, ok := calls[kind.Name]
			if !ok {
				t.Fatal("no call for it in this test")
			}
			for _, connection := range []string{"v4", ""} {
				checkFact(t, facts, rules.Call{Fact: "x", Kind: kind.Name, Connection: connection, Args: c.args}, fake.Now().Add(-time.Hour), kind, c.want)
			}
		})
	}
}

// buildProject is the build project of the task.
func buildProject(t *testing.T, facts *Facts) string {
	t.Helper()
	data, err := facts.Fetch(t.Context(), rules.Call{Kind: "build_record", Args: map[string]any{"job_id": jobID, "build_no": int64(1)}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var record codearts.BuildRecord
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	return *record.BuildProjectID
}

// toldOnce makes a hook that nobody listens to, and has one delivery made to it.
func toldOnce(t *testing.T, facts *Facts, fake *codeartstest.Fake) (hook, log int64) {
	t.Helper()
	scope := codearts.HookScope{Kind: codearts.HooksOfRepository, ID: "7"}
	made, err := facts.clients[""].CreateHook(t.Context(), scope, codearts.HookRequest{
		URL: "http://127.0.0.1:1/hook/0123456789abcdef0123456789abcdef", Token: codearts.NewSecret("hook-token"), Push: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	fake.Push("7", codeartstest.Push{Message: "told"})
	deadline, tick := time.After(2*time.Minute), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(fake.Deliveries()) == 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no delivery was made")
		}
	}
	for l, err := range facts.clients[""].HookLogs(t.Context(), codearts.HookLogsQuery{Scope: scope, HookID: int64(made.ID)}) {
		if err != nil {
			t.Fatal(err)
		}
		log = int64(l.ID)
	}
	return int64(made.ID), log
}

// checkFact fetches a fact and looks for a field and its value in it, or in its first element.
func checkFact(t *testing.T, facts *Facts, call rules.Call, since time.Time, kind rules.FactKind, fieldAndValue string) {
	t.Helper()
	data, err := facts.Fetch(t.Context(), call, since)
	if err != nil {
		t.Fatal(err)
	}
	value, err := kind.Result.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if all, ok := value.([]any); ok {
		if len(all) == 0 {
			t.Fatal("no elements")
		}
		value = all[0]
	}
	fields, ok := value.(map[string]any)
	if !ok {
		fields = map[string]any{"": value} // no object: a want without a name
	}
	name, want, _ := strings.Cut(fieldAndValue, "=")
	if got, _ := json.Marshal(fields[name]); strings.Trim(string(got), `"`) != strings.ReplaceAll(want, "\n", `\n`) {
		t.Errorf("%s is %s, want %s", name, got, want)
	}
	if _, ok := fields[kind.Commit]; kind.Commit != "" && !ok {
		t.Errorf("the result has no field %q", kind.Commit)
	}
}

// head is what a test needs of the last commit of main.
type head struct{ id, author string }

func headOf(t *testing.T, facts *Facts) head {
	t.Helper()
	c, err := facts.clients[""].Commit(t.Context(), "7", "main")
	if err != nil {
		t.Fatal(err)
	}
	h := head{id: c.ID, author: "null"}
	if c.AuthorName != nil {
		h.author = *c.AuthorName
	}
	return h
}

func TestFactThatIsNotThereYet(t *testing.T) {
	facts, _ := served(t)
	_, err := facts.Fetch(t.Context(), rules.Call{Kind: "build_of_commit", Args: map[string]any{"job_id": jobID, "commit": commitA}}, time.Time{})
	if !notReady(err) {
		t.Errorf("error %v", err)
	}
}

func TestFactFailuresKeepTheirVerdict(t *testing.T) {
	facts, fake := served(t)
	call := rules.Call{Kind: "build_record", Args: map[string]any{"job_id": jobID, "build_no": int64(9)}}
	fake.Fail("build_record", codeartstest.Throttled())
	_, err := facts.Fetch(t.Context(), call, time.Time{})
	if class, final := verdict(err); final || class != "throttled" {
		t.Errorf("class %s, final %t: %v", class, final, err)
	}
	for _, part := range []string{"build_record", `build_no="9"`, jobID} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %s", err, part)
		}
	}
	fake.Clear("build_record")
	if _, err = facts.Fetch(t.Context(), call, time.Time{}); err == nil {
		t.Error("no error for a run that is not there")
	}
	_, err = facts.Fetch(t.Context(), rules.Call{Kind: "build_record", Connection: "gone"}, time.Time{})
	wantFinal(t, err, ClassEvaluation)
	_, err = facts.Fetch(t.Context(), rules.Call{Kind: "weather"}, time.Time{})
	wantFinal(t, err, "invalid")
}

func TestSecretsOfAJobAreNotFetched(t *testing.T) {
	facts, fake := served(t)
	const marker = "s3cr3t-marker"
	fake.AddJob(codeartstest.Job{ID: jobID, ProjectID: projectID, RepoID: "7", Config: json.RawMessage(`{
		"job_name":"orders-ci",
		"parameters":[{"name":"hudson.model.StringParameterDefinition","params":[
			{"name":"name","value":"deploy_key"},{"name":"defaultValue","value":"` + marker + `"},{"name":"sensitiveVar","value":"true"}]}],
		"steps":[{"name":"Maven","properties":{"command":"mvn -Dkey=` + marker + `"}}]}`)})
	data, err := facts.Fetch(t.Context(), rules.Call{Kind: "job_config", Args: map[string]any{"job_id": jobID}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), marker) {
		t.Errorf("a secret shows: %s", data)
	}
}

func TestLastCommitOfAFile(t *testing.T) {
	facts, fake := served(t)
	want := headOf(t, facts).id
	for connection := range facts.clients {
		id, found, err := facts.LastCommit(t.Context(), connection, "7", "main", "docs/log.md")
		if id != want || !found || err != nil {
			t.Errorf("last commit %q, found %t, error %v", id, found, err)
		}
		if id, found, err = facts.LastCommit(t.Context(), connection, "7", "main", "docs/gone.md"); id != "" || found || err != nil {
			t.Errorf("last commit %q, found %t, error %v", id, found, err)
		}
		if _, _, err = facts.LastCommit(t.Context(), connection, "8", "main", "docs/log.md"); err == nil {
			t.Error("no error for a repository that is not there")
		}
		fake.Fail("file", codeartstest.Throttled())
		_, _, err = facts.LastCommit(t.Context(), connection, "7", "main", "docs/log.md")
		if class, final := verdict(err); final || class != "throttled" {
			t.Errorf("class %s, final %t: %v", class, final, err)
		}
		fake.Clear()
	}
	if _, _, err := facts.LastCommit(t.Context(), "gone", "7", "main", "docs/log.md"); err == nil {
		t.Error("no error for a connection that is not there")
	}
}

func TestCatalogueIsSound(t *testing.T) {
	c := Catalogue([]string{"team"}, nil)
	var names []string
	for _, k := range c.Facts {
		names = append(names, k.Name)
		if k.Doc == "" {
			t.Errorf("%s is not described", k.Name)
		}
		for _, a := range k.Args {
			if a.Doc == "" {
				t.Errorf("%s: argument %s is not described", k.Name, a.Name)
			}
		}
	}
	for _, name := range []string{"build_of_commit", "job_config", "package_countdown", "commit"} {
		if !slices.Contains(names, name) {
			t.Errorf("there is no %s", name)
		}
	}
	for _, name := range []string{"create_commit", "check_webhook_url", "iam_token"} {
		if slices.Contains(names, name) {
			t.Errorf("%s is no question", name)
		}
	}
	if _, ok := c.Event.Field("repository"); !ok {
		t.Error("events have no repository")
	}
}
