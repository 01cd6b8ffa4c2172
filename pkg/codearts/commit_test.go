package codearts_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// inBoth runs a test with each API of Repo: nothing may depend on which one it is.
func inBoth(t *testing.T, test func(t *testing.T, api func(*codearts.Config))) {
	t.Helper()
	for _, name := range []string{codearts.RepoV2, codearts.RepoV4} {
		t.Run(name, func(t *testing.T) { test(t, func(cfg *codearts.Config) { cfg.RepoAPI = name }) })
	}
}

func TestCommitAndRead(t *testing.T) { inBoth(t, testCommitAndRead) }

func testCommitAndRead(t *testing.T, api func(*codearts.Config)) {
	w := newWorld(t, codeartstest.Options{}, api)
	parent := w.Head(repoID, "main")
	made, err := w.CreateCommit(t.Context(), create("docs/note 1.md", "hällo\n"))
	if err != nil {
		t.Fatal(err)
	}
	if made.ID != w.Head(repoID, "main") || !cmp.Equal(made.ParentIDs, []string{parent}) || made.Title != "add docs/note 1.md" || made.ShortID == "" {
		t.Errorf("commit is wrong: %+v", made)
	}
	for _, ref := range []string{made.ID, "main", made.ShortID} {
		got, err := w.Commit(t.Context(), repoID, ref)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(made, got); diff != "" {
			t.Errorf("commit by %s (-made +got):\n%s", ref, diff)
		}
	}
	file, err := w.File(t.Context(), repoID, "docs/note 1.md", "main")
	if err != nil || file.Content != "hällo\n" || *file.LastCommitID != made.ID || file.Size != 7 || file.Binary {
		t.Errorf("file: %+v, %v", file, err)
	}
	for what, err := range map[string]error{
		"file":       second(w.File(t.Context(), repoID, "no", "main")),
		"commit":     second(w.Commit(t.Context(), repoID, "no")),
		"repository": second(w.File(t.Context(), "1", "no", "main")),
	} {
		if !errors.Is(err, codearts.ErrNotFound) {
			t.Errorf("a %s that is not there: %v", what, err)
		}
	}
}

func TestBinaryFile(t *testing.T) { inBoth(t, testBinaryFile) }

func testBinaryFile(t *testing.T, api func(*codearts.Config)) {
	w := newWorld(t, codeartstest.Options{}, api)
	data := "\xff\x00\x01"
	w.Push(repoID, codeartstest.Push{Message: "binary", Files: map[string]string{"x.bin": data}})
	file, err := w.File(t.Context(), repoID, "x.bin", "main")
	if err != nil || !file.Binary || file.Content != "" || string(file.Data) != data {
		t.Errorf("file: %+v, %v", file, err)
	}
}

func TestBranchWithSlash(t *testing.T) { inBoth(t, testBranchWithSlash) }

func testBranchWithSlash(t *testing.T, api func(*codearts.Config)) {
	w := newWorld(t, codeartstest.Options{}, api)
	head := w.Push(repoID, codeartstest.Push{Branch: "release/1.0", Message: "cut"})
	got, err := w.Commit(t.Context(), repoID, "release/1.0")
	if err != nil || got.ID != head {
		t.Errorf("commit: %+v, %v", got, err)
	}
}

func TestFences(t *testing.T) { inBoth(t, testFences) }

func testFences(t *testing.T, api func(*codearts.Config)) {
	for _, status := range []int{409, 400, 200} {
		w := newWorld(t, codeartstest.Options{ConflictStatus: status}, api, func(cfg *codearts.Config) {
			cfg.Codes = map[string]error{
				"FAKE.file_exists": codearts.ErrConflict, "FAKE.stale_file": codearts.ErrConflict, "FAKE.no_such_file": codearts.ErrConflict,
			}
		})
		if _, err := w.CreateCommit(t.Context(), create("n.md", "1")); err != nil {
			t.Fatal(err)
		}
		was, err := w.File(t.Context(), repoID, "n.md", "main")
		if err != nil {
			t.Fatal(err)
		}
		w.Push(repoID, codeartstest.Push{Message: "change", Files: map[string]string{"n.md": "2"}})
		change := func(a codearts.FileAction) error {
			a.LastCommitID = *was.LastCommitID
			return second(w.CreateCommit(t.Context(), codearts.CommitRequest{RepoID: repoID, Branch: "main", Message: "m", Actions: []codearts.FileAction{a}}))
		}
		text := "3"
		for name, err := range map[string]error{
			"create": second(w.CreateCommit(t.Context(), create("n.md", "1"))),
			"update": change(codearts.FileAction{Action: "update", FilePath: "n.md", Content: &text}),
			"delete": change(codearts.FileAction{Action: "delete", FilePath: "n.md"}),
			"move":   change(codearts.FileAction{Action: "move", FilePath: "m.md", PreviousPath: "n.md"}),
			"gone":   change(codearts.FileAction{Action: "delete", FilePath: "x.md"}),
		} {
			var api *codearts.APIError
			if !errors.As(err, &api) || !errors.Is(err, codearts.ErrConflict) || api.Retryable() || api.MayHaveHappened() || api.Class() != "conflict" {
				t.Errorf("%d: %s: %v", status, name, err)
			}
		}
		if n := len(w.Fake.Commits(repoID)); n != 3 {
			t.Errorf("%d commits, want 3", n)
		}
	}
}

func TestCommitsPaged(t *testing.T) { inBoth(t, testCommitsPaged) }

func testCommitsPaged(t *testing.T, api func(*codearts.Config)) {
	w := newWorld(t, codeartstest.Options{Now: func() time.Time { return time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC) }}, api)
	var want []string
	for i := range 45 {
		w.Advance(time.Minute)
		want = append([]string{w.Push(repoID, codeartstest.Push{Message: fmt.Sprint(i), Files: map[string]string{fmt.Sprintf("d%d/f", i%2): fmt.Sprint(i)}})}, want...)
	}
	collect := func(q codearts.CommitsQuery) []string {
		t.Helper()
		q.RepoID = repoID
		ids := []string{}
		for c, err := range w.Client.Commits(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, c.ID)
		}
		return ids
	}
	for _, per := range []int{0, 1, 7, 20, 45} {
		if diff := cmp.Diff(want, collect(codearts.CommitsQuery{Ref: "main", PerPage: per})[:45]); diff != "" {
			t.Errorf("%d a page (-want +got):\n%s", per, diff)
		}
	}
	calls := w.Calls(codearts.OpCommits)
	since := w.Now().Add(-2 * time.Minute)
	if diff := cmp.Diff(want[:3], collect(codearts.CommitsQuery{Since: since})); diff != "" {
		t.Errorf("since, included (-want +got):\n%s", diff)
	}
	if n := w.Calls(codearts.OpCommits) - calls; n != 1 {
		t.Errorf("a short listing took %d calls", n)
	}
	if diff := cmp.Diff(want[1:3], collect(codearts.CommitsQuery{Since: since, Until: w.Now().Add(-time.Minute)})); diff != "" {
		t.Errorf("until, included (-want +got):\n%s", diff)
	}
	if n := len(collect(codearts.CommitsQuery{Path: "d0"})); n != 23 {
		t.Errorf("%d commits touch d0, want 23", n)
	}
	for message, n := range map[string]int{"44": 1, "4": 9, want[7]: 1, want[7][:12]: 1, "nobody wrote this": 0} {
		if got := collect(codearts.CommitsQuery{Message: message, PerPage: 20}); len(got) != n {
			t.Errorf("message %q: %d commits, want %d", message, len(got), n)
		}
	}
	for _, err := range w.Client.Commits(t.Context(), codearts.CommitsQuery{RepoID: repoID, Ref: "no"}) {
		if !errors.Is(err, codearts.ErrNotFound) {
			t.Errorf("a branch that is not there: %v", err)
		}
	}
}
