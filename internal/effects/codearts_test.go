package effects

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/rules"
)

// inBoth runs a test with each API of Repo: once holds with either.
func inBoth(t *testing.T, test func(t *testing.T, api string)) {
	t.Helper()
	for _, api := range []string{codearts.RepoV2, codearts.RepoV4} {
		t.Run(api, func(t *testing.T) { test(t, api) })
	}
}

// overHTTP gives a world the real client, with an API of Repo, and a CodeArts that enforces its
// file conditions, answering a refused one with a status.
func overHTTP(t *testing.T, api string, conflictStatus int) (*world, *codeartstest.Fake) {
	t.Helper()
	w := newWorld(t)
	fake := codeartstest.New(codeartstest.Options{
		Now: func() time.Time { return start }, Tokens: []string{"token"}, ConflictStatus: conflictStatus,
	})
	server := httptest.NewServer(fake)
	fake.AddRepository(codeartstest.Repository{ID: "2111", Path: "shop/orders"})
	client, err := codearts.New(codearts.Config{
		RepoEndpoint: server.URL, BuildEndpoint: server.URL, IAMEndpoint: server.URL, RepoAPI: api,
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
	w.repos = func(string) (Repo, error) { return client, nil }
	w.onPause = func() { fake.SetClock(w.now) }
	w.ours = func(key string) (n int) {
		for _, c := range fake.Commits("2111") {
			if k, ok := rules.Trailer(c.Message); ok && k == key {
				n++
			}
		}
		return n
	}
	return w, fake
}

func TestCommitOnceOverHTTP(t *testing.T) { inBoth(t, testCommitOnceOverHTTP) }

func testCommitOnceOverHTTP(t *testing.T, api string) {
	for name, failures := range map[string][]codeartstest.Failure{
		"nothing":                     nil,
		"cut after the effect":        {{Drop: true, Done: true, Times: 1}},
		"cut before the effect":       {{Drop: true, Times: 1}},
		"answer cut":                  {{Cut: true, Done: true, Times: 1}},
		"500 after the effect":        {{Status: 500, Code: "CB.00060101", Message: "internal error", Done: true, Times: 1}},
		"busy, twice":                 {{Status: 200, Code: "CH.10000", Message: "system busy", Times: 2}},
		"throttled as 500":            {withTimes(codeartstest.Throttled(), 2)},
		"502 of the gateway":          {{Status: 502, Code: "APIGW.0201", Gateway: true, Times: 2}},
		"502, and done":               {{Status: 502, Code: "APIGW.0201", Gateway: true, Done: true, Times: 1}},
		"429 with Retry-After":        {{Status: 429, Header: http.Header{"Retry-After": {"7"}}, Times: 1}},
		"a page where JSON should be": {withTimes(codeartstest.Garbage(), 1)},
		"a page, and done":            {{Body: []byte("<html>"), Done: true, Times: 1}},
		"30 s late":                   {{Late: 30 * time.Second, Times: 1}},
		"30 s late, then cut":         {{Late: 30 * time.Second, Times: 1}, {Drop: true, Times: 1}},
		"late behind a 504":           {{Late: 85 * time.Second, Status: 504, Times: 1}},
	} {
		for _, status := range []int{409, 400, 200} {
			t.Run(fmt.Sprintf("%s, fences answer %d", name, status), func(t *testing.T) {
				w, fake := overHTTP(t, api, status)
				for _, f := range failures {
					fake.Fail("create_commit", f)
				}
				w.theStory()
				w.run()
				w.wantStory()
				if t.Failed() {
					t.Log(w.log)
				}
			})
		}
	}
}

func withTimes(f codeartstest.Failure, n int) codeartstest.Failure {
	f.Times = n
	return f
}

// TestCommitIsFencedOverHTTP: an attempt that lands after everybody has stopped waiting for it
// is stopped by the fence, or stops the next one.
func TestCommitIsFencedOverHTTP(t *testing.T) { inBoth(t, testCommitIsFencedOverHTTP) }

func testCommitIsFencedOverHTTP(t *testing.T, api string) {
	for _, status := range []int{409, 400, 200} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			w, fake := overHTTP(t, api, status)
			fake.Fail("create_commit", codeartstest.Failure{Late: 10 * time.Minute, Times: 1})
			w.theStory()
			w.run()
			fake.Advance(time.Hour)
			w.wantStory()
		})
	}
}

func TestConflictOverHTTP(t *testing.T) { inBoth(t, testConflictOverHTTP) }

func testConflictOverHTTP(t *testing.T, api string) {
	for _, status := range []int{409, 400, 200} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			w, fake := overHTTP(t, api, status)
			first := fake.Push("2111", codeartstest.Push{Message: "before", Files: map[string]string{"a.md": "1"}})
			second := fake.Push("2111", codeartstest.Push{Message: "since", Files: map[string]string{"a.md": "2"}})
			note := commitAction("note", "a.md")
			note.Commit.Actions = []rules.FileAction{{Action: "update", FilePath: "a.md", Content: "3", LastCommitID: first}}
			w.decide(note)
			w.run()
			w.wantDead(ClassConflict, "a.md was changed since (last changed by Ada in "+second+")")
		})
	}
}

// TestNewBranchOverHTTP: a commit that makes its own branch finds nothing to look back at.
func TestNewBranchOverHTTP(t *testing.T) { inBoth(t, testNewBranchOverHTTP) }

func testNewBranchOverHTTP(t *testing.T, api string) {
	w, fake := overHTTP(t, api, 409)
	fake.Fail("create_commit", codeartstest.Failure{Drop: true, Done: true, Times: 1})
	note := commitAction("note", "a.md")
	note.Commit.Branch, note.Commit.StartBranch = "notes", "main"
	w.decide(note)
	w.run()
	if rec := w.action(note.Key); rec.State != stateDone || w.ours(note.Key) != 1 || fake.Head("2111", "notes") != rec.Result.ID {
		t.Errorf("record %+v, dead letters %+v", rec, w.dead)
	}
}

// TestBranchThatIsThereAlready: start_branch is where a branch starts from that is not there yet; one that is there is gone on
// from, also when somebody makes it at the last moment.
func TestBranchThatIsThereAlready(t *testing.T) { inBoth(t, testBranchThatIsThereAlready) }

func testBranchThatIsThereAlready(t *testing.T, api string) {
	for _, made := range []string{"before", "since", "long ago"} {
		t.Run(made, func(t *testing.T) {
			w, fake := overHTTP(t, api, 409)
			push := func() { fake.Push("2111", codeartstest.Push{Branch: "notes", Files: map[string]string{"b.md": "b"}}) }
			note := commitAction("note", "a.md")
			note.Commit.Branch, note.Commit.StartBranch = "notes", "main"
			switch made {
			case "before":
				push()
			case "long ago": // and nothing since
				push()
				w.now = w.now.AddDate(0, 1, 0)
				note.Accepted = w.now
			case "since":
				client, _ := w.repos("")
				late := lateBranch{client, &push}
				w.repos = func(string) (Repo, error) { return late, nil }
			}
			w.decide(note)
			w.run()
			if rec := w.action(note.Key); rec.State != stateDone || w.ours(note.Key) != 1 || fake.Head("2111", "notes") != rec.Result.ID {
				t.Errorf("record %+v, dead letters %+v", rec, w.dead)
			}
			repo, _ := w.repos("")
			if _, err := repo.File(t.Context(), "2111", "b.md", "notes"); err != nil {
				t.Errorf("what was on the branch is gone: %v", err)
			}
		})
	}
}

// lateBranch lets somebody else act just before a commit.
type lateBranch struct {
	Repo
	before *func()
}

func (l lateBranch) CreateCommit(ctx context.Context, r codearts.CommitRequest) (*codearts.Commit, error) {
	if act := *l.before; act != nil {
		*l.before = nil
		act()
	}
	return l.Repo.CreateCommit(ctx, r)
}

// TestConflictOnANewBranch: the files of a branch that is to be made are those of the branch it starts from.
func TestConflictOnANewBranch(t *testing.T) { inBoth(t, testConflictOnANewBranch) }

func testConflictOnANewBranch(t *testing.T, api string) {
	w, fake := overHTTP(t, api, 400)
	head := fake.Push("2111", codeartstest.Push{Message: "before", Files: map[string]string{"a.md": "1"}})
	note := commitAction("note", "a.md")
	note.Commit.Branch, note.Commit.StartBranch = "notes", "main"
	w.decide(note)
	w.run()
	w.wantDead(ClassConflict, "a.md exists already (last changed by Ada in "+head+")")
}

func TestGoneOverHTTP(t *testing.T) { inBoth(t, testGoneOverHTTP) }

func testGoneOverHTTP(t *testing.T, api string) {
	for name, change := range map[string]func(*rules.Commit){
		"branch":     func(c *rules.Commit) { c.Branch = "nowhere" },
		"repository": func(c *rules.Commit) { c.RepoID = "404" },
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := overHTTP(t, api, 409)
			note := commitAction("note", "a.md")
			change(note.Commit)
			w.decide(note)
			w.run()
			w.wantDead(ClassGone, "the repository or the branch is gone")
		})
	}
}

// TestDeferredCommitIsFencedWhenRendered: a commit that waited gets its fences when it is put.
func TestDeferredCommitIsFencedWhenRendered(t *testing.T) {
	inBoth(t, testDeferredCommitIsFencedWhenRendered)
}

func testDeferredCommitIsFencedWhenRendered(t *testing.T, api string) {
	for _, tt := range []struct{ path, state, reason string }{
		{"README.md", stateDone, ""},
		{"builds/17.md", stateDone, ""}, // made by the commit it waited for
		{"nothing.md", stateFailed, "cannot update nothing.md in 2111@main: there is no such file"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			w, _ := overHTTP(t, api, 409)
			note, second := commitAction("note", "builds/17.md"), action(rules.KindCommit, "second")
			second.Waits = []string{"note"}
			second.Deferred = &rules.Deferred{Node: []byte(`{"repo_id":"2111","branch":"main","message":"again",
				"actions":[{"action":"update","file_path":"` + tt.path + `","content":"more"}]}`)}
			w.decide(note, second, waitingNotify("sorry", "failed", "second"))
			w.run()
			if rec := w.action(second.Key); rec.State != tt.state || rec.Error != tt.reason {
				t.Errorf("record %+v, dead letters %+v", rec, w.dead)
			}
			if told := len(w.sent) > 0; told != (tt.state == stateFailed) {
				t.Errorf("sent %+v", w.sent)
			}
		})
	}
}
