package app_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestReload: a broken rule file leaves the rules going on and everything that is wrong in the log; a mended one is picked up.
func TestReload(t *testing.T) {
	t.Parallel()
	w, log := open(t, settings{Rules: "shop"})
	broken, err := testdata.ReadFile("testdata/broken/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w.writeRule("another.yaml", string(broken))
	eventually(t, "the refusal", func() error {
		if len(log.lines("rules refused")) == 0 {
			return fmt.Errorf("nothing is refused")
		}
		return nil
	})
	w.wantProblems(log.lines("rules refused")[0])

	w.deliver(mergeRequest(t, 1))
	eventually(t, "the rules to go on", func() error { return w.atLeast(announced(1)...) })

	w.writeRule("another.yaml", strings.NewReplacer("pushh", "merge_request.open", "repository.paht", "repository.path",
		`event.brunch == "main"`, "true", "[nobody]", "[hook]", `title: "Never" }`, `title: "Never", text: "" }`).Replace(string(broken)))
	eventually(t, "the mended rules", func() error {
		if n := len(log.lines("rules loaded")); n != 2 {
			return fmt.Errorf("loaded %d times", n)
		}
		return nil
	})
	w.deliver(mergeRequest(t, 2))
	eventually(t, "the new rule", func() error { return w.atLeast(append(announced(2), "webhook: Never", "feishu: Never")...) })
	if n := len(log.lines("rules refused")); n != 1 {
		t.Errorf("refused %d times, once is enough", n)
	}
}

// wantProblems looks for the five mistakes of testdata/broken, each with its place.
func (w *world) wantProblems(line map[string]any) {
	w.t.Helper()
	all := fmt.Sprint(line["problems"])
	for _, want := range []string{
		"another.yaml:3:9:", "pushh", "another.yaml:4:14:", "repository.paht", "another.yaml:5:", "brunch", "another.yaml:7:", "nobody", "another.yaml:8:", "text",
	} {
		if !strings.Contains(all, want) {
			w.t.Errorf("the refusal does not say %q: %s", want, all)
		}
	}
	if list, ok := line["problems"].([]any); !ok || len(list) != 5 {
		w.t.Errorf("%d problems, wanted 5: %s", len(list), all)
	}
}
