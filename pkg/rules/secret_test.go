package rules_test

import (
	"testing"

	"github.com/millrace/millrace/pkg/rules"
)

func TestMaskSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		"nothing to hide: a, b":                 "nothing to hide: a, b",
		`{"api_token":"abcdef01234567"}`:        `{"api_token":"**************"}`,
		`{"content":"a\npassword: hunter22\n"}`: `{"content":"a\npassword: ********\n"}`,
		`{"content":"{\"secret\": \"abcdef01234567\"}"}`:   `{"content":"{\"secret\": \"**************\"}"}`,
		"glpat-abcdefghij0123456789\nhttps://a:pw1@b.cn/x": "**************************\nhttps://a:***@b.cn/x",
		"über password: hunter22":                          "über password: ********",
	} {
		if got := rules.MaskSecrets(text); got != want {
			t.Errorf("%s\nis shown as %s\nwant        %s", text, got, want)
		}
	}
}

func FuzzMaskSecrets(f *testing.F) {
	f.Add(`{"password":"hunter22"}`)
	f.Add("\\n\\\"\xff\nİtoken: abcdef0123")
	f.Fuzz(func(t *testing.T, text string) {
		once := rules.MaskSecrets(text)
		if again := rules.MaskSecrets(once); len(once) > len(text) || again != once {
			t.Errorf("%q is shown as %q, and that as %q", text, once, again)
		}
	})
}
