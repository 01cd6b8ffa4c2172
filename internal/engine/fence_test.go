package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/rules"
)

const fenceRules = `
rules:
  - name: sweep
    on: push
    do:
      - id: sweep
        commit:
          repo_id: "7"
          branch: main
          message: sweep
          actions:
            - { action: create, file_path: new.md, content: a }
            - { action: update, file_path: log.md, content: c }
            - { action: move, file_path: to.md, previous_path: from.md }
            - { action: delete, file_path: old.md }
`

func fenceFixture(t *testing.T, ruleFile string) *fixture {
	f := newFixture(t, ruleFile, nil)
	for _, path := range []string{"log.md", "from.md", "old.md"} {
		f.source.files["/7@main:"+path] = "last-of-" + path
		f.source.files["other/7@next:"+path] = "there-" + path
	}
	return f
}

func fencesOf(c *rules.Commit) []string {
	var all []string
	for _, a := range c.Actions {
		all = append(all, a.Action+" "+a.FilePath+" "+a.LastCommitID)
	}
	return all
}

func TestCommitsAreFenced(t *testing.T) {
	f := fenceFixture(t, fenceRules)
	if err := f.run(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"create new.md ", "update log.md last-of-log.md", "move to.md last-of-from.md", "delete old.md last-of-old.md",
	}
	if diff := cmp.Diff(want, fencesOf(f.actions(subjectCommit)[0].Commit)); diff != "" {
		t.Error(diff)
	}
}

func TestFencesFollowConnectionAndStartBranch(t *testing.T) {
	f := fenceFixture(t, strings.Replace(fenceRules, "          branch: main\n", "          branch: sweep\n          start_branch: next\n          connection: other\n", 1))
	if err := f.run(); err != nil {
		t.Fatal(err)
	}
	got := fencesOf(f.actions(subjectCommit)[0].Commit)
	if want := "update log.md there-log.md"; got[1] != want {
		t.Errorf("fence %q, want %q", got[1], want)
	}
}

// start_branch is where a branch starts from; one that is there already is gone on from.
func TestFencesOfABranchThatIsThereAlready(t *testing.T) {
	for force, want := range map[string]string{
		"": "update log.md now-log.md",
		"at_least_once: true\n          force: true": "update log.md last-of-log.md",
	} {
		f := fenceFixture(t, strings.Replace(fenceRules, "          branch: main\n", "          branch: sweep\n          start_branch: main\n          "+force+"\n", 1))
		f.source.files["/7@sweep:log.md"] = "now-log.md"
		if err := f.run(); err != nil {
			t.Fatal(err)
		}
		if got := fencesOf(f.actions(subjectCommit)[0].Commit)[1]; got != want {
			t.Errorf("%s: fence %q, want %q", force, got, want)
		}
	}
}

func TestWhatNeedsNoFence(t *testing.T) {
	c := &rules.Commit{Branch: "main", Actions: []rules.FileAction{
		{Action: "create", FilePath: "a"},
		{Action: "move", FilePath: "b", PreviousPath: "a"}, // made by this very commit
		{Action: "update", FilePath: "b"},
		{Action: "chmod", FilePath: "c"},
		{Action: "update", FilePath: "d", LastCommitID: commitA}, // the rule's own
		{Action: "delete", FilePath: "e"},
	}}
	uses := fenceUses(&rules.Decision{Items: []rules.Item{{Actions: []rules.Action{{Commit: c}, {Notify: &rules.Notify{}}}}}})
	if len(uses) != 1 || uses[0].file.path != "e" {
		t.Errorf("%d fences: %v", len(uses), uses)
	}
}

func TestAFileIsReadOnceInARun(t *testing.T) {
	f := fenceFixture(t, fenceRules+`
      - id: again
        commit: { repo_id: "7", branch: main, message: again, actions: [ { action: update, file_path: log.md, content: d } ] }
`)
	if err := f.run(); err != nil {
		t.Fatal(err)
	}
	if n := len(f.source.read); n != 3 {
		t.Errorf("%d reads, want 3", n)
	}
}

func TestAMissingFileIsExplained(t *testing.T) {
	f := fenceFixture(t, fenceRules)
	delete(f.source.files, "/7@main:log.md")
	err := f.run()
	wantFinal(t, err, ClassEvaluation)
	if want := "cannot update log.md in 7@main: there is no such file"; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not say %q", err, want)
	}
}

func TestAFileWithoutALastCommit(t *testing.T) {
	f := fenceFixture(t, fenceRules)
	f.source.files["/7@main:log.md"] = ""
	wantFinal(t, f.run(), ClassEvaluation)

	f = fenceFixture(t, strings.Replace(fenceRules, "          message: sweep", "          at_least_once: true\n          message: sweep", 1))
	f.source.files["/7@main:log.md"] = ""
	if err := f.run(); err != nil {
		t.Error(err)
	}
}
