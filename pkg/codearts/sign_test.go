package codearts

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// signedRequest signs as the key of the vendor's examples does.
func signedRequest(t *testing.T, key AKSK, method, address, body string) http.Header {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if key.AccessKey == "" {
		key.AccessKey, key.SecretKey = "AKEXAMPLE", NewSecret("SKEXAMPLE")
	}
	c := &Client{now: func() time.Time { return time.Date(2026, 1, 2, 11, 4, 5, 678, time.FixedZone("+08:00", 8*60*60)) }}
	s, err := key.signer(c)
	if err != nil {
		t.Fatal(err)
	}
	header, room := headers(body != "")
	r := &http.Request{Method: method, URL: u, Host: u.Host, Header: header}
	for range 2 { // what is kept for the next request does no harm to it
		s.sign(r, []byte(body), "", room)
	}
	return r.Header
}

// The vectors were made with the vendor's SDK (v0.1.207); the body of the second one ends in a newline, as that SDK encodes it.
func TestSignatureVectors(t *testing.T) {
	const host = "https://cloudbuild-ext.cn-north-4.myhuaweicloud.com"
	for name, row := range map[string]struct {
		key                   AKSK
		method, address, body string
		names, signature      string
	}{
		"query and project": {
			AKSK{AccessKey: "AKEXAMPLE", SecretKey: NewSecret("SKEXAMPLE"), ProjectID: "0123456789abcdef0123456789abcdef"},
			"GET", host + "/v1/job/permission?project_id=a+b%2Bc&job_id=f9d6c8466d614a9788e9a0acf6c15f46", "",
			"host;x-project-id;x-sdk-date", "b2dbe6b019daa7e3e4fe6c92f4d30360ebb5b6c564d69ea8e8432c2bd41aa3ce",
		},
		"body with newline": {
			AKSK{},
			"POST", host + "/v2/resource/countdown", `{"service_type":"x"}` + "\n",
			"host;x-sdk-date", "e4b6ede02c91d6b1f0844ae4f650cd0247df3db5369b672c995e1a22b58125b3",
		},
		"body": {
			AKSK{},
			"POST", host + "/v2/resource/countdown", `{"service_type":"x"}`,
			"host;x-sdk-date", "44f864d710ca2a57b1c7eaa1824e6786e816173430236bd4a850eeb3d7fcdc29",
		},
	} {
		h := signedRequest(t, row.key, row.method, row.address, row.body)
		want := "SDK-HMAC-SHA256 Access=AKEXAMPLE, SignedHeaders=" + row.names + ", Signature=" + row.signature
		if got := h.Get("Authorization"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		if h.Get("X-Sdk-Date") != "20260102T030405Z" || h.Get("X-Project-Id") != string(row.key.ProjectID) || h.Get("X-Auth-Token") != "" {
			t.Errorf("%s: headers %v", name, h)
		}
	}
}

func TestCanonicalForms(t *testing.T) {
	for wire, want := range map[string]string{
		"":                 "/",
		"/":                "/",
		"/v1/a":            "/v1/a/",
		"/v1/a/":           "/v1/a/",
		"/v1/docs%2Fa%20b": "/v1/docs%2Fa%20b/",
		"/v1/%e4%BD%a0":    "/v1/%E4%BD%A0/",
		"/v1/a@b:c=d&e+f~": "/v1/a%40b%3Ac%3Dd%26e%2Bf~/",
		"/v1/%7Ea%2":       "/v1/~a%252/",
	} {
		if got := string(appendPath([]byte("\n"), wire)); got != "\n"+want {
			t.Errorf("path %q is %q, want %q", wire, got[1:], want)
		}
	}
	for wire, want := range map[string]string{
		"":                      "",
		"b=2&a=1":               "a=1&b=2",
		"a=2&a=10&a=1":          "a=1&a=10&a=2",
		"a=x+y&b=x%20y&c=x%2By": "a=x%20y&b=x%20y&c=x%2By",
		"a":                     "a=",
		"z=1&y=1&x=1&w=1&v=1&u=1&t=1&s=1&r=1&q=1": "q=1&r=1&s=1&t=1&u=1&v=1&w=1&x=1&y=1&z=1",
		"a=/b?c:d": "a=%2Fb%3Fc%3Ad",
	} {
		if got := string(appendQuery(nil, wire)); got != want {
			t.Errorf("query %q is %q, want %q", wire, got, want)
		}
	}
}

// Every value that is signed changes the signature: nothing of a request can be changed on the way.
func TestSignatureCoversTheRequest(t *testing.T) {
	sign := func(key AKSK, method, address, body string) string {
		return signedRequest(t, key, method, address, body).Get("Authorization")
	}
	temporary := AKSK{AccessKey: "AKEXAMPLE", SecretKey: NewSecret("SKEXAMPLE"), SecurityToken: NewSecret("t0ken")}
	all := []string{
		sign(AKSK{}, "GET", "https://h/p", ""),
		sign(AKSK{}, "POST", "https://h/p", ""),
		sign(AKSK{}, "GET", "https://h:8443/p", ""),
		sign(AKSK{}, "GET", "https://h/q", ""),
		sign(AKSK{}, "GET", "https://h/p?a=1", ""),
		sign(AKSK{}, "GET", "https://h/p", "x"),
		sign(temporary, "GET", "https://h/p", ""),
		sign(AKSK{AccessKey: "AKEXAMPLE", SecretKey: NewSecret("SKEXAMPLE2")}, "GET", "https://h/p", ""),
	}
	signatures := map[string]bool{}
	for _, a := range all {
		signatures[a[strings.LastIndex(a, "=")+1:]] = true
	}
	if len(signatures) != len(all) {
		t.Errorf("%d different signatures of %d requests: %q", len(signatures), len(all), all)
	}
	if !strings.Contains(all[6], "SignedHeaders=host;x-sdk-date;x-security-token,") {
		t.Errorf("a temporary key signs %s", all[6])
	}
}

func TestSigningAllocates(t *testing.T) {
	u, err := url.Parse("https://h.example/v1/job/permission?job_id=f9d6&project_id=a%20b")
	if err != nil {
		t.Fatal(err)
	}
	s, err := AKSK{AccessKey: "AK", SecretKey: NewSecret("SK1234"), ProjectID: "p"}.signer(&Client{now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	header, room := headers(false)
	r := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header}
	// 2, and more under the race detector, where a pool forgets at random.
	if n := testing.AllocsPerRun(100, func() { s.sign(r, nil, "", room) }); n > 10 {
		t.Errorf("%v allocations to sign a request", n)
	}
}

func TestHideSignatures(t *testing.T) {
	hash := strings.Repeat("0aF9", 16)
	for text, want := range map[string]string{
		"":                                    "",
		"short 0af9":                          "short 0af9",
		hash:                                  redacted,
		"Signature=" + hash + "]":             "Signature=" + redacted + "]",
		"x" + hash + " and " + hash[1:]:       "x" + redacted + " and " + hash[1:],
		hash + " " + hash + hash + "," + hash: redacted + " " + redacted + "," + redacted,
	} {
		if got := hideSignatures(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestSignedHeaderNamesAreSorted(t *testing.T) {
	s, err := AKSK{AccessKey: "AK", SecretKey: NewSecret("SK1234"), ProjectID: "p", SecurityToken: NewSecret("t")}.signer(&Client{now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if names := strings.Split(s.(*requestSigner).names, ";"); len(names) != 4 || !slices.IsSorted(names) {
		t.Errorf("names are %v", names)
	}
}
