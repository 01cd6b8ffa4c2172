package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
	"github.com/millrace/millrace/pkg/rules"
)

var errKilled = errors.New("the command was killed")

// mortalStores dies at its n-th write, before or after it; every call from then on fails.
type mortalStores struct {
	app.ReplayStores
	n     int
	after bool
	wrote int
}

func (m *mortalStores) write(do func() error) error {
	m.wrote++
	if m.wrote > m.n || m.wrote == m.n && !m.after {
		return errKilled
	}
	if err := do(); err != nil || m.wrote < m.n {
		return err
	}
	return errKilled
}

func (m *mortalStores) Create(ctx context.Context, subject string, data []byte) (rev uint64, err error) {
	err = m.write(func() error { rev, err = m.ReplayStores.Create(ctx, subject, data); return err })
	return rev, err
}

func (m *mortalStores) Update(ctx context.Context, subject string, data []byte, rev uint64) (newRev uint64, err error) {
	err = m.write(func() error { newRev, err = m.ReplayStores.Update(ctx, subject, data, rev); return err })
	return newRev, err
}

func (m *mortalStores) PutAgain(ctx context.Context, l *stream.DeadLetter) error {
	return m.write(func() error { return m.ReplayStores.PutAgain(ctx, l) })
}

func (m *mortalStores) PutMatch(ctx context.Context, header map[string]string, body []byte) error {
	return m.write(func() error { return m.ReplayStores.PutMatch(ctx, header, body) })
}

func (m *mortalStores) DropDeadLetter(ctx context.Context, seq uint64) (dropped bool, err error) {
	err = m.write(func() error { dropped, err = m.ReplayStores.DropDeadLetter(ctx, seq); return err })
	return dropped, err
}

// archive is what a command of a person opens.
func (w *world) archive() *app.Archive {
	w.t.Helper()
	a, err := app.OpenArchive(w.t.Context(), w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(a.Close)
	return a
}

// theDeadLetter waits until everything is done, and takes the one dead letter that is left.
func (w *world) theDeadLetter(a *app.Archive) *app.DeadLetter {
	w.t.Helper()
	var all []*app.DeadLetter
	eventually(w.t, "one dead letter and nothing else to do", func() error {
		if err := w.settled(); err != nil {
			return err
		}
		all = nil
		err := a.DeadLetters(w.t.Context(), new(app.DeadFilter), func(l *app.DeadLetter) error { all = append(all, l); return nil })
		if err == nil && len(all) != 1 {
			err = fmt.Errorf("%d dead letters", len(all))
		}
		return err
	})
	return all[0]
}

// noDeadLetters waits until everything is done and nothing has failed.
func (w *world) noDeadLetters() {
	w.t.Helper()
	eventually(w.t, "the end of all work", w.settled)
	if n := w.counts().Dead; n != 0 {
		w.t.Errorf("%d dead letters: %+v", n, w.dead()[0])
	}
}

var badRequest = codeartstest.Failure{Times: 1, Status: http.StatusBadRequest, Code: "RP.00010001", Message: "no"}

// TestReplayIsKilledAnywhere: a replay may stop before and after each of its writes, while a worker takes what it has put. The
// next one finishes it: one commit, one message, no dead letter.
func TestReplayIsKilledAnywhere(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "replay"})
	whole := w.archive()
	writes := 0
	for i, done := 1, false; !done; i++ {
		w.fake.Fail("create_commit", badRequest)
		w.deliver(mergeRequest(t, i))
		l := w.theDeadLetter(whole)
		if l.Kind != "commit" || l.Rule != "note-merge-request" || l.Repository != repoPath || l.Type != "merge_request.open" || l.ActionID != "note" {
			t.Fatalf("dead letter %+v", l)
		}
		stores := &mortalStores{n: (i + 1) / 2, after: i%2 == 0}
		mortal := w.archive()
		mortal.Wrap(func(s app.ReplayStores) app.ReplayStores { stores.ReplayStores = s; return stores })
		_, err := mortal.ReplayDeadLetter(t.Context(), l, false)
		if err == nil {
			done, writes = true, stores.wrote
		} else if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		// Who was killed may have finished all the same.
		if l, err := whole.DeadLetter(t.Context(), l.ID); err == nil {
			if r, err := whole.ReplayDeadLetter(t.Context(), l, false); err != nil || r.Refused != "" {
				t.Fatalf("the next replay: %+v, %v", r, err)
			}
		} else if !strings.Contains(err.Error(), "there is no dead letter") {
			t.Fatal(err)
		}
		eventually(t, "the message that waited", func() error { return w.atLeast(fmt.Sprintf("dingtalk: Recorded %d", i)) })
		w.noDeadLetters()
		if n := len(w.made()); n != i {
			t.Fatalf("%d commits after %d merge requests", n, i)
		}
		for title, n := range w.told() {
			if n != 1 {
				t.Errorf("%q came %d times", title, n)
			}
		}
	}
	if writes != 4 { // what waited, the commit, the message, the dead letter
		t.Errorf("a replay has %d writes, and each should be known here", writes)
	}
}

// TestReplayEvent: an event that is put again has done what was not done, and nothing else, unless it is forced.
func TestReplayEvent(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "replay"})
	a := w.archive()
	w.robots.Answer(notifytest.Feishu, notifytest.Answer{Status: http.StatusBadRequest, Body: `{"code":19001,"msg":"param invalid"}`})
	accepted := w.deliver(mergeRequest(t, 1))
	l := w.theDeadLetter(a)
	event, _, err := a.Event(t.Context(), accepted.EventID)
	if err != nil {
		t.Fatal(err)
	}
	fates := func(r *app.Replay) (all []string) {
		for _, e := range r.Effects {
			all = append(all, e.Kind+" "+e.Target+" "+e.Will)
		}
		return all
	}
	plan, err := a.PlanEvent(t.Context(), event, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"commit  keep", "notify  follow", "notify ops retry"}, fates(plan)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if n := w.counts(); n.Work != 0 || n.Dead != 1 {
		t.Errorf("a plan leaves %+v", n)
	}
	replay := func(force bool) {
		t.Helper()
		if r, err := a.ReplayEvent(t.Context(), event, nil, force); err != nil || r.Refused != "" {
			t.Fatalf("%+v, %v", r, err)
		}
		eventually(t, "the end of all work", w.settled)
	}
	want := map[string]int{"dingtalk: Recorded 1": 1, "feishu: Opened 1": 1}
	for range 2 {
		replay(false)
		if diff := cmp.Diff(want, w.told()); diff != "" || len(w.made()) != 1 || w.counts().Events != 1 {
			t.Errorf("%d commits, %d events, messages (-want +got):\n%s", len(w.made()), w.counts().Events, diff)
		}
	}
	// Its dead letter has nothing left to do.
	r, err := a.ReplayDeadLetter(t.Context(), l, false)
	if err != nil || !slices.Equal(fates(r), []string{"notify ops keep"}) {
		t.Errorf("%+v, %v", r, err)
	}
	w.noDeadLetters()
	if diff := cmp.Diff(want, w.told()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	// By force: the message once more; the commit is found on its branch.
	replay(true)
	want["feishu: Opened 1"]++
	if diff := cmp.Diff(want, w.told()); diff != "" || len(w.made()) != 1 {
		t.Errorf("by force: %d commits, messages (-want +got):\n%s", len(w.made()), diff)
	}
	plan, err = a.PlanEvent(t.Context(), event, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range plan.Effects {
		if len(e.Waiting()) == 0 && (e.Will != app.WillRepeat || len(e.Forced) != 1 || e.Forced[0].By == "") {
			t.Errorf("the record of %s %s does not say that it was forced: %+v", e.Kind, e.Target, e)
		}
	}
	w.noDeadLetters()
}

// TestReplayEventThatFailsAgain: a replay of an event takes the place of its dead letters, so what fails again leaves one, not two; and what
// is about another event, or not done by the replay, stays.
func TestReplayEventThatFailsAgain(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "replay"})
	a := w.archive()
	w.fake.Fail("create_commit", badRequest)
	first := w.deliver(mergeRequest(t, 1))
	l := w.theDeadLetter(a)
	w.fake.Fail("create_commit", badRequest)
	other := w.deliver(mergeRequest(t, 2))
	event, _, err := a.Event(t.Context(), first.EventID)
	if err != nil {
		t.Fatal(err)
	}
	ids := func() (all []string) {
		for _, d := range w.dead() {
			all = append(all, fmt.Sprint(d.Sequence))
		}
		return all
	}
	eventually(t, "two dead letters", func() error {
		if n := len(ids()); n != 2 {
			return fmt.Errorf("%d", n)
		}
		return w.settled()
	})
	replay := func(fails bool, want ...string) {
		t.Helper()
		if fails {
			w.fake.Fail("create_commit", badRequest)
		}
		letters, err := a.LettersOf(t.Context(), first.EventID)
		if err != nil {
			t.Fatal(err)
		}
		r, err := a.ReplayEvent(t.Context(), event, letters, false)
		if err != nil || len(r.Drops) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		eventually(t, "what came of it", func() error {
			if diff := cmp.Diff(want, ids()); diff != "" {
				return fmt.Errorf("dead letters (-want +got): %s", diff)
			}
			return w.settled()
		})
	}
	if l.ID != 1 || other.EventID == first.EventID {
		t.Fatalf("dead letter %d of %s", l.ID, first.EventID)
	}
	replay(true, "2", "3")
	replay(true, "2", "4")
	replay(false, "2")
	if n := len(w.made()); n != 1 {
		t.Errorf("%d commits", n)
	}
	letters, err := a.LettersOf(t.Context(), first.EventID)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := a.PlanEvent(t.Context(), event, letters, false)
	if err != nil || len(plan.Drops) != 0 || !slices.ContainsFunc(plan.Will, func(s string) bool { return strings.Contains(s, "nothing is left to do") }) {
		t.Errorf("plan when all is done: %+v, %v", plan, err)
	}
}

// TestForcedIsRecorded: what comes of an event or a run that somebody put by force, and that has no records, says who did it and when.
func TestForcedIsRecorded(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "replay"})
	a := w.archive()
	accepted := w.deliver(mergeRequest(t, 1))
	eventually(t, "the first time", w.settled)
	event, _, err := a.Event(t.Context(), accepted.EventID)
	if err != nil {
		t.Fatal(err)
	}
	event.ID = "shop/forgotten" // an event without any record
	a.SetNow(func() time.Time { return time.Now().AddDate(0, 0, 21) })
	if r, err := a.ReplayEvent(t.Context(), event, nil, true); err != nil || r.Refused != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	eventually(t, "the records of it", func() error {
		recorded, err := a.Recorded(t.Context(), event.ID)
		if err != nil || recorded == nil || recorded.Decisions["note-merge-request"] == nil {
			return fmt.Errorf("%+v, %w", recorded, err)
		}
		d := recorded.Decisions["note-merge-request"]
		for name, f := range map[string]*rules.Forced{"match": recorded.Forced, "decision": d.Forced} {
			if f == nil || f.By == "" || time.Until(f.At) < 20*24*time.Hour {
				t.Errorf("forced, in the record of the %s: %+v", name, f)
			}
		}
		return nil
	})
	plan, err := a.PlanEvent(t.Context(), event, nil, false)
	if err != nil || strings.Count(strings.Join(plan.Will, "; "), "made by force of ") != 2 {
		t.Errorf("%+v, %v", plan, err)
	}
}

// TestReplayOfTheForgotten: what is older than the records is refused, and done by force.
func TestReplayOfTheForgotten(t *testing.T) {
	t.Parallel()
	w, _ := open(t, settings{Rules: "replay"})
	a := w.archive()
	w.fake.Fail("create_commit", badRequest)
	accepted := w.deliver(mergeRequest(t, 1))
	l := w.theDeadLetter(a)
	event, _, err := a.Event(t.Context(), accepted.EventID)
	if err != nil {
		t.Fatal(err)
	}
	a.SetNow(func() time.Time { return time.Now().AddDate(0, 0, 21) })
	// The records are there all the same, so there is nothing to be afraid of.
	if r, err := a.PlanReplay(t.Context(), l, false); err != nil || r.Refused != "" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := a.PlanEvent(t.Context(), event, nil, false); err != nil || r.Refused != "" {
		t.Errorf("%+v, %v", r, err)
	}
	event.ID = "shop/never-matched"
	for _, force := range []bool{false, true} {
		r, err := a.PlanEvent(t.Context(), event, nil, force)
		if err != nil || (r.Refused == "") != force || !force && !strings.Contains(r.Refused, "--force") {
			t.Errorf("force %t: %+v, %v", force, r, err)
		}
	}
}
