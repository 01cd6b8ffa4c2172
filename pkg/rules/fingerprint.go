package rules

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fingerprint is the same for two rules that read the same: all that is written under the rule, its name included, and, when the rule
// speaks of vars, those of its file, without comments, places and the way texts are quoted. Such rules, compiled with the same catalogue, do the same with the same
// event, facts and memory; the converse does not hold.
func (r *Rule) Fingerprint() [sha256.Size]byte { return r.fingerprint }

// TakesType tells whether `on` takes events of a type. Rules that are off take them too.
func (r *Rule) TakesType(kind string) bool {
	if r.criteria.schedule != "" {
		return kind == tickType
	}
	return r.criteria.takesType(kind)
}

// fingerprint is taken of what is written and not of what it is compiled to: so no key can be forgotten.
func fingerprint(rule, vars *yaml.Node) (sum [sha256.Size]byte) {
	h := sha256.New()
	hashNode(h, rule)
	if names(rule, rootVars) {
		hashNode(h, vars)
	}
	h.Sum(sum[:0])
	return sum
}

// names tells whether a word is anywhere in a node: no expression can read what it does not name.
func names(n *yaml.Node, word string) bool {
	return strings.Contains(n.Value, word) || slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return names(c, word) })
}

// hashNode writes a node so that different ones are different bytes. There are no aliases.
func hashNode(h hash.Hash, n *yaml.Node) {
	if n == nil {
		n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	}
	value := n.Value
	if isNull(n) {
		value = "" // null, ~ and nothing at all
	}
	var buf [3 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(buf[:0], uint64(n.Kind))
	b = binary.AppendUvarint(b, uint64(len(n.Content)))
	b = binary.AppendUvarint(b, uint64(len(value)))
	h.Write(b)
	h.Write([]byte(n.ShortTag()))
	h.Write([]byte{0})
	h.Write([]byte(value))
	for _, c := range n.Content {
		hashNode(h, c)
	}
}
