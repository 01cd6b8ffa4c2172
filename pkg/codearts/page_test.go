package codearts_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
)

// A server that does not know pages sends the same one again: that is the end.
func TestListingEnds(t *testing.T) {
	body := `{"status":"success","result":[` + strings.Repeat(`{"id":"a"},`, 99) + `{"id":"b"}]}`
	n := 0
	for _, err := range newCanned(t, canned{body: body}).Commits(t.Context(), codearts.CommitsQuery{RepoID: repoID}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	for _, err := range newCanned(t, canned{body: `{"status":"success","result":{"job_build_states":[{"number":1}]}}`}).JobRuns(t.Context(), jobID, time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	for _, err := range newCanned(t, canned{body: `{"jobs":[{"id":"a"},null]}`}).ProjectJobs(t.Context(), projectID) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 102 {
		t.Errorf("%d items, want 102", n)
	}
}

// endless always has one run more.
type endless struct{}

func (endless) RoundTrip(r *http.Request) (*http.Response, error) {
	return canned{body: fmt.Sprintf(`{"status":"success","result":{"job_build_states":[{"number":%s}]}}`, "1"+r.URL.Query().Get("page_index"))}.RoundTrip(r)
}

// A list that will not end fails: it is not taken for whole.
func TestListingWithoutEnd(t *testing.T) {
	var last error
	for _, err := range newCanned(t, endless{}).JobRuns(t.Context(), jobID, time.Time{}, time.Time{}) {
		last = err
	}
	api, ok := errors.AsType[*codearts.APIError](last)
	if !ok || api.Class() != "size" || api.Retryable() {
		t.Errorf("error is %v", last)
	}
}
