package codeartstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"
)

// AccessKey is one that may sign requests, permanent or temporary.
type AccessKey struct {
	AccessKey, SecretKey string
	SecurityToken        string // of a temporary key: requests carry it in X-Security-Token
	ProjectID            string // the IAM project a request may name in X-Project-Id
}

// maxSkew is how far the time of a signature may be from the Fake's.
const maxSkew = 15 * time.Minute

// checkIdentity returns the refusal of a request that proves nobody's identity, by token or by signature.
func (f *Fake) checkIdentity(r *http.Request, body []byte) (reply, bool) {
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		return f.checkToken(r.Header.Get("X-Auth-Token"))
	}
	if why := f.whyUnsigned(r, body, authorization); why != "" {
		return refuse(http.StatusUnauthorized, "APIGW.0301", "Incorrect IAM authentication information: "+why), false
	}
	return reply{}, true
}

// whyUnsigned says what is wrong with a signature, "" when it is right.
func (f *Fake) whyUnsigned(r *http.Request, body []byte, authorization string) string {
	given := map[string]string{}
	scheme, rest, _ := strings.Cut(authorization, " ")
	for _, field := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		given[name] = value
	}
	if scheme != "SDK-HMAC-SHA256" || given["Access"] == "" || given["SignedHeaders"] == "" || given["Signature"] == "" {
		return "the Authorization header is not understood"
	}
	var key *AccessKey
	for i := range f.opts.Keys {
		if f.opts.Keys[i].AccessKey == given["Access"] {
			key = &f.opts.Keys[i]
		}
	}
	if key == nil {
		return "the access key does not exist"
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Sdk-Date"))
	if err != nil {
		return "X-Sdk-Date is missing or not a time"
	}
	if age := f.now().Sub(at); age > maxSkew || age < -maxSkew {
		return "the signature has expired"
	}
	names := strings.Split(given["SignedHeaders"], ";")
	for _, header := range []string{"Host", "X-Sdk-Date", "X-Project-Id", "X-Security-Token"} {
		sent := header == "Host" || r.Header.Get(header) != ""
		if sent && !contains(names, strings.ToLower(header)) {
			return header + " is not signed"
		}
	}
	if r.Header.Get("X-Security-Token") != key.SecurityToken {
		return "the security token is missing or wrong"
	}
	if id := r.Header.Get("X-Project-Id"); id != "" && key.ProjectID != "" && id != key.ProjectID {
		return "the project does not belong to the access key"
	}
	want := signatureOf(key.SecretKey, r.Header.Get("X-Sdk-Date"), canonical(r, names, body))
	if !hmac.Equal([]byte(want), []byte(given["Signature"])) {
		return "verify aksk signature fail"
	}
	return ""
}

// signatureOf signs a canonical request, the secret key being the key as it is.
func signatureOf(secret, date, canonical string) string {
	text := strings.Join([]string{"SDK-HMAC-SHA256", date, fmt.Sprintf("%x", sha256.Sum256([]byte(canonical)))}, "\n")
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprint(mac, text)
	return fmt.Sprintf("%x", mac.Sum(nil))
}

// canonical writes a request the one way in which it is signed.
func canonical(r *http.Request, names []string, body []byte) string {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil {
			segments[i] = strict(plain)
		}
	}
	path := strings.Join(segments, "/")
	if !strings.HasSuffix(path, "/") {
		path += "/"
	}

	query := r.URL.Query()
	var keys, pairs []string
	for k := range query {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		values := query[k]
		sort.Strings(values)
		for _, v := range values {
			pairs = append(pairs, strict(k)+"="+strict(v))
		}
	}

	var headers strings.Builder
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.TrimSpace(value))
	}
	return strings.Join([]string{
		r.Method, path, strings.Join(pairs, "&"), headers.String(), strings.Join(names, ";"), fmt.Sprintf("%x", sha256.Sum256(body)),
	}, "\n")
}

// strict escapes what RFC 3986 does not call unreserved.
func strict(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}
