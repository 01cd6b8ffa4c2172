package effects

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// While a commit is under way its action record alone tells the loop guard what an event caused by
// it descends from.
func TestRecordTellsTheChainBeforeTheAnswer(t *testing.T) {
	w := newWorld(t)
	a := commitAction("note", "builds/17.md")
	w.decide(a)
	w.repo.faults = append(w.repo.faults, func(r *repo, q codearts.CommitRequest) (*codearts.Commit, error) {
		var rec map[string]any // as the engine reads it
		w.record(actionSubject(a.Key), &rec)
		if rec["kind"] != "commit" || rec["state"] != "started" || rec["depth"] != 2.0 || rec["origin"] != "src/0" {
			t.Errorf("record of a commit under way: %v; want depth 2, origin src/0", rec)
		}
		return r.land(q, r.now())
	})
	w.run()
	if w.repo.calls != 1 {
		t.Errorf("%d calls, want 1", w.repo.calls)
	}
}

// slowList is a repository whose listings take a while.
type slowList struct {
	mortalRepo
	end func() // runs at the end of each
}

func (s slowList) Commits(ctx context.Context, q codearts.CommitsQuery) iter.Seq2[*codearts.Commit, error] {
	return func(yield func(*codearts.Commit, error) bool) {
		for c, err := range s.mortalRepo.Commits(ctx, q) {
			if !yield(c, err) {
				return
			}
		}
		s.end()
	}
}

// A look-back that began before the doubt ended may have missed the commit, also when the doubt
// has ended since. Nothing but the look-back stands between this commit and a second one.
func TestLookBackBeganInDoubt(t *testing.T) {
	w := newWorld(t)
	a := commitAction("note", "builds/17.md")
	a.Commit.AtLeastOnce = true
	w.decide(a)
	var sent codearts.CommitRequest
	atEnd := func() {}
	w.repos = func(string) (Repo, error) {
		return slowList{mortalRepo{w.repo, new(tripwire)}, func() { atEnd() }}, nil
	}
	unfenced := func(r *repo, q codearts.CommitRequest) (*codearts.Commit, error) {
		q.Actions[0].FilePath = "another.md"
		return r.land(q, r.now())
	}
	w.repo.faults = append(w.repo.faults, func(_ *repo, q codearts.CommitRequest) (*codearts.Commit, error) {
		sent = q
		return nil, errCrash
	}, unfenced)
	_ = w.worker(new(tripwire)).Commit(t.Context(), w.queue[0].msg)

	w.now = w.now.Add(85 * time.Second) // of the 90 that are waited
	atEnd = func() {
		atEnd = func() {}
		if _, err := w.repo.land(sent, w.now); err != nil {
			t.Error(err)
		}
		w.now = w.now.Add(10 * time.Second)
	}
	w.run()
	if n := w.repo.ours(a.Key); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	if rec := w.action(a.Key); rec.State != stateDone {
		t.Errorf("record %+v", rec)
	}
}

// narrow is Work that never takes the action of an id.
type narrow struct {
	Work
	refused string
}

func (n narrow) Put(ctx context.Context, subject string, header map[string]string, data []byte) error {
	a, err := readAction(Message{Data: data}, "")
	if err == nil && a.ID == n.refused {
		return final(ClassSize, "it is too large")
	}
	return n.Work.Put(ctx, subject, header, data)
}

// One waiting action that can never be put ends as failed, and those beside it and behind it go on.
func TestWaitingActionThatCannotBePut(t *testing.T) {
	w := newWorld(t)
	note := commitAction("note", "builds/17.md")
	second := action(rules.KindCommit, "second")
	second.Waits, second.Deferred = []string{"note"}, &rules.Deferred{Node: []byte(`{"branch":"main","repo_id":"2111"}`)}
	w.decide(note, second, waitingNotify("told", "", "note"), waitingNotify("sorry", "failed", "second"))
	e := w.worker(new(tripwire))
	e.seams.Work = narrow{e.seams.Work, "second"}
	if err := e.Commit(t.Context(), w.queue[0].msg); err != nil {
		t.Fatal(err)
	}
	if rec := w.action(second.Key); rec.State != stateFailed || rec.Error == "" {
		t.Errorf("record of what cannot be put: %+v", rec)
	}
	w.queue = w.queue[1:] // it is done
	w.run()
	got := map[string]int{}
	for _, a := range w.sent {
		got[a.ID]++
	}
	if got["told"] != 2 || got["sorry"] != 2 || len(w.dead) != 1 {
		t.Errorf("sent %v, dead letters %v", got, w.dead)
	}
}
