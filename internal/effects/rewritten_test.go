package effects

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/rules"
)

// meddled lets a person act just after the first attempt to commit, of which no answer comes.
type meddled struct {
	Repo
	then *func()
}

func (m meddled) CreateCommit(ctx context.Context, r codearts.CommitRequest) (*codearts.Commit, error) {
	made, err := m.Repo.CreateCommit(ctx, r)
	if act := *m.then; act != nil {
		*m.then = nil
		act()
	}
	return made, err
}

// meddle has a person act on the repository after the first attempt.
func (w *world) meddle(then func()) {
	client, err := w.repos("")
	if err != nil {
		w.t.Fatal(err)
	}
	w.repos = func(string) (Repo, error) { return meddled{client, &then}, nil }
}

// The first attempt, whose answer is lost, made the commit or did not; nobody can tell once the branch is another one.
var attempts = map[string]codeartstest.Failure{
	"made":     {Drop: true, Done: true, Times: 1},
	"not made": {Drop: true, Times: 1},
}

// TestBranchRewritten: somebody rewrites or deletes the branch after an attempt of unknown outcome. That is the end, and it is
// explained: a second commit is never made.
func TestBranchRewritten(t *testing.T) { inBoth(t, testBranchRewritten) }

func testBranchRewritten(t *testing.T, api string) {
	const branch = "notes"
	for name, tt := range map[string]struct {
		meddle func(fake *codeartstest.Fake, root, head string)
		reason string
	}{
		"rewritten": {
			func(fake *codeartstest.Fake, _, head string) {
				if made := fake.Head("2111", branch); made != head {
					fake.Rewrite("2111", branch, made)
				} else {
					fake.Rewrite("2111", branch)
				}
			}, "the branch was rewritten: its head was ",
		},
		"set back": {
			func(fake *codeartstest.Fake, root, _ string) { fake.Reset("2111", branch, root) }, "the branch was rewritten: its head was ",
		},
		"deleted": {
			func(fake *codeartstest.Fake, _, _ string) { fake.DeleteBranch("2111", branch) }, "is gone",
		},
		"deleted and made anew": {
			func(fake *codeartstest.Fake, root, _ string) {
				fake.DeleteBranch("2111", branch)
				fake.Push("2111", codeartstest.Push{Branch: branch, Message: "anew", Files: map[string]string{"new.md": "1"}})
			}, "the branch was rewritten: its head was ",
		},
		"replaced by the default branch, which goes on": {
			func(fake *codeartstest.Fake, _, _ string) {
				for i := range 120 { // more than a page, all since the event was accepted
					fake.Push("2111", codeartstest.Push{Message: "more", Files: map[string]string{"more.md": fmt.Sprint(i)}})
				}
				fake.Reset("2111", branch, "main")
			}, "the branch was rewritten: its head was ",
		},
	} {
		for landed, failure := range attempts {
			for _, startBranch := range []string{"", "main"} {
				t.Run(fmt.Sprintf("%s, %s, start_branch %q", name, landed, startBranch), func(t *testing.T) {
					w, fake := overHTTP(t, api, 409)
					root := fake.Head("2111", "main")
					head := fake.Push("2111", codeartstest.Push{Branch: branch, Message: "before", Files: map[string]string{"b.md": "b"}})
					fake.Fail("create_commit", failure)
					w.meddle(func() { tt.meddle(fake, root, head) })
					note := commitAction("note", "a.md")
					note.Commit.Branch, note.Commit.StartBranch = branch, startBranch
					w.decide(note, waitingNotify("sorry", "failed", "note"))
					w.run()
					w.wantDead(ClassRewritten, tt.reason)
					if n := fake.Calls("create_commit"); n != 1 {
						t.Errorf("%d calls to commit, want 1", n)
					}
					if rec := w.action(note.Key); rec.State != stateFailed || rec.Class != ClassRewritten {
						t.Errorf("record %+v", rec)
					}
					if len(w.sent) != 2 {
						t.Errorf("%d messages, want 2", len(w.sent))
					}
					if len(w.dead) > 0 && strings.Contains(tt.reason, "head was") && !strings.Contains(w.dead[0].reason, head+" before an attempt") {
						t.Errorf("the reason does not name %s: %s", head, w.dead[0].reason)
					}
				})
			}
		}
	}
}

// TestBranchChangedAndNotRewritten: what people do every day to a branch is no reason to give up.
func TestBranchChangedAndNotRewritten(t *testing.T) { inBoth(t, testBranchChangedAndNotRewritten) }

func testBranchChangedAndNotRewritten(t *testing.T, api string) {
	push := func(fake *codeartstest.Fake, branch, path string) string {
		return fake.Push("2111", codeartstest.Push{Branch: branch, Message: path, Files: map[string]string{path: "x"}})
	}
	for name, meddle := range map[string]func(fake *codeartstest.Fake){
		"pushes": func(fake *codeartstest.Fake) {
			for i := range 130 {
				push(fake, "main", fmt.Sprintf("%d.md", i))
			}
		},
		"pushes of commits from long before": func(fake *codeartstest.Fake) {
			now := fake.Now()
			fake.SetClock(now.AddDate(0, 0, -2))
			for i := range 130 {
				push(fake, "main", fmt.Sprintf("%d.md", i))
			}
			fake.SetClock(now)
		},
		"a merge that has it as its second parent": func(fake *codeartstest.Fake) {
			root := fake.Commits("2111")[0].ID
			fake.Reset("2111", "side", "main")
			fake.Reset("2111", "main", root)
			push(fake, "main", "main.md")
			fake.Push("2111", codeartstest.Push{Branch: "main", Message: "merge", Merge: "side"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, fake := overHTTP(t, api, 409)
			push(fake, "main", "before.md")
			fake.Fail("create_commit", attempts["not made"])
			w.meddle(func() { meddle(fake) })
			note := commitAction("note", "a.md")
			w.decide(note)
			w.run()
			if rec := w.action(note.Key); rec.State != stateDone || w.ours(note.Key) != 1 || len(w.dead) > 0 {
				t.Errorf("record %+v, dead letters %+v", rec, w.dead)
			}
		})
	}
}

// TestRewrittenWithOurCommit: a rewritten branch that still has the commit, under another id, has it.
func TestRewrittenWithOurCommit(t *testing.T) { inBoth(t, testRewrittenWithOurCommit) }

func testRewrittenWithOurCommit(t *testing.T, api string) {
	w, fake := overHTTP(t, api, 409)
	fake.Fail("create_commit", attempts["made"])
	w.meddle(func() { fake.Rewrite("2111", "main") })
	note := commitAction("note", "a.md")
	w.decide(note)
	w.run()
	if rec := w.action(note.Key); rec.State != stateDone || rec.Result.ID != fake.Head("2111", "main") || fake.Calls("create_commit") != 1 {
		t.Errorf("record %+v, dead letters %+v", rec, w.dead)
	}
}

// TestRewrittenBeforeTheAttempt: what was refused for certain leaves no doubt, and what happened to the branch before does not matter.
func TestRewrittenBeforeTheAttempt(t *testing.T) { inBoth(t, testRewrittenBeforeTheAttempt) }

func testRewrittenBeforeTheAttempt(t *testing.T, api string) {
	w, fake := overHTTP(t, api, 409)
	fake.Push("2111", codeartstest.Push{Message: "before", Files: map[string]string{"b.md": "b"}})
	fake.Fail("create_commit", codeartstest.Failure{Status: 429, Times: 1})
	w.meddle(func() { fake.Rewrite("2111", "main") })
	note := commitAction("note", "a.md")
	w.decide(note)
	w.run()
	if rec := w.action(note.Key); rec.State != stateDone || w.ours(note.Key) != 1 || fake.Calls("create_commit") != 2 {
		t.Errorf("record %+v, dead letters %+v", rec, w.dead)
	}
}

// TestRewrittenAndTooLong: a branch too long to be searched for its old head leaves the question open, which is said.
func TestRewrittenAndTooLong(t *testing.T) { inBoth(t, testRewrittenAndTooLong) }

func testRewrittenAndTooLong(t *testing.T, api string) {
	w, fake := overHTTP(t, api, 409)
	w.settings.LookbackPages = 1
	fake.SetClock(start.AddDate(0, -1, 0))
	fake.Push("2111", codeartstest.Push{Branch: "long", Message: "0"})
	for i := range 120 {
		fake.Push("2111", codeartstest.Push{Branch: "long", Message: fmt.Sprint(i)})
	}
	fake.SetClock(start)
	head := fake.Push("2111", codeartstest.Push{Message: "before", Files: map[string]string{"b.md": "b"}})
	fake.Fail("create_commit", attempts["made"])
	w.meddle(func() { fake.Reset("2111", "main", "long") })
	note := commitAction("note", "a.md")
	w.decide(note)
	w.run()
	w.wantDead(ClassLookback, head+", its head before an attempt of unknown outcome, is not among its last 100 commits")
	if n := fake.Calls("create_commit"); n != 1 {
		t.Errorf("%d calls to commit", n)
	}
}

// TestRemovedAndTold: where the branch looks as if nothing had ever been made, the push that told of the commit is what is left of it.
func TestRemovedAndTold(t *testing.T) { inBoth(t, testRemovedAndTold) }

func testRemovedAndTold(t *testing.T, api string) {
	for name, tt := range map[string]struct {
		branch string
		meddle func(fake *codeartstest.Fake, head string)
	}{
		"set back to what it was":                   {"main", func(fake *codeartstest.Fake, head string) { fake.Reset("2111", "main", head) }},
		"the branch it made, deleted":               {"notes", func(fake *codeartstest.Fake, _ string) { fake.DeleteBranch("2111", "notes") }},
		"the branch it made, deleted and made anew": {"notes", func(fake *codeartstest.Fake, head string) { fake.Reset("2111", "notes", head) }},
	} {
		t.Run(name, func(t *testing.T) {
			w, fake := overHTTP(t, api, 409)
			head := fake.Head("2111", "main")
			fake.Fail("create_commit", attempts["made"])
			note := commitAction("note", "a.md")
			note.Commit.Branch, note.Commit.StartBranch = tt.branch, "main"
			var made string
			w.meddle(func() {
				made = fake.Head("2111", tt.branch)
				tt.meddle(fake, head)
				w.write(landedSubject(note.Key), landedRecord{V: 1, ID: made})
			})
			w.decide(note)
			w.run()
			w.wantDead(ClassRewritten, "its commit "+made+" was pushed to it and is not there any more")
			if w.ours(note.Key) != 1 {
				t.Errorf("%d commits", w.ours(note.Key))
			}
		})
	}
}

// TestRewrittenAtLeastOnce: what must be there at least once is made again.
func TestRewrittenAtLeastOnce(t *testing.T) { inBoth(t, testRewrittenAtLeastOnce) }

func testRewrittenAtLeastOnce(t *testing.T, api string) {
	w, fake := overHTTP(t, api, 409)
	root := fake.Head("2111", "main")
	fake.Push("2111", codeartstest.Push{Message: "before", Files: map[string]string{"b.md": "b"}})
	fake.Fail("create_commit", attempts["made"])
	w.meddle(func() { fake.Reset("2111", "main", root) })
	note := commitAction("note", "a.md")
	note.Commit.AtLeastOnce = true
	w.decide(note)
	w.run()
	if rec := w.action(note.Key); rec.State != stateDone || rec.Result.ID != fake.Head("2111", "main") || w.ours(note.Key) != 2 {
		t.Errorf("record %+v, dead letters %+v", rec, w.dead)
	}
}

// TestReplayOfRewritten: a replay alone ends in the same way; a person who insists has the commit made, and it is written down who.
func TestReplayOfRewritten(t *testing.T) { inBoth(t, testReplayOfRewritten) }

func testReplayOfRewritten(t *testing.T, api string) {
	w, fake := overHTTP(t, api, 409)
	root := fake.Head("2111", "main")
	fake.Push("2111", codeartstest.Push{Message: "before", Files: map[string]string{"b.md": "b"}})
	fake.Fail("create_commit", attempts["made"])
	w.meddle(func() { fake.Reset("2111", "main", root) })
	note := commitAction("note", "a.md")
	w.decide(note)
	w.run()
	w.wantDead(ClassRewritten, "the branch was rewritten")
	for _, force := range []bool{false, true} {
		w.dead = nil
		how := Reopening{Force: force, Now: w.now.Add(time.Minute)}
		if err := Reopen(t.Context(), w.store, &note, note.Key, how); err != nil {
			t.Fatal(err)
		}
		w.putAction(note)
		w.run()
		if !force {
			w.wantDead(ClassRewritten, "the branch was rewritten")
		}
	}
	rec := w.action(note.Key)
	if rec.State != stateDone || rec.Result.ID != fake.Head("2111", "main") || len(rec.Forced) != 1 || fake.Calls("create_commit") != 2 {
		t.Errorf("record %+v, dead letters %+v", rec, w.dead)
	}
	if k, ok := rules.Trailer(fake.Commits("2111")[3].Message); !ok || k != note.Key {
		t.Errorf("commits %+v", fake.Commits("2111"))
	}
}
