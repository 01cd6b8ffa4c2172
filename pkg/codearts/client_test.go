package codearts_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

const (
	repoID    = "2111000001"
	jobID     = "f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3"
	projectID = "aaaabbbbccccddddeeeeffff00001111"
	packageID = "cf5d89cf3c6c4c53a1e92897ccc00001"
)

// world is a fake CodeArts with a repository, a task and a package, and a client that signs in with a password.
type world struct {
	*codeartstest.Fake
	*codearts.Client
	url string
	t   testing.TB
	has furnishing
}

// newWorld serves a fake over real HTTP. change may change the client's configuration.
func newWorld(t testing.TB, opts codeartstest.Options, change ...func(*codearts.Config)) *world {
	t.Helper()
	fake := codeartstest.New(opts)
	server := httptest.NewServer(fake)
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		fake.Close()
		server.Close()
	})
	fake.AddRepository(codeartstest.Repository{ID: repoID, Path: "shop/orders", Files: map[string]string{"README.md": "# orders\n", "docs/a b.md": "ä\n"}})
	fake.AddJob(codeartstest.Job{ID: jobID, ProjectID: projectID, Name: "orders-ci", RepoID: repoID})
	fake.AddPackage(codeartstest.Package{ResourceID: packageID, ProjectID: projectID, Name: "CodeArts-pro", Expires: fake.Now().Add(40 * 24 * time.Hour)})
	cfg := codearts.Config{
		BuildEndpoint: server.URL, RepoEndpoint: server.URL, IAMEndpoint: server.URL,
		Credentials: password(codeartstest.Password), Transport: transport,
	}
	for _, c := range change {
		c(&cfg)
	}
	client, err := codearts.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &world{Fake: fake, Client: client, url: server.URL, t: t}
}

func password(p string) codearts.Password {
	return codearts.Password{
		User: codeartstest.User, Domain: codeartstest.Domain, ProjectName: codeartstest.ProjectName, Password: codearts.NewSecret(p),
	}
}

// What may be repeated, line by line.
func TestRepeatTable(t *testing.T) {
	want := map[string]codearts.Repeat{
		codearts.OpCreateCommit:    codearts.RepeatAfterCheck,
		codearts.OpStartBuild:      codearts.RepeatAfterCheck,
		codearts.OpCreateHook:      codearts.RepeatAfterCheck,
		codearts.OpCheckWebhookURL: codearts.RepeatNever,
		codearts.OpToken:           codearts.RepeatFew,
	}
	for _, op := range codearts.Operations() {
		expect, special := want[op.Name]
		if !special {
			expect = codearts.RepeatFreely
		}
		if op.Repeat != expect {
			t.Errorf("%s: repeat is %s, want %s", op.Name, op.Repeat, expect)
		}
		writes := []string{
			codearts.OpCreateCommit, codearts.OpStartBuild, codearts.OpStopBuild, codearts.OpCheckWebhookURL,
			codearts.OpCreateHook, codearts.OpUpdateHook, codearts.OpDeleteHook, codearts.OpDeleteBranch,
		}
		if op.Writes != slices.Contains(writes, op.Name) {
			t.Errorf("%s: writes is %t", op.Name, op.Writes)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	token := codearts.StaticToken{Token: codearts.NewSecret("t0ken")}
	for name, row := range map[string]struct {
		cfg  codearts.Config
		want string
	}{
		"no credentials":     {codearts.Config{Region: "cn-north-4"}, "credentials are missing"},
		"unknown region":     {codearts.Config{Region: "mars-1", Credentials: token}, "cn-north-4"},
		"plain http":         {codearts.Config{BuildEndpoint: "http://build.example.com", Credentials: token}, "use https"},
		"not an address":     {codearts.Config{RepoEndpoint: "repo.example.com", Credentials: token}, "repo_endpoint"},
		"user in address":    {codearts.Config{RepoEndpoint: "https://u:p@repo.example.com", Credentials: token}, "no user"},
		"empty token":        {codearts.Config{Region: "cn-north-4", Credentials: codearts.StaticToken{}}, "token is empty"},
		"token with newline": {codearts.Config{Region: "cn-north-4", Credentials: codearts.StaticToken{Token: codearts.NewSecret("abc\n")}}, "line break"},
		"no password":        {codearts.Config{Region: "cn-north-4", Credentials: codearts.Password{User: "u", Domain: "d", ProjectName: "p"}}, "user, domain and password"},
		"half an MFA":        {codearts.Config{Region: "cn-north-4", Credentials: withMFA("", codeSeed)}, "MFA needs the id"},
		"the other half":     {codearts.Config{Region: "cn-north-4", Credentials: withMFA("u1", "")}, "MFA needs the id"},
		"passcode as seed":   {codearts.Config{Region: "cn-north-4", Credentials: withMFA("u1", "190817")}, "not base32"},
		"no project":         {codearts.Config{Region: "cn-north-4", Credentials: codearts.Password{User: "u", Domain: "d", Password: codearts.NewSecret("x")}}, "IAM project"},
		"repo API":           {codearts.Config{Region: "cn-north-4", RepoAPI: "v3", Credentials: token}, `"v2" or "v4"`},
		"no IAM":             {codearts.Config{BuildEndpoint: "https://b.example.com", Credentials: password("x")}, "iam_endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := codearts.New(row.cfg)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error is %v, want one with %q", err, row.want)
			}
		})
	}
}

// The regions of each service as the vendor's SDK lists them, in full; IAM is in every one.
func TestDefaultEndpoint(t *testing.T) {
	all := map[string]bool{}
	for _, row := range []struct {
		service codearts.Service
		pattern string
		regions string
	}{
		{
			codearts.ServiceBuild, "https://cloudbuild-ext.%s.myhuaweicloud.com",
			"cn-north-1 cn-north-4 cn-east-2 cn-east-3 cn-south-1 cn-south-2 cn-southwest-2 ap-southeast-3 sa-brazil-1 la-north-2 la-south-2 tr-west-1",
		},
		{
			codearts.ServiceRepo, "https://codehub-ext.%s.myhuaweicloud.com",
			"cn-north-1 cn-north-4 cn-east-2 cn-east-3 cn-south-1 cn-south-2 cn-southwest-2 ap-southeast-3 sa-brazil-1 la-north-2",
		},
		{codearts.ServiceRepo, "https://codeartsrepo-ext.%s.myhuaweicloud.com", "la-south-2 tr-west-1 eu-west-101"},
		{codearts.ServiceRepo, "https://repo.%s.myhuaweicloud.com", "me-east-1 af-south-1 af-north-1"},
		{
			codearts.ServiceIAM, "https://iam.%s.myhuaweicloud.com",
			"cn-north-1 cn-north-4 cn-north-9 cn-east-2 cn-east-3 cn-east-4 cn-east-5 cn-south-1 cn-south-2 cn-southwest-2 " +
				"ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 me-east-1",
		},
		{codearts.ServiceIAM, "https://iam.%s.myhuaweicloud.eu", "eu-west-101"},
	} {
		for _, region := range strings.Fields(row.regions) {
			if row.service != codearts.ServiceIAM {
				all[region] = true
			}
			if got, want := codearts.DefaultEndpoint(row.service, region), fmt.Sprintf(row.pattern, region); got != want {
				t.Errorf("%s in %s: %q, want %q", row.service, region, got, want)
			}
		}
	}
	if got, want := codearts.Regions(), slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Errorf("regions are %v, want %v", got, want)
	}
	for region := range all {
		if codearts.DefaultEndpoint(codearts.ServiceIAM, region) == "" {
			t.Errorf("no IAM in %s", region)
		}
	}
	for service, region := range map[codearts.Service]string{codearts.ServiceBuild: "me-east-1", codearts.ServiceRepo: "cn-north-9", codearts.ServiceIAM: "mars-1"} {
		if got := codearts.DefaultEndpoint(service, region); got != "" {
			t.Errorf("%s in %s: %q", service, region, got)
		}
	}
}

// route notes where requests go.
type route struct{ hosts map[string]string }

func (r route) RoundTrip(q *http.Request) (*http.Response, error) {
	r.hosts[q.URL.Path] = q.URL.Host
	return inMemory{`{"status":"success","result":{}}`}.RoundTrip(q)
}

// Each endpoint is replaced alone, and may have a port and a path before the call's.
func TestEndpointsAreReplaced(t *testing.T) {
	seen := route{map[string]string{}}
	for _, cfg := range []codearts.Config{
		{Region: "cn-north-4", BuildEndpoint: "https://build.example.com:8443/proxy/"},
		{Region: "cn-north-4", RepoEndpoint: "https://repo.example.com/"},
		{Region: "cn-north-4", IAMEndpoint: "https://iam.myhuaweicloud.com"},
	} {
		clear(seen.hosts)
		cfg.Credentials, cfg.Transport = password("x"), seen
		client, err := codearts.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_ = second(client.JobConfig(t.Context(), jobID))
		_ = second(client.Commit(t.Context(), repoID, "main"))
		want := map[string]string{
			"/v1/job/" + jobID + "/config":                        "cloudbuild-ext.cn-north-4.myhuaweicloud.com",
			"/v2/projects/" + repoID + "/repository/commits/main": "codehub-ext.cn-north-4.myhuaweicloud.com",
			"/v3/auth/tokens":                                     "iam.cn-north-4.myhuaweicloud.com",
		}
		switch {
		case cfg.BuildEndpoint != "":
			delete(want, "/v1/job/"+jobID+"/config")
			want["/proxy/v1/job/"+jobID+"/config"] = "build.example.com:8443"
		case cfg.RepoEndpoint != "":
			want["/v2/projects/"+repoID+"/repository/commits/main"] = "repo.example.com"
		case cfg.IAMEndpoint != "":
			want["/v3/auth/tokens"] = "iam.myhuaweicloud.com"
		}
		if !maps.Equal(seen.hosts, want) {
			t.Errorf("asked %v, want %v", seen.hosts, want)
		}
	}
}
