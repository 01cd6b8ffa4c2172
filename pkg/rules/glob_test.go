package rules

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millrace/millrace/pkg/events"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		glob    string
		takes   []string
		refuses []string
	}{
		{"shop/pay-*", []string{"shop/pay-", "shop/pay-api"}, []string{"shop/pay", "shop/pay-api/x", "Shop/pay-api", "xshop/pay-api"}},
		{"release/**", []string{"release/", "release/1", "release/1/2"}, []string{"release", "xrelease/1"}},
		{"*-api", []string{"-api", "pay-api"}, []string{"shop/pay-api", "pay-api2", "api"}},
		{"**-api", []string{"-api", "shop/pay-api"}, []string{"shop/api"}},
		{"**/api", []string{"/api", "shop/api", "a/b/api"}, []string{"api"}},
		{"*", []string{"", "main", "版本"}, []string{"a/b", "/"}},
		{"**", []string{"", "main", "a/b", "/", "\xff"}, nil},
		{"v?.?", []string{"v1.2", "v版.本"}, []string{"v1.", "v/.1", "v12.3", "v1/2"}},
		{"?", []string{"a", "版", "\xff"}, []string{"", "/", "ab", "\xff\xff"}},
		{"a*b*c", []string{"abc", "axbxc", "abbcc"}, []string{"ab", "a/bc", "abxcx"}},
		{"*/*", []string{"/", "a/b"}, []string{"a", "a/b/c"}},
		{"a**b*c/**", []string{"abc/", "a/x/bxc/y/z"}, []string{"a/b/c/", "abc"}},
		{"ab*ba", []string{"abba", "abxba"}, []string{"aba"}},
		{"x**pay**", []string{"xpay", "x/a-pay/b"}, []string{"pay", "x/pa/y"}},
		{"*pay*", []string{"pay", "a-pay-b"}, []string{"a/pay", "pay/", "pa"}},
		{"*a/b*", []string{"a/b", "xa/bx"}, []string{"x/a/b", "a/b/x", "ab"}},
		{"*[bot]", []string{"renovate[bot]"}, []string{"renovateb"}},
		{`a\*`, []string{`a\`, `a\b`}, []string{"a*"}},
		{"main", []string{"main"}, []string{"", "mainx", "xmain"}},
		{"x*\uFFFD*", []string{"x\uFFFD"}, []string{"x\xff"}},
	} {
		p, err := newGlob(tt.glob)
		if err != nil {
			t.Errorf("%s: %v", tt.glob, err)
			continue
		}
		for _, s := range tt.takes {
			if !p.match(s) {
				t.Errorf("%q does not take %q", tt.glob, s)
			}
		}
		for _, s := range tt.refuses {
			if p.match(s) {
				t.Errorf("%q takes %q", tt.glob, s)
			}
		}
	}
}

func TestGlobRefused(t *testing.T) {
	for glob, remedy := range map[string]string{
		"":                             `write "**"`,
		"a***":                         "write * (stops at '/') or **",
		"a\xff*":                       "save the file as UTF-8",
		strings.Repeat("版", 255) + "*": "at most 255",
	} {
		if _, err := newGlob(glob); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%q: %v, want an error with %q", glob, err, remedy)
		}
	}
	if _, err := newGlob(strings.Repeat("版", 254) + "*"); err != nil {
		t.Error(err)
	}
}

func TestTypePattern(t *testing.T) {
	known := len(events.Types())
	for _, tt := range []struct {
		text    string
		kinds   int // how many known types it takes
		takes   []string
		refuses []string
	}{
		{"push", 1, []string{"push"}, []string{"tag_push", "Push"}},
		{"merge_request.*", 9, []string{"merge_request.open"}, []string{"note.merge_request", "unknown.merge_request"}},
		{"*.merge_request", 1, []string{"note.merge_request"}, []string{"unknown.merge_request"}},
		{"*push", 2, []string{"push", "tag_push"}, []string{"unknown.push"}},
		{"*", known, []string{"push", "build.failed", tickType}, []string{"unknown.x", "not.known", ""}},
		{"**", known, []string{"push", "build.failed"}, []string{"unknown.x"}},
		{"unknown.*", 0, []string{"unknown.pipeline"}, []string{"push", "unknown"}},
		{"unknown.pipe*", 0, []string{"unknown.pipeline"}, []string{"unknown.job"}},
		{"unknown.pipeline", 0, []string{"unknown.pipeline"}, []string{"unknown.job"}},
	} {
		p, err := newTypePattern(tt.text, events.Types())
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		kinds := 0
		for _, kind := range events.Types() {
			if p.matchType(kind) {
				kinds++
			}
		}
		if kinds != tt.kinds {
			t.Errorf("%s takes %d known types, want %d", tt.text, kinds, tt.kinds)
		}
		for _, s := range tt.takes {
			if !p.matchType(s) {
				t.Errorf("%s does not take %s", tt.text, s)
			}
		}
		for _, s := range tt.refuses {
			if p.matchType(s) {
				t.Errorf("%s takes %s", tt.text, s)
			}
		}
	}
	for _, text := range []string{"merge_requests.*", "unknow*", "unknown*", "PUSH*"} {
		if _, err := newTypePattern(text, events.Types()); !errors.Is(err, errNoType) {
			t.Errorf("%s: %v, want errNoType", text, err)
		}
	}
	if p, err := newTypePattern("**", []string{"push", "unknown.a"}); err != nil || len(p.kinds) != 1 {
		t.Errorf("** takes %v of the known types (%v), want only push", p.kinds, err)
	}
	if _, err := newTypePattern("push***", events.Types()); err == nil || errors.Is(err, errNoType) {
		t.Errorf("push***: %v, want an error about the stars", err)
	}
}

// TestGlobHostile shows that a long value made to mislead a glob costs linear time: trying each way out in turn would take
// years here.
func TestGlobHostile(t *testing.T) {
	p := globOf(t, "**a*a*a**b*a*a?a**c*b*d")
	if s := strings.Repeat("a", 1<<17) + "/bd"; p.match(s) {
		t.Error("matched")
	}
}

func TestGlobAllocs(t *testing.T) {
	p := globOf(t, "a*b?c**d")
	if n := testing.AllocsPerRun(100, func() { p.match("a-b-c--d-版-d") }); n != 0 {
		t.Errorf("%v allocations a match", n)
	}
}

// globTakes is what a glob means, by trying everything.
func globTakes(glob, s string, sep rune) bool {
	if glob == "" {
		return s == ""
	}
	_, n := utf8.DecodeRuneInString(s)
	c := s[:n]
	switch {
	case strings.HasPrefix(glob, "**"):
		return globTakes(glob[2:], s, sep) || s != "" && globTakes(glob, s[n:], sep)
	case glob[0] == '*':
		return globTakes(glob[1:], s, sep) || s != "" && c != string(sep) && globTakes(glob, s[n:], sep)
	case glob[0] == '?':
		return s != "" && c != string(sep) && globTakes(glob[1:], s[n:], sep)
	}
	_, n = utf8.DecodeRuneInString(glob)
	return strings.HasPrefix(s, glob[:n]) && globTakes(glob[n:], s[n:], sep)
}

func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"release/**", "release/1/2"},
		{"a*b?c**d", "axb/c/d"},
		{"**/x-*-?", "a/x-/-x--y"},
		{"*版**?本", "版/版x本"},
		{"?\uFFFD*", "\xff\uFFFD"},
		{"aa*aa", "aaa"},
		{"*a/b*", "xa/b/"},
		{"x**pay**", "x/pay/"},
		{"*版*", "a版b"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, glob, s string) {
		if len(s) > 24 || strings.Count(glob, "*") > 5 {
			return // the reference takes exponential time
		}
		p, err := newGlob(glob)
		if err != nil {
			return
		}
		if got, want := p.match(s), globTakes(glob, s, '/'); got != want {
			t.Errorf("%q takes %q: %v, want %v", glob, s, got, want)
		}
	})
}
