package rules

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// warnShadowed warns of a rule that says just what one before it says, so that everything is done twice.
func (b *ruleCompiler) warnShadowed(m *mapping) {
	if b.rule.mode == ModeOff {
		return
	}
	said := b.rule.mode + "\n" + b.said(m)
	if first, taken := b.same[said]; taken {
		b.warn(b.rule, b.rule.pos, ProblemShadowed, "leave one of the two out", "rule %s does just what rule %s at %s does, so it is done twice", b.rule.name, first.name, first.pos)
		return
	}
	b.same[said] = b.rule
}

// said is what a rule says, without its name and what is for people. Two rules that say the same are equal in it, however they are
// written.
func (b *ruleCompiler) said(m *mapping) string {
	var out strings.Builder
	for _, name := range slices.Sorted(slices.Values(m.keys)) {
		switch name {
		case "name", "description", "mode":
			continue
		}
		if v := m.values[name]; !isNull(v) {
			out.WriteString(name + ":")
			writeSaid(&out, v)
		}
	}
	if strings.Contains(out.String(), rootVars) {
		out.WriteString(rootVars + ":")
		writeSaid(&out, b.varsNode)
	}
	return out.String()
}

func writeSaid(out *strings.Builder, n *yaml.Node) {
	switch {
	case n == nil:
		return
	case n.Kind == yaml.MappingNode:
		out.WriteByte('{')
		keys := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			keys[n.Content[i].Value] = n.Content[i+1]
		}
		for _, k := range sortedKeys(keys) {
			writeSaidText(out, k)
			writeSaid(out, keys[k])
		}
		out.WriteByte('}')
	case n.Kind == yaml.SequenceNode && len(n.Content) == 1 && n.Content[0].Kind == yaml.ScalarNode:
		writeSaid(out, n.Content[0]) // where one value may stand, a list of it says the same
	case n.Kind == yaml.SequenceNode:
		out.WriteByte('[')
		for _, e := range n.Content {
			writeSaid(out, e)
		}
		out.WriteByte(']')
	default:
		writeSaidText(out, n.Value)
	}
}

// writeSaidText writes a text so that no other text runs on into the same.
func writeSaidText(out *strings.Builder, text string) {
	out.WriteString(strconv.Quote(text) + ",")
}
