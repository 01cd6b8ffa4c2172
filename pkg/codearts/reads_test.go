package codearts_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

func TestJobHistory(t *testing.T) {
	w := newWorld(t, codeartstest.Options{Now: func() time.Time { return time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC) }})
	for i := range 250 {
		w.Advance(time.Minute)
		w.ChangeJob(jobID, fmt.Sprint("user-", i))
	}
	var numbers []int
	for change, err := range w.JobHistory(t.Context(), jobID) {
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, int(*change.UpdateNumber))
		if len(numbers) == 1 && (*change.UserName != "user-249" || *change.UpdateType != "UPDATE" || int64(*change.UpdateAt) != w.Now().UnixMilli()) {
			t.Errorf("the newest change is %+v", change)
		}
	}
	if len(numbers) != 251 || numbers[250] != 1 || !slices.IsSortedFunc(numbers, func(a, b int) int { return b - a }) {
		t.Errorf("%d changes: %v", len(numbers), numbers)
	}
	if n := w.Calls(codearts.OpJobHistory); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
	for range w.JobHistory(t.Context(), jobID) {
		break // a caller that has enough
	}
	if n := w.Calls(codearts.OpJobHistory); n != 4 {
		t.Errorf("%d calls, want 4", n)
	}
	got, err := w.Call(t.Context(), codearts.OpJobHistory, map[string]any{"job_id": jobID, "limit": int64(120)})
	if list, ok := got.([]*codearts.JobChange); !ok || err != nil || len(list) != 120 {
		t.Errorf("the first 120: %T, %v", got, err)
	}
	w.Fail(codearts.OpJobHistory, codeartstest.Failure{Status: http.StatusForbidden, Skip: 1})
	seen := 0
	for _, err = range w.JobHistory(t.Context(), jobID) {
		if err == nil {
			seen++
		}
	}
	if seen != 100 || !errors.Is(err, codearts.ErrForbidden) {
		t.Errorf("the second page fails: %d changes, %v", seen, err)
	}
}

// A limit that no listing has is said before anything is sent.
func TestLimitOfListings(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	for _, limit := range []int64{-1, 0, 1001} {
		_, err := w.Call(t.Context(), codearts.OpJobHistory, map[string]any{"job_id": jobID, "limit": limit})
		if !errors.Is(err, codearts.ErrInvalid) || w.Calls(codearts.OpJobHistory) != 0 {
			t.Errorf("%d: %v", limit, err)
		}
	}
}

func TestNoticeSettings(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	list, err := w.NoticeSettings(t.Context(), jobID)
	if err != nil || len(list) != 5 || *list[0].NoticeType != codearts.NoticeDingTalk || !*list[0].EnableMap["buildJobFail"] || *list[1].EnableMap["buildJobFail"] {
		t.Fatalf("settings: %+v, %v", list, err)
	}
	if secret := string(*list[0].ParamConfig); !strings.Contains(secret, "access_token=fake-sensitive-value") {
		t.Errorf("the method hides what its caller may see: %s", secret)
	}
	for i := range list {
		list[i].Redact()
	}
	if *list[0].ParamConfig != "[redacted]" || list[1].ParamConfig != nil {
		t.Errorf("redacted: %v, %v", *list[0].ParamConfig, list[1].ParamConfig)
	}
}

func TestPermissions(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	mine, err := w.JobPermissions(t.Context(), projectID, jobID)
	if err != nil || len(mine) != 1 || *mine[0].JobID != jobID || !*mine[0].IsModify || *mine[0].RoleID != -1 {
		t.Errorf("permissions: %+v, %v", mine, err)
	}
	roles, err := w.DefaultPermissions(t.Context(), projectID, jobID)
	if err != nil || len(roles) != 3 || *roles[1].RoleName != "Developer" || *roles[1].IsDelete || !*roles[1].IsExecute {
		t.Errorf("roles: %+v, %v", roles, err)
	}
	other := codearts.ProjectID(strings.Repeat("0", 32))
	if _, err := w.JobPermissions(t.Context(), other, jobID); !errors.Is(err, codearts.ErrInvalid) {
		t.Errorf("a task of another project: %v", err)
	}
	for body, want := range map[string]int{
		`null`: 0, `[]`: 0, `{}`: 1, `{"role_id":1}`: 1, `[{"role_id":1},{"role_id":2}]`: 2, `[null]`: 1, `17`: -1, `"x"`: -1, `[17]`: -1, `{"role_id":{}}`: -1,
	} {
		list, err := newCanned(t, canned{body: `{"status":"success","result":` + body + `}`}).JobPermissions(t.Context(), projectID, jobID)
		if want >= 0 && (err != nil || len(list) != want) || want < 0 && !isOurs(err) {
			t.Errorf("%s: %v, %v", body, list, err)
		}
	}
}

func TestReportOfATask(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	head := w.Push(repoID, codeartstest.Push{Branch: "release/1.0", Message: "cut"})
	names, err := w.JobRepositories(t.Context(), jobID)
	if err != nil || *names.Latest != "orders" || !slices.Equal(names.Repositories, []string{"orders"}) {
		t.Fatalf("repositories: %+v, %v", names, err)
	}
	branches := func(name string) []string {
		t.Helper()
		list, err := w.JobBranches(t.Context(), jobID, name)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if diff := cmp.Diff([]string{"main", "release/1.0"}, branches("orders")); diff != "" {
		t.Errorf("before a run (-want +got):\n%s", diff)
	}
	w.StartBuild(jobID, head, "release/1.0", "SUCCESS", 0)
	if diff := cmp.Diff([]string{"release/1.0"}, branches("orders")); diff != "" {
		t.Errorf("after a run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{}, branches("other")); diff != "" {
		t.Errorf("of another repository (-want +got):\n%s", diff)
	}
	calls := w.Calls(codearts.OpJobBranches)
	for _, name := range []string{"", "订单", "a\nb", strings.Repeat("x", 1025)} {
		if _, err := w.JobBranches(t.Context(), jobID, name); !errors.Is(err, codearts.ErrInvalid) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	if n := w.Calls(codearts.OpJobBranches) - calls; n != 0 {
		t.Errorf("%d calls that cannot be right were sent", n)
	}
}

func TestCopyName(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	for i, want := range []string{"orders-ci_copy", "orders-ci_copy2", "orders-ci_copy3"} {
		got, err := w.CopyName(t.Context(), jobID)
		if err != nil || string(*got.Name) != want {
			t.Errorf("name: %+v, %v; want %s", got, err, want)
		}
		w.AddJob(codeartstest.Job{ID: fmt.Sprintf("%032d", i), ProjectID: projectID, Name: want})
	}
}

func TestSummary(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	for i, status := range []string{"SUCCESS", "SUCCESS", "FAILED", "SUCCESS"} {
		w.StartBuild(jobID, w.Head(repoID, "main"), "main", status, time.Duration(i)*time.Minute)
	}
	w.Advance(2 * time.Minute)
	got, err := w.JobSummary(t.Context())
	if err != nil || *got.JobTotal != 1 || *got.AvgSuccessRatio != 66 || got.BuildTimes != nil {
		t.Errorf("summary: %+v, %v", got, err)
	}
	for body, jobs := range map[string]codearts.Int{
		`{}`: -1, `{"summary":null}`: -1, `{"summary":{}}`: -1, `{"summary":{"job_total":5}}`: 5, `{"job_total":"5"}`: 5,
	} {
		got, err := newCanned(t, canned{body: `{"status":"success","result":` + body + `}`}).JobSummary(t.Context())
		if err != nil || (got.JobTotal == nil) != (jobs < 0) || got.JobTotal != nil && *got.JobTotal != jobs {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	limit, err := w.JobCountLimit(t.Context())
	if err != nil || limit.Result == nil || !*limit.Result {
		t.Errorf("limit: %+v, %v", limit, err)
	}
}

func TestDockerfileTemplate(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	images, err := w.ImageTemplates(t.Context())
	if err != nil || len(images) != 2 {
		t.Fatalf("images: %+v, %v", images, err)
	}
	id := string(*images[1].ImageID)
	got, err := w.DockerfileTemplate(t.Context(), id)
	if err != nil || got.ImageID != id || !strings.HasPrefix(got.Content, "FROM ") || !strings.HasSuffix(got.Content, "\nUSER build\n") {
		t.Errorf("file: %+v, %v", got, err)
	}
	if _, err := w.DockerfileTemplate(t.Context(), "no"); !errors.Is(err, codearts.ErrNotFound) {
		t.Errorf("an image that is not there: %v", err)
	}
	w.Fail(codearts.OpDockerfileTemplate, codeartstest.Failure{Body: []byte("FROM " + strings.Repeat("x", codearts.MaxDockerfile-5)), ContentType: "text/plain", Times: 1})
	if got, err = w.DockerfileTemplate(t.Context(), id); err != nil || len(got.Content) != codearts.MaxDockerfile {
		t.Errorf("the largest file: %v", err)
	}
	w.Fail(codearts.OpDockerfileTemplate, codeartstest.Failure{Body: []byte("FROM " + strings.Repeat("x", codearts.MaxDockerfile-4)), ContentType: "text/plain"})
	_, err = w.DockerfileTemplate(t.Context(), id)
	check(t, codearts.OpDockerfileTemplate, err, verdict{status: 200, class: "size", maybe: true})
}

// Only a text is a Dockerfile. What is JSON says what went wrong, whatever its content type is.
func TestWhatIsNoDockerfile(t *testing.T) {
	for _, row := range []struct {
		contentType, body string
		class             string // "": it is one
		again             bool
	}{
		{"application/octet-stream", "FROM a\n", "", false},
		{"text/plain;charset=UTF-8", "# syntax\nFROM a\n", "", false},
		{"what is this", "FROM ä", "", false},
		{"application/json", `{"status":"fail","error":"no such image"}`, "refused", true},
		{"application/json;charset=UTF-8", `{"error_code":"CB.00060200","error_msg":"Invalid param"}`, "invalid", false},
		{"application/octet-stream", ` {"error_code":"CB.00060211","error_msg":"too many requests"}`, "throttled", true},
		{"application/problem+json", `{"status":"failed","error":{"code":"CH.010117","message":"no"}}`, "not_found", false},
		{"application/json", `{"status":"success","result":"FROM a"}`, "unreadable", false},
		{"application/json", `"FROM a"`, "unreadable", false},
		{"application/json", `FROM a`, "unreadable", true},
		{"application/octet-stream", `{"error_code":`, "unreadable", true},
		{"text/html;charset=utf-8", "<html>sign in</html>", "unreadable", true},
		{"application/octet-stream", "", "unreadable", true},
		{"application/octet-stream", "\n \n", "unreadable", true},
		{"application/octet-stream", "FROM \xff", "unreadable", false},
	} {
		var accepted string
		transport := tapped{canned{body: row.body, contentType: row.contentType}, func(r *http.Request) { accepted = r.Header.Get("Accept") }}
		got, err := newCanned(t, transport).DockerfileTemplate(t.Context(), "i")
		if accepted != "*/*" {
			t.Errorf("it accepts %q, and a file is not JSON", accepted)
		}
		if row.class == "" {
			if err != nil || got.Content != row.body || got.ImageID != "i" {
				t.Errorf("%s %q: %+v, %v", row.contentType, row.body, got, err)
			}
			continue
		}
		api, ok := errors.AsType[*codearts.APIError](err)
		if !ok || got != nil || api.Class() != row.class || api.Retryable() != row.again || api.Status != http.StatusOK {
			t.Errorf("%s %q: %v, want %s, retryable %t", row.contentType, row.body, err, row.class, row.again)
		}
	}
}

// tapped shows a request before it is answered.
type tapped struct {
	canned
	look func(r *http.Request)
}

func (a tapped) RoundTrip(r *http.Request) (*http.Response, error) {
	a.look(r)
	return a.canned.RoundTrip(r)
}

func TestRecommendedTemplates(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	q := codearts.TemplatesQuery{GitURL: "https://u:MARKER@codearts.example/orders.git", Branch: "main"}
	got, err := w.RecommendedTemplates(t.Context(), q)
	if err != nil || *got.TotalSize != 2 || *got.Items[0].Name != "Maven" || got.Items[0].Template.Steps[0].Properties["command"] != "mvn -B package" {
		t.Fatalf("templates: %+v, %v", got, err)
	}
	for range 2 { // twice is as good as once
		got.Redact()
		first := got.Items[0]
		if first.Template.Steps[0].Properties["command"] != "[redacted]" || *first.Parameters[0].Params[1].Value != "main" || string(first.Template.Actions) != "null" {
			t.Errorf("redacted: %+v", first)
		}
	}
	(&codearts.RecommendedTemplates{Items: make([]codearts.BuildTemplate, 1)}).Redact() // nothing in it, nothing happens
	for _, q := range []codearts.TemplatesQuery{{Branch: "main"}, {GitURL: q.GitURL}, {GitURL: q.GitURL + "\n", Branch: "main"}} {
		if _, err := w.RecommendedTemplates(t.Context(), q); !errors.Is(err, codearts.ErrInvalid) || strings.Contains(err.Error(), "MARKER") {
			t.Errorf("%+v: %v", q, err)
		}
	}
	w.Fail(codearts.OpRecommendedTemplates, codeartstest.Throttled())
	if _, err := w.RecommendedTemplates(t.Context(), q); !errors.Is(err, codearts.ErrThrottled) || strings.Contains(err.Error(), "MARKER") {
		t.Errorf("error is %v", err)
	}
}

func TestWhatIsPaidFor(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	pays, err := w.ChargeType(t.Context())
	if err != nil || len(pays.MainResourceList) != 1 || *pays.MainResourceList[0].Status != "normal" {
		t.Fatalf("charge type: %+v, %v", pays, err)
	}
	// What it names can be asked about.
	down, err := w.PackageCountdown(t.Context(), codearts.PackageCountdownQuery{ServiceType: *pays.MainResourceList[0].ServiceType})
	if err != nil || len(down) != 1 || *down[0].ResourceSpecCode != *pays.MainResourceList[0].ResourceSpecCode {
		t.Errorf("countdown: %+v, %v", down, err)
	}
	w.StartBuild(jobID, w.Head(repoID, "main"), "main", "SUCCESS", 0)
	quota, err := w.PackageQuota(t.Context(), projectID)
	if err != nil || *quota.IsOverQuota || *quota.BuildQuota != "1000" || *quota.UsedQuota != "1" {
		t.Errorf("quota: %+v, %v", quota, err)
	}
	quota, err = w.PackageQuota(t.Context(), codearts.ProjectID(strings.Repeat("0", 32)))
	if err != nil || *quota.BuildQuota != "unlimit" || quota.UsedQuota != nil {
		t.Errorf("quota without a limit: %+v, %v", quota, err)
	}
}

func TestSystemParameters(t *testing.T) {
	w := newWorld(t, codeartstest.Options{})
	list, err := w.SystemParameters(t.Context())
	if err != nil || len(list) != 4 || *list[0].ParameterName != "BUILDNUMBER" || *list[0].ID != 1 {
		t.Errorf("parameters: %+v, %v", list, err)
	}
}
