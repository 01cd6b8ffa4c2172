package trial

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/rules"
)

// differ is told of each difference: the line of the test, what is compared, what is expected there and what there is.
type differ func(line int, what, expected, actual string)

// same compares a YAML value with what there is: of an object the fields that are named, of a list all elements, texts exactly.
func (tell differ) same(n *yaml.Node, actual any, what string) {
	switch actual := actual.(type) {
	case map[string]any:
		tell.sameObject(n, actual, what)
	case []any:
		tell.sameList(n, actual, what)
	default:
		if !sameScalar(n, actual) {
			tell(n.Line, what, written(n), said(actual))
		}
	}
}

func (tell differ) sameObject(n *yaml.Node, actual map[string]any, what string) {
	if n.Kind != yaml.MappingNode {
		tell(n.Line, what, written(n), said(actual))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		v, ok := actual[key]
		if !ok && !isNull(n.Content[i+1]) {
			tell(n.Content[i].Line, what+"."+key, written(n.Content[i+1]), "nothing")
			continue
		}
		tell.same(n.Content[i+1], v, what+"."+key)
	}
}

func (tell differ) sameList(n *yaml.Node, actual []any, what string) {
	elements := n.Content
	single := n.Kind == yaml.ScalarNode && !isNull(n)
	if single {
		elements = []*yaml.Node{n}
	} else if n.Kind != yaml.SequenceNode {
		tell(n.Line, what, written(n), said(actual))
		return
	}
	if len(elements) != len(actual) {
		wanted := make([]any, len(elements))
		for i, e := range elements {
			wanted[i], _ = new(reader).value(e, "")
		}
		tell(n.Line, what, listing(wanted), listing(actual))
		return
	}
	for i, e := range elements {
		at := fmt.Sprintf("%s[%d]", what, i)
		if single {
			at = what
		}
		tell.same(e, actual[i], at)
	}
}

func counted(n int) string {
	switch n {
	case 0:
		return "none"
	case 1:
		return "1 element"
	}
	return fmt.Sprintf("%d elements", n)
}

// listing shows a list that has not as many elements as expected, one in each line.
func listing(list []any) string {
	if len(list) == 0 {
		return "none"
	}
	lines := []string{counted(len(list))}
	for _, v := range list {
		lines = append(lines, short(withoutEmpty(v)))
	}
	return strings.Join(lines, "\n")
}

// withoutEmpty leaves out what says nothing.
func withoutEmpty(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, v := range m {
		if v == nil || v == "" || v == false || fmt.Sprint(v) == "[]" {
			continue
		}
		out[k] = v
	}
	return out
}

// sameScalar compares what is written with one value. A number is the text of its digits.
func sameScalar(n *yaml.Node, actual any) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	switch v := actual.(type) {
	case nil:
		return isNull(n) || n.Value == "" && n.Tag == "!!str"
	case string:
		return n.Value == v && !isNull(n) || isNull(n) && v == ""
	case bool:
		return n.Tag == "!!bool" && strings.EqualFold(n.Value, strconv.FormatBool(v))
	case json.Number:
		return n.Value == v.String()
	}
	var written float64
	if err := n.Decode(&written); err != nil {
		return false
	}
	switch v := actual.(type) {
	case int:
		return written == float64(v)
	case int64:
		return n.Value == strconv.FormatInt(v, 10)
	case float64:
		return written == v
	}
	return false
}

func sameDuration(text string, d time.Duration) bool {
	want, err := time.ParseDuration(text)
	return err == nil && want == d
}

// written is what the test says, said what there is; texts are as they are, everything else is JSON.
func written(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	v, _ := new(reader).value(n, "")
	return short(v)
}

func said(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	return short(v)
}

// because compares why the rule fired, or did not: a condition that held, or that did not, and what it saw.
func (c *comparison) because(n *yaml.Node) {
	condition, saw := n, (*yaml.Node)(nil)
	if n.Kind == yaml.MappingNode {
		m := new(reader).mapping(n, "because")
		condition, saw = m.get("condition"), m.get("saw")
	}
	verdict := rules.False
	if c.fired() {
		verdict = rules.True
	}
	var candidates []rules.Explanation
	visit := func(e rules.Explanation) {
		if e.Verdict == verdict && len(e.Children) == 0 {
			candidates = append(candidates, e)
		}
	}
	eachNode(c.Match, visit)
	if c.Decision != nil {
		for i := range c.Decision.Items {
			eachNode(c.Decision.Items[i].Explanation, visit)
		}
	}
	var lines []string
	for _, e := range candidates {
		line := e.Label
		if len(e.Seen) > 0 {
			line += ", saw " + string(e.Seen)
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
		if sameCondition(e.Label, condition.Value) && (saw == nil || sawSame(saw, e.Seen)) {
			return
		}
	}
	expected := condition.Value
	if saw != nil {
		expected += ", saw " + written(saw)
	}
	if len(lines) == 0 {
		lines = []string{c.Outcome + ", and no condition that is " + verdict}
	}
	c.fail(n.Line, "because", expected, strings.Join(lines, "\n"))
}

func sawSame(n *yaml.Node, seen json.RawMessage) bool {
	v, err := decodeJSON(seen)
	if err != nil {
		return isNull(n)
	}
	same := true
	differ(func(int, string, string, string) { same = false }).same(n, v, "")
	return same
}

func eachNode(e rules.Explanation, visit func(rules.Explanation)) {
	visit(e)
	for _, c := range e.Children {
		eachNode(c, visit)
	}
}
