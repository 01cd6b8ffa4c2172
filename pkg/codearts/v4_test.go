package codearts_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

func withV4(cfg *codearts.Config) { cfg.RepoAPI = codearts.RepoV4 }

// canned4 is a client of v4 that reads what transport answers.
func canned4(t testing.TB, transport http.RoundTripper) *codearts.Client {
	t.Helper()
	return newCanned(t, transport, withV4)
}

// asked is a transport that writes down what was asked.
type asked struct {
	canned
	urls *[]string
}

func (a asked) RoundTrip(r *http.Request) (*http.Response, error) {
	query, err := url.QueryUnescape(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	*a.urls = append(*a.urls, r.Method+" "+r.URL.Path+"?"+query)
	return a.canned.RoundTrip(r)
}

func TestQuestionsOfV4(t *testing.T) {
	var urls []string
	ctx, c := t.Context(), canned4(t, asked{canned{body: "{}"}, &urls})
	_, _ = c.CreateCommit(ctx, create("a", "b"))
	_, _ = c.Commit(ctx, repoID, "release/1.0")
	_, _ = c.File(ctx, repoID, "docs/a b.md", "release/1.0")
	at := time.Date(2026, 4, 1, 8, 0, 0, 900, time.FixedZone("", 3600))
	for _, err := range c.Commits(ctx, codearts.CommitsQuery{RepoID: repoID, Ref: "main", Since: at, Until: at.Add(time.Hour), Path: "docs", Message: "Millrace-Action: x"}) {
		if err == nil {
			t.Error("an answer without a list of commits is not an empty list")
		}
	}
	const path = " /v4/repositories/" + repoID + "/repository/"
	want := []string{
		"POST" + path + "commits?",
		"GET" + path + "commits?sha=release/1.0&stats=true",
		"GET" + path + "files?file_path=docs/a b.md&ref=release/1.0",
		"GET" + path + "commit-list?limit=100&message=Millrace-Action: x&offset=0&order_by_date=true&path=docs&ref_name=main" +
			"&since=2026-04-01T06:59:59Z&until=2026-04-01T08:00:01Z", // v4 leaves both bounds out
	}
	if diff := cmp.Diff(want, urls); diff != "" {
		t.Errorf("(-want +asked):\n%s", diff)
	}
	for _, name := range []string{codearts.OpCreateCommit, codearts.OpCommit, codearts.OpCommits, codearts.OpFile} {
		for _, op := range codearts.Operations() {
			if op.Name == name && op.V4 == "" {
				t.Errorf("%s has no row in v4", name)
			}
		}
	}
}

func TestListsOfV4(t *testing.T) {
	for body, want := range map[string]string{
		`{"commits":[{"id":"a"},{"id":"b"}],"date_title":[{"day":"2026-04-01","commits_count":2}]}`: "a b",
		`[{"id":"a"}]`:     "a",
		`{"commits":[]}`:   "",
		`{"commits":null}`: "",
		`{"status":"failed","error":{"code":"CH.010117","message":"repository does not exist"},"result":null}`: "not_found",
		`{"error_code":"CH.010117","error_msg":"repository does not exist"}`:                                   "not_found",
		`{}`:              "unreadable",
		`null`:            "unreadable",
		`{"commits":{}}`:  "unreadable",
		`{"commits":[1]}`: "unreadable",
	} {
		var got []string
		for c, err := range canned4(t, canned{body: body}).Commits(t.Context(), codearts.CommitsQuery{RepoID: repoID}) {
			if api, ok := errors.AsType[*codearts.APIError](err); ok {
				got = append(got, api.Class())
			} else {
				got = append(got, c.ID)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func TestCreateDir(t *testing.T) {
	for api, is := range map[string]error{codearts.RepoV2: codearts.ErrInvalid, codearts.RepoV4: nil} {
		w := newWorld(t, codeartstest.Options{}, func(cfg *codearts.Config) { cfg.RepoAPI = api })
		r := create("new", "")
		r.Actions[0] = codearts.FileAction{Action: "create_dir", FilePath: "new/dir"}
		made, err := w.CreateCommit(t.Context(), r)
		if !errors.Is(err, is) || is == nil && made.ID != w.Head(repoID, "main") || w.Calls(codearts.OpCreateCommit) != map[bool]int{true: 1}[is == nil] {
			t.Errorf("%s: %v, %v", api, made, err)
		}
	}
}

// A file is whole, or it is an error.
func TestFileOfV4IsWhole(t *testing.T) {
	w := newWorld(t, codeartstest.Options{}, withV4)
	w.Push(repoID, codeartstest.Push{Message: "large", Files: map[string]string{"large": strings.Repeat("x", 2<<20), "empty": ""}})
	file, err := w.File(t.Context(), repoID, "README.md", "main")
	if err != nil || file.Content != "# orders\n" || file.SHA256 == nil || len(*file.SHA256) != 64 || *file.FileName != "README.md" || file.LastCommitID == nil {
		t.Errorf("%+v, %v", file, err)
	}
	if file, err = w.File(t.Context(), repoID, "empty", "main"); err != nil || file.Size != 0 {
		t.Errorf("empty: %+v, %v", file, err)
	}
	_, err = w.File(t.Context(), repoID, "large", "main")
	if api, ok := errors.AsType[*codearts.APIError](err); !ok || api.Class() != "size" || api.Retryable() || !strings.Contains(err.Error(), "is_limited") {
		t.Errorf("large: %v", err)
	}
	const sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of hello
	for body, good := range map[string]bool{
		`{"content":"aGVsbG8=","encoding":"base64","content_sha256":"` + sum + `"}`:                      true,
		`{"content":"hello","encoding":"text","content_sha256":"` + strings.ToUpper(sum) + `"}`:          true,
		`{"content":"hello","encoding":"text","is_limited":false}`:                                       true,
		`{"content":"hello","encoding":"text","content_sha256":""}`:                                      true,
		`{"content":"aGVsbA==","encoding":"base64","content_sha256":"` + sum + `"}`:                      false,
		`{"content":"aGVsbG8=","encoding":"base64","content_sha256":"` + sum + `","is_limited":true}`:    false,
		`{"content":null,"is_limited":true,"last_commit_id":"1f2e3d4c5b6a79880716253443526170f0e1d2c4"}`: false,
		`{"name":"a"}`: false,
	} {
		if _, err := canned4(t, canned{body: body}).File(t.Context(), repoID, "a", "main"); (err == nil) != good {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// Where v4 reads files is not certain: the other path is asked when the gateway does not know the first, and stays.
func TestFileOfV4AtItsOtherPath(t *testing.T) {
	fake := codeartstest.New(codeartstest.Options{Tokens: []string{"t0ken"}})
	fake.AddRepository(codeartstest.Repository{ID: repoID})
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, last, _ := strings.Cut(r.URL.Path, "/repository/")
		switch paths = append(paths, last); last {
		case "files":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error_code":"APIGW.0101","error_msg":"The API does not exist"}`)
		case "file":
			r.URL.Path += "s"
			fake.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	defer fake.Close()
	client, err := codearts.New(codearts.Config{
		RepoEndpoint: server.URL, BuildEndpoint: server.URL, RepoAPI: codearts.RepoV4, Credentials: codearts.StaticToken{Token: codearts.NewSecret("t0ken")},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	for range 2 {
		if file, err := client.File(t.Context(), repoID, "README.md", "main"); err != nil || file.LastCommitID == nil {
			t.Fatalf("%+v, %v", file, err)
		}
	}
	_, err = client.File(t.Context(), repoID, "nowhere", "main")
	if api, ok := errors.AsType[*codearts.APIError](err); !ok || !errors.Is(err, codearts.ErrNotFound) || api.Op != codearts.OpFile {
		t.Errorf("a file that is not there: %v", err)
	}
	if diff := cmp.Diff([]string{"files", "file", "file", "file"}, paths); diff != "" {
		t.Errorf("(-want +asked):\n%s", diff)
	}
}

// What a commit came to is not known from a 2xx that shows no commit and no failure.
func TestAnswerWithoutVerdictOfV4(t *testing.T) {
	for body, maybe := range map[string]bool{
		`{}`: true, `null`: true, `[]`: true, ``: true, `{"status":"success"}`: true, `{"status":"failed"}`: true,
		`{"result":{"id":"1f2e"},"status":"success"}`:                     true,
		`{"error":{"code":"CH.1","message":"no"}}`:                        false,
		`{"error":{"code":"X.1","message":"no"},"status":"failed"}`:       false,
		`{"error_code":"X.1","error_msg":"no"}`:                           false,
		`{"status":"error","error":"the branch is protected","result":0}`: false,
	} {
		err := second(canned4(t, canned{status: 200, body: body}).CreateCommit(t.Context(), create("new.md", "x")))
		if api, ok := errors.AsType[*codearts.APIError](err); !ok || api.MayHaveHappened() != maybe {
			t.Errorf("%s: it may have happened is not %v: %v", body, maybe, err)
		}
	}
}

func TestFailuresOfV4(t *testing.T) {
	w := newWorld(t, codeartstest.Options{}, withV4)
	for _, op := range []string{codearts.OpCreateCommit, codearts.OpCommit, codearts.OpCommits, codearts.OpFile} {
		for _, gateway := range []bool{true, false} { // both shapes
			w.Fail(op, codeartstest.Failure{Status: 429, Code: "APIGW.0308", Message: "slowly", Gateway: gateway, Times: 1})
			err := calls(w)[op](t.Context())
			api, ok := errors.AsType[*codearts.APIError](err)
			if !ok || !errors.Is(err, codearts.ErrThrottled) || api.Code != "APIGW.0308" || api.Message != "slowly" || !strings.HasPrefix(api.Path, "/v4/") || api.Op != op {
				t.Errorf("%s: %v", op, err)
			}
		}
	}
}
