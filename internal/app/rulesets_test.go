package app_test

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/rules"
)

// pushed runs a worker that takes what is pushed; change, if not nil, changes its configuration.
func (w *world) pushed(change func(*config.Config)) func(context.Context, *config.Config, io.Writer, func()) error {
	return func(ctx context.Context, cfg *config.Config, logs io.Writer, ready func()) error {
		cfg.Worker.RulesFrom, cfg.Worker.Rules = engine.FromPushed, nil
		if change != nil {
			change(cfg)
		}
		return app.Worker(ctx, cfg, logs, ready)
	}
}

func (w *world) rulesets() *app.Rulesets {
	w.t.Helper()
	r, err := app.OpenRulesets(w.t.Context(), w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(r.Close)
	return r
}

// compiled are the rules of the world, and one rule more when its name is not "".
func (w *world) compiled(more string) *rules.Ruleset {
	w.t.Helper()
	files, err := engine.ReadFiles([]string{filepath.Join(filepath.Dir(w.file), "rules")})
	if err != nil {
		w.t.Fatal(err)
	}
	if more != "" {
		files = append(files, rules.File{Name: "more.yaml", Data: []byte(anotherRule(more, "team"))})
	}
	rs, problems := rules.Compile(files, app.Catalogue(w.config()))
	if problems.HasErrors() {
		w.t.Fatal(problems)
	}
	return rs
}

func anotherRule(name, target string) string {
	return fmt.Sprintf("rules:\n  - name: %s\n    on: tag_push\n    do: [{ notify: { to: [%s], title: t, text: t } }]\n", name, target)
}

// workersThere waits until so many workers have said that they are there.
func (w *world) workersThere(r *app.Rulesets, n int) (fleet *app.Fleet) {
	w.t.Helper()
	eventually(w.t, "the workers", func() (err error) {
		if fleet, err = r.Fleet(w.t.Context()); err == nil && len(fleet.Workers) != n {
			err = fmt.Errorf("%d are there, want %d", len(fleet.Workers), n)
		}
		return err
	})
	return fleet
}

// await is what the workers make of a push, as "verdict digest", sorted.
func (w *world) await(r *app.Rulesets, m *app.Move) (ok bool, answers []string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	ok, err := r.Await(ctx, m, func(a app.WorkerAnswer) { answers = append(answers, fmt.Sprintf("%s %.12s", a.Verdict, a.Digest)) })
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(answers)
	return ok, answers
}

// decidedWith is the digest of the ruleset an event was decided with.
func (w *world) decidedWith(r *app.Rulesets, eventID string) (digest string) {
	w.t.Helper()
	eventually(w.t, "the decision about "+eventID, func() error {
		recorded, err := r.Recorded(w.t.Context(), eventID)
		if err != nil {
			return err
		}
		if recorded == nil || len(recorded.Decisions) == 0 {
			return fmt.Errorf("recorded: %+v", recorded)
		}
		digest = recorded.Digest
		for name, d := range recorded.Decisions {
			if d.Digest != digest {
				w.t.Errorf("event %s was matched with %s, and rule %s decided with %s", eventID, digest, name, d.Digest)
			}
		}
		return nil
	})
	return digest
}

// TestPush: two workers take what is pushed, each at once and whole; every decision names the ruleset it was made with, and after the
// workers have answered it is the new one. A rollback is the same the other way.
func TestPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Rules: "shop"})
	w.startReceiver()
	r := w.rulesets()
	first, second := w.compiled(""), w.compiled("more")
	move, err := r.Push(t.Context(), first, "anna", time.Now())
	if err != nil || move.From != "" || move.To != first.Digest() || move.Already {
		t.Fatalf("%+v, %v", move, err)
	}
	if ok, answers := w.await(r, move); !ok || len(answers) != 0 {
		t.Errorf("without a worker: %v, %q", ok, answers)
	}
	w.start("worker one", w.pushed(nil))
	_, stopTwo := w.start("worker two", w.pushed(nil))
	if fleet := w.workersThere(r, 2); fleet.Pushed == nil || fleet.Pushed.Digest != first.Digest() {
		t.Fatalf("%+v", fleet)
	}

	next := 0
	deliver := func() string { next++; return w.deliver(mergeRequest(t, next)).EventID }
	change := func(to *rules.Ruleset, do func() (*app.Move, error)) {
		t.Helper()
		var during []string
		for range 10 {
			during = append(during, deliver())
		}
		move, err := do()
		if err != nil || move.To != to.Digest() || move.Already {
			t.Fatalf("%+v, %v", move, err)
		}
		for range 10 {
			during = append(during, deliver())
		}
		uses := fmt.Sprintf("%s %.12s", app.WorkerUses, to.Digest())
		if ok, answers := w.await(r, move); !ok || !slices.Equal(answers, []string{uses, uses}) {
			t.Errorf("%v, %q", ok, answers)
		}
		after := deliver()
		for _, id := range during {
			if got := w.decidedWith(r, id); got != move.From && got != move.To {
				t.Errorf("event %s was decided with %s", id, got)
			}
		}
		if got := w.decidedWith(r, after); got != to.Digest() {
			t.Errorf("an event after the workers had answered was decided with %s, want %s", got, to.Digest())
		}
		eventually(t, "the timeline", func() error {
			if live, err := r.LiveNow(t.Context()); live != to.Digest() || err != nil {
				return fmt.Errorf("%s, %w", live, err)
			}
			return nil
		})
	}
	change(second, func() (*app.Move, error) { return r.Push(t.Context(), second, "anna", time.Now()) })
	change(first, func() (*app.Move, error) { return r.Rollback(t.Context(), "", "anna", time.Now()) })
	change(second, func() (*app.Move, error) { return r.Rollback(t.Context(), second.Digest()[:8], "anna", time.Now()) })

	again, err := r.Push(t.Context(), second, "bert", time.Now())
	if err != nil || !again.Already {
		t.Errorf("%+v, %v", again, err)
	}
	fleet, err := r.Fleet(t.Context())
	if err != nil || fleet.Pushed.By != "anna" || len(fleet.Pushed.Previous) != 3 || len(fleet.Workers) != 2 || fleet.Differ {
		t.Errorf("%+v, %v", fleet, err)
	}
	stopTwo()
	w.workersThere(r, 1)
}

// TestPushIsRefusedByAWorker: one worker has no such target. It says so and goes on, and the others do not wait for it.
func TestPushIsRefusedByAWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Rules: "shop"})
	r := w.rulesets()
	cat := app.Catalogue(w.config())
	compile := func(target string) *rules.Ruleset {
		rs, problems := rules.Compile([]rules.File{{Name: "one.yaml", Data: []byte(anotherRule("one", target))}}, cat)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		return rs
	}
	good, bad := compile("team"), compile("ops")
	push := func(rs *rules.Ruleset) *app.Move {
		t.Helper()
		move, err := r.Push(t.Context(), rs, "anna", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return move
	}
	push(good)
	w.start("worker", w.pushed(nil))
	poor, _ := w.start("poor worker", w.pushed(func(cfg *config.Config) { delete(cfg.Targets, "ops") }))
	w.startWorkerHere() // with files of its own
	w.workersThere(r, 3)
	move := push(bad)
	ok, answers := w.await(r, move)
	files, refuses, uses := app.WorkerFiles+" ", fmt.Sprintf("%s %.12s", app.WorkerRefuses, good.Digest()), fmt.Sprintf("%s %.12s", app.WorkerUses, bad.Digest())
	if ok || len(answers) != 3 || !strings.HasPrefix(answers[0], files) || answers[1] != refuses || answers[2] != uses {
		t.Errorf("%v, %q", ok, answers)
	}
	fleet, err := r.Fleet(t.Context())
	if err != nil || !fleet.Differ {
		t.Fatalf("%+v, %v", fleet, err)
	}
	i := slices.IndexFunc(fleet.Workers, func(s engine.WorkerState) bool { return s.Refused != nil })
	if i < 0 || fleet.Workers[i].Refused.Digest != bad.Digest() || !strings.Contains(fleet.Workers[i].Refused.Reason, `one.yaml:4:27: do[0].notify.to: there is no target "ops"`) {
		t.Errorf("%+v", fleet.Workers)
	}
	refused := slices.DeleteFunc(poor.lines("rules refused"), func(line map[string]any) bool { return line["problems"] == nil })
	if len(refused) != 1 {
		t.Errorf("it said so %d times", len(refused))
	}
	if ok, answers := w.await(r, push(good)); !ok || len(answers) != 3 {
		t.Errorf("mended: %v, %q", ok, answers)
	}
}

// TestNothingPushed: a worker that has no rules yet says what to do, is not ready, and takes no event; then it does all that waited.
func TestNothingPushed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Rules: "shop"})
	w.startReceiver()
	event := w.deliver(mergeRequest(t, 1)).EventID
	log, ended := new(journal), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	cfg := w.config()
	go func() { ended <- w.pushed(nil)(ctx, cfg, log, nil) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "a worker that waits for rules", func() error {
		if len(log.lines("rules awaited")) == 0 {
			return fmt.Errorf("the log is\n%s", log)
		}
		return nil
	})
	const remedy = "no ruleset has been pushed yet; millrace rules push PATH…"
	eventually(t, "what readyz says", func() error {
		if status, text := w.ask(adminOf(t, log, "pushed rules looked for") + "/readyz"); status != 503 || !strings.Contains(text, remedy) {
			return fmt.Errorf("readyz %d %s", status, text)
		}
		return nil
	})
	r := w.rulesets()
	eventually(t, "the worker in the list", func() error {
		fleet, err := r.Fleet(t.Context())
		if err == nil && (len(fleet.Workers) != 1 || fleet.Workers[0].Refused == nil || fleet.Workers[0].Refused.Reason != remedy) {
			err = fmt.Errorf("%+v", fleet)
		}
		return err
	})
	if recorded, err := r.Recorded(t.Context(), event); recorded != nil || err != nil {
		t.Errorf("%+v, %v", recorded, err)
	}
	rs := w.compiled("")
	if _, err := r.Push(t.Context(), rs, "anna", time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := w.decidedWith(r, event); got != rs.Digest() {
		t.Errorf("decided with %s", got)
	}
	eventually(t, "the worker to be ready", func() error {
		if status, names := w.unready(adminOf(t, log, "worker started")); status != 200 {
			return fmt.Errorf("readyz %d %q", status, names)
		}
		return nil
	})
}

// TestRollbackIsRefused: what cannot be rolled back to changes nothing.
func TestRollbackIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Rules: "shop"})
	r := w.rulesets()
	rs := w.compiled("")
	if _, err := r.Push(t.Context(), rs, "anna", time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, digest := range []string{"abcdef01", "abcdef02"} {
		if err := w.look().PutRuleset(t.Context(), digest, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	foreign, problems := rules.Compile([]rules.File{{Name: "one.yaml", Data: []byte(anotherRule("one", "strangers"))}}, engine.Catalogue(nil, nil))
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	if err := engine.StoreRuleset(t.Context(), w.look(), foreign); err != nil {
		t.Fatal(err)
	}
	for digest, want := range map[string]string{
		"":                    "no ruleset was pushed before",
		"abcde":               "give 6 or more of its characters",
		"ABCDEF01":            "is no digest",
		"abcdef":              "2 stored rulesets begin with abcdef: abcdef01, abcdef02; give more of it",
		"abcdef03":            "no ruleset is stored whose digest begins with abcdef03",
		"abcdef01":            "it would be refused: ruleset abcdef01: it cannot be read",
		foreign.Digest()[:12]: `there is no target "strangers"`,
	} {
		if move, err := r.Rollback(t.Context(), digest, "anna", time.Now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %q", digest, move, err, want)
		}
	}
	fleet, err := r.Fleet(t.Context())
	if err != nil || fleet.Pushed.Digest != rs.Digest() || fleet.Pushed.Generation != 1 {
		t.Errorf("%+v, %v", fleet, err)
	}
	move, err := r.Rollback(t.Context(), rs.Digest(), "anna", time.Now())
	if err != nil || !move.Already {
		t.Errorf("to what is pushed: %+v, %v", move, err)
	}
}

// TestPushIsAwaitedInVain: a worker that does not answer is told of when the time is over, and a push that another one followed is not told
// to be in use.
func TestPushIsAwaitedInVain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Rules: "shop"})
	r := w.rulesets()
	move, err := r.Push(t.Context(), w.compiled(""), "anna", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	// What a worker that was killed leaves behind for a while.
	if _, err := w.look().Create(t.Context(), "worker.gone", []byte(`{"v":1,"id":"gone","host":"far","from":"pushed"}`)); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	var silent []string
	ok, err := r.Await(over, move, func(a app.WorkerAnswer) { silent = append(silent, a.Verdict+" "+a.Name()) })
	if err != nil || ok || !slices.Equal(silent, []string{"silent far/gone"}) {
		t.Errorf("%v, %q, %v", ok, silent, err)
	}
	if _, err := r.Push(t.Context(), w.compiled("more"), "bert", time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Await(t.Context(), move, func(app.WorkerAnswer) {}); err == nil || !strings.Contains(err.Error(), "bert pushed") {
		t.Errorf("followed by another: %v", err)
	}
}

// TestDoctorOfPushedRules: doctor looks at what is pushed when that is what workers take.
func TestDoctorOfPushedRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{Rules: "shop"})
	look := func(v app.Verdict, texts ...string) {
		t.Helper()
		finds(t, w.doctor("MILLRACE_WORKER_RULES_FROM=pushed"), v, "rules", texts...)
	}
	look(app.VerdictSkipped, "there is no such store yet")
	if err := w.look().Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	look(app.VerdictWarn, "no ruleset has been pushed yet", "millrace rules push")
	r, rs := w.rulesets(), w.compiled("")
	if _, err := r.Push(t.Context(), rs, "anna", time.Now()); err != nil {
		t.Fatal(err)
	}
	look(app.VerdictOK, "4 rules in 2 files", rs.Digest()[:12], "pushed by anna")
	foreign, problems := rules.Compile([]rules.File{{Name: "one.yaml", Data: []byte(anotherRule("one", "strangers"))}}, engine.Catalogue(nil, nil))
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	if _, err := r.Push(t.Context(), foreign, "bert", time.Now()); err != nil {
		t.Fatal(err)
	}
	look(app.VerdictFail, `there is no target "strangers"`, "rollback")
}
