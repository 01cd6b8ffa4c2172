package trial

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/millrace/millrace/pkg/rules"
)

// maskKind is what a mask stands for.
type maskKind int

const (
	maskEmail maskKind = iota
	maskPhone
	maskSecret
)

// place is a part of a text that is to be masked, from one byte to another.
type place struct {
	from, to int
	kind     maskKind
}

// privateForm is a form of private text. The first group of its pattern is what is masked, the whole match when it has none.
type privateForm struct {
	kind    maskKind
	pattern *regexp.Regexp
	fits    func(found string) bool // nil: every match is one
}

// secretName is the name of something secret, in text: api_key, DB_PASSWORD, accessToken.
const secretName = `(?i:[\w-]*(?:password|passwd|passphrase|pwd|[_-]pass|secret|token|credentials?|authorization|(?:api|access|secret|private|signing|encryption)[_-]?key))`

// privateForms are the forms beside those that rules.FindSecrets knows.
var privateForms = []privateForm{
	{maskSecret, regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)`), nil},
	{maskSecret, regexp.MustCompile(`\beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?`), nil},
	{maskSecret, regexp.MustCompile(`\b[a-zA-Z][a-zA-Z0-9+.-]*://([^\s/@"'<>]+)@`), func(user string) bool { return user != "git" }},
	{maskSecret, regexp.MustCompile(`[?&;](?i:access_token|private_token|token|key|sig|sign|signature|secret|password|pwd|x-amz-signature)=([^\s&#"'<>]+)`), nil},
	{maskSecret, regexp.MustCompile(`(?i:hooks?|webhooks?|services)/([0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})`), nil},
	{maskSecret, regexp.MustCompile(`\b(?i:bearer|basic)\s+([\w.~+/=-]{8,})`), nil},
	// The quotes may be those of JSON in a text.
	{maskSecret, regexp.MustCompile(secretName + `\\*["']?\s*[=:：]\s*\\*["']?((?:[^\s"',;&<>{}\[\]()\\]|\\+[^\s"',;&<>{}\[\]()\\]){6,})`), looksRandom},
	{maskSecret, regexp.MustCompile(`(?:^|\s)--` + secretName + `\s+["']?([^\s"']{6,})`), looksRandom},
	{maskSecret, regexp.MustCompile(`(?:密码|口令|密钥|私钥|令牌)["']?\s*(?:[=:：]|是|为)\s*["']?([^\s"',;，。；]{6,})`), looksRandom},
	{maskSecret, regexp.MustCompile(`\b(?i:cookie):[ \t]*([^\r\n"']+)`), looksRandom},
	{maskSecret, regexp.MustCompile(`\b(?:sk|pk|rk|whsec|npm|pypi|dckr_pat|dop_v1|hf)[-_][\w-]{16,}`), looksRandom},
	{maskSecret, regexp.MustCompile(`\b(?:AIza[\w-]{30,}|LTAI[A-Za-z0-9]{12,}|SG\.[\w-]{16,}\.[\w-]{16,})`), looksRandom},
	{maskSecret, regexp.MustCompile(`\b[A-Z0-9]{20}\b`), isAccessKey},
	{maskSecret, regexp.MustCompile(`\b[A-Za-z0-9]{40}\b`), isSecretKey},
	{maskEmail, regexp.MustCompile(`[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`), func(found string) bool { return !nobody.MatchString(found) }},
	{maskPhone, regexp.MustCompile(`(?:^|[^\w./=#+-])((?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4})(?:$|[^\w-])`), nil},
	{maskPhone, regexp.MustCompile(`(?:^|[^\w./=#+-])(\+\d{1,3}[ -]?\(?\d{2,4}\)?(?:[ -]?\d{2,4}){2,4})(?:$|[^\w:-])`), nil},
}

// nobody is who clones a repository, and who was masked in an address.
var nobody = regexp.MustCompile(`^(?:git|masked-\d+)@`)

// findPrivate finds what is private in a text: places in order, which do not overlap.
func findPrivate(text string) []place {
	var found []place
	for i := range privateForms {
		form := &privateForms[i]
		for _, at := range form.pattern.FindAllStringSubmatchIndex(text, -1) {
			p := place{at[0], at[1], form.kind}
			if len(at) > 2 && at[2] >= 0 {
				p.from, p.to = at[2], at[3]
			}
			if form.fits == nil || form.fits(text[p.from:p.to]) {
				found = append(found, p)
			}
		}
	}
	from := 0
	for line := range strings.SplitAfterSeq(text, "\n") {
		for _, at := range rules.FindSecrets(strings.TrimRight(line, "\r\n")) {
			found = append(found, place{from + at[0], from + at[1], maskSecret})
		}
		from += len(line)
	}
	return joined(found)
}

// joined are places in order. Secrets that overlap become one; of others that overlap the first counts, and a secret before them.
func joined(found []place) []place {
	slices.SortFunc(found, func(a, b place) int {
		switch {
		case (a.kind == maskSecret) != (b.kind == maskSecret):
			return int(b.kind) - int(a.kind)
		case a.from != b.from:
			return a.from - b.from
		}
		return b.to - a.to
	})
	var out []place
	for _, p := range found {
		switch n := len(out); {
		case p.kind == maskSecret && n > 0 && p.from < out[n-1].to:
			out[n-1].to = max(out[n-1].to, p.to)
		case !slices.ContainsFunc(out, func(o place) bool { return p.from < o.to && o.from < p.to }):
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b place) int { return a.from - b.from })
	return out
}

// isAccessKey tells an access key from a word in capitals and from a number.
func isAccessKey(text string) bool {
	digits := strings.IndexFunc(text, unicode.IsDigit) >= 0
	letters := 0
	for _, c := range text {
		if unicode.IsUpper(c) {
			letters++
		}
	}
	return digits && letters >= 5
}

// isSecretKey tells a secret key from the hash of a commit, which has letters of one case.
func isSecretKey(text string) bool {
	return strings.IndexFunc(text, unicode.IsUpper) >= 0 && strings.IndexFunc(text, unicode.IsLower) >= 0 && strings.IndexFunc(text, unicode.IsDigit) >= 0
}

// looksRandom tells a secret from a word.
func looksRandom(text string) bool {
	return strings.IndexFunc(text, unicode.IsLetter) >= 0 && strings.IndexFunc(text, unicode.IsDigit) >= 0 || strings.ContainsAny(text, "!@#$%^*~?")
}

// secretWords and phoneWords are how names of private values end, word by word.
var (
	secretWords = []string{
		"password", "passwd", "passphrase", "pwd", "pass", "secret", "secrets", "token", "tokens", "credential", "credentials", "authorization", "cookie",
		"apikey", "accesskey", "secretkey", "privatekey", "ak", "sk", "api key", "access key", "secret key", "private key", "signing key", "encryption key", "robot key",
	}
	phoneWords = []string{"phone", "phones", "mobile", "telephone", "tel", "cellphone", "phone number", "mobile number", "phone no", "mobile no"}
)

// namedPrivate tells whether what has this name is private whatever it looks like.
func namedPrivate(name string) (maskKind, bool) {
	words := " " + strings.Join(wordsOf(name), " ")
	for _, w := range secretWords {
		if strings.HasSuffix(words, " "+w) {
			return maskSecret, true
		}
	}
	for _, w := range phoneWords {
		if strings.HasSuffix(words, " "+w) {
			return maskPhone, true
		}
	}
	return 0, false
}

// namesNumber tells whether what has this name is an id or a number, however it looks.
func namesNumber(name string) bool {
	words := wordsOf(name)
	return len(words) > 0 && slices.Contains([]string{"id", "iid", "uuid", "no", "num", "number", "sha", "ref"}, words[len(words)-1])
}

// wordsOf are the words of a name in lower case: access_token, accessToken and ACCESS-TOKEN are two.
func wordsOf(name string) []string {
	var b strings.Builder
	lower := false
	for _, c := range name {
		if unicode.IsUpper(c) && lower {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(c) || unicode.IsDigit(c)
		if !lower && !unicode.IsLetter(c) {
			c = ' '
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return strings.Fields(b.String())
}
