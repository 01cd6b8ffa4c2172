package codearts_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
)

// canned answers every request with the same body, as JSON when it does not say otherwise.
type canned struct {
	status      int
	body        string
	contentType string
}

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: cmp.Or(c.status, http.StatusOK), ContentLength: int64(len(c.body)),
		Header: http.Header{"Content-Type": {cmp.Or(c.contentType, "application/json")}},
		Body:   io.NopCloser(strings.NewReader(c.body)),
	}, nil
}

// newCanned is a client that reads what transport answers, whatever it asks. change may change its configuration.
func newCanned(t testing.TB, transport http.RoundTripper, change ...func(*codearts.Config)) *codearts.Client {
	t.Helper()
	cfg := codearts.Config{Region: "cn-north-4", Transport: transport, Credentials: codearts.StaticToken{Token: codearts.NewSecret("t0ken")}}
	for _, c := range change {
		c(&cfg)
	}
	client, err := codearts.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestFileExample(t *testing.T) {
	got, err := newCanned(t, canned{body: `{"result":{"file_name":"a.txt","file_path":"docs/a.txt","size":6,"encoding":"base64","content":"aMOk\nbGxv","ref":"main",
		"blob_id":"b1","commit_id":"c1","last_commit_id":"c0"},"status":"success"}`}).File(t.Context(), repoID, "docs/a.txt", "main")
	if err != nil {
		t.Fatal(err)
	}
	want := &codearts.FileContent{
		FilePath: "docs/a.txt", FileName: new("a.txt"), Ref: "main", Size: 6, Content: "hällo", Data: []byte("hällo"),
		BlobID: new("b1"), CommitID: new("c1"), LastCommitID: new("c0"),
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ids and numbers come in either form, unknown fields come at any time, and everything may be missing.
func TestTolerance(t *testing.T) {
	client := newCanned(t, canned{body: `{"new":1,"Status":"SUCCESS","error":"","result":{"codeci_job_id":"` + jobID + `","build_no":"17","repo_id":2111000001,
		"user_id":12,"duration":"1e3","status":null,"surprise":{"a":[1]},"finish_time":"2026-04-01T08:30:27.000+00:00"}}`})
	r, err := client.BuildRecord(t.Context(), jobID, 17)
	if err != nil {
		t.Fatal(err)
	}
	if *r.RepoID != "2111000001" || *r.UserID != "12" || *r.Duration != 1000 || r.Status != nil || r.Branch != nil {
		t.Errorf("record is %+v", r)
	}
	if r.Outcome != codearts.OutcomeUnknown || !r.Finished {
		t.Errorf("a run with a finish time only: %s, %t", r.Outcome, r.Finished)
	}
	data, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(data), `"repo_id":"2111000001"`) || !strings.Contains(string(data), `"build_no":17`) {
		t.Errorf("encoded: %s, %v", data, err)
	}
}

func TestFileEncodings(t *testing.T) {
	for body, want := range map[string]string{
		`{"encoding":"text","content":"a"}`:   "a",
		`{"content":"a","name":"n"}`:          "a",
		`{"encoding":"BASE64","content":""}`:  "",
		`{"encoding":"base64","content":"?"}`: "!the content is not base64",
		`{"encoding":"rot13","content":"a"}`:  "!rot13",
		`{"encoding":"base64"}`:               "!no content",
	} {
		got, err := newCanned(t, canned{body: `{"status":"success","result":` + body + `}`}).File(t.Context(), repoID, "f", "main")
		wrong, isError := strings.CutPrefix(want, "!")
		switch {
		case isError && (err == nil || !strings.Contains(err.Error(), wrong)):
			t.Errorf("%s: error is %v", body, err)
		case !isError && (err != nil || got.Content != want):
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}
