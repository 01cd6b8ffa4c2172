package rules

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Rule files lie in repositories, and what they hold goes into records and messages: no secret belongs there. Whole files are looked
// through, comments too. Only what is surely a secret is an error; what is probably one is a warning.

// secretForm is a form of secret. The first group of its pattern is what must not be seen.
type secretForm struct {
	what    string
	remedy  string
	sure    bool
	hint    string // text that is in all of them, to pass over most lines quickly; in lower case
	pattern *regexp.Regexp
}

const (
	robotRemedy  = "name a target under to:, and give the configuration its address"
	secretRemedy = "take it out and have it replaced, for it has been seen"
)

// robot is the address of a robot of a chat product: who knows it can post. before is what its secret comes after.
func robot(what, hint, before string) secretForm {
	return secretForm{"the address of " + what, robotRemedy, true, hint, regexp.MustCompile(`(?i)` + before + `(\$\{\{.*?\}\}|[\w/.+%=-]{8,})`)}
}

func token(what, hint, pattern string) secretForm {
	return secretForm{what, secretRemedy, true, hint, regexp.MustCompile(pattern)}
}

var secretForms = []secretForm{
	robot("a DingTalk robot", "oapi.dingtalk.com/robot", `oapi\.dingtalk\.com/robot/send\?access_token=`),
	robot("a Feishu robot", "/open-apis/bot/", `open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/(?:v2/)?hook/`),
	robot("a WeCom robot", "qyapi.weixin.qq.com/cgi-bin/webhook", `qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=`),
	robot("a WeLink robot", "/werobot/v1/webhook", `/werobot/v1/webhook/send\?token=`),
	robot("a Slack hook", "hooks.slack.com/", `hooks\.slack\.com/(?:services|workflows|triggers)/`),
	robot("a Teams hook", ".webhook.office.com/", `\.webhook\.office\.com/`),
	robot("a Discord hook", "/api/webhooks/", `discord(?:app)?\.com/api/webhooks/`),
	token("a private key", "-----begin ", `-----BEGIN [A-Z ]*(PRIVATE KEY)-----`),
	token("a GitHub token", "gh", `\b(gh[pousr]_[A-Za-z0-9]{36,})`),
	token("a GitHub token", "github_pat_", `\b(github_pat_[A-Za-z0-9_]{22,})`),
	token("a GitLab token", "glpat-", `\b(glpat-[A-Za-z0-9_-]{20,})`),
	token("a Slack token", "xox", `\b(xox[abeprs]-[A-Za-z0-9-]{10,})`),
	token("an access key of AWS", "akia", `\b(AKIA[0-9A-Z]{16})\b`),
	token("a signed token", "eyj", `\b(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})`),
	token("the signing secret of a DingTalk robot", "sec", `\b(SEC[0-9a-f]{64})\b`),
	{"a password in an address", "leave it out of the address", false, "://", regexp.MustCompile(`\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@"'$]+:([^\s/@"'$]+)@`)},
	{
		"a value that is named like a secret", "rules hold no secrets: leave it to the configuration", false, "",
		regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(?:[a-z0-9]+[_-])*(?:password|passwd|passphrase|secret|token|api_?key|access_?key|secret_?key|private_?key|signing_?key)["']?\s*:\s*(?:"([^"$]*)"|'([^'$]*)'|([^\s"'#$\[{,}|>&*][^\s#,}]*))`),
	},
}

// secrets reports the secrets of a file.
func (s *source) secrets() {
	if len(s.data) > MaxFile || !utf8.Valid(s.data) || !mayHaveSecrets(string(s.data)) {
		return
	}
	for i, line := range splitLines(string(s.data)) {
		for _, found := range secretsIn(line) {
			at := Position{File: s.name, Line: i + 1, Col: 1 + utf8.RuneCountInString(line[:found.from])}
			s.report(at, ProblemSecret, found.form.remedy, "%s", found.says(line))
			if !found.form.sure {
				(*s.problems)[len(*s.problems)-1].Severity = SeverityWarning
			}
		}
	}
}

// fromEvent is an expression that reads more than vars.
var fromEvent = regexp.MustCompile(`^\$\{\{.*\b(?:event|facts|item|results)\b`)

// says is the message about a secret.
func (f *foundSecret) says(line string) string {
	if fromEvent.MatchString(line[f.from:f.to]) {
		return f.form.what + " is made of what comes with an event: whoever sends one would choose who is told"
	}
	return f.form.what + " in plain text"
}

// foundSecret is a secret in a line, from one byte to another.
type foundSecret struct {
	form     *secretForm
	from, to int
}

func secretsIn(line string) []foundSecret {
	var all []foundSecret
	lower := strings.ToLower(line)
	if len(lower) != len(line) {
		lower = line
	}
	for i := range secretForms {
		form := &secretForms[i]
		if !strings.Contains(lower, form.hint) {
			continue
		}
		for _, at := range form.pattern.FindAllStringSubmatchIndex(line, -1) {
			f := foundSecret{form: form}
			for g := 2; g < len(at); g += 2 {
				if at[g] >= 0 {
					f.from, f.to = at[g], at[g+1]
				}
			}
			if f.to > f.from && (form.hint != "" || looksSecret(line[at[0]:f.from], line[f.from:f.to])) && !overlaps(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// FindSecrets finds in one line of text what is, or probably is, a secret, as check reports it: places from one byte to another, which
// do not overlap.
func FindSecrets(line string) [][2]int {
	var out [][2]int
	for _, f := range secretsIn(line) {
		out = append(out, [2]int{f.from, f.to})
	}
	return out
}

func overlaps(all []foundSecret, f foundSecret) bool {
	for _, o := range all {
		if f.from < o.to && o.from < f.to {
			return true
		}
	}
	return false
}

// looksSecret tells whether a value is one that people or machines make for a secret, not a word, a name or a number. Of what is named
// a password, a word is enough.
func looksSecret(name, v string) bool {
	if strings.ContainsAny(v, " \t${}") || strings.Contains(v, "://") {
		return false
	}
	digits, letters := 0, 0
	for _, c := range v {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			letters++
		}
	}
	if strings.Contains(strings.ToLower(name), "pass") {
		return len(v) >= 6 && letters > 0
	}
	return len(v) >= 8 && digits >= 2 && letters >= 2
}

// mayHaveSecrets passes over a file that has none of the words of secrets.
func mayHaveSecrets(text string) bool {
	lower := strings.ToLower(text)
	for _, form := range secretForms {
		if form.hint != "" && strings.Contains(lower, form.hint) {
			return true
		}
	}
	for _, word := range []string{"pass", "secret", "token", "key"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// masked is a text without the secrets in it, as wide as before.
func masked(text string) string {
	return mask(text, secretsIn(text))
}

func mask(text string, found []foundSecret) string {
	if len(found) == 0 {
		return text
	}
	var b strings.Builder
	from := 0
	slices.SortFunc(found, func(a, b foundSecret) int { return a.from - b.from })
	for _, f := range found {
		b.WriteString(text[from:f.from] + strings.Repeat("*", utf8.RuneCountInString(text[f.from:f.to])))
		from = f.to
	}
	return b.String() + text[from:]
}

// MaskSecrets is a text to be shown, JSON for example, with asterisks for what looks like a secret. It knows the forms that rule files are
// looked through for; a secret of no known form, and without a name that tells, stays.
func MaskSecrets(text string) string {
	var b strings.Builder
	for line := range strings.SplitAfterSeq(text, "\n") {
		b.WriteString(mask(line, secretsIn(withoutEscapes(line))))
	}
	return b.String()
}

// withoutEscapes is a line, with as many bytes, in which what is escaped within a JSON string stands as itself: secrets stand between
// quotes and at the beginnings of lines.
func withoutEscapes(line string) string {
	if !strings.Contains(line, `\`) {
		return line
	}
	plain := []byte(line)
	for i := 0; i+1 < len(plain); i++ {
		if plain[i] != '\\' {
			continue
		}
		opens := i == 0 || strings.IndexByte("{[(,:= \t", plain[i-1]) >= 0
		switch {
		case plain[i+1] == 'n' || plain[i+1] == 't':
			plain[i], plain[i+1] = ' ', ' '
		case plain[i+1] == '"' && opens:
			plain[i] = ' '
		case plain[i+1] == '"':
			plain[i], plain[i+1] = '"', ' '
		}
		i++
	}
	return string(plain)
}
