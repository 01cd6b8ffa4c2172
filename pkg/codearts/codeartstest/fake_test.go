package codeartstest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

const (
	repoID    = "2111000001"
	jobID     = "f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3"
	projectID = "aaaabbbbccccddddeeeeffff00001111"
	token     = "t0ken-as-given"
	commits   = "/v2/projects/" + repoID + "/repository/commits"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a served fake and a plain HTTP client: what is tested here is what goes over the wire.
type site struct {
	*codeartstest.Fake
	url    string
	client *http.Client
}

func newSite(t *testing.T, opts codeartstest.Options) *site {
	t.Helper()
	opts.Tokens = []string{token}
	fake := codeartstest.New(opts)
	server := httptest.NewServer(fake)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	t.Cleanup(func() {
		fake.Close()
		server.Close()
	})
	fake.AddRepository(codeartstest.Repository{ID: repoID, Path: "shop/orders"})
	fake.AddJob(codeartstest.Job{ID: jobID, ProjectID: projectID, RepoID: repoID})
	return &site{Fake: fake, url: server.URL, client: client}
}

// send asks the fake and returns status and body; status 0 when there was no answer.
func (s *site) send(t *testing.T, method, path, body, token string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return resp.StatusCode, string(data), resp.Header
}

// expect asks and checks status and a piece of the body.
func (s *site) expect(t *testing.T, method, path, body string, status int, piece string) {
	t.Helper()
	got, text, _ := s.send(t, method, path, body, token)
	if got != status || !strings.Contains(text, piece) {
		t.Errorf("%s %s %s: %d %.300s, want %d with %q", method, path, body, got, text, status, piece)
	}
}

// look reads a page of the admin face.
func (s *site) look(t *testing.T, path string, into any) {
	t.Helper()
	status, body, _ := s.send(t, http.MethodGet, path, "", "")
	if status != http.StatusOK {
		t.Fatalf("%s: %d", path, status)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never came true: %s", what)
		}
	}
}

// adding is the body of a commit that makes a file.
func adding(path, content string) string {
	return fmt.Sprintf(`{"branch":"main","commit_message":"add %s","actions":[{"action":"create","file_path":%q,"content":%q}]}`, path, path, content)
}

func TestTokens(t *testing.T) {
	s := newSite(t, codeartstest.Options{})
	request := func(password, scope string) string {
		return fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":%q,"password":%q,"domain":{"name":%q}}}},"scope":%s}}`,
			codeartstest.User, password, codeartstest.Domain, scope)
	}
	const path = "/v3/auth/tokens?nocatalog=true"
	s.expect(t, "POST", path, request("wrong", `{"project":{"name":"cn-north-4"}}`), 401, `"title":"Unauthorized"`)
	s.expect(t, "POST", path, request(codeartstest.Password, `{"project":{"name":"cn-east-9"}}`), 403, "no such project")
	s.expect(t, "POST", path, "{", 400, "invalid")
	_, _, domain := s.send(t, "POST", path, request(codeartstest.Password, `{"domain":{"name":"acme"}}`), "")
	status, _, header := s.send(t, "POST", path, request(codeartstest.Password, `{"project":{"name":"cn-north-4"}}`), "")
	if status != http.StatusCreated {
		t.Fatalf("status is %d", status)
	}
	issued := header.Get("X-Subject-Token")
	for _, row := range []struct {
		token  string
		status int
	}{{"", 401}, {"nonsense", 401}, {token, 200}, {issued, 200}, {domain.Get("X-Subject-Token"), 403}} {
		if got, body, _ := s.send(t, "GET", commits, "", row.token); got != row.status {
			t.Errorf("token %.10q: %d %s, want %d", row.token, got, body, row.status)
		}
	}
	s.Advance(23 * time.Hour)
	if got, _, _ := s.send(t, "GET", commits, "", issued); got != 200 {
		t.Errorf("a token of 23 hours: %d", got)
	}
	s.Advance(2 * time.Hour)
	if got, body, _ := s.send(t, "GET", commits, "", issued); got != 401 || !strings.Contains(body, "APIGW.0301") {
		t.Errorf("a token of 25 hours: %d %s", got, body)
	}
}

func TestWhatIsNotAsItShouldBe(t *testing.T) {
	s := newSite(t, codeartstest.Options{})
	for _, row := range []struct {
		method, path, body string
		status             int
		piece              string
	}{
		{"GET", "/v1/nothing", "", 404, "APIGW.0101"},
		{"DELETE", commits, "", 404, "APIGW.0101"},
		{"GET", "/v2/projects/" + repoID + "/repository/files/docs/a.md?ref=main", "", 404, "APIGW.0101"}, // the slash is not escaped
		{"GET", "/v2/projects/" + repoID + "/repository/files/README.md", "", 400, "ref"},
		{"GET", "/v2/projects/" + repoID + "/repository/files/README.md?ref=x", "", 404, "failed"},
		{"GET", "/v2/projects/7/repository/commits", "", 404, "CH.010117"},
		{"GET", commits + "?per_page=101", "", 400, "FAKE.invalid"},
		{"GET", commits + "?since=yesterday", "", 400, "FAKE.invalid"},
		{"GET", "/v1/record/" + jobID + "/list?page_size=10", "", 400, "CB.00060200"},
		{"GET", "/v1/record/" + jobID + "/0/record-info", "", 400, "CB.00060200"},
		{"GET", "/v1/record/" + jobID + "/1/record-info", "", 404, "FAKE.no_such_run"},
		{"GET", "/v1/job/" + projectID + "/list", "", 400, "CB.00060200"},
		{"GET", "/v1/job/nobody/config", "", 400, "CB.00060201"},
		{"GET", "/v2/resource/package-spec/status?project_id=1&status=normal", "", 400, "CB.00060200"},
		{"POST", "/v2/resource/countdown", `{"service_type":"s","reminder_day":-1}`, 400, "CB.00060200"}, // a string is wanted
		{"POST", "/v2/resource/countdown", `{}`, 400, "CB.00060200"},
		{"GET", "/v1/job/" + jobID + "/history?page_no=0", "", 400, "CB.00060200"},
		{"GET", "/v1/job/" + jobID + "/history?page_size=101", "", 400, "CB.00060200"},
		{"GET", "/v1/job/nobody/notice", "", 400, "CB.00060201"},
		{"GET", "/v1/job/permission?project_id=" + projectID, "", 400, "CB.00060201"},
		{"GET", "/v1/job/permission?project_id=1&job_id=" + jobID, "", 400, "CB.00060200"},
		{"GET", "/v1/job/project/default-permission?job_id=" + jobID, "", 400, "CB.00060200"},
		{"GET", "/v1/report/nobody/repositories", "", 400, "CB.00060201"},
		{"GET", "/v1/report/branches?job_id=" + jobID, "", 400, "CB.00060200"},
		{"GET", "/v1/job/nobody/copy-name", "", 400, "CB.00060201"},
		{"GET", "/v1/image/dockerfile-template?image_id=1", "", 404, "FAKE.no_such_image"},
		{"POST", "/v1/template/recommend", `{"git_url":"https://codearts.example/orders.git"}`, 400, "CB.00060200"},
		{"GET", "/v1/domain/package/quota?project_id=1", "", 400, "CB.00060200"},
		{"POST", commits, `{`, 400, "FAKE.invalid"},
		{"POST", commits, `{"branch":"main","actions":[]}`, 400, "commit_message"},
		{"POST", commits, `{"branch":"main","commit_message":"m","actions":[]}`, 400, "actions"},
		{"POST", commits, strings.Replace(adding("a", "b"), `"main"`, `"nowhere"`, 1), 400, "FAKE.no_such_branch"},
		{"POST", commits, adding("../a", "b"), 400, "FAKE.invalid"},
		{"POST", commits, adding("README.md", "b"), 409, "FAKE.file_exists"},
		{"POST", commits, strings.Repeat(" ", 13<<20), 413, "APIGW.0201"},
	} {
		s.expect(t, row.method, row.path, row.body, row.status, row.piece)
	}
	if n := len(s.Commits(repoID)); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
}

func TestFileActions(t *testing.T) {
	s := newSite(t, codeartstest.Options{})
	commit := func(body string, status int) {
		t.Helper()
		s.expect(t, "POST", commits, body, status, "")
	}
	action := func(fields string) string {
		return `{"branch":"main","commit_message":"m","actions":[{` + fields + `}]}`
	}
	commit(action(`"action":"create","file_path":"a","content":"aGk=","encoding":"base64"`), 200)
	first := s.Head(repoID, "main")
	commit(action(`"action":"chmod","file_path":"a","execute_filemode":true`), 200)
	commit(action(`"action":"update","file_path":"a","content":"x","last_commit_id":"`+first+`"`), 409) // chmod was a change
	commit(action(`"action":"update","file_path":"a","content":"x","last_commit_id":"`+s.Head(repoID, "main")+`"`), 200)
	commit(action(`"action":"move","previous_path":"a","file_path":"README.md"`), 409)
	commit(action(`"action":"move","previous_path":"a","file_path":"d/b"`), 200)
	commit(action(`"action":"delete","file_path":"a"`), 409)
	commit(action(`"action":"delete","file_path":"d/b"`), 200)
	commit(action(`"action":"create","file_path":"a","content":"?","encoding":"base64"`), 400)
	commit(action(`"action":"sing","file_path":"a"`), 400)
	var list []codeartstest.CommitInfo
	s.look(t, "/_fake/repos/"+repoID+"/commits?branch=main", &list)
	if len(list) != 6 || list[1].Files[0].Content != "hi" || list[4].Files[0] != (codeartstest.Change{Action: "removed", Path: "a"}) || list[5].Via != "api" {
		t.Errorf("commits are %+v", list)
	}
}

func TestBranches(t *testing.T) {
	s := newSite(t, codeartstest.Options{})
	first := s.Head(repoID, "main")
	with := func(fields string) string {
		return strings.Replace(adding("n", "1"), `"branch":"main"`, fields, 1)
	}
	s.expect(t, "POST", commits, with(`"branch":"side","start_branch":"main"`), 200, first)
	s.expect(t, "POST", commits, with(`"branch":"side","start_branch":"main"`), 400, "FAKE.branch_exists")
	side := s.Head(repoID, "side")
	s.expect(t, "POST", commits, with(`"branch":"side","start_branch":"main","force":true`), 200, first)
	s.expect(t, "POST", commits, with(`"branch":"x","start_branch":"nowhere"`), 400, "FAKE.no_such_branch")
	if now := s.Head(repoID, "side"); now == side || s.Head(repoID, "main") != first {
		t.Error("force did not replace the branch, or main moved")
	}
}

func TestCommitMadeAndAnswerLost(t *testing.T) {
	s := newSite(t, codeartstest.Options{})
	for i, failure := range []codeartstest.Failure{
		{Drop: true, Done: true, Times: 1}, {Cut: true, Times: 1}, {Status: 502, Done: true, Times: 1}, {Delay: time.Millisecond, Done: true, Times: 1},
	} {
		s.Fail("create_commit", failure)
		status, _, _ := s.send(t, "POST", commits, adding(fmt.Sprint(i), "x"), token)
		if want := []int{0, 0, 502, 200}[i]; status != want {
			t.Errorf("failure %d: status %d, want %d", i, status, want)
		}
		if n := len(s.Commits(repoID)); n != i+2 {
			t.Errorf("failure %d: %d commits, want %d", i, n, i+2)
		}
	}
	s.Fail("create_commit", codeartstest.Failure{Drop: true, Times: 1})
	if status, _, _ := s.send(t, "POST", commits, adding("z", "x"), token); status != 0 || len(s.Commits(repoID)) != 5 {
		t.Errorf("dropped before: status %d, %d commits", status, len(s.Commits(repoID)))
	}
}

func TestCommitMadeLater(t *testing.T) {
	s := newSite(t, codeartstest.Options{})
	s.Fail("create_commit", codeartstest.Failure{Late: 30 * time.Second, Times: 1})
	s.Fail("create_commit", codeartstest.Failure{Late: 30 * time.Second, Status: 504, Times: 1})
	s.Fail("create_commit", codeartstest.Failure{Late: 20 * time.Millisecond, Times: 1})
	for i, want := range []int{0, 504, 0} {
		if status, _, _ := s.send(t, "POST", commits, adding("same", "x"), token); status != want {
			t.Errorf("request %d: status %d, want %d", i, status, want)
		}
	}
	eventually(t, "the third is made when its time has gone by", func() bool { return len(s.Commits(repoID)) == 2 })
	s.expect(t, "POST", commits, adding("other", "x"), 200, "success")
	s.Advance(time.Minute) // the first two do not fit any more: the file exists
	if n := len(s.Commits(repoID)); n != 3 {
		t.Errorf("%d commits, want 3", n)
	}
	s.Fail("create_commit", codeartstest.Failure{Late: time.Hour})
	_, _, _ = s.send(t, "POST", commits, adding("never", "x"), token) // Close does not wait an hour
}

func TestSkipAndClear(t *testing.T) {
	s := newSite(t, codeartstest.Options{})
	s.Fail("commits", codeartstest.Failure{Skip: 1, Times: 1, Status: 503})
	s.Fail("commits", codeartstest.Failure{Status: 500})
	for i, want := range []int{200, 503, 500, 500} {
		if status, _, _ := s.send(t, "GET", commits, "", token); status != want {
			t.Errorf("request %d: %d, want %d", i, status, want)
		}
	}
	s.Clear("commits")
	s.expect(t, "GET", commits, "", 200, "success")
	var counters map[string]struct {
		Calls    int
		Statuses map[int]int
	}
	s.look(t, "/_fake/requests", &counters)
	if c := counters["commits"]; c.Calls != 5 || c.Statuses[500] != 2 || c.Statuses[200] != 2 || s.Calls("commits") != 5 {
		t.Errorf("counters are %+v", counters)
	}
}

// listener is where a hook points to.
type listener struct {
	server *httptest.Server
	got    chan delivery
}

type delivery struct {
	header http.Header
	body   []byte
}

func newListener(t *testing.T) *listener {
	t.Helper()
	l := &listener{got: make(chan delivery, 10)}
	l.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		l.got <- delivery{r.Header, body}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(l.server.Close)
	return l
}

func TestHook(t *testing.T) {
	l, s := newListener(t), newSite(t, codeartstest.Options{})
	s.SetHook(l.server.URL+"/hooks/orders", "hook-token")
	before := s.Head(repoID, "main")
	s.expect(t, "POST", commits, adding("docs/ä.md", "x"), 200, "")
	s.Push(repoID, codeartstest.Push{Message: "quiet", Quiet: true})
	pushed := s.Push(repoID, codeartstest.Push{Branch: "side", Message: "by hand", Files: map[string]string{"README.md": "2"}})
	var body struct {
		ObjectKind, UUID, Before, After, Ref string
		Project                              struct {
			PathWithNamespace string `json:"path_with_namespace"`
			Namespace         string
			ID                int64
		}
		Commits []struct {
			ID, URL                  string
			Added, Modified, Removed []string
		}
	}
	first, second := <-l.got, <-l.got
	if first.header.Get("X-Repo-Token") != "hook-token" || first.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers are %v", first.header)
	}
	if err := json.Unmarshal(bytes.ReplaceAll(first.body, []byte("object_kind"), []byte("ObjectKind")), &body); err != nil {
		t.Fatal(err)
	}
	made := s.Commits(repoID)[1]
	if body.ObjectKind != "push" || body.Before != before || body.After != made.ID || body.Ref != "refs/heads/main" || body.Project.PathWithNamespace != "shop/orders" ||
		body.Project.Namespace != "shop" || body.Project.ID != 2111000001 || body.Commits[0].Added[0] != "docs/ä.md" || len(body.UUID) != 36 {
		t.Errorf("body is %s", first.body)
	}
	if !bytes.Equal(first.body, s.PushBody(repoID, made.ID)) || !bytes.Equal(second.body, s.PushBody(repoID, pushed)) {
		t.Error("PushBody is another body")
	}
	if !bytes.Contains(second.body, []byte(`"before":"0000000000`)) {
		t.Errorf("a new branch: %s", second.body)
	}
	eventually(t, "both are written down", func() bool { return len(s.Deliveries()) == 2 })
	if d := s.Deliveries()[0]; d.Status != 202 || d.Commit != made.ID || d.UUID != body.UUID {
		t.Errorf("delivery is %+v", d)
	}
	l.server.Close()
	s.Push(repoID, codeartstest.Push{Message: "to nobody"})
	eventually(t, "the failure is written down", func() bool { return len(s.Deliveries()) == 3 && s.Deliveries()[2].Error != "" })
	s.SetHook("", "")
	s.Push(repoID, codeartstest.Push{Message: "no hook"})
	if n := len(s.Deliveries()); n != 3 {
		t.Errorf("%d deliveries, want 3", n)
	}
}

func TestAdminOnlyShows(t *testing.T) {
	s := newSite(t, codeartstest.Options{})
	s.StartBuild(jobID, s.Head(repoID, "main"), "main", "FAILED", time.Hour)
	s.AddPackage(codeartstest.Package{ResourceID: "p1", ProjectID: projectID, Expires: s.Now().Add(100 * 24 * time.Hour)})
	s.SetPackageDays("p1", 7)
	var state struct {
		Repos []struct {
			ID       string
			Branches map[string]string
		}
		Jobs     []struct{ Runs []struct{ Status string } }
		Packages []struct{ Days int }
	}
	s.look(t, "/_fake/state", &state)
	if state.Repos[0].Branches["main"] != s.Head(repoID, "main") || state.Jobs[0].Runs[0].Status != "QUEUED" || state.Packages[0].Days != 7 {
		t.Errorf("state is %+v", state)
	}
	s.expect(t, "POST", "/_fake/state", "", 405, "")
	s.expect(t, "GET", "/_fake/repos/7/commits", "", 404, "")
	s.expect(t, "GET", "/_fake/nothing", "", 404, "")
}

// A request that is held does not hold up Close, on a plain http.Server as well.
func TestCloseLetsGo(t *testing.T) {
	fake := codeartstest.New(codeartstest.Options{Tokens: []string{token}})
	fake.AddRepository(codeartstest.Repository{ID: repoID})
	fake.Fail("commits", codeartstest.Failure{Delay: time.Hour})
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: fake, ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()
	s := &site{Fake: fake, url: "http://" + socket.Addr().String(), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	status := make(chan int, 1)
	go func() {
		got, _, _ := s.send(t, "GET", commits, "", token)
		status <- got
	}()
	eventually(t, "the request is held", func() bool { return fake.Calls("commits") == 1 })
	fake.Close()
	if got := <-status; got != 0 {
		t.Errorf("status is %d", got)
	}
	if err = server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-served
}
