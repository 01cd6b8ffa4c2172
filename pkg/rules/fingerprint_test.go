package rules

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/pkg/events"
)

const fingerprinted = `vars: { words: hello }
rules:
  - name: first
    on: push
    match: { branch: [main, "release/**"] }
    throttle: { key: "${{ event.branch }}", per: 1m }
    when: size(event.commits) > 0 # some
    do: [{ notify: { to: [team], title: "${{ vars.words }}", text: there } }]
  - name: second
    on: push
    do: [{ notify: { to: [team], title: t, text: t } }]
`

func compiledForFingerprint(t *testing.T, text string) *Ruleset {
	t.Helper()
	rs, problems := Compile([]File{{Name: "a.yaml", Data: []byte(text)}}, &Catalogue{Event: TypeFor[events.View]("event")})
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return rs
}

// TestFingerprint: whatever is written otherwise changes it, and nothing else does.
func TestFingerprint(t *testing.T) {
	base := compiledForFingerprint(t, fingerprinted)
	tests := map[string]struct {
		old, new string
		same     bool
	}{
		"a comment":         {"# some", "# a few", true},
		"quotes":            {"[main,", `["main",`, true},
		"a place":           {"vars:", "\n\nvars:", true},
		"another rule":      {"title: t,", "title: u,", true},
		"a rule before it":  {"rules:\n", "rules:\n  - { name: zero, on: push, do: [{ notify: { to: [a], title: t, text: t } }] }\n", true},
		"a var":             {"hello", "hallo", false},
		"a text":            {"text: there", "text: theres", false},
		"a limit":           {"per: 1m", "per: 2m", false},
		"the match":         {"main,", "mein,", false},
		"the type":          {"first\n    on: push", "first\n    on: tag_push", false},
		"the condition":     {"> 0", "> 1", false},
		"a key more":        {"    when:", "    mode: shadow\n    when:", false},
		"a list one longer": {`[main, "release/**"]`, `[main, "release/**", x]`, false},
		"a description":     {"    when:", "    description: d\n    when:", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(fingerprinted, tt.old, tt.new, 1)
			if text == fingerprinted {
				t.Fatal("nothing is changed")
			}
			changed := compiledForFingerprint(t, text)
			if got := changed.Rule("first").Fingerprint() == base.Rule("first").Fingerprint(); got != tt.same {
				t.Errorf("the same: %t, want %t", got, tt.same)
			}
			second := changed.Rule("second").Fingerprint() == base.Rule("second").Fingerprint() // it reads no vars
			if want := name != "another rule"; second != want {
				t.Errorf("the other is the same: %t, want %t", second, want)
			}
		})
	}
}

func TestTakesType(t *testing.T) {
	rs := compiledForFingerprint(t, `rules:
  - { name: some, on: [push, "merge_request.*"], do: [{ notify: { to: [a], title: t, text: t } }] }
  - { name: ticks, on: { schedule: { every: 1h } }, do: [{ notify: { to: [a], title: t, text: t } }] }
`)
	for kind, want := range map[string][2]bool{
		"push": {true, false}, "merge_request.open": {true, false}, "tag_push": {false, false}, events.TypeTick: {false, true},
	} {
		if got := [2]bool{rs.Rule("some").TakesType(kind), rs.Rule("ticks").TakesType(kind)}; got != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}
