package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// crowdedView is a push of very many files, with a very long message.
func crowdedView(t *testing.T) *events.View {
	t.Helper()
	view := pushView()
	names := make([]string, 30_000)
	for i := range names {
		names[i] = fmt.Sprintf("%06d", i)
	}
	list, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 300_000)
	view.Commits[0].Added, view.Commits[0].Message = names, &long
	view.Raw = json.RawMessage(`{"l":` + string(list) + `,"s":"` + long + `"}`)
	return view
}

// TestCostOfCalls evaluates what would take minutes, or gigabytes, if calls were charged 1 each: with values of any type the evaluator
// does so by itself.
func TestCostOfCalls(t *testing.T) {
	view := crowdedView(t)
	for _, when := range []string{
		`event.raw.l.all(x, x in event.raw.l)`,
		`event.commits[0].added.all(x, x in event.commits[0].added)`,
		`event.raw.l.distinct().size() > 1`,
		`event.commits[0].added.distinct().size() > 1`,
		`event.raw.l.all(x, event.raw.l.reverse().size() > 1)`,
		`event.raw.l.all(x, event.raw.s.reverse() != "b")`,
		`event.raw.l.map(x, event.raw.s + x).size() > 3`,
		`event.raw.l.all(x, event.raw.s.size() > 3)`,
		`event.raw.l.all(x, bytes(event.raw.s).size() > 3)`,
		`event.raw.l.all(x, "%s".format([event.raw.s]) != "")`,
		`event.raw.l.all(x, "%s".format([event.raw.l]) != "")`,
		`event.raw.l.all(x, truncate(event.raw.s, 60000) != "")`,
		`event.raw.l.all(x, event.raw == event.raw)`,
		`event.raw.l.all(x, glob(event.raw.s, "**?a?a?*"))`,
		`event.raw.l.all(x, glob(x, event.raw.l[0] + event.raw.l.join("")) || true)`,
		`event.raw.l.all(x, link(event.raw.s, "") != link("a", ""))`,
		`event.raw.l.all(x, event.commits == event.commits)`,
		`event.raw.l.all(x, !(event in [event, event]) || true)`,
	} {
		_, err := begin(t, compileRule(t, "when: '"+when+"'\n"+notifyAll), view).Decide()
		if err == nil || !strings.Contains(err.Error(), "the expression costs too much") {
			t.Errorf("%s: got %v", when, err)
		}
	}
	// What goes through the event a few times is fine.
	for _, when := range []string{
		`"029999" in event.raw.l`,
		`event.commits[0].added.exists(f, f.endsWith("9999")) && event.raw.l.exists(f, f == "029999")`,
		`event.raw == event.raw && event.commits == event.commits`,
		`event.raw.s.size() == 300000 && event.commits[0].message.contains("aaa") && event.raw.s.matches("a+")`,
		`["b", "a", "b", 1, 1.0].distinct().size() == 3 && ["a", "b", "a"].distinct() == ["a", "b"]`,
		`event.raw.l[29999] == "029999" && event.raw.l.map(x, x + "!")[0] == "000000!"`,
	} {
		d, err := begin(t, compileRule(t, "when: '"+when+"'\n"+notifyAll), view).Decide()
		if err != nil || d.Outcome != OutcomeActed {
			t.Errorf("%s: got %v %v", when, d, err)
		}
	}
}

// hostileRules are rules that would keep a worker busy for long, each expression of them within its own limit.
func hostileRules() map[string]string {
	const items = "for_each: { in: 'event.raw.l.map(x, [x])', key: 'item[0]' }\n"
	heavy := `event.raw.l.all(x, x.size() == 6)`
	var leaves []string
	for range 300 {
		leaves = append(leaves, `event.raw.l != null`)
	}
	text := strings.Repeat("${{ event.raw.l.size() }} ", 300)
	return map[string]string{
		"when":         items + "when: '" + heavy + "'\n" + notifyAll,
		"if":           items + "do: [{ if: '" + heavy + "', notify: { to: ops, title: t, text: x } }]\n",
		"text":         items + "do: [{ notify: { to: ops, title: t, text: \"" + strings.Repeat("${{ event.raw.l.exists(x, x == '009999') }}", 20) + "\" } }]\n",
		"key":          "for_each: { in: event.raw.l, key: 'event.raw.l.filter(x, x == item)[0]' }\n" + notifyAll,
		"explanations": items + "when: '" + strings.Join(leaves, " && ") + "'\n" + notifyAll,
		"texts":        items + "do: [{ notify: { to: ops, title: t, text: '" + strings.Repeat(text, 10) + "' } }]\n",
		"arguments": "fetch:\n  a:\n    for_each: { in: event.raw.l }\n    commit: { repo_id: 7, sha: \"${{ event.raw.l.filter(x, x == item)[0] }}\" }\n" +
			notifyAll,
	}
}

// TestHostileRules: all expressions of a run together have a limit, whatever they are in; so has what they make.
func TestHostileRules(t *testing.T) {
	view := crowdedView(t)
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("%06d", 9000+i)
	}
	list, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	view.Raw = json.RawMessage(`{"l":` + string(list) + `}`)
	for name, body := range hostileRules() {
		began := time.Now()
		x := begin(t, compileRule(t, body), view)
		_, err := x.Next()
		if err == nil {
			_, err = x.Decide()
		}
		t.Logf("%s: %s: %v", name, time.Since(began), err)
		var eval *EvalError
		if !errors.As(err, &eval) || eval.Position.Line == 0 ||
			!strings.Contains(err.Error(), "all expressions of the run together cost too much") && !strings.Contains(err.Error(), "of one decision h") {
			t.Errorf("%s: %v", name, err)
		}
		if x.size > 2*maxDecided {
			t.Errorf("%s: it has made %d bytes", name, x.size)
		}
	}
}
