package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func sum(key, text string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hexHMAC(key, body string) string { return hex.EncodeToString(sum(key, body)) }

func verifierOf(t *testing.T, v Verify) verifier {
	t.Helper()
	made, err := newVerifier(v)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestToken(t *testing.T) {
	preset := verifierOf(t, Verify{Scheme: SchemeToken, Secrets: []Secret{Secret("new"), Secret("old")}})
	own := verifierOf(t, Verify{Scheme: SchemeToken, Headers: []string{"x-my-token"}, Secrets: []Secret{Secret("new")}})
	rows := []struct {
		name string
		v    verifier
		h    http.Header
		want bool
	}{
		{"repo", preset, header("X-Repo-Token", "new"), true},
		{"gitlab", preset, header("X-Gitlab-Token", "old"), true},
		{"auth", preset, header("X-Auth-Token", "new"), true},
		{"devcloud", preset, header("X-Devcloud-Token", "new"), true},
		{"codehub", preset, header("X-Codehub-Token", "new"), true},
		{"one of two headers", preset, header("X-Repo-Token", "bad", "X-Gitlab-Token", "new"), true},
		{"one of two values", preset, header("X-Repo-Token", "bad", "X-Repo-Token", "old"), true},
		{"both secrets", preset, header("X-Repo-Token", "new", "X-Gitlab-Token", "old"), true},
		{"none", preset, header(), false},
		{"empty", preset, header("X-Repo-Token", ""), false},
		{"wrong", preset, header("X-Repo-Token", "newer"), false},
		{"prefix", preset, header("X-Repo-Token", "ne"), false},
		{"other case", preset, header("X-Repo-Token", "NEW"), false},
		{"list", preset, header("X-Repo-Token", "new,old"), false},
		{"wrong header", preset, header("Authorization", "new"), false},
		{"own", own, header("X-My-Token", "new"), true},
		{"own, preset header", own, header("X-Repo-Token", "new"), false},
	}
	for _, row := range rows {
		if got := row.v.verify(row.h, nil, testTime); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

func TestHMAC(t *testing.T) {
	// The example of GitHub's documentation.
	const key, body = "It's a Secret to Everybody", "Hello, World!"
	const want = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	v := verifierOf(t, Verify{Scheme: SchemeHMAC, Secrets: []Secret{Secret("other"), Secret(key)}})
	own := verifierOf(t, Verify{Scheme: SchemeHMAC, Headers: []string{"X-Gitea-Signature"}, Secrets: []Secret{Secret(key)}})
	rows := []struct {
		name string
		v    verifier
		h    http.Header
		body string
		want bool
	}{
		{"github", v, header("X-Hub-Signature-256", "sha256="+want), body, true},
		{"upper case", v, header("X-Hub-Signature-256", "sha256="+strings.ToUpper(want)), body, true},
		{"other secret", v, header("X-Hub-Signature-256", "sha256="+hexHMAC("other", body)), body, true},
		{"gitea", own, header("X-Gitea-Signature", want), body, true},
		{"other body", v, header("X-Hub-Signature-256", "sha256="+want), body + " ", false},
		{"none", v, header(), body, false},
		{"empty", v, header("X-Hub-Signature-256", ""), body, false},
		{"only the prefix", v, header("X-Hub-Signature-256", "sha256="), body, false},
		{"cut", v, header("X-Hub-Signature-256", "sha256="+want[:62]), body, false},
		{"not hex", v, header("X-Hub-Signature-256", "sha256="+strings.Repeat("z", 64)), body, false},
		{"sha1", v, header("X-Hub-Signature-256", "sha1="+want), body, false},
		{"wrong header", v, header("X-Hub-Signature", "sha256="+want), body, false},
		{"secret as it is", v, header("X-Hub-Signature-256", key), body, false},
		{"empty key", v, header("X-Hub-Signature-256", hexHMAC("", body)), body, false},
	}
	for _, row := range rows {
		if got := row.v.verify(row.h, []byte(row.body), testTime); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

func TestStandardWebhooks(t *testing.T) {
	const body = `{"object_kind":"push"}`
	key := strings.Repeat("k", 24)
	encoded := base64.StdEncoding.EncodeToString([]byte(key))
	v := verifierOf(t, Verify{Scheme: SchemeStandardWebhooks, Secrets: []Secret{Secret("whsec_" + encoded), Secret(base64.StdEncoding.EncodeToString([]byte("second")))}})
	at := func(d time.Duration) string { return strconv.FormatInt(testTime.Add(d).Unix(), 10) }
	sign := func(key, id, at, body string) string {
		return "v1," + base64.StdEncoding.EncodeToString(sum(key, id+"."+at+"."+body))
	}
	signed := func(d time.Duration) http.Header {
		return header("webhook-id", "msg_1", "webhook-timestamp", at(d), "webhook-signature", sign(key, "msg_1", at(d), body))
	}
	with := func(name string, values ...string) http.Header {
		h := signed(0)
		h.Del(name)
		for _, value := range values {
			h.Add(name, value)
		}
		return h
	}
	good := sign(key, "msg_1", at(0), body)
	rows := []struct {
		name string
		h    http.Header
		want bool
	}{
		{"now", signed(0), true},
		{"oldest", signed(-tolerance), true},
		{"newest", signed(tolerance), true},
		{"too old", signed(-tolerance - time.Second), false},
		{"too new", signed(tolerance + time.Second), false},
		{"second secret", with("webhook-signature", sign("second", "msg_1", at(0), body)), true},
		{"several", with("webhook-signature", "v1a,xxxx v1,AAAA "+good+" v2,"+good), true},
		{"several headers", with("webhook-signature", "v1,AAAA", good), true},
		{"other version", with("webhook-signature", "v1a"+strings.TrimPrefix(good, "v1")), false},
		{"no version", with("webhook-signature", strings.TrimPrefix(good, "v1,")), false},
		{"none", with("webhook-signature"), false},
		{"not base64", with("webhook-signature", "v1,!!!!"), false},
		{"other id", with("webhook-id", "msg_2"), false},
		{"no id", with("webhook-id"), false},
		{"empty id", with("webhook-id", ""), false},
		{"two ids", with("webhook-id", "msg_1", "msg_2"), false},
		{"no time", with("webhook-timestamp"), false},
		{"no number", with("webhook-timestamp", "now"), false},
		{"other time", with("webhook-timestamp", at(time.Second)), false},
		{"far time", with("webhook-timestamp", "9223372036854775807"), false},
		{"shifted dots", header("webhook-id", "msg_1."+at(0), "webhook-timestamp", at(0), "webhook-signature", good), false},
	}
	for _, row := range rows {
		if got := v.verify(row.h, []byte(body), testTime); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
	if v.verify(signed(0), []byte(body+"\n"), testTime) {
		t.Error("another body was verified")
	}
}
