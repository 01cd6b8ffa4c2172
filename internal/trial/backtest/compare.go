package backtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/rules"
)

// kinds are the classes of what is different about actions, by their kind, the weightiest first.
var kinds = []struct{ kind, class string }{
	{rules.KindCommit, DifferentCommit}, {rules.KindBuild, DifferentBuild}, {rules.KindAlert, DifferentAlert}, {rules.KindNotify, DifferentMessage},
}

// firstDifference is the class of what is different about two that both fire, or both do not; Unchanged when nothing is.
func firstDifference(b, a *trial.Carried) string {
	for _, k := range kinds {
		if describeKind(b, k.kind) != describeKind(a, k.kind) {
			return k.class
		}
	}
	if describeRest(b) != describeRest(a) {
		return DifferentOutcome
	}
	return Unchanged
}

// around is how many lines that are the same are shown before and after one that is not.
const around = 2

// difference is what the sides would do, line by line: what only the first does after "- ", what only the second does after "+ ".
func difference(b, a *trial.Carried) []string {
	all := trial.Difference(strings.TrimSuffix(describeAll(b), "\n"), strings.TrimSuffix(describeAll(a), "\n"))
	changed := func(i int) bool { return i >= 0 && i < len(all) && !strings.HasPrefix(all[i], "  ") }
	var out []string
	left := false
	for i, line := range all {
		near := false
		for j := i - around; j <= i+around; j++ {
			near = near || changed(j)
		}
		switch {
		case near:
			out, left = append(out, strings.TrimRight(line, " ")), false
		case !left:
			out, left = append(out, "  …"), true
		}
	}
	return out
}

func describeAll(c *trial.Carried) string {
	var b strings.Builder
	for _, k := range kinds {
		b.WriteString(describeKind(c, k.kind))
	}
	b.WriteString(describeRest(c))
	return b.String()
}

// describeKind is the actions of a kind for people, and for comparing: equal texts are equal actions.
func describeKind(c *trial.Carried, kind string) string {
	if c == nil {
		return ""
	}
	var b strings.Builder
	for _, a := range c.Actions {
		if a["kind"] == kind {
			write(&b, kind+" "+fmt.Sprint(a["id"]), a)
		}
	}
	if kind == rules.KindAlert {
		for _, a := range c.Alerts {
			write(&b, "alert "+fmt.Sprint(a["id"])+" says", a)
		}
	}
	return b.String()
}

// describeRest is what is not carried out.
func describeRest(c *trial.Carried) string {
	if c == nil {
		return ""
	}
	var b strings.Builder
	for _, part := range []struct {
		what string
		of   map[string]any
	}{{"skipped", c.Skipped}, {"cannot be carried out", c.Broken}} {
		for _, id := range slices.Sorted(maps.Keys(part.of)) {
			fmt.Fprintf(&b, "%s %s: %v\n", id, part.what, part.of[id])
		}
	}
	return b.String()
}

func write(b *strings.Builder, title string, object map[string]any) {
	if item, _ := object["item"].(string); item != "" {
		title += " of " + item
	}
	b.WriteString(title + "\n")
	for _, name := range slices.Sorted(maps.Keys(object)) {
		v := object[name]
		if name == "id" || name == "kind" || name == "item" || v == nil || v == "" || v == false {
			continue
		}
		writeField(b, "  "+name, v)
	}
}

// writeField writes a field, a text of several lines as such, a list of objects one after the other.
func writeField(b *strings.Builder, name string, v any) {
	switch v := v.(type) {
	case string:
		if !strings.Contains(v, "\n") {
			fmt.Fprintf(b, "%s: %s\n", name, v)
			return
		}
		indent := "\n" + strings.Repeat(" ", len(name)-len(strings.TrimLeft(name, " "))+2)
		fmt.Fprintf(b, "%s:%s%s\n", name, indent, strings.ReplaceAll(v, "\n", indent))
		return
	case []any:
		if len(v) == 0 {
			return
		}
		if _, ok := v[0].(map[string]any); ok {
			for i, e := range v {
				object, _ := e.(map[string]any)
				for _, field := range slices.Sorted(maps.Keys(object)) {
					if f := object[field]; f != nil && f != "" && f != false {
						writeField(b, fmt.Sprintf("%s[%d].%s", name, i, field), f)
					}
				}
			}
			return
		}
	}
	data, err := json.Marshal(v)
	if err != nil {
		data = fmt.Append(nil, v) // maps, lists and scalars always marshal
	}
	fmt.Fprintf(b, "%s: %s\n", name, data)
}
