package trial

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/millrace/millrace/pkg/rules"
)

// maskJSON masks one JSON value.
func maskJSON(t *testing.T, text, ruleText string) string {
	t.Helper()
	n, err := jsonNode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m := newMasker([]rules.File{{Name: "rules.yaml", Data: []byte(ruleText)}})
	m.learn(n)
	m.mask(n)
	return nodeJSON(n)
}

// TestMask: what is private is masked, the same text by the same mask, and what rules live on stays.
func TestMask(t *testing.T) {
	const sha, uuid = "9f8e7d6c5b9f8e7d6c5b9f8e7d6c5b9f8e7d6c5b", "7b1f2c64-4a8e-4f43-9d61-0c4f5d3f9a10"
	jwt := "ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0NTY3ODkwIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r"
	mixed := strings.Repeat("aB3dE5fG7h", 4)
	secretKey := "Zb3kQ9xV7mT1pL5sW8" + "nR2cY6dF4gH0jAeUiOqE1z"
	for name, tt := range map[string]struct{ in, rules, want string }{
		"e-mails":              {`["li@shop.cn","by Li <li@shop.cn>, Wu <wu.x+1@a.b.example>"]`, "", `["person-1@example.com","by Li <person-1@example.com>, Wu <person-2@example.com>"]`},
		"keys of maps":         {`{"li@shop.cn":"li@shop.cn"}`, "", `{"person-1@example.com":"person-1@example.com"}`},
		"a rule's e-mail":      {`["bot@shop.cn","li@shop.cn","li@else.cn"]`, "match: { author.email: bot@shop.cn }", `["bot@shop.cn","person-1@shop.cn","person-2@example.com"]`},
		"a mask that is there": {`["li@shop.cn","person-1@example.com"]`, "", `["person-2@example.com","person-1@example.com"]`},
		"phones":               {`["call 13812345678 or +86 138-1234-5678","+44 20 7946 0958"]`, "", `["call 10000000001 or 10000000002","10000000003"]`},
		"a phone by its name":  {`{"mobile":13812345678,"tel":"555 0100"}`, "", `{"mobile":10000000001,"tel":"10000000002"}`},
		"ids":                  {`{"build_id":"13812345678","path":"a/13812345678","t":"2026-11-20T09:00:00+08:00"}`, "", `{"build_id":"13812345678","path":"a/13812345678","t":"2026-11-20T09:00:00+08:00"}`},
		"hashes":               {`["` + sha + `","` + uuid + `","` + strings.Repeat("0f", 16) + `","shop/orders","release/2.4"]`, "", `["` + sha + `","` + uuid + `","` + strings.Repeat("0f", 16) + `","shop/orders","release/2.4"]`},
		"clone addresses":      {`["git@repo.example:shop/orders.git","ssh://git@repo.example/shop/orders.git"]`, "", `["git@repo.example:shop/orders.git","ssh://git@repo.example/shop/orders.git"]`},
		"users in addresses":   {`["https://li:pa55@repo.example/shop/orders","https://tok@repo.example/x"]`, "", `["https://masked-1@repo.example/shop/orders","https://masked-2@repo.example/x"]`},
		"robots":               {`"https://oapi.dingtalk.com/robot/send?access_token=0123456789ab"`, "", `"https://oapi.dingtalk.com/robot/send?access_token=masked-1"`},
		"names":                {`{"password":"x","dbPassword":"y","token":"","secret":null,"tokens":3}`, "", `{"password":"masked-1","dbPassword":"masked-2","token":"","secret":null,"tokens":3}`},
		"parameters":           {`[{"name":"API_KEY","value":"x"},{"name":"TARGET","value":"x"},{"credentials":{"value":"y"}}]`, "", `[{"name":"API_KEY","value":"masked-1"},{"name":"TARGET","value":"x"},{"credentials":{"value":"masked-2"}}]`},
		"parameters of tasks":  {`[{"name":"name","value":"DB_PASSWORD"},{"name":"defaultValue","value":"x"},{"name":"sensitiveVar","value":"false"}]`, "", `[{"name":"name","value":"DB_PASSWORD"},{"name":"defaultValue","value":"masked-1"},{"name":"sensitiveVar","value":"false"}]`},
		"the same elsewhere":   {`{"note":"it is hunter2hunter2!","password":"hunter2hunter2"}`, "", `{"note":"it is masked-1!","password":"masked-1"}`},
		"in text":              {`"export DB_PASSWORD=hunter2x; Authorization: Bearer abcdefgh12345678"`, "", `"export DB_PASSWORD=masked-1; Authorization: Bearer masked-2"`},
		"signed":               {`"t ` + jwt + ` t"`, "", `"t masked-1 t"`},
		"keys of accounts":     {`["HPUAXYZ1234567890ABC","` + secretKey + `"]`, "", `["masked-1","masked-2"]`},
		"private keys":         {`"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest"`, "", `"masked-1\nrest"`},
		"half a private key":   {`"a -----BEGIN PRIVATE KEY-----\nMIIE"`, "", `"a masked-1"`},
		"redacted already":     {`{"token":"` + rules.Redacted + `"}`, "", `{"token":"` + rules.Redacted + `"}`},
		"in JSON in text":      {`"{\\\"password\\\": \\\"hunter2x\\\", \\\"n\\\": 1}"`, "", `"{\\\"password\\\": \\\"masked-1\\\", \\\"n\\\": 1}"`},
		"twice in JSON":        {`"{\\\\\"token\\\\\":\\\\\"hunter2x\\\\\"}"`, "", `"{\\\\\"token\\\\\":\\\\\"masked-1\\\\\"}"`},
		"on a command line":    {`"login --user li --password hunter2x -v; run --token 'abc123def'"`, "", `"login --user li --password masked-1 -v; run --token 'masked-2'"`},
		"in Chinese":           {`["密码：hunter2x，谢谢","令牌是 abc123def"]`, "", `["密码：masked-1，谢谢","令牌是 masked-2"]`},
		"short for password":   {`{"x":"DB_PASS=hunter2x","DB_PASS":"y","t":"--- PASS: TestX1of2","bypass":"v2"}`, "", `{"x":"DB_PASS=masked-1","DB_PASS":"masked-2","t":"--- PASS: TestX1of2","bypass":"v2"}`},
		"cookies":              {`"Cookie: sid=a1b2; lang=zh\nnext"`, "", `"Cookie: masked-1\nnext"`},
		"keys of services":     {`["AIza` + mixed + `","LTAI` + mixed[:20] + `","pypi-` + mixed + `","SG.` + mixed + `.` + mixed + `"]`, "", `["masked-1","masked-2","masked-3","masked-4"]`},
		"signed addresses":     {`"https://obs.example/x?sv=1&sig=0123456789ab"`, "", `"https://obs.example/x?sv=1&sig=masked-1"`},
		"words":                {`["the secret: nothing","token is fine","key=value","v1.2+20261120"]`, "", `["the secret: nothing","token is fine","key=value","v1.2+20261120"]`},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, maskJSON(t, tt.in, tt.rules)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// someEmail finds e-mails in another way than the masker.
var someEmail = regexp.MustCompile(`[a-zA-Z0-9._%+-]+@[a-zA-Z0-9-]+\.[a-zA-Z]{2,}`)

// FuzzMask: whatever the text, no e-mail is left in it, masking again changes nothing, it is valid, and what was equal stays equal.
func FuzzMask(f *testing.F) {
	for _, s := range []string{
		"li@shop.cn", "a@b.c@d.example", "https://li:pa55@repo.example/x?token=abcdefgh1", "+86 13812345678", "password: hunter2hunter2",
		"-----BEGIN PRIVATE KEY-----", "person-1@example.com", "Bearer masked-1masked", "git@a.example", "\xff\x00\u2028", "token=10000000001",
		"x://git@a.example b@git@a.example", "AKIA1234567890ABCDEF", "key=a@b.cd&sign=c@d.ef",
		`{\"password\": \"hunter2x\"}`, `token: ab\cd12\`, "--password hunter2x", "密码：hunter2x", "Cookie: a=b; c=l@shop.cn",
	} {
		f.Add(s, s+" and")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		data, err := json.Marshal(map[string]any{"list": []any{a, b, a}, "password": b, "keys": map[string]any{b: 1}})
		if err != nil {
			t.Fatal(err)
		}
		n, err := jsonNode(data)
		if err != nil {
			t.Fatal(err)
		}
		masked := func() string {
			m := newMasker(nil)
			m.learn(n)
			m.mask(n)
			return nodeJSON(n)
		}
		once := masked()
		if !utf8.ValidString(once) || !json.Valid([]byte(once)) {
			t.Fatalf("not valid: %q", once)
		}
		list := valueOfKey(n, "list").Content
		if list[0].Value != list[2].Value {
			t.Errorf("%q became %q and %q", a, list[0].Value, list[2].Value)
		}
		for _, text := range []string{list[0].Value, list[1].Value, valueOfKey(n, "password").Value} {
			for _, email := range someEmail.FindAllString(text, -1) {
				if !isMask(email) && !nobody.MatchString(email) {
					t.Errorf("%q is left of %q and %q", email, a, b)
				}
			}
		}
		if twice := masked(); twice != once {
			t.Errorf("of %q and %q:\nonce  %s\ntwice %s", a, b, once, twice)
		}
	})
}
