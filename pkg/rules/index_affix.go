package rules

import (
	"slices"
	"strings"

	"github.com/millrace/millrace/pkg/events"
)

// affixes finds, for the value of a field, all of the literal texts of globs with which it begins, or ends. The texts are a
// tree of steps, so how many there are does not matter, only how much of the value they share.
type affixes struct {
	field  events.Field
	suffix bool // the texts are suffixes, read from their ends
	steps  []affixStep
}

// affixStep is a piece of text: an affix is the texts of the steps that lead to it.
type affixStep struct {
	text  string
	node  uint32 // of the rules whose affix is complete here, 0 for none
	first uint32 // the step after this one whose text begins with heads[0]; those of the other heads follow it
	heads string
}

// affix is a text with the node of the rules that need it.
type affix struct {
	text string
	node uint32
}

// newAffixes takes distinct affixes, none of them empty.
func newAffixes(field events.Field, suffix bool, all []affix) affixes {
	a := affixes{field: field, suffix: suffix, steps: make([]affixStep, 1)}
	slices.SortFunc(all, func(x, y affix) int { return a.compare(x.text, y.text) })
	a.grow(0, all)
	return a
}

// grow completes the step at, whose text the texts of all begin with, and adds those after it. They are sorted, so that one
// which is nothing more than the step's text comes first, and those that go on alike lie side by side.
func (a *affixes) grow(at uint32, all []affix) {
	text := all[0].text
	for _, x := range all[1:] {
		text = a.shared(text, x.text)
	}
	rest := make([]affix, 0, len(all))
	for _, x := range all {
		x.text, _ = a.cut(x.text, text)
		if x.text == "" {
			a.steps[at].node = x.node
		} else {
			rest = append(rest, x)
		}
	}
	var heads []byte
	var groups [][]affix
	for len(rest) > 0 {
		head, n := a.head(rest[0].text), 1
		for n < len(rest) && a.head(rest[n].text) == head {
			n++
		}
		heads = append(heads, head)
		groups = append(groups, rest[:n])
		rest = rest[n:]
	}
	first := uint32(len(a.steps))
	a.steps[at].text, a.steps[at].first, a.steps[at].heads = text, first, string(heads)
	a.steps = append(a.steps, make([]affixStep, len(groups))...)
	for i, g := range groups {
		a.grow(first+uint32(i), g)
	}
}

// next is the position of the step that goes on with the head.
func (s *affixStep) next(head byte) (uint32, bool) {
	i := strings.IndexByte(s.heads, head)
	return s.first + uint32(i), i >= 0
}

// head is the byte of a text that is read first.
func (a *affixes) head(text string) byte {
	if a.suffix {
		return text[len(text)-1]
	}
	return text[0]
}

// cut removes an affix.
func (a *affixes) cut(value, affix string) (rest string, ok bool) {
	if a.suffix {
		return strings.CutSuffix(value, affix)
	}
	return strings.CutPrefix(value, affix)
}

// shared is the longest affix of both.
func (a *affixes) shared(x, y string) string {
	n, most := 0, min(len(x), len(y))
	if a.suffix {
		for n < most && x[len(x)-1-n] == y[len(y)-1-n] {
			n++
		}
		return x[len(x)-n:]
	}
	for n < most && x[n] == y[n] {
		n++
	}
	return x[:n]
}

// compare orders texts as they are read.
func (a *affixes) compare(x, y string) int {
	if !a.suffix {
		return strings.Compare(x, y)
	}
	n := len(a.shared(x, y))
	if n == len(x) || n == len(y) {
		return len(x) - len(y)
	}
	return int(x[len(x)-1-n]) - int(y[len(y)-1-n])
}
