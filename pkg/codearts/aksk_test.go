package codearts_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// aksk signs with the fake's permanent access key.
func aksk() codearts.AKSK {
	return codearts.AKSK{
		AccessKey: codeartstest.AccessKeyID, SecretKey: codearts.NewSecret(codeartstest.SecretKey), ProjectID: codeartstest.ProjectID,
	}
}

// signedWith has a client sign with a key, and know no IAM.
func signedWith(key codearts.AKSK) func(*codearts.Config) {
	return func(cfg *codearts.Config) { cfg.Credentials, cfg.IAMEndpoint = key, "" }
}

// Every call is accepted by a fake that checks signatures in its own way, over real HTTP.
func TestEveryCallIsSigned(t *testing.T) {
	withoutProject := aksk()
	withoutProject.ProjectID = ""
	for name, key := range map[string]codearts.AKSK{
		"permanent":       aksk(),
		"without project": withoutProject,
		"temporary": {
			AccessKey: codeartstest.TemporaryAccessKeyID, SecretKey: codearts.NewSecret(codeartstest.TemporarySecretKey),
			SecurityToken: codearts.NewSecret(codeartstest.SecurityToken),
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, codeartstest.Options{}, signedWith(key))
			w.StartBuild(jobID, w.Head(repoID, "main"), "main", "SUCCESS", 0)
			for op, call := range calls(w) {
				if err := call(t.Context()); err != nil {
					t.Errorf("%s: %v", op, err)
				}
			}
			for _, awkward := range []string{"docs/a b.md", "README.md"} {
				if err := second(w.File(t.Context(), repoID, awkward, "main")); err != nil {
					t.Errorf("%s: %v", awkward, err)
				}
			}
			if n := w.Calls(codearts.OpToken); n != 0 {
				t.Errorf("IAM was asked %d times", n)
			}
		})
	}
}

// A signature that is not accepted would not be the next time: nothing is sent again, and the error says where to look.
func TestRefusedSignature(t *testing.T) {
	wrong, half := aksk(), aksk()
	wrong.SecretKey = codearts.NewSecret("another-secret-key")
	half.AccessKey, half.SecretKey = codeartstest.TemporaryAccessKeyID, codearts.NewSecret(codeartstest.TemporarySecretKey)
	half.SecurityToken = codearts.NewSecret("ended-security-token")
	for name, row := range map[string]struct {
		key  codearts.AKSK
		off  time.Duration // the client's clock
		hint string
	}{
		"wrong secret key":    {wrong, 0, "so it is the key: check access key"},
		"ended token":         {half, 0, "ends with its security token"},
		"clock behind":        {aksk(), -20 * time.Minute, "clock is 20m0s behind CodeArts's"},
		"clock ahead":         {aksk(), time.Hour, "clock is 1h0m0s ahead of CodeArts's"},
		"clock a little off":  {wrong, 10 * time.Minute, "so it is the key"},
		"clock of last night": {wrong, -8 * time.Hour, "clock is 8h0m0s behind"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, codeartstest.Options{Now: func() time.Time { return start }}, signedWith(row.key), func(cfg *codearts.Config) {
				cfg.Now = func() time.Time { return start.Add(row.off) }
			})
			for op, call := range calls(w) {
				if op == codearts.OpToken {
					continue
				}
				before := w.Calls(op)
				err := call(t.Context())
				check(t, op, err, verdict{status: 401, class: "unauthorized", is: codearts.ErrUnauthorized})
				if n := w.Calls(op) - before; n != 1 {
					t.Errorf("%s: sent %d times", op, n)
				}
				if !strings.Contains(err.Error(), row.hint) || !strings.Contains(err.Error(), "15 minutes") {
					t.Errorf("%s: %v, want one with %q", op, err, row.hint)
				}
			}
		})
	}
}

// Without the time of the other side the clock is one of the things to look at.
func TestRefusedSignatureWithoutDate(t *testing.T) {
	client, err := codearts.New(codearts.Config{Region: "cn-north-4", Credentials: aksk(), Transport: canned{status: 401, body: `{"error_code":"APIGW.0301"}`}})
	if err != nil {
		t.Fatal(err)
	}
	if err = second(client.JobConfig(t.Context(), jobID)); !strings.Contains(err.Error(), "off by more than the 15 minutes") {
		t.Errorf("error is %v", err)
	}
}

// What is signed is what is sent: the same bytes, host and escapes, time by the client's clock, and no token beside it.
func TestSignedRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"status":"success","result":[]}`)
	}))
	defer server.Close()
	client, err := codearts.New(codearts.Config{
		BuildEndpoint: server.URL, RepoEndpoint: server.URL, Credentials: aksk(), Now: func() time.Time { return start },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	if err := second(client.PackageCountdown(t.Context(), codearts.PackageCountdownQuery{ServiceType: "a<b>&c"})); err != nil {
		t.Fatal(err)
	}
	if h := got.Header; h.Get("X-Sdk-Date") != "20260401T080000Z" || h.Get("X-Auth-Token") != "" || h.Get("X-Project-Id") != codeartstest.ProjectID ||
		!strings.HasPrefix(h.Get("Authorization"), "SDK-HMAC-SHA256 Access="+codeartstest.AccessKeyID+", SignedHeaders=host;x-project-id;x-sdk-date, Signature=") {
		t.Errorf("headers are %v", h)
	}
	if strings.HasSuffix(string(body), "\n") {
		t.Errorf("body is %q", body)
	}
	for range client.Commits(t.Context(), codearts.CommitsQuery{RepoID: repoID, Ref: "a b+c"}) {
		break
	}
	if !strings.Contains(got.URL.RawQuery, "ref_name=a%20b%2Bc") {
		t.Errorf("query is %s", got.URL.RawQuery)
	}
}

func TestNewRefusesKeys(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*codearts.AKSK)
		want   string
	}{
		"no key":         {func(k *codearts.AKSK) { k.AccessKey = "" }, "access key and its secret key"},
		"no secret":      {func(k *codearts.AKSK) { k.SecretKey = codearts.Secret{} }, "access key and its secret key"},
		"line break":     {func(k *codearts.AKSK) { k.SecretKey = codearts.NewSecret("sk\n") }, "line break"},
		"key with comma": {func(k *codearts.AKSK) { k.AccessKey = "AK,SK" }, "cannot be sent"},
		"bad token":      {func(k *codearts.AKSK) { k.SecurityToken = codearts.NewSecret("a b") }, "security token"},
		"bad project":    {func(k *codearts.AKSK) { k.ProjectID = "a\r\nb" }, "project id"},
	} {
		key := aksk()
		row.change(&key)
		if _, err := codearts.New(codearts.Config{Region: "cn-north-4", Credentials: key}); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who is refused is told what to change, by the way it signs in and by what was said.
func TestHints(t *testing.T) {
	refusal := func(status int, code, message string) codeartstest.Failure {
		return codeartstest.Failure{Status: status, Code: code, Message: message, Gateway: true}
	}
	static := codearts.StaticToken{Token: codearts.NewSecret("g00d-token")}
	noProject := aksk()
	noProject.ProjectID = ""
	for name, row := range map[string]struct {
		who     codearts.Credentials
		op      string
		failure codeartstest.Failure
		hint    string
	}{
		"token of an account":        {static, codearts.OpJobConfig, refusal(403, "APIGW.0302", "not allowed"), "scoped to the region's IAM project"},
		"token said to be of one":    {static, codearts.OpFile, refusal(400, "CH.1", "The Token Scope is wrong"), "scope.project, not scope.domain"},
		"token that has ended":       {static, codearts.OpJobConfig, refusal(401, "APIGW.0301", "bad"), "the token has ended"},
		"token without permission":   {static, codearts.OpJobConfig, refusal(403, "CB.1", "no permission"), "is_view"},
		"wrong project":              {password(codeartstest.Password), codearts.OpJobConfig, refusal(401, "APIGW.0301", "bad"), "set the IAM project"},
		"scope":                      {password(codeartstest.Password), codearts.OpFile, refusal(403, "X.1", "token scope"), "X-Subject-Token"},
		"user of no service":         {password(codeartstest.Password), codearts.OpJobConfig, refusal(403, "APIGW.0302", "bad"), "give it a policy"},
		"user of no task":            {password(codeartstest.Password), codearts.OpJobConfig, refusal(403, "CB.1", "bad"), "the IAM user needs is_view"},
		"user who may not send":      {password(codeartstest.Password), codearts.OpCheckWebhookURL, refusal(403, "CB.1", "bad"), "is_execute"},
		"user of no repository":      {password(codeartstest.Password), codearts.OpFile, refusal(403, "CH.1", "bad"), "member of the repository"},
		"user who may not write":     {password(codeartstest.Password), codearts.OpCreateCommit, refusal(403, "CH.1", "bad"), "protected"},
		"key of a user without role": {aksk(), codearts.OpCreateCommit, refusal(403, "CH.1", "bad"), "the user of the access key needs a role"},
		"key without project":        {noProject, codearts.OpJobConfig, refusal(403, "APIGW.0302", "bad"), "SDK always sends"},
		"wrong password":             {password("wrong-password"), codearts.OpToken, codeartstest.Failure{Delay: 1}, "not of the user"},
		"wrong passcode":             {withMFA("u1", codeSeed), codearts.OpToken, refusal(401, "APIGW.0301", "bad"), "this machine's clock"},
		"unknown project":            {password(codeartstest.Password), codearts.OpToken, refusal(404, "X.1", "no project"), "check the IAM project"},
		"IAM is away":                {password(codeartstest.Password), codearts.OpToken, refusal(503, "X.1", "later"), ""},
		"what is not about identity": {aksk(), codearts.OpJobConfig, refusal(404, "APIGW.0101", "gone"), ""},
		"what is not about it, 2":    {static, codearts.OpJobConfig, refusal(500, "CB.00060211", "scope"), ""},
		"what is not about it, 3":    {password(codeartstest.Password), codearts.OpJobConfig, refusal(400, "CB.00060200", "bad"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, codeartstest.Options{Tokens: []string{"g00d-token"}}, func(cfg *codearts.Config) { cfg.Credentials = row.who })
			w.Fail(row.op, row.failure)
			err := calls(w)[row.op](t.Context())
			api, ok := errors.AsType[*codearts.APIError](err)
			if !ok || !strings.Contains(api.Hint, row.hint) || (row.hint == "") != (api.Hint == "") {
				t.Fatalf("hint of %v is not %q", err, row.hint)
			}
			if !strings.HasSuffix(err.Error(), api.Hint) || strings.ContainsAny(api.Hint, "\n") {
				t.Errorf("the hint is not the end of %v", err)
			}
		})
	}
}
