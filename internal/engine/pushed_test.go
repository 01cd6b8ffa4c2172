package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/rules"
)

// fleetWorker is a worker that takes what is pushed, and the time of its polls.
type fleetWorker struct {
	t        *testing.T
	store    *memory
	log      *lines
	live     *Live
	loader   *Loader
	presence *Presence
	at       time.Time
}

func newFleetWorker(t *testing.T, store *memory, targets ...string) *fleetWorker {
	t.Helper()
	w := &fleetWorker{t: t, store: store, log: &lines{}, at: start}
	w.live = NewLive(Catalogue(targets, nil), store)
	w.loader = NewPushedLoader(store, w.live, store, w.log.logger())
	w.presence = NewPresence(store, WorkerState{ID: "one", Host: "host", Started: start, From: FromPushed}, w.log.logger())
	w.loader.Report(w.presence)
	return w
}

func (w *fleetWorker) poll(n int) {
	for range n {
		w.at = w.at.Add(time.Second)
		w.loader.Poll(w.t.Context(), w.at)
	}
}

// state is what the worker would say of itself.
func (w *fleetWorker) state() WorkerState {
	w.presence.mu.Lock()
	defer w.presence.mu.Unlock()
	return w.presence.state
}

func (w *fleetWorker) wantState(digest string, generation uint64, refused string) {
	w.t.Helper()
	s := w.state()
	if s.Digest != digest || s.Generation != generation || (s.Refused == nil) != (refused == "") {
		w.t.Errorf("state %+v, want digest %q, generation %d, refused %q", s, digest, generation, refused)
	}
	if s.Refused != nil && !strings.Contains(s.Refused.Reason, refused) {
		w.t.Errorf("refused %+v, want %q", s.Refused, refused)
	}
	if current := w.live.Current(); current == nil && digest != "" || current != nil && current.Digest() != digest {
		w.t.Errorf("the current ruleset is not %q", digest)
	}
	if trouble := w.loader.Trouble(); (trouble == "") != (refused == "") || !strings.Contains(trouble, refused) {
		w.t.Errorf("trouble %q, want %q", trouble, refused)
	}
}

func compiledRules(t *testing.T, text string) *rules.Ruleset {
	t.Helper()
	rs, problems := rules.Compile([]rules.File{{Name: "rules/a.yaml", Data: []byte(text)}}, Catalogue(nil, nil))
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return rs
}

func pushRules(t *testing.T, store *memory, rs *rules.Ruleset) {
	t.Helper()
	if _, _, err := PushRuleset(t.Context(), store, store, rs, "anna", start); err != nil {
		t.Fatal(err)
	}
}

// point makes a digest what is pushed, stored or not.
func point(t *testing.T, store *memory, digest string) {
	t.Helper()
	p, err := ReadPushed(t.Context(), store)
	if err == nil {
		_, err = p.Replace(t.Context(), store, Push{Digest: digest, At: start, By: "anna"})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestPushedRulesAreLoaded(t *testing.T) {
	store := newMemory()
	w := newFleetWorker(t, store)
	w.poll(3)
	w.wantState("", 0, "no ruleset has been pushed yet; millrace rules push PATH…")
	if n := len(w.log.all(t, "rules awaited")); n != 1 {
		t.Errorf("said %d times", n)
	}
	one, two := compiledRules(t, oneRule("one")), compiledRules(t, oneRule("two"))
	pushRules(t, store, one)
	w.poll(3)
	w.wantState(one.Digest(), 1, "")
	since := w.state().Since
	pushRules(t, store, two)
	pushRules(t, store, one) // nobody looked in between
	w.poll(3)
	w.wantState(one.Digest(), 3, "")
	if !w.state().Since.Equal(since) {
		t.Error("it is in use since another time")
	}
	pushRules(t, store, two)
	w.poll(1)
	w.wantState(two.Digest(), 4, "")
	if !w.state().Since.Equal(w.at) {
		t.Errorf("in use since %s, want %s", w.state().Since, w.at)
	}
	if err := w.loader.Load(t.Context(), w.at); err == nil {
		t.Error("what is pushed is loaded like files")
	}
}

// What a worker refuses it refuses once, says why, and goes on with what it has.
func TestPushedRulesAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		stored func(digest string, data []byte) []byte
		want   string
	}{
		"unknown target": {func(_ string, data []byte) []byte { return data }, `there is no target "team"`},
		"not JSON":       {func(string, []byte) []byte { return []byte("x") }, "it cannot be read"},
		"newer":          {func(string, []byte) []byte { return []byte(`{"v":1000}`) }, "format version 1000 is not known"},
		"other content": {func(string, []byte) []byte {
			return []byte(`{"v":1,"files":[{"name":"a.yaml","data":"cnVsZXM6IFtdCg=="}]}`)
		}, "what is stored under it has the digest"},
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			w := newFleetWorker(t, store, "squad")
			good := compiledRules(t, strings.ReplaceAll(oneRule("good"), "team", "squad"))
			bad := compiledRules(t, oneRule("bad"))
			pushRules(t, store, bad)
			store.rulesets[bad.Digest()] = tt.stored(bad.Digest(), store.rulesets[bad.Digest()])
			w.poll(4)
			w.wantState("", 1, tt.want) // at the start, too
			pushRules(t, store, good)
			w.poll(2)
			w.wantState(good.Digest(), 2, "")
			point(t, store, bad.Digest())
			w.poll(4)
			w.wantState(good.Digest(), 3, tt.want)
			if r := w.state().Refused; r == nil || r.Digest != bad.Digest() || r.At.IsZero() {
				t.Errorf("refused %+v", r)
			}
			if n := len(w.log.all(t, "rules refused")); n != 2 {
				t.Errorf("refused %d times, want once for each push", n)
			}
			point(t, store, good.Digest())
			w.poll(1)
			w.wantState(good.Digest(), 4, "")
		})
	}
}

// What fails for a while is tried again: the broker is away, or the ruleset is not there yet.
func TestPushedRulesAreTriedAgain(t *testing.T) {
	store := newMemory()
	w := newFleetWorker(t, store)
	one, two := compiledRules(t, oneRule("one")), compiledRules(t, strings.Replace(oneRule("two"), "on: push", "on: { schedule: { every: 5s } }", 1))
	point(t, store, one.Digest())
	w.poll(3)
	w.wantState("", 0, "was pushed and cannot be found; push it again")
	if err := StoreRuleset(t.Context(), store, one); err != nil {
		t.Fatal(err)
	}
	w.poll(1)
	w.wantState(one.Digest(), 1, "")
	w.poll(20)
	for call := 1; call <= 3; call++ { // what is pushed, the ruleset, its schedule
		pushRules(t, store, two)
		w.live = NewLive(Catalogue(nil, nil), store)
		w.loader = NewPushedLoader(store, w.live, store, w.log.logger())
		w.loader.Report(w.presence)
		store.breakAt = store.calls + call
		w.poll(1)
		if w.live.Current() != nil || !strings.Contains(w.loader.Trouble(), errBroken.Error()) {
			t.Errorf("call %d: %q", call, w.loader.Trouble())
		}
		w.poll(1)
		if w.live.Current() == nil || w.loader.Trouble() != "" {
			t.Errorf("call %d: not tried again: %q", call, w.loader.Trouble())
		}
	}
}

// The record of what is pushed goes on being right when it vanishes or cannot be read: the rules in use go on.
func TestPushedRecordIsLost(t *testing.T) {
	store := newMemory()
	w := newFleetWorker(t, store)
	one := compiledRules(t, oneRule("one"))
	pushRules(t, store, one)
	w.poll(1)
	record := store.records[pushedSubject]
	store.setRecord(t, pushedSubject, "no record")
	w.poll(2)
	w.wantState(one.Digest(), 1, "read record ruleset.live")
	store.records[pushedSubject] = record // as it was: there is nothing to load, and nothing the matter any more
	w.poll(1)
	w.wantState(one.Digest(), 1, "")
	delete(store.records, pushedSubject)
	delete(store.revs, pushedSubject)
	w.poll(2)
	w.wantState(one.Digest(), 1, "no ruleset has been pushed yet")
	two := compiledRules(t, oneRule("two"))
	pushRules(t, store, two) // the first again, as one was
	w.poll(1)
	w.wantState(two.Digest(), 1, "")
	pushRules(t, store, one)
	w.poll(1)
	w.wantState(one.Digest(), 2, "")
}

func TestReplacePushed(t *testing.T) {
	store := newMemory()
	none, err := ReadPushed(t.Context(), store)
	if err != nil || none.Digest != "" || none.Generation != 0 {
		t.Fatalf("%+v, %v", none, err)
	}
	for i := range maxPrevious + 10 {
		point(t, store, fmt.Sprint("digest ", i))
	}
	p, err := ReadPushed(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	last := maxPrevious + 9
	if p.Digest != fmt.Sprint("digest ", last) || p.Generation != uint64(last+1) || len(p.Previous) != maxPrevious ||
		p.Previous[0].Digest != fmt.Sprint("digest ", last-1) || p.By != "anna" || !p.At.Equal(start) {
		t.Errorf("%+v", p)
	}
	// Of two that read the same only one is heard, the first time, too.
	for _, stale := range []*Pushed{p, none} {
		point(t, store, "theirs")
		before := store.revs[pushedSubject]
		if _, err := stale.Replace(t.Context(), store, Push{Digest: "ours"}); !errors.Is(err, ErrMoved) || store.revs[pushedSubject] != before {
			t.Errorf("%v, revision %d after %d", err, store.revs[pushedSubject], before)
		}
	}
	p, err = ReadPushed(t.Context(), store)
	if err != nil || p.Digest != "theirs" {
		t.Fatalf("%+v, %v", p, err)
	}
	store.breakAt = store.calls + 1
	if _, err := p.Replace(t.Context(), store, Push{Digest: "ours"}); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	again, err := p.Replace(t.Context(), store, Push{Digest: "ours"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Replace(t.Context(), store, Push{Digest: "more"}); err != nil {
		t.Errorf("what is returned cannot be replaced: %v", err)
	}
}

// A push that is interrupted at any call leaves what was pushed before or what was to be, and that is stored.
func TestPushIsInterrupted(t *testing.T) {
	old, next := compiledRules(t, oneRule("old")), compiledRules(t, oneRule("next"))
	for _, afterwards := range []bool{false, true} {
		ends := map[string]int{}
		for call := 1; ; call++ {
			store := newMemory()
			pushRules(t, store, old)
			store.breakAt, store.afterwards = store.calls+call, afterwards
			before, after, err := PushRuleset(t.Context(), store, store, next, "anna", start)
			if err == nil {
				if before.Digest != old.Digest() || after.Digest != next.Digest() || after.Generation != 2 {
					t.Errorf("from %+v to %+v", before, after)
				}
				break
			}
			p, err := ReadPushed(t.Context(), store)
			if err != nil {
				t.Fatal(err)
			}
			ends[p.Digest]++
			if store.rulesets[p.Digest] == nil {
				t.Errorf("call %d: what is pushed is not stored", call)
			}
			if _, after, err = PushRuleset(t.Context(), store, store, next, "anna", start); err != nil || after.Digest != next.Digest() || after.Generation != 2 {
				t.Errorf("call %d: pushed again: %+v, %v", call, after, err)
			}
		}
		want := map[string]int{old.Digest(): 3}
		if afterwards {
			want = map[string]int{old.Digest(): 2, next.Digest(): 1}
		}
		if diff := cmp.Diff(want, ends); diff != "" {
			t.Errorf("afterwards %t: %s", afterwards, diff)
		}
	}
}

func TestAwaitPushedRules(t *testing.T) {
	store := newMemory()
	w := newFleetWorker(t, store)
	one := compiledRules(t, oneRule("one"))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.loader.Await(ctx, time.Second)
		}()
		synctest.Wait()
		<-time.After(90 * time.Second) // of the bubble's clock
		if w.live.Current() != nil {
			t.Error("rules are in use")
		}
		cancel()
		<-ended
		pushRules(t, store, one)
		w.loader.Await(t.Context(), time.Hour) // at once
		w.wantState(one.Digest(), 1, "")
	})
}

func (m *memory) Forget(_ context.Context, subject string) error {
	return m.step(func() error {
		delete(m.records, subject)
		delete(m.revs, subject)
		return nil
	})
}

func (m *memory) RecordNames(_ context.Context, kind string) (names []string, err error) {
	err = m.step(func() error {
		for subject := range m.records {
			if strings.HasPrefix(subject, kind+".") {
				names = append(names, subject)
			}
		}
		return nil
	})
	return names, err
}

func TestPresence(t *testing.T) {
	store := newMemory()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		read := func(want ...WorkerState) {
			t.Helper()
			synctest.Wait()
			got, err := ReadWorkers(t.Context(), store)
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				want[i].V, want[i].Host, want[i].Started, want[i].From = 1, "host", begun.UTC(), FromPushed
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("workers: %s", diff)
			}
		}
		keep := func(id string) (p *Presence, stop func()) {
			p = NewPresence(store, WorkerState{ID: id, Host: "host", Started: begun, From: FromPushed}, (&lines{}).logger())
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				p.Keep(ctx)
			}()
			return p, func() { cancel(); <-ended }
		}
		read()
		two, stopTwo := keep("two")
		one, stopOne := keep("one")
		read(WorkerState{ID: "one", Renewed: begun.UTC()}, WorkerState{ID: "two", Renewed: begun.UTC()})

		<-time.After(10 * time.Second) // of the bubble's clock, as all here
		changed := time.Now().UTC()
		one.loaded("d1", 7, changed)
		refusal := &Refusal{Digest: "d2", Reason: "why", At: changed}
		two.refused(refusal)
		two.handled(7)
		first := WorkerState{ID: "one", Digest: "d1", Since: changed, Generation: 7, Renewed: changed}
		second := WorkerState{ID: "two", Generation: 7, Refused: refusal, Renewed: changed}
		read(first, second)

		<-time.After(presenceEvery)
		first.Renewed = time.Now().UTC()
		second.Renewed = first.Renewed
		read(first, second)

		stopTwo()
		read(first)
		stopOne()
		read()
	})
}

// A worker that cannot write says so once, and is seen again soon after it can.
func TestPresenceIsTriedAgain(t *testing.T) {
	store, log := newMemory(), &lines{}
	store.setRecord(t, "worker.one", "no record")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			NewPresence(store, WorkerState{ID: "one"}, log.logger()).Keep(ctx)
		}()
		<-time.After(time.Minute)
		synctest.Wait()
		if n := len(log.all(t, "worker not announced")); n != 1 {
			t.Errorf("said %d times", n)
		}
		if err := store.Forget(t.Context(), "worker.one"); err != nil {
			t.Fatal(err)
		}
		<-time.After(presenceAgain)
		synctest.Wait()
		if all, err := ReadWorkers(t.Context(), store); len(all) != 1 || err != nil {
			t.Errorf("%+v, %v", all, err)
		}
		cancel()
		<-ended
	})
}

// FuzzRulesetRecords: whatever is stored as one of the records about rulesets is read, or an error.
func FuzzRulesetRecords(f *testing.F) {
	f.Add([]byte(`{"v":1,"digest":"d","generation":3,"previous":[{"digest":"e"}],"at":"2026-04-01T08:30:00Z"}`))
	f.Add([]byte(`{"v":1,"entries":[{"sequence":3,"digest":"d"}]}`))
	f.Add([]byte(`{"v":1,"id":"one","refused":{"reason":"x"}}`))
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		store := newMemory()
		for _, subject := range []string{pushedSubject, timelineSubject, "worker.one"} {
			store.records[subject], store.revs[subject] = data, 1
		}
		p, err := ReadPushed(t.Context(), store)
		if (p == nil) == (err == nil) {
			t.Errorf("pushed %+v, %v", p, err)
		}
		if workers, err := ReadWorkers(t.Context(), store); err == nil && len(workers) != 1 {
			t.Errorf("workers %+v", workers)
		}
		digest, since, err := LiveAt(t.Context(), store, 1)
		if err != nil && (digest != "" || !since.IsZero()) {
			t.Errorf("live %q since %v, %v", digest, since, err)
		}
	})
}
