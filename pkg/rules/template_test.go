package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitTemplate(t *testing.T) {
	for _, c := range []struct {
		src      string
		want     []string // expressions begin with =
		unclosed int
	}{
		{"", nil, -1},
		{"text }} only {{ $ { {", []string{"text }} only {{ $ { {"}, -1},
		{"a ${{ b }} c", []string{"a ", "= b ", " c"}, -1},
		{"${{a}}${{b}}", []string{"=a", "=b"}, -1},
		{`${{ {"a": {"b": 1}} }}`, []string{`= {"a": {"b": 1}} `}, -1},
		{`${{ "}}" + '}}' }}`, []string{`= "}}" + '}}' `}, -1},
		{`${{ "\"}}" }}`, []string{`= "\"}}" `}, -1},
		{`${{ r"\" }}`, []string{`= r"\" `}, -1},
		{`${{ """a"}}""" }}`, []string{`= """a"}}""" `}, -1},
		{`${{ "${{" }}`, []string{`= "${{" `}, -1},
		{"x ${{ a", []string{"x "}, 2},
		{`x ${{ "a }}`, []string{"x "}, 2},
		{"${{ a } }}", nil, 0},
	} {
		pieces, unclosed := splitTemplate(c.src)
		var got []string
		for _, p := range pieces {
			s := p.text
			if p.isExpr {
				s = "=" + s
			}
			got = append(got, s)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || unclosed != c.unclosed {
			t.Errorf("%q: unclosed at %d, want %d\n%s", c.src, unclosed, c.unclosed, diff)
		}
	}
}

func FuzzSplitTemplate(f *testing.F) {
	for _, s := range []string{"", "a ${{ b }} c", `${{ {"a": {"b": "}}"}} }}`, "${{", "${{ }}}}", `${{ r'\' }}`, "${{ '''", "\xff${{ \xff }}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		pieces, unclosed := splitTemplate(src)
		var b strings.Builder
		for _, p := range pieces {
			if !strings.HasPrefix(src[p.offset:], p.text) {
				t.Fatalf("piece %q is not at %d", p.text, p.offset)
			}
			if p.isExpr {
				b.WriteString(openTemplate + p.text + closeTemplate)
			} else {
				b.WriteString(p.text)
			}
		}
		switch {
		case unclosed < 0 && b.String() != src:
			t.Fatalf("the pieces of %q make %q", src, b.String())
		case unclosed >= 0 && (b.String() != src[:unclosed] || !strings.HasPrefix(src[unclosed:], openTemplate)):
			t.Fatalf("%q: unclosed at %d after %q", src, unclosed, b.String())
		}
	})
}

// TestTextParts keeps the author's words and the values apart.
func TestTextParts(t *testing.T) {
	r := compileFiles(t, File{Name: "r.yaml", Data: []byte(`
vars: { page: "https://example.com/runbook" }
rules:
  - name: r
    on: push
    do:
      - notify:
          to: ops
          title: "${{ event.branch }}"
          text: "[runbook](${{ vars.page }}) ${{ event.author.name }} pushed ${{ size(event.commits) }}, ${{ '*' + 'bold*' }} ${{ event.raw.extra.f }} ${{ '' + event.branch }}"
`)}).Rule("r")
	n := decide(t, begin(t, r, pushView())).Items[0].Actions[0].Notify
	want := Text{
		{Literal: "[runbook](https://example.com/runbook) "},
		{Value: "Wu Mei"},
		{Literal: " pushed "},
		{Value: "1"},
		{Literal: ", *bold* "},
		{Value: "1"},
		{Literal: " "},
		{Value: "release/1.2"},
	}
	if diff := cmp.Diff(want, n.Text); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Text{{Value: "release/1.2"}}, n.Title); diff != "" {
		t.Error(diff)
	}
}

// TestTextPartsOfShadowedNames takes nothing of an event for the author's own words, whatever a loop in the expression is called.
func TestTextPartsOfShadowedNames(t *testing.T) {
	for _, text := range []string{"[1].map(event, .event.branch)[0]", ".event.branch", "[event].map(event, event.branch)[0]", "[1].map(x, .event.branch)[0]"} {
		r := compileRule(t, "do: [{notify: {to: ops, title: t, text: '${{ "+text+" }}'}}]\n")
		n := decide(t, begin(t, r, pushView())).Items[0].Actions[0].Notify
		if diff := cmp.Diff(Text{{Value: "release/1.2"}}, n.Text); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}
