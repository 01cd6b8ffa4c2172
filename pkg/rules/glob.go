package rules

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// maxGlob is the longest glob, in characters. It bounds the states a match has to follow, and nothing a person writes comes near it.
const maxGlob = 255

// The wildcards among the tokens of a glob; every other token is a character that stands for itself.
const (
	anyOne  rune = -1 - iota // ?  one character, not the separator
	anyRun                   // *  any run of characters without the separator, also none
	anyDeep                  // ** any run of characters, also none
	invalid                  // a byte of the value that is not UTF-8: only a wildcard takes it
)

// errNoType is why newTypePattern refuses a pattern that no event type matches; the parser adds the nearest right name.
var errNoType = errors.New("no event type matches it")

// pattern is one value a condition names: the text itself, or a glob. The zero pattern matches the empty text.
//
// A glob is matched against the whole value, case-sensitively:
//
//	?   one character, not a "/"
//	*   any run of characters without a "/", also an empty one
//	**  any run of characters, also across "/", also an empty one
//
// Everything else stands for itself, brackets and backslashes too: "*[bot]" is a name that ends in "[bot]".
// "release/**" takes "release/1" and "release/1/2", but not "release".
type pattern struct {
	text   string
	glob   bool
	sep    byte     // what * and ? do not cross: '/', or '.' in event types
	prefix string   // the literal text before the first wildcard
	suffix string   // the literal text after the last wildcard
	middle []rune   // the tokens from the first wildcard to the last
	inner  string   // the literal text between two ** or two *, when that is all of middle
	kinds  []string // of a glob of newTypePattern: the known types it takes
}

// exactly returns the pattern that matches text alone.
func exactly(text string) pattern { return pattern{text: text} }

// isGlob reports whether a scalar of a rule is meant as a glob.
func isGlob(text string) bool { return strings.ContainsAny(text, "*?") }

// newPattern returns a glob if text has a wildcard in it, and else the pattern of exactly text: the meaning of a plain scalar in `match`.
func newPattern(text string) (pattern, error) {
	if isGlob(text) {
		return newGlob(text)
	}
	return exactly(text), nil
}

// newGlob compiles a glob. A text without wildcards is a glob that matches itself. The error says what to write instead.
func newGlob(text string) (pattern, error) { return compileGlob(text, '/') }

// newTypePattern compiles what `on` says: an event type, or a glob in which "." separates ("merge_request.*").
// A glob takes the types of known; "*" alone takes all of them. Types unknown.… are taken only by a pattern that begins with
// "unknown.". A glob that can take no type is refused with an error that wraps errNoType.
func newTypePattern(text string, known []string) (pattern, error) {
	if !isGlob(text) {
		return exactly(text), nil
	}
	p, err := compileGlob(text, '.')
	if err != nil {
		return pattern{}, err
	}
	all := text == "*" || text == "**"
	for _, kind := range known {
		if !isUnknown(kind) && (all || p.match(kind)) {
			p.kinds = append(p.kinds, kind)
		}
	}
	if len(p.kinds) == 0 && !p.takesUnknown() {
		return pattern{}, fmt.Errorf("event type %q: %w", text, errNoType)
	}
	return p, nil
}

const unknownTypes = "unknown."

func isUnknown(kind string) bool { return strings.HasPrefix(kind, unknownTypes) }

// takesUnknown reports whether a type glob asks for events of unknown kind.
func (p *pattern) takesUnknown() bool { return p.glob && isUnknown(p.prefix) }

// matchType reports whether a pattern of newTypePattern takes the event type.
func (p *pattern) matchType(kind string) bool {
	switch {
	case !p.glob:
		return p.text == kind
	case isUnknown(kind):
		return p.takesUnknown() && p.match(kind)
	}
	for _, k := range p.kinds {
		if k == kind {
			return true
		}
	}
	return false
}

func compileGlob(text string, sep byte) (pattern, error) {
	switch {
	case text == "":
		return pattern{}, errors.New(`the glob is empty; write "**" for any value`)
	case !utf8.ValidString(text):
		return pattern{}, fmt.Errorf("glob %q is not valid UTF-8; save the file as UTF-8", text)
	case utf8.RuneCountInString(text) > maxGlob:
		return pattern{}, fmt.Errorf("the glob has %d characters, at most %d are allowed; shorten it with *", utf8.RuneCountInString(text), maxGlob)
	case strings.Contains(text, "***"):
		return pattern{}, fmt.Errorf(`glob %q has three or more * in a row; write * (stops at %q) or ** (crosses it)`, text, sep)
	}
	p := pattern{text: text, glob: true, sep: sep}
	first := strings.IndexAny(text, "*?")
	if first < 0 {
		p.prefix = text
		return p, nil
	}
	last := strings.LastIndexAny(text, "*?") + 1
	p.prefix, p.suffix = text[:first], text[last:]
	for rest := text[first:last]; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case strings.HasPrefix(rest, "**"):
			r, n = anyDeep, 2
		case r == '*':
			r = anyRun
		case r == '?':
			r = anyOne
		}
		p.middle = append(p.middle, r)
		rest = rest[n:]
	}
	p.inner = innerText(p.middle, sep)
	return p, nil
}

// innerText is the text between two wildcards that are the same, "" if there are others or if they would meet a separator in it.
func innerText(middle []rune, sep byte) string {
	last := len(middle) - 1
	if last < 2 || middle[0] == anyOne || middle[0] != middle[last] {
		return ""
	}
	for _, r := range middle[1:last] {
		if r < 0 || r == rune(sep) {
			return ""
		}
	}
	return string(middle[1:last])
}

// match reports whether the pattern takes the whole of s, in time linear in len(s) and without allocation.
func (p *pattern) match(s string) bool {
	if !p.glob {
		return s == p.text
	}
	if len(s) < len(p.prefix)+len(p.suffix) || !strings.HasPrefix(s, p.prefix) || !strings.HasSuffix(s, p.suffix) {
		return false
	}
	s = s[len(p.prefix) : len(s)-len(p.suffix)]
	switch {
	case len(p.middle) == 0:
		return s == ""
	case len(p.middle) == 1 && p.middle[0] == anyDeep:
		return true
	case len(p.middle) == 1 && p.middle[0] == anyRun:
		return strings.IndexByte(s, p.sep) < 0
	case p.inner != "":
		return (p.middle[0] == anyDeep || strings.IndexByte(s, p.sep) < 0) && strings.Contains(s, p.inner)
	}
	return p.run(s)
}

// states is a set of positions in the tokens of a glob: i is in it when the tokens before i have taken the text so far.
type states [(maxGlob + 64) / 64]uint64

// run follows every way the tokens can take s at once, so no text, however it was chosen, makes it slow.
func (p *pattern) run(s string) bool {
	var now states
	p.enter(&now, 0)
	for s != "" {
		c, n := utf8.DecodeRuneInString(s)
		if c == utf8.RuneError && n == 1 {
			c = invalid
		}
		s = s[n:]
		if now = p.step(&now, c); now == (states{}) {
			return false
		}
	}
	end := len(p.middle)
	return now[end/64]&(1<<(end%64)) != 0
}

func (p *pattern) step(now *states, c rune) (next states) {
	for w, word := range now {
		for ; word != 0; word &= word - 1 {
			i := w*64 + bits.TrailingZeros64(word)
			if i == len(p.middle) {
				continue
			}
			switch t := p.middle[i]; {
			case t == anyDeep, t == anyRun && c != rune(p.sep):
				p.enter(&next, i)
			case t == anyOne && c != rune(p.sep), t == c:
				p.enter(&next, i+1)
			}
		}
	}
	return next
}

// enter adds i, and what is reached from it by runs that take nothing.
func (p *pattern) enter(set *states, i int) {
	set[i/64] |= 1 << (i % 64)
	for i < len(p.middle) && (p.middle[i] == anyRun || p.middle[i] == anyDeep) {
		i++
		set[i/64] |= 1 << (i % 64)
	}
}
