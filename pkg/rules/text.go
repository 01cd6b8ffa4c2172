package rules

import "strings"

// Text is a message to people: the author's markdown, and between it values that came from an event or a fact. The two are kept
// apart so that each channel can escape the values its own way; a value never becomes markup, a mention or a link.
type Text []Part

// Part is either the author's own words or a value; exactly one of the two is set.
type Part struct {
	Literal string `json:"t,omitempty"`
	Value   string `json:"v,omitempty"`
}

// Plain joins the parts without any escaping, for logs and comparisons.
func (t Text) Plain() string {
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.Literal)
		b.WriteString(p.Value)
	}
	return b.String()
}

func (t Text) size() int {
	n := 0
	for _, p := range t {
		n += len(p.Literal) + len(p.Value)
	}
	return n
}
