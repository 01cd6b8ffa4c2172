package effects

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

const renderedRule = `
rules:
  - name: record
    on: push
    do:
      - id: note
        commit:
          repo_id: "2111"
          branch: "${{ event.branch }}"
          message: "docs: note the failure"
          actions:
            - { action: create, file_path: "builds/17.md", content: "x" }
      - id: second
        commit:
          repo_id: "2111"
          branch: main
          message: "docs: after ${{ results.note.short_id }}"
          actions:
            - { action: create, file_path: "builds/18.md", content: "${{ results.note.id }}" }
      - id: told
        notify:
          to: [team, ops]
          title: "Noted"
          text: "See ${{ results.note.short_id }} and ${{ results.second.short_id }}"
      - id: sorry
        if: results.note.failed
        notify:
          to: [team]
          title: "Not noted"
          text: "${{ results.note.error }}"
`

// decided is what the rule above decides on a push to main.
func decided(t *testing.T) *rules.Decision {
	t.Helper()
	set, problems := rules.Compile([]rules.File{{Name: "record.yaml", Data: []byte(renderedRule)}}, &rules.Catalogue{
		Event: rules.TypeFor[events.View]("event"), EventTypes: events.Types(),
		Targets: []string{"team", "ops"}, Connections: []string{"default"},
	})
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	branch := "main"
	run, err := set.Rule("record").Begin(rules.Input{
		Event: &events.View{ID: "src/1", Type: "push", Branch: &branch}, EventID: "src/1",
		RunID: rules.RunID("src/1", "record"), Digest: set.Digest(), Accepted: start, Now: start,
	})
	if err != nil {
		t.Fatal(err)
	}
	if calls, err := run.Next(); err != nil || len(calls) > 0 {
		t.Fatal(calls, err)
	}
	d, err := run.Decide()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRealRuleToTheEnd carries out what a real rule decided, with its real templates.
func TestRealRuleToTheEnd(t *testing.T) {
	for name, gone := range map[string]bool{"done": false, "failed": true} {
		t.Run(name, func(t *testing.T) {
			w, d := newWorld(t), decided(t)
			w.realRender = true
			w.repo.gone = gone
			w.write("run."+d.RunID, d)
			for _, a := range d.Items[0].Actions {
				if len(a.Waits) == 0 {
					w.putAction(a)
				}
			}
			w.run()
			var got []string
			for _, a := range w.sent {
				got = append(got, a.Notify.To[0]+": "+a.Notify.Text.Plain())
			}
			want := "team: See 00000001 and 00000002, ops: See 00000001 and 00000002"
			if gone {
				want = "team: commit to 2111@main: the repository or the branch is gone: repository does not exist"
			}
			if s := strings.Join(got, ", "); s != want {
				t.Errorf("sent %q, want %q\n%s", s, want, w.log)
			}
			if n := len(w.repo.list); !gone && n != 2 {
				t.Errorf("%d commits", n)
			}
		})
	}
}
