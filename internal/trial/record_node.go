package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/rules"
)

// textNode is a text as YAML has it.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	switch {
	case strings.HasPrefix(text, "\t"): // as the first line of several it would be read as a part of the indentation
		n.Style = yaml.DoubleQuotedStyle
	case strings.Contains(strings.TrimRight(text, "\n"), "\n"):
		n.Style = yaml.LiteralStyle
	}
	return n
}

// plainNode is a number, true, false or null.
func plainNode(literal string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: literal} }

// mapNode is a mapping of keys and values in turn.
func mapNode(pairs ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: pairs}
}

func listNode(elements ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: elements}
}

// put adds a key to a mapping.
func put(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, textNode(key), value)
}

// copied is a node of its own.
func copied(n *yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, e := range n.Content {
		c.Content[i] = copied(e)
	}
	return &c
}

// jsonNode is a JSON value as YAML, keys in the order they have there. Of equal keys the last counts.
func jsonNode(data []byte) (*yaml.Node, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	n, err := nextNode(dec)
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: there is more than one value")
	}
	return n, nil
}

func nextNode(dec *json.Decoder) (*yaml.Node, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '[' {
			return nextList(dec)
		}
		return nextMap(dec)
	case string:
		return textNode(v), nil
	case json.Number:
		return plainNode(v.String()), nil
	case bool:
		return plainNode(fmt.Sprint(v)), nil
	}
	return plainNode("null"), nil
}

func nextList(dec *json.Decoder) (*yaml.Node, error) {
	out := listNode()
	for dec.More() {
		e, err := nextNode(dec)
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, e)
	}
	_, err := dec.Token()
	return out, err
}

func nextMap(dec *json.Decoder) (*yaml.Node, error) {
	out := mapNode()
	places := map[string]int{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string) // the decoder takes nothing else
		v, err := nextNode(dec)
		if err != nil {
			return nil, err
		}
		if at, twice := places[name]; twice {
			out.Content[at] = v
			continue
		}
		put(out, name, v)
		places[name] = len(out.Content) - 1
	}
	_, err := dec.Token()
	return out, err
}

// nodeJSON is a value as JSON, keys in their order.
func nodeJSON(n *yaml.Node) string {
	var b strings.Builder
	writeJSON(&b, n, "")
	return b.String()
}

// indentedJSON is nodeJSON over several lines.
func indentedJSON(n *yaml.Node) string {
	var b strings.Builder
	writeJSON(&b, n, "\n")
	return b.String()
}

// writeJSON writes a value; between is what separates elements, "" for nothing.
func writeJSON(b *strings.Builder, n *yaml.Node, between string) {
	below := between
	if between != "" {
		below += " "
	}
	switch n.Kind {
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, e := range n.Content {
			b.WriteString(comma(i) + below)
			writeJSON(b, e, below)
		}
		b.WriteString(between + "]")
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			b.WriteString(comma(i) + below + quoted(n.Content[i].Value) + ":")
			writeJSON(b, n.Content[i+1], below)
		}
		b.WriteString(between + "}")
	default:
		if isText(n) {
			b.WriteString(quoted(n.Value))
			return
		}
		b.WriteString(n.Value)
	}
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

func quoted(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return `""` // a text always marshals
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// withoutNulls leaves out what a value of a type need not say: fields that are null.
func withoutNulls(n *yaml.Node, t *rules.Type) {
	if t == nil {
		return
	}
	switch {
	case n.Kind == yaml.SequenceNode && t.Kind == rules.List:
		for _, e := range n.Content {
			withoutNulls(e, t.Elem)
		}
	case n.Kind == yaml.MappingNode && t.Kind == rules.Map:
		for i := 1; i < len(n.Content); i += 2 {
			withoutNulls(n.Content[i], t.Elem)
		}
	case n.Kind == yaml.MappingNode && t.Kind == rules.Object:
		var kept []*yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if v.Kind == yaml.ScalarNode && v.Value == "null" && !isText(v) {
				continue
			}
			if f, ok := t.Field(k.Value); ok {
				withoutNulls(v, f.Type)
			}
			kept = append(kept, k, v)
		}
		n.Content = kept
	}
}

// written as it is read: encode makes a file of a root.
func encode(root *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(root), enc.Close()); err != nil {
		return nil, fmt.Errorf("write the test: %w", err)
	}
	return b.Bytes(), nil
}

// readsAs tells whether a value, written as YAML, is read as the JSON it came from: a test's YAML has limits that JSON has not.
func readsAs(n *yaml.Node) bool {
	data, err := encode(mapNode(textNode("v"), mapNode(textNode("v"), n))) // as deep as it will stand
	if err != nil {
		return false
	}
	root, wrong := rules.ReadYAML(rules.File{Name: "v", Data: data})
	if root == nil || wrong.HasErrors() {
		return false
	}
	r := &reader{}
	got, ok := r.value(root.Content[1].Content[1], "")
	want, err := decodeJSON([]byte(nodeJSON(n)))
	return ok && err == nil && sameJSON(got, want)
}

// sameJSON compares values of which one was read from YAML.
func sameJSON(a, b any) bool {
	x, errX := decodeJSON(asJSON(a))
	y, errY := decodeJSON(asJSON(b))
	return errX == nil && errY == nil && same(x, y)
}

func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		o, ok := b.(map[string]any)
		if !ok || len(a) != len(o) {
			return false
		}
		for k, v := range a {
			w, ok := o[k]
			if !ok || !same(v, w) {
				return false
			}
		}
		return true
	case []any:
		o, ok := b.([]any)
		return ok && slices.EqualFunc(a, o, same)
	case json.Number:
		o, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, errX := a.Float64()
		y, errY := o.Float64()
		return a == o || errX == nil && errY == nil && x == y && strings.ContainsAny(a.String()+o.String(), ".eE")
	}
	return a == b
}
