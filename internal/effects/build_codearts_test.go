package effects

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// tasksOverHTTP gives a world the real client and a CodeArts that starts a run at every call.
func tasksOverHTTP(t *testing.T) (*world, *codeartstest.Fake) {
	t.Helper()
	w := newWorld(t)
	fake := codeartstest.New(codeartstest.Options{Now: func() time.Time { return start }, Tokens: []string{"token"}})
	server := httptest.NewServer(fake)
	fake.AddRepository(codeartstest.Repository{ID: "2111", Path: "shop/orders"})
	fake.AddJob(codeartstest.Job{ID: jobID, ProjectID: "aaaabbbbccccddddeeeeffff00001111", RepoID: "2111"})
	client, err := codearts.New(codearts.Config{
		RepoEndpoint: server.URL, BuildEndpoint: server.URL, IAMEndpoint: server.URL,
		Credentials: codearts.StaticToken{Token: codearts.NewSecret("token")}, Timeout: 2 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		fake.Close()
		server.Close()
	})
	w.builders = func(string) (Builder, error) { return client, nil }
	w.onPause = func() { fake.SetClock(w.now) }
	return w, fake
}

// TestBuildOnceOverHTTP: whatever becomes of the request and its answer, there is one run, and its number is known.
func TestBuildOnceOverHTTP(t *testing.T) {
	for name, failures := range map[string][]codeartstest.Failure{
		"nothing":                     nil,
		"cut after the effect":        {{Drop: true, Done: true, Times: 1}},
		"cut before the effect":       {{Drop: true, Times: 1}},
		"answer cut":                  {{Cut: true, Done: true, Times: 1}},
		"500 after the effect":        {{Status: 500, Code: "CB.00060101", Message: "internal error", Done: true, Times: 1}},
		"throttled as 500":            {withTimes(codeartstest.Throttled(), 2)},
		"502 of the gateway":          {{Status: 502, Code: "APIGW.0201", Gateway: true, Times: 2}},
		"502, and done":               {{Status: 502, Code: "APIGW.0201", Gateway: true, Done: true, Times: 1}},
		"a page where JSON should be": {withTimes(codeartstest.Garbage(), 1)},
		"a page, and done":            {{Body: []byte("<html>"), Done: true, Times: 1}},
		"an empty object, and done":   {{Body: []byte("{}"), ContentType: "application/json", Done: true, Times: 1}},
		"within a result":             {{Body: []byte(`{"status":"success","result":{"actual_build_number":"2","daily_build_number":"20260401.2"}}`), ContentType: "application/json", Done: true, Times: 1}},
		"30 s late":                   {{Late: 30 * time.Second, Times: 1}},
		"30 s late, then cut":         {{Late: 30 * time.Second, Times: 1}, {Drop: true, Times: 1}},
		"late behind a 504":           {{Late: 85 * time.Second, Status: 504, Times: 1}},
		"cut before, then after":      {{Drop: true, Times: 1}, {Drop: true, Done: true, Times: 1}},
	} {
		for _, byCommit := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, commit %t", name, byCommit), func(t *testing.T) {
				w, fake := tasksOverHTTP(t)
				fake.StartBuild(jobID, fake.Head("2111", "main"), "main", "SUCCESS", 0) // of somebody else, before
				for _, f := range failures {
					fake.Fail("start_build", f)
				}
				commit := ""
				if byCommit {
					commit = fake.Head("2111", "main")
				}
				w.theBuild(commit)
				w.run()
				w.wantBuild(2)
				builds := fake.Builds(jobID)
				if len(builds) != 2 || builds[1].Commit != fake.Head("2111", "main") || builds[1].Parameters[0].Value != "shop" {
					t.Errorf("runs %+v", builds)
				}
				if t.Failed() {
					t.Log(w.log)
				}
			})
		}
	}
}

// TestBuildVeryLate is where it ends: a request that is carried out when everybody has stopped waiting for it is a second run.
func TestBuildVeryLate(t *testing.T) {
	w, fake := tasksOverHTTP(t)
	fake.Fail("start_build", codeartstest.Failure{Late: 10 * time.Minute, Times: 1})
	w.theBuild(fake.Head("2111", "main"))
	w.run()
	w.wantBuild(1)
	fake.Advance(time.Hour)
	if n := len(fake.Builds(jobID)); n != 2 {
		t.Errorf("%d runs", n)
	}
}

func TestBuildRefusedOverHTTP(t *testing.T) {
	w, fake := tasksOverHTTP(t)
	fake.AddJob(codeartstest.Job{ID: jobID, RepoID: "2111", Disabled: true})
	w.theBuild("")
	w.run()
	w.wantDead("invalid", "The task is disabled")
	if len(w.sent) != 2 || w.sent[0].ID != "sorry" {
		t.Errorf("sent %+v", w.sent)
	}
}
