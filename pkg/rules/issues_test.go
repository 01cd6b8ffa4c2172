package rules

import (
	"strings"
	"testing"
)

// TestKindsAreInWords compiles conditions whose kinds do not fit: no name of ours for a type is shown.
func TestKindsAreInWords(t *testing.T) {
	for when, want := range map[string]string{
		`event.commits != null`:                         `a list cannot be compared with null; test it with has(event.commits)`,
		`null == event.commits`:                         `a list cannot be compared with null; test it with !has(event.commits)`,
		`facts.job.labels != null`:                      `a map cannot be compared with null; test it with has(facts.job.labels)`,
		`event.commits.exists(c, c.added == null)`:      `a list cannot be compared with null; test it with !has(c.added)`,
		`event.commits.filter(c, true) == null`:         `a list cannot be compared with null; it is never null; test its size()`,
		`event.commits.map(c, c.author) == "x"`:         `== cannot be applied to (list of object, string)`,
		`event.repository == event.author`:              `== cannot be applied to (object, object)`,
		`event.commits.map(c, [c.added]) == 1`:          `== cannot be applied to (list of list of list of string, int)`,
		`event.commits.startsWith("x")`:                 `startsWith cannot be applied to list of object with (string)`,
		`event.commits && true`:                         `wanted bool, got list of object`,
		`{"a": event.author} == 1`:                      `== cannot be applied to (map of object, int)`,
		`facts.job.labels.filter(k, event.raw.x) > "x"`: `> cannot be applied to (list of string, string)`,
		`[event.raw] > event.commits`:                   `> cannot be applied to (list of any, list of object)`,
	} {
		text := "rules:\n  - name: r\n    on: push\n    fetch: { job: { job_config: { job_id: j } } }\n    when: " + yamlQuote(when) + "\n    " + notifyAll
		_, problems := Compile([]File{{Name: "r.yaml", Data: []byte(text)}}, testCatalogue())
		if len(problems) != 1 {
			t.Errorf("%s: %v", when, problems)
			continue
		}
		got := strings.TrimPrefix(problems[0].Message, "when: ")
		if problems[0].Hint != "" {
			got += "; " + problems[0].Hint
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", when, got, want)
		}
	}
	// An object may be null.
	compileRule(t, "when: event.repository != null\n"+notifyAll)
}
