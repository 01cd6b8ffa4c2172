package codeartstest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

var signedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// vector is a request with the signature that the vendor's SDK (v0.1.207) made for it.
func vector(query, body, project, names, signature string) *http.Request {
	method, path := http.MethodGet, "/v1/job/permission"
	if body != "" {
		method, path = http.MethodPost, "/v2/resource/countdown"
	}
	r := httptest.NewRequest(method, "https://cloudbuild-ext.cn-north-4.myhuaweicloud.com"+path+query, strings.NewReader(body))
	r.Header.Set("X-Sdk-Date", "20260102T030405Z")
	if project != "" {
		r.Header.Set("X-Project-Id", project)
	}
	r.Header.Set("Authorization", fmt.Sprintf("SDK-HMAC-SHA256 Access=AKEXAMPLE, SignedHeaders=%s, Signature=%s", names, signature))
	return r
}

func vectors() map[string]*http.Request {
	const body = `{"service_type":"x"}`
	return map[string]*http.Request{
		"": vector("?project_id=a%20b%2Bc&job_id=f9d6c8466d614a9788e9a0acf6c15f46", "", "0123456789abcdef0123456789abcdef",
			"host;x-project-id;x-sdk-date", "b2dbe6b019daa7e3e4fe6c92f4d30360ebb5b6c564d69ea8e8432c2bd41aa3ce"),
		body + "\n": vector("", body+"\n", "", "host;x-sdk-date", "e4b6ede02c91d6b1f0844ae4f650cd0247df3db5369b672c995e1a22b58125b3"),
		body:        vector("", body, "", "host;x-sdk-date", "44f864d710ca2a57b1c7eaa1824e6786e816173430236bd4a850eeb3d7fcdc29"),
	}
}

func signing(key AccessKey) *Fake {
	return New(Options{Now: func() time.Time { return signedAt }, Keys: []AccessKey{key}})
}

func TestVectorsAreAccepted(t *testing.T) {
	f := signing(AccessKey{AccessKey: "AKEXAMPLE", SecretKey: "SKEXAMPLE"})
	for body, r := range vectors() {
		if why := f.whyUnsigned(r, []byte(body), r.Header.Get("Authorization")); why != "" {
			t.Errorf("%s %s %q: %s", r.Method, r.URL, body, why)
		}
	}
}

func TestWrongSignatures(t *testing.T) {
	good := AccessKey{AccessKey: "AKEXAMPLE", SecretKey: "SKEXAMPLE"}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, row := range map[string]struct {
		key    AccessKey
		change func(*http.Request)
		body   string
		want   string
	}{
		"another body":     {good, nil, `{"service_type":"y"}`, "verify aksk"},
		"another method":   {good, func(r *http.Request) { r.Method = http.MethodPut }, "", "verify aksk"},
		"another path":     {good, func(r *http.Request) { r.URL.Path = "/v1/job/permissions" }, "", "verify aksk"},
		"another query":    {good, func(r *http.Request) { r.URL.RawQuery += "x" }, "", "verify aksk"},
		"another host":     {good, func(r *http.Request) { r.Host = "codehub-ext.cn-north-4.myhuaweicloud.com" }, "", "verify aksk"},
		"another project":  {good, set("X-Project-Id", "ffff"), "", "verify aksk"},
		"another time":     {good, set("X-Sdk-Date", "20260102T030406Z"), "", "verify aksk"},
		"secret key":       {AccessKey{AccessKey: "AKEXAMPLE", SecretKey: "SK"}, nil, "", "verify aksk"},
		"access key":       {AccessKey{AccessKey: "AK", SecretKey: "SKEXAMPLE"}, nil, "", "does not exist"},
		"no time":          {good, set("X-Sdk-Date", ""), "", "X-Sdk-Date"},
		"too old":          {good, set("X-Sdk-Date", "20260102T024904Z"), "", "expired"},
		"from the future":  {good, set("X-Sdk-Date", "20260102T031906Z"), "", "expired"},
		"not understood":   {good, set("Authorization", "AWS4-HMAC-SHA256 x"), "", "not understood"},
		"host unsigned":    {good, set("Authorization", "SDK-HMAC-SHA256 Access=AKEXAMPLE, SignedHeaders=x-sdk-date;x-project-id, Signature=1"), "", "Host is not signed"},
		"project unsigned": {good, set("Authorization", "SDK-HMAC-SHA256 Access=AKEXAMPLE, SignedHeaders=host;x-sdk-date, Signature=1"), "", "X-Project-Id is not signed"},
		"no security token": {
			AccessKey{AccessKey: "AKEXAMPLE", SecretKey: "SKEXAMPLE", SecurityToken: "t0ken"}, nil, "", "security token",
		},
		"security token nobody wants": {good, func(r *http.Request) {
			r.Header.Set("X-Security-Token", "t0ken")
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "x-sdk-date", "x-sdk-date;x-security-token", 1))
		}, "", "security token"},
		"project of another key": {AccessKey{AccessKey: "AKEXAMPLE", SecretKey: "SKEXAMPLE", ProjectID: "ffff"}, nil, "", "project"},
	} {
		r := vectors()[""]
		if row.change != nil {
			row.change(r)
		}
		if why := signing(row.key).whyUnsigned(r, []byte(row.body), r.Header.Get("Authorization")); !strings.Contains(why, row.want) {
			t.Errorf("%s: %q, want %q", name, why, row.want)
		}
	}
}

// The vectors of RFC 6238, appendix B, of whose eight digits devices show the last six.
func TestSixDigits(t *testing.T) {
	for seconds, want := range map[uint64]string{59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"} {
		if got := sixDigits([]byte("12345678901234567890"), seconds/30); got != want {
			t.Errorf("at %d: %s, want %s", seconds, got, want)
		}
	}
}

// A passcode is taken once, in its own 30 seconds or the next.
func TestPasscodesAreTakenOnce(t *testing.T) {
	f := New(Options{Now: func() time.Time { return time.Unix(1111111109, 0) }})
	user := IAMUser{ID: "u1", Seed: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}
	step := uint64(1111111109 / 30)
	for i, row := range []struct {
		code string
		want bool
	}{
		{sixDigits([]byte("12345678901234567890"), step-2), false},
		{sixDigits([]byte("12345678901234567890"), step+1), false},
		{sixDigits([]byte("12345678901234567890"), step-1), true},
		{sixDigits([]byte("12345678901234567890"), step-1), false},
		{"081804", true},
		{"081804", false},
		{sixDigits([]byte("12345678901234567890"), step-1), false},
		{"", false},
	} {
		if got := f.takePasscode(user, row.code); got != row.want {
			t.Errorf("%d: %q is taken: %t", i, row.code, got)
		}
	}
	if f.takePasscode(IAMUser{ID: "u2", Seed: "not base32"}, "081804") {
		t.Error("a user with a broken seed is let in")
	}
}
