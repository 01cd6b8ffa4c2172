package config

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile is the largest configuration file or file of a secret that is read.
const maxFile = 1 << 20

// parse reads the file's text into cfg. It returns false when it is not YAML and so nothing more can be said about it.
func (l *loader) parse(data []byte, cfg reflect.Value, root *setting) bool {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) { // an empty file is all defaults
			l.syntax(err)
			return false
		}
		return true
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		l.report(at(&second), faultf("remove it", "a second document in one file"))
	} else if !errors.Is(err, io.EOF) {
		l.syntax(err)
		return false
	}
	if len(doc.Content) == 1 {
		l.section(doc.Content[0], cfg, root, "")
	}
	return true
}

// syntax reports what the YAML parser says, with the line it names.
func (l *loader) syntax(err error) {
	message, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	l.report(place{line: line, col: 1}, faultf("", "not YAML: %s", message))
}

// section reads a mapping with the fixed keys of s into dst. path is the section's, dotted, "" for the whole file.
func (l *loader) section(n *yaml.Node, dst reflect.Value, s *setting, path string) {
	l.mapping(n, kindSection, path, func(key, value *yaml.Node) {
		child := s.child(key.Value)
		if child == nil {
			hint := didYouMean(key.Value, s.keys())
			if hint == "" {
				hint = "expected one of " + strings.Join(s.keys(), ", ")
			}
			l.fail(path, at(key), faultf(hint, "unknown setting %s%s", quote(key.Value), within(path)))
			return
		}
		l.value(value, dst.Field(child.field), child, join(path, key.Value))
	})
}

// entries reads a mapping of names, each with a section.
func (l *loader) entries(n *yaml.Node, dst reflect.Value, s *setting, path string) {
	l.mapping(n, kindEntries, path, func(key, value *yaml.Node) {
		if !nameFits(key.Value) {
			l.fail(path, at(key), faultf("", "expected a name of at most 40 lower-case letters, digits and hyphens%s, found %s", within(path), quote(key.Value)))
			return
		}
		p := join(path, key.Value)
		l.places[p] = at(key)
		entry := reflect.New(s.entry).Elem()
		l.fill(entry, s.children)
		l.section(value, entry, s, p)
		put(dst, key.Value, entry)
	})
}

// mapping walks the pairs of n, having reported what is not a mapping, and every key that comes twice.
func (l *loader) mapping(n *yaml.Node, k kind, path string, pair func(key, value *yaml.Node)) {
	if l.isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.fail(path, at(n), faultf("", "expected %s%s, found %s", k.want(), within(path), found(n)))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			l.fail(path, at(key), faultf("", "expected the name of a setting%s, found %s", within(path), found(key)))
			continue
		}
		if line, twice := first[key.Value]; twice {
			l.fail(path, at(key), faultf("remove one of them", "%s is already set in line %d", quote(key.Value), line))
			continue
		}
		first[key.Value] = key.Line
		pair(key, value)
	}
}

// value reads one setting, whatever its kind.
func (l *loader) value(n *yaml.Node, dst reflect.Value, s *setting, path string) {
	l.places[path] = at(n)
	switch s.kind {
	case kindSection:
		l.section(n, dst, s, path)
	case kindEntries:
		l.entries(n, dst, s, path)
	case kindSecret:
		if secret, ok := l.secret(n, s, path); ok {
			dst.Set(reflect.ValueOf(secret))
		}
	case kindTexts, kindSecrets:
		l.list(n, dst, s, path)
	default:
		if text, ok := l.scalar(n, s, path); ok {
			if f := l.set(dst, s, text, l.folder); f != nil {
				l.fail(path, at(n), f)
			}
		}
	}
}

// list reads a sequence; a single item may stand without one.
func (l *loader) list(n *yaml.Node, dst reflect.Value, s *setting, path string) {
	items := n.Content
	if n.Kind != yaml.SequenceNode {
		items = []*yaml.Node{n}
	}
	for _, item := range items {
		if s.kind == kindSecrets {
			if secret, ok := l.secret(item, s, path); ok {
				dst.Set(reflect.Append(dst, reflect.ValueOf(secret)))
			}
			continue
		}
		text, ok := l.scalar(item, s, path)
		if !ok {
			continue
		}
		text, f := checkText(s, text, l.folder)
		if f != nil {
			l.fail(path, at(item), f)
			continue
		}
		dst.Set(reflect.Append(dst, reflect.ValueOf(text)))
	}
}

// scalar returns the text of a node that fits the kind of s: text takes numbers, a number takes no quotes.
func (l *loader) scalar(n *yaml.Node, s *setting, path string) (string, bool) {
	want, tag := s.kind.want(), n.ShortTag()
	if s.kind == kindTexts && n.Kind != yaml.MappingNode {
		want = kindText.want()
	}
	hint := ""
	switch {
	case n.Kind != yaml.ScalarNode || tag == "!!null":
	case s.kind == kindBool:
		if tag == "!!bool" {
			return strings.ToLower(n.Value), true
		}
		if tag == "!!str" && (n.Value == "true" || n.Value == "false") {
			hint = "remove the quotes"
		}
	case tag == "!!bool":
		if want == kindText.want() {
			hint = "put it in quotes if it is a text"
		}
	case s.kind == kindInt && tag != "!!int":
		if tag == "!!str" && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			hint = "remove the quotes if it is a number"
		}
	case n.Value == "":
		hint = "remove the setting to take its default"
	default:
		return n.Value, true
	}
	l.fail(path, at(n), faultf(hint, "expected %s%s, found %s", want, within(path), found(n)))
	return "", false
}

// isNull is for sections, where nothing written is nothing set.
func (l *loader) isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

func at(n *yaml.Node) place { return place{line: max(n.Line, 1), col: max(n.Column, 1)} }

// found says in a message what a node is, without its text: it may be a secret in the wrong place.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "settings"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias, which is not read here: write the value out"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float", "!!bool":
		return n.Value
	}
	if n.Value == "" {
		return "an empty text"
	}
	return "a text"
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func within(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

// put sets an entry of a map that may not exist yet.
func put(entries reflect.Value, name string, entry reflect.Value) {
	if entries.IsNil() {
		entries.Set(reflect.MakeMap(entries.Type()))
	}
	entries.SetMapIndex(reflect.ValueOf(name), entry)
}

func nameFits(name string) bool {
	return regexp.MustCompile(`^[a-z0-9-]{1,40}$`).MatchString(name)
}
