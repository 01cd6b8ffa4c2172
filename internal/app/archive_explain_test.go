package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/rules"
)

// explainPast explains a stored event, with the rules of then when ruleset is nil; by the names of the rules.
func (w *world) explainPast(id string, ruleset *rules.Ruleset) (*app.PastEvent, map[string]*trial.Explained, trial.Summary) {
	w.t.Helper()
	archive, err := app.OpenArchive(w.t.Context(), w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(archive.Close)
	past, err := archive.Look(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if ruleset == nil {
		if ruleset = past.Ruleset; ruleset == nil {
			w.t.Fatalf("the ruleset of then: %v", past.Unknown)
		}
	}
	all, summary, err := past.Explain(w.t.Context(), ruleset, ruleset.Rules(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	byName := map[string]*trial.Explained{}
	for _, e := range all {
		byName[e.Rule] = e
	}
	return past, byName, summary
}

// TestExplainStored: an event is explained by its id, to the commit and the message that really came of it, beside what is recorded of
// both; our own commit that comes back is known again; and other rules are tried on it with the facts of then.
func TestExplainStored(t *testing.T) {
	t.Parallel()
	w, log := open(t, settings{Rules: "shop"})
	w.fake.SetHook(w.receiver+"/hooks/shop", webhookToken)
	_, body := w.push("count totals in cents", time.Second, "FAILED")
	accepted := w.deliver(body)
	var ownID string
	eventually(t, "the messages, and our own commit to come back", func() error {
		if err := w.atLeast("dingtalk: Recorded", "webhook: Pushed"); err != nil {
			return err
		}
		lines := log.lines("own commit recognised")
		if len(lines) == 0 {
			return fmt.Errorf("it is not recognised yet")
		}
		ownID = fmt.Sprint(lines[0]["event_id"])
		return nil
	})
	eventually(t, "the end of all work", w.settled)

	past, all, summary := w.explainPast(accepted.EventID, nil)
	commit := w.made()[0]
	if past.Recorded == nil || past.WithoutRecord(time.Now()) != "" || past.Unknown != nil {
		t.Errorf("recorded %+v, %v", past.Recorded, past.Unknown)
	}
	if want := []string{"record-failed-build", "greet-push"}; !slices.Equal(summary.Fitting, want) || summary.Nearest != nil {
		t.Errorf("summary %+v", summary)
	}
	e := all["record-failed-build"]
	if e == nil || e.Verdict != rules.OutcomeActed || e.Recorded == nil || e.Recorded.Outcome != rules.OutcomeActed || e.Recorded.Digest != past.Ruleset.Digest() {
		t.Fatalf("%+v, recorded %+v", e, e.Recorded)
	}
	note, notify := &e.Decision.Items[0].Actions[0], &e.Decision.Items[0].Actions[1]
	if !strings.HasPrefix(commit.Message, note.Commit.Message) || note.Commit.Actions[0].FilePath != commit.Files[0].Path {
		t.Errorf("explained as %+v, made %+v", note.Commit, commit)
	}
	if notify.Notify == nil || !strings.Contains(notify.Notify.Text.Plain(), commit.ID[:8]) {
		t.Errorf("the message that waited for the commit: %+v", notify)
	}
	want := []trial.PastAction{
		{ID: "note", Kind: rules.KindCommit, Key: note.Key, State: trial.ActionDone},
		{ID: "notify1", Kind: rules.KindNotify, Target: "team", Key: rules.WorkKey(notify.Key, "team"), State: trial.ActionDone},
	}
	if r := e.Recorded.Actions[0].Result; r == nil || r.ID != commit.ID || r.WebURL == "" {
		t.Errorf("the result of the commit: %+v", r)
	}
	e.Recorded.Actions[0].Result = nil
	if diff := cmp.Diff(want, e.Recorded.Actions); diff != "" {
		t.Error(diff)
	}
	if greet := all["greet-push"]; greet.Verdict != rules.OutcomeActed || greet.Recorded.Actions[0].Target != "hook" {
		t.Errorf("%+v", greet.Recorded)
	}

	t.Run("own commit", func(t *testing.T) {
		past, all, summary := w.explainPast(ownID, nil)
		if past.Recorded != nil || !strings.Contains(past.WithoutRecord(time.Now()), "no rule took it then") {
			t.Errorf("recorded %+v", past.Recorded)
		}
		if later := past.WithoutRecord(time.Now().AddDate(0, 1, 0)); !strings.Contains(later, "records are kept for 21 days, and it is older") {
			t.Errorf("a month later: %s", later)
		}
		for _, name := range []string{"record-failed-build", "greet-push"} {
			if e := all[name]; e.Verdict != rules.OutcomeOwnCommit || e.Recorded != nil {
				t.Errorf("%s: %s, recorded %+v", name, e.Verdict, e.Recorded)
			}
		}
		if summary.Verdicts[rules.OutcomeOwnCommit] != 2 {
			t.Errorf("summary %+v", summary)
		}
	})
	t.Run("other rules", func(t *testing.T) {
		other, problems := rules.Compile([]rules.File{{Name: "other.yaml", Data: []byte(`
rules:
  - name: greet-push
    on: push
    fetch: { b: { build_of_commit: { job_id: ` + jobID + `, commit: "${{ event.after }}" } } }
    when: facts.b.outcome == "succeeded"
    do: [ { notify: { to: team, title: t, text: x } } ]
  - name: of-the-commit-before
    on: push
    fetch: { b: { build_of_commit: { job_id: ` + jobID + `, commit: "${{ event.before }}" } } }
    do: [ { notify: { to: team, title: t, text: x } } ]
`)}}, engine.Catalogue(nil, nil))
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		_, all, _ := w.explainPast(accepted.EventID, other)
		e := all["greet-push"]
		if e.Verdict != rules.OutcomeNoMatch || string(e.FirstFailed.Seen) != `"failed"` || e.Recorded == nil || e.Recorded.Outcome != rules.OutcomeActed {
			t.Errorf("with the fact that another rule asked for: %s %s, recorded %+v", e.Verdict, e.Reason, e.Recorded)
		}
		e = all["of-the-commit-before"]
		if e.Verdict != trial.NeedsFacts || !strings.Contains(e.Reason, "fact b was not recorded: no rule asked for build_of_commit with commit ") {
			t.Errorf("with a fact that nobody asked for: %s %s", e.Verdict, e.Reason)
		}
	})
}
