package rules

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/pkg/events"
)

// forge are the types that forges send, without those of builds.
func forge() []string {
	return append(slices.DeleteFunc(events.Types(), func(kind string) bool { return strings.HasPrefix(kind, "build.") }), UnknownTypes)
}

// TestWarnings: what loads and cannot be meant, as far as the configuration tells. The first configuration is not known.
func TestWarnings(t *testing.T) {
	file := readFile(t, filepath.Join("warnings", "rules.yaml"))
	file.Name = "rules.yaml"
	for name, sent := range map[string][]string{
		"unconfigured": nil,
		"forge":        forge(),
		"polled":       append(forge(), events.TypeBuildFinished),
		"noticed":      append(forge(), "build.failed"),
		"nothing":      {events.TypeTick},
	} {
		t.Run(name, func(t *testing.T) {
			catalogue := testCatalogue()
			catalogue.SentTypes = sent
			rs, problems := Compile([]File{file}, catalogue)
			if rs == nil || problems.HasErrors() {
				t.Fatalf("it does not load: %v", problems)
			}
			if errors, warnings := problems.Count(); errors != 0 || warnings != len(problems) {
				t.Errorf("%d errors and %d warnings of %d problems", errors, warnings, len(problems))
			}
			golden(t, filepath.Join("warnings", name+".out"), problems.Error()+"\n")
		})
	}
}

// TestNoWarningBesideAnError: what a rule does is not judged while it cannot be read.
func TestNoWarningBesideAnError(t *testing.T) {
	_, problems := Compile([]File{{Name: "r.yaml", Data: []byte(`rules:
  - name: a
    on: [pusch, tag_push]
    match: { branch: main }
    do: [{ notify: { to: [ops], title: t, text: x } }]
`)}}, testCatalogue())
	if errors, warnings := problems.Count(); errors != 1 || warnings != 0 {
		t.Errorf("problems: %v", problems)
	}
}

func TestTypesTaken(t *testing.T) {
	for text, want := range map[string][]string{
		"push":           {"push"},
		"build.f*":       {"build.failed", "build.finished"},
		"note.*":         {"note.commit", "note.merge_request", "note.issue", "note.snippet"},
		"unknown.wiki":   {UnknownTypes},
		"unknown.*":      {UnknownTypes},
		"*":              events.Types(),
		"pusch":          nil,
		"builds.*":       nil,
		"build.***":      nil,
		"":               nil,
		"merge_request*": nil,
	} {
		got, err := TypesTaken(text)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%q: %v\n%s", text, err, diff)
		}
	}
}
