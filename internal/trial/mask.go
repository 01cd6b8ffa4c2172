package trial

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/pkg/rules"
)

// masker takes e-mails, phone numbers and secrets out of values, and puts a mask in place of each: the same one for the same text, so
// that what was equal stays equal. Ids, hashes of commits and paths of repositories stay. First learn has to be told of all values, then
// they can be masked, in any order.
type masker struct {
	known  string            // text that is no secret: that of the rules
	masks  map[string]string // by what they stand for
	taken  map[string]bool   // masks that are in use, or were there before
	counts [3]int            // by kind
	whole  []string          // secrets that are masked wherever they stand, the longest first
}

// newMasker makes a masker for what comes with the rules in files. E-mails that a rule itself names stay, and of those whose domain one
// names the domain does: the rules would not work without.
func newMasker(files []rules.File) *masker {
	var b strings.Builder
	for _, f := range files {
		b.Write(f.Data)
		b.WriteByte('\n')
	}
	return &masker{known: b.String(), masks: map[string]string{}, taken: map[string]bool{}}
}

// maskForm is what a mask looks like.
var maskForm = regexp.MustCompile(`person-\d+@[\p{L}\p{N}.-]+|masked-\d+|\b10000\d{6}\b`)

const (
	domain     = "example.com"
	firstPhone = 10000000000 // no number begins so
)

// learn hears of a value and all below it.
func (m *masker) learn(n *yaml.Node) { m.each(n, "", m.learnScalar) }

func (m *masker) learnScalar(n *yaml.Node, name string) {
	if !isText(n) {
		return
	}
	for _, mask := range maskForm.FindAllString(n.Value, -1) {
		m.taken[mask] = true
	}
	if kind, ok := namedPrivate(name); ok && kind == maskSecret {
		m.remember(n.Value)
	}
	for _, p := range findPrivate(n.Value) {
		if p.kind == maskSecret {
			m.remember(n.Value[p.from:p.to])
		}
	}
}

// remember keeps a secret that is long enough to be looked for in other texts.
func (m *masker) remember(secret string) {
	if len(secret) < 8 || !looksRandom(secret) || isMask(secret) || strings.Contains(m.known, secret) || slices.Contains(m.whole, secret) {
		return
	}
	m.whole = append(m.whole, secret)
	slices.SortStableFunc(m.whole, func(a, b string) int { return len(b) - len(a) })
}

func isMask(text string) bool {
	return maskForm.FindString(text) == text || text == rules.Redacted
}

// mask masks a value and all below it, in place.
func (m *masker) mask(n *yaml.Node) { m.each(n, "", m.maskScalar) }

func (m *masker) maskScalar(n *yaml.Node, name string) {
	kind, private := namedPrivate(name)
	switch {
	case !isText(n):
		if private && isNumber(n) && len(n.Value) >= 6 && !isMask(n.Value) {
			if kind == maskSecret {
				kind = maskPhone // a number stays one
			}
			n.Value = m.of(n.Value, kind)
		}
	case private && n.Value != "":
		if whole := strings.TrimSpace(n.Value); !isMask(whole) {
			n.Value = m.of(n.Value, kind)
		}
	default:
		n.Value = m.text(n.Value, namesNumber(name))
	}
}

// text masks what is private in a text. digits tells that a number in it is no phone number.
func (m *masker) text(text string, digits bool) string {
	for range 8 { // what stands around a mask may come to look private in its turn
		next := m.once(text, digits)
		if next == text {
			break
		}
		text = next
	}
	return text
}

func (m *masker) once(text string, digits bool) string {
	found := findPrivate(text)
	for _, secret := range m.whole {
		for from := 0; ; {
			i := strings.Index(text[from:], secret)
			if i < 0 {
				break
			}
			found = append(found, place{from + i, from + i + len(secret), maskSecret})
			from += i + len(secret)
		}
	}
	var b strings.Builder
	done := 0
	for _, p := range joined(found) {
		part := text[p.from:p.to]
		if isMask(part) || digits && p.kind == maskPhone || p.kind == maskEmail && m.names(part) {
			continue
		}
		b.WriteString(text[done:p.from])
		b.WriteString(m.of(part, p.kind))
		done = p.to
	}
	return b.String() + text[done:]
}

// names tells whether the rules name an e-mail.
func (m *masker) names(email string) bool { return strings.Contains(m.known, email) }

// of is the mask of a text.
func (m *masker) of(text string, kind maskKind) string {
	if mask := m.masks[text]; mask != "" {
		return mask
	}
	for {
		m.counts[kind]++
		mask := ""
		switch n := m.counts[kind]; kind {
		case maskEmail:
			at := text[strings.LastIndexByte(text, '@')+1:]
			if !strings.Contains(m.known, "@"+at) {
				at = domain
			}
			mask = fmt.Sprintf("person-%d@%s", n, at)
		case maskPhone:
			mask = strconv.Itoa(firstPhone + n)
		default:
			mask = fmt.Sprintf("masked-%d", n)
		}
		if !m.taken[mask] {
			m.taken[mask] = true
			m.masks[text] = mask
			return mask
		}
	}
}

// parameter is the name of a parameter of a build task, which is a list: {name: name, value: API_KEY}, {name: defaultValue, value: …}.
// "" when the list is none, or its name is of nothing private.
func parameter(list *yaml.Node) string {
	for _, e := range list.Content {
		k, v := valueOfKey(e, "name"), valueOfKey(e, "value")
		if k == nil || v == nil || k.Value != "name" {
			continue
		}
		if _, private := namedPrivate(v.Value); private {
			return v.Value
		}
	}
	return ""
}

// valueOfKey is the value of a key of a mapping, nil when there is none.
func valueOfKey(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// each visits the scalars of a value with the name of each: its key, or, of one that stands under value, the name beside it or above.
func (m *masker) each(n *yaml.Node, name string, visit func(n *yaml.Node, name string)) {
	switch n.Kind {
	case yaml.SequenceNode:
		called := parameter(n)
		for _, e := range n.Content {
			if k := valueOfKey(e, "name"); called != "" && k != nil && k.Value == "defaultValue" && valueOfKey(e, "value") != nil {
				m.each(valueOfKey(e, "value"), called, visit)
				continue
			}
			m.each(e, name, visit)
		}
	case yaml.MappingNode:
		called := ""
		if _, private := namedPrivate(name); private {
			called = name
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k, v := n.Content[i], n.Content[i+1]; slices.Contains([]string{"name", "key"}, k.Value) && isText(v) {
				called = v.Value
			}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			below := k.Value
			if called != "" && slices.Contains([]string{"value", "default_value", "default"}, k.Value) {
				below = called
			}
			visit(k, "") // a key of a map may be an e-mail
			m.each(v, below, visit)
		}
	case yaml.ScalarNode:
		visit(n, name)
	}
}

func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!str" }

func isNumber(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float")
}
