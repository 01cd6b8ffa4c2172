package trial

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/rules"
)

// resultSpec is what a test says of the result of a commit or a build: of some items, and of all others.
type resultSpec struct {
	node  *yaml.Node
	all   json.RawMessage
	items map[string]json.RawMessage
}

// results reads what became of actions, by their ids.
func (r *fileReader) results(n *yaml.Node, above map[string]*resultSpec) map[string]*resultSpec {
	out := maps.Clone(above)
	if out == nil {
		out = map[string]*resultSpec{}
	}
	if n == nil {
		return out
	}
	m := r.mapping(n, "results")
	if m == nil {
		return out
	}
	for _, k := range m.keys {
		what := "results." + k.Value
		spec := &resultSpec{node: k, items: map[string]json.RawMessage{}}
		body := r.mapping(m.values[k.Value], what, append(resultFields(), "items")...)
		if body == nil {
			continue
		}
		spec.all = r.result(body, what)
		if items := body.get("items"); items != nil {
			im := r.mapping(items, what+".items")
			for i := 0; im != nil && i < len(im.keys); i++ {
				key := im.keys[i].Value
				at := fmt.Sprintf("%s.items.%s", what, key)
				if b := r.mapping(im.values[key], at, resultFields()...); b != nil {
					spec.items[key] = r.result(b, at)
				}
			}
		}
		out[k.Value] = spec
	}
	return out
}

func resultFields() []string {
	var names []string
	t := rules.TypeFor[rules.Result]("Result")
	for i := range t.Fields {
		names = append(names, t.Fields[i].Name)
	}
	return names
}

// result reads the fields of one result, checked against their types.
func (r *fileReader) result(m *mapping, what string) json.RawMessage {
	t := rules.TypeFor[rules.Result]("Result")
	values := map[string]any{}
	for _, k := range m.keys {
		field, ok := t.Field(k.Value)
		if !ok {
			continue // items
		}
		n := m.values[k.Value]
		r.conform(n, field.Type, what+"."+k.Value)
		if v, ok := r.value(n, what+"."+k.Value); ok {
			if field.Type.Kind == rules.String && v != nil {
				v = n.Value
			}
			values[k.Value] = v
		}
	}
	return asJSON(values)
}

// apply puts what the test says over a made-up result.
func (s *resultSpec) apply(r *rules.Result, item string) {
	said, ok := s.items[item]
	if !ok {
		said = s.all
	}
	id := r.ID
	_ = json.Unmarshal(said, r) // it was checked when it was read
	if r.ID != id && len(r.ID) > 8 && r.ShortID == madeUpCommit[:8] {
		r.ShortID = r.ID[:8]
	}
}

// checkResults reports results of what is no commit and no build of the rules.
func (r *fileReader) checkResults(results map[string]*resultSpec, about []*rules.Rule) {
	var ids []string
	for _, rule := range about {
		for _, a := range r.ruleset.Outline(rule).Actions {
			if a.Kind == rules.KindCommit || a.Kind == rules.KindBuild {
				ids = append(ids, a.ID)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(results)) {
		if n := results[id].node; !slices.Contains(ids, id) && len(about) > 0 {
			what := fmt.Sprintf("results: no rule here has a commit or a build with the id %q", id)
			if len(about) == 1 {
				what = fmt.Sprintf("results: rule %s has no commit and no build with the id %q", about[0].Name(), id)
			}
			r.unknown(n, rules.ProblemName, ids, "%s", what)
		}
	}
}
