package notify

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/pkg/rules"
)

func lit(s string) rules.Part { return rules.Part{Literal: s} }
func val(s string) rules.Part { return rules.Part{Value: s} }

// TestMarkdown: what a value becomes, depending on where the author put it. · stands for the zero width space.
func TestMarkdown(t *testing.T) {
	tests := []struct {
		name string
		text rules.Text
		want string
	}{
		{"literal", rules.Text{lit("**bold** [a](https://a.example) <at id=all></at>\n")}, "**bold** [a](https://a.example) <at id=all></at>\n"},
		{"words", rules.Text{lit("by "), val("Zoë (ops), 王伟 👩‍💻")}, "by Zoë (ops), 王伟 👩‍💻"},
		{"branch", rules.Text{val("feature/a_b-c.d")}, "feature/a_b-c.d"},
		{"link", rules.Text{val("[x](https://evil.example)")}, "［x］(https:·//evil.example)"},
		{"image", rules.Text{val("![x](//evil.example)")}, "!［x］(//evil.example)"},
		{"address", rules.Text{val("see http://evil.example or www.evil.example")}, "see http:·//evil.example or www·.evil.example"},
		{"mention", rules.Text{val("@all @所有人")}, "@·all @·所有人"},
		{"mail", rules.Text{val("a@b.example")}, "a@·b.example"},
		{"tag", rules.Text{val("<at id=all></at>")}, "＜at id=all＞＜/at＞"},
		{"entity", rules.Text{val("a &lt; b &#60; c & d")}, "a ＆lt; b ＆#60; c & d"},
		{"emphasis", rules.Text{val("*a* _b_ ~~c~~ `d`")}, "＊a＊ ＿b＿ ～～c～～ ｀d｀"},
		{"backslash", rules.Text{lit("["), val(`a\`), lit("](https://a.example)")}, "[a＼](https://a.example)"},
		{"lines", rules.Text{val("a\r\n\r\n# b\u2028c\td  e")}, "a # b c d e"},
		{"invisible", rules.Text{val("a\u202eb\u200bc\ufeffd\x00e\x1b[31mf")}, "abcd e ［31mf"},
		{"not text", rules.Text{val("a\xffb")}, "a\ufffdb"},
		{"heading", rules.Text{lit("text\n"), val("# a")}, "text\n·# a"},
		{"list", rules.Text{lit("- "), val("- a")}, "- ·- a"},
		{"numbered", rules.Text{val("1. a")}, "·1. a"},
		{"number", rules.Text{val("42")}, "42"},
		{"in a line", rules.Text{lit("a "), val("- b")}, "a - b"},
		{"table", rules.Text{lit("| "), val("a | b"), lit(" |")}, "| a ｜ b |"},
		{"after a bracket", rules.Text{lit("[a]"), val("(https://evil.example)")}, "[a]·(https:·//evil.example)"},
		{"after an at", rules.Text{lit("@"), val("all")}, "@·all"},
		{"before a link", rules.Text{val("done!"), lit("[a](https://a.example)")}, "done!·[a](https://a.example)"},
		{"after a scheme", rules.Text{lit("https:"), val("//evil.example")}, "https:·//evil.example"},
		{"between angles", rules.Text{lit("<"), val("at id=all"), lit(">")}, "<·at id=all>"},
		{"in a tag", rules.Text{lit("<at id="), val("ou_1>x"), lit("></at>")}, "<at id=ou_1x></at>"},
		{"everybody", rules.Text{lit("<at id="), val("ALL"), lit("></at>")}, "<at id=></at>"},
		{"everybody in quotes", rules.Text{lit(`<at id="`), val("all"), lit(`"></at>`)}, `<at id=""></at>`},
		{"everybody in parts", rules.Text{lit("<at id="), val("a"), val("LL"), lit("></at> <at id=al"), val("l"), lit("></at>")}, "<at id=a></at> <at id=al></at>"},
		{"less than", rules.Text{lit("a < b "), val("all")}, "a < b all"},

		{"target", rules.Text{lit("[a]("), val("https://a.example/x?y=z&b=1#c"), lit(")")}, "[a](https://a.example/x?y=z&b=1#c)"},
		{"target encoded", rules.Text{lit("[a]("), val("https://a.example/(x) <y>\n"), lit(")")}, "[a](https://a.example/%28x%29%20%3Cy%3E)"},
		{"target in words", rules.Text{lit("[a]("), val("https://例子.example/路径"), lit(")")}, "[a](https://例子.example/路径)"},
		{"target script", rules.Text{lit("[a]("), val("javascript:alert(1)"), lit(")")}, "[a](#)"},
		{"target data", rules.Text{lit("[a]("), val("dingtalk://dingtalkclient/page/link?url=x"), lit(")")}, "[a](#)"},
		{"target relative", rules.Text{lit("[a]("), val("//evil.example"), lit(")")}, "[a](#)"},
		{"target user", rules.Text{lit("[a]("), val("https://a.example@evil.example/"), lit(")")}, "[a](#)"},
		{"target backslash", rules.Text{lit("[a]("), val(`https://a.example\@evil.example/`), lit(")")}, "[a](#)"},
		{"target line", rules.Text{lit("[a]("), val("https://a.example/x\nhttps://b.example"), lit(")")}, "[a](#)"},
		{"target empty", rules.Text{lit("[a]("), val(" "), lit(")")}, "[a](#)"},
		{"target parts", rules.Text{lit("[a]("), val("https://a.example/r"), lit("/commits/"), val("x/../y) z"), lit(")")}, "[a](https://a.example/r/commits/x/../y%29%20z)"},
		{"target path", rules.Text{lit("[a](https://a.example/"), val("b?c=d#e@f"), lit(") "), val("*")}, "[a](https://a.example/b%3Fc%3Dd%23e%40f) ＊"},
	}
	for _, tt := range tests {
		if got := strings.ReplaceAll(markdown(tt.text), breaker, "·"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestTitle(t *testing.T) {
	plain, rich := titles(Message{Title: rules.Text{lit("Build\n"), val("*a*\n@all")}})
	if plain != "Build *a* @"+breaker+"all" || rich != "Build ＊a＊ @"+breaker+"all" {
		t.Errorf("got %q and %q", plain, rich)
	}
	if plain, _ := titles(Message{Title: rules.Text{val(strings.Repeat("界", 500))}}); len(plain) > maxTitle || !strings.HasSuffix(plain, ellipsis) {
		t.Errorf("%d bytes: %q", len(plain), plain)
	}
	if plain, rich := titles(Message{Title: rules.Text{val("\n")}}); plain != "Millrace" || rich != "Millrace" {
		t.Errorf("got %q and %q", plain, rich)
	}
}

func TestDestination(t *testing.T) {
	for address, want := range map[string]string{
		"https://a.example/x":           "https://a.example/x",
		"\thttps://a.example/x\n":       "https://a.example/x",
		"HTTPS://a.example":             "HTTPS://a.example",
		"http://a.example:80/%20?q=[1]": "http://a.example:80/%20?q=%5B1%5D",
		"":                              "",
		"a.example":                     "",
		"ftp://a.example":               "",
		"https://":                      "",
		"https://a.example/" + strings.Repeat("x", 2<<10): "",
	} {
		if got := destination(address); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}

func TestCutMarkdown(t *testing.T) {
	tests := []struct {
		text string
		n    int
		want string
	}{
		{"short", 5, "short"},
		{"longer", 4, "long…"},
		{"界界", 4, "界…"},
		{"a [b](https://c.example) d", 12, "a …"},
		{"a ![b](https://c.example) d", 12, "a …"},
		{"a [b](https://c.example) d", 25, "a [b](https://c.example) …"},
		{"a [b] c d e f", 4, "a [b…"},
		{"a <at id=x></at>", 6, "a …"},
		{"a < b > c", 6, "a < b …"},
		{"a\n```\ncode\ncode", 10, "a\n```\ncode…\n```"},
		{"x", 0, "…"},
	}
	for _, tt := range tests {
		if got := cutMarkdown(tt.text, tt.n); got != tt.want {
			t.Errorf("%q at %d: got %q, want %q", tt.text, tt.n, got, tt.want)
		}
	}
}

// FuzzMarkdown puts any value into every kind of place an author may choose: none of them gets a link, an image, a mention, a tag, a line
// or markup that the author did not write.
func FuzzMarkdown(f *testing.F) {
	f.Add("[x](http://evil.example) ![y](//z)", "@all <at id=all></at>")
	f.Add("a\n# b\r\n- c\u2028`d` **e** __f__ ~~g~~", "](https://evil.example) [")
	f.Add("https://ok.example/(a) <b>", "javascript:alert(1)")
	f.Add("&#60;at id=all&#62; &lt;", "\\")
	f.Add("\u202ehttps://a@b\u200b", "@\u200ball ht\u200btp://x")
	f.Add("all", "1. x!")
	f.Add("www", ".evil.example")
	f.Add("http", "://evil.example")
	f.Add("0", "wwwwwwww")
	extra := regexp.MustCompile("\\]\\(|[<>`*~|\\\\\n\r\u2028\u2029\u0085\u202e]|(?i)@(all|所有人)|[A-Za-z]://|(?i)www\\.|&[#A-Za-z0-9]")
	f.Fuzz(func(t *testing.T, a, b string) {
		places := []rules.Text{
			{val(a)},
			{val(a), val(b)},
			{lit("say "), val(a), lit(" and "), val(b), lit(".")},
			{lit("@"), val(a)},
			{lit("[a]"), val(a)},
			{lit("! "), val(a), lit("- "), val(b)},
			{lit("http:"), val(a)},
		}
		for _, text := range places {
			got := markdown(text)
			if !utf8.ValidString(got) {
				t.Fatalf("%q: not UTF-8: %q", text, got)
			}
			if bad := extra.FindString(got); bad != "" {
				t.Errorf("%q: %q in %q", text, bad, got)
			}
		}
		link := regexp.MustCompile(`^\[([^\[\]<>\n]*)\]\((#|[Hh][Tt][Tt][Pp][Ss]?://[^\s()<>]+)([A-Za-z0-9._~/%-]*)\)$`)
		if got := markdown(rules.Text{lit("["), val(a), lit("]("), val(b), lit(")")}); b != "" && !link.MatchString(got) {
			t.Errorf("%q, %q: no simple link: %q", a, b, got)
		}
		tag := regexp.MustCompile(`^<at id=[A-Za-z0-9._@-]*></at>$`)
		if got := markdown(rules.Text{lit("<at id="), val(a), lit("></at>")}); !tag.MatchString(got) || strings.Contains(strings.ToLower(got), "=all>") {
			t.Errorf("%q: no simple tag: %q", a, got)
		}
		for _, r := range flatTitle(rules.Text{val(a), lit(" "), val(b)}) {
			if unicode.IsControl(r) {
				t.Errorf("%q, %q: a control character in the title", a, b)
			}
		}
		for n := range 40 {
			if cut := cutMarkdown(a, n); !utf8.ValidString(cut) && utf8.ValidString(a) {
				t.Errorf("%q at %d: not UTF-8: %q", a, n, cut)
			}
		}
	})
}

// FuzzAnswer reads any answer of a robot: it never panics, only an object with a member code that is the number 0 proves a message sent,
// and nothing secret comes back out of it.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"errcode":0,"errmsg":"ok"}`))
	f.Add([]byte(`{"code":0,"msg":"success","StatusCode":0}`))
	f.Add([]byte(`{"errcode":310000,"errmsg":"sign not match"}`))
	f.Add([]byte(`{"errcode":"0"}`))
	f.Add([]byte(`{"errcode":1e0,"errmsg":7,"status":1111}`))
	f.Add([]byte(`{"code":-0}{}`))
	f.Add([]byte(`[]`))
	f.Add([]byte("\xff\x00"))
	members := []codeMember{{"errcode", true}, {"code", true}, {"status", false}}
	hide := scrubber{words: conceal([]string{"s3cret-m4rker"})}
	f.Fuzz(func(t *testing.T, body []byte) {
		said, ok := decodeAnswer(body, members, "errmsg")
		if said.sent() {
			var object map[string]any
			if err := json.Unmarshal(body, &object); err != nil || (object["errcode"] != 0.0 && object["code"] != 0.0) || !ok {
				t.Errorf("%q counts as sent", body)
			}
		}
		for _, meaning := range []func(string, string) (verdict, bool){dingTalkMeaning, feishuMeaning} {
			if v, known := meaning(said.code, said.text); known && (v.class == "" || v.reason == "") {
				t.Errorf("%q: %+v", body, v)
			}
		}
		clean := hide.clean(said.text + "s3cret-m4rker" + said.text)
		if strings.Contains(clean, "s3cret-m4rker") || len(clean) > 160 || strings.ContainsAny(clean, "\n\r\x1b") {
			t.Errorf("%q", clean)
		}
	})
}
