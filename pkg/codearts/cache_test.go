package codearts_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// handled carries requests to a handler without a network, so that time may be that of synctest.
type handled struct{ http.Handler }

func (h handled) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil {
			resp, err = nil, errors.New("the connection broke")
		}
	}()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	h.ServeHTTP(out, in)
	return out.Result(), nil
}

// bubble is a fake without a network, inside synctest.
func bubble(t *testing.T, opts codeartstest.Options) (*codeartstest.Fake, func(change ...func(*codearts.Config)) *codearts.Client) {
	t.Helper()
	fake := codeartstest.New(opts)
	t.Cleanup(fake.Close)
	fake.AddRepository(codeartstest.Repository{ID: repoID, Path: "shop/orders"})
	fake.AddJob(codeartstest.Job{ID: jobID, ProjectID: projectID, RepoID: repoID})
	return fake, func(change ...func(*codearts.Config)) *codearts.Client {
		t.Helper()
		cfg := codearts.Config{Region: "cn-north-4", Credentials: password(codeartstest.Password), Transport: handled{fake}}
		for _, c := range change {
			c(&cfg)
		}
		client, err := codearts.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
}

// pass lets time of synctest go by.
func pass(d time.Duration) { <-time.After(d) }

// A thousand callers of several clients, whose token has ended, make one request.
func TestThousandCallersOneTokenRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, connect := bubble(t, codeartstest.Options{})
		cache := &codearts.TokenCache{}
		var clients []*codearts.Client
		for range 10 {
			clients = append(clients, connect(func(cfg *codearts.Config) { cfg.Tokens = cache }))
		}
		for round := range 3 {
			fake.Fail(codearts.OpToken, codeartstest.Failure{Delay: time.Second, Times: 1})
			var wg sync.WaitGroup
			for i := range 1000 {
				wg.Go(func() {
					if err := second(clients[i%len(clients)].JobConfig(t.Context(), jobID)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := fake.Calls(codearts.OpToken); n != round+1 {
				t.Fatalf("%d token requests, want %d", n, round+1)
			}
			pass(25 * time.Hour)
		}
	})
}

// Clients share the tokens of an identity, and of nothing else.
func TestTokenCacheIsByIdentity(t *testing.T) {
	users := []codeartstest.IAMUser{
		{Domain: "acme", Name: "ci-bot", Password: "pass-one", ProjectName: "cn-north-4", ProjectID: "id4"},
		{Domain: "acme", Name: "other", Password: "pass-one", ProjectName: "cn-north-4", ProjectID: "id4"},
		{Domain: "corp", Name: "ci-bot", Password: "pass-one", ProjectName: "cn-north-4", ProjectID: "id4"},
		{Domain: "acme", Name: "ci-bot", Password: "pass-one", ProjectName: "cn-east-3", ProjectID: "id3"},
	}
	who := func(domain, user, project string) codearts.Password {
		return codearts.Password{Domain: domain, User: user, ProjectName: project, Password: codearts.NewSecret("pass-one")}
	}
	wrong := who("acme", "ci-bot", "cn-north-4")
	wrong.Password = codearts.NewSecret("pass-two")
	byID := who("acme", "ci-bot", "")
	byID.ProjectID = "id4"
	synctest.Test(t, func(t *testing.T) {
		fake, connect := bubble(t, codeartstest.Options{Users: users})
		cache := &codearts.TokenCache{}
		for _, row := range []struct {
			what     string
			who      codearts.Password
			iam      string
			requests int
			err      error
		}{
			{"wrong password", wrong, "", 1, codearts.ErrUnauthorized},
			{"first", who("acme", "ci-bot", "cn-north-4"), "", 2, nil},
			{"the same", who("acme", "ci-bot", "cn-north-4"), "", 2, nil},
			{"another user", who("acme", "other", "cn-north-4"), "", 3, nil},
			{"another account", who("corp", "ci-bot", "cn-north-4"), "", 4, nil},
			{"the project by its id", byID, "", 5, nil},
			{"another IAM", who("acme", "ci-bot", "cn-north-4"), "https://iam.example.com", 6, nil},
			{"the first again", who("acme", "ci-bot", "cn-north-4"), "", 6, nil},
			{"wrong password again", wrong, "", 6, codearts.ErrUnauthorized},
		} {
			client := connect(func(cfg *codearts.Config) { cfg.Tokens, cfg.Credentials, cfg.IAMEndpoint = cache, row.who, row.iam })
			if err := second(client.JobConfig(t.Context(), jobID)); !errors.Is(err, row.err) {
				t.Errorf("%s: %v", row.what, err)
			}
			if n := fake.Calls(codearts.OpToken); n != row.requests {
				t.Errorf("%s: %d token requests, want %d", row.what, n, row.requests)
			}
		}
		if err := second(connect().JobConfig(t.Context(), jobID)); err == nil || fake.Calls(codearts.OpToken) != 7 {
			t.Errorf("a client without a cache: %v", err) // its password is not of these users
		}
	})
}

// Every token is renewed at a moment of its own, up to half a margin before the margin.
func TestTokensAreNotRenewedTogether(t *testing.T) {
	for _, row := range []struct {
		share float64
		life  time.Duration
		after time.Duration
	}{
		{0, 24 * time.Hour, 23 * time.Hour},
		{0.5, 24 * time.Hour, 22*time.Hour + 45*time.Minute},
		{0.999, 24 * time.Hour, 22*time.Hour + 30*time.Minute + 2*time.Second},
		{0.5, time.Hour, 52*time.Minute + 30*time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			fake, connect := bubble(t, codeartstest.Options{TokenLife: row.life})
			client := connect(func(cfg *codearts.Config) {
				cfg.Tokens = &codearts.TokenCache{Random: func() float64 { return row.share }}
			})
			for i, wait := range []time.Duration{0, row.after - 2*time.Second, 2 * time.Second} {
				pass(wait)
				if err := second(client.JobConfig(t.Context(), jobID)); err != nil {
					t.Fatal(err)
				}
				if n, want := fake.Calls(codearts.OpToken), 1+i/2; n != want {
					t.Errorf("share %v of %v: %d token requests at %v, want %d", row.share, row.life, n, wait, want)
				}
			}
		})
	}
}

// codeSeed is the seed of RFC 6238's examples.
const codeSeed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

func withMFA(userID, seed string) codearts.Password {
	p := password(codeartstest.Password)
	p.MFA = codearts.MFA{UserID: userID, Seed: codearts.NewSecret(seed)}
	return p
}

// mfaUser has a virtual MFA device.
func mfaUser() []codeartstest.IAMUser {
	return []codeartstest.IAMUser{{
		Domain: codeartstest.Domain, Name: codeartstest.User, Password: codeartstest.Password, ProjectName: codeartstest.ProjectName,
		ID: "u0000000000000000000000000000001", Seed: codeSeed,
	}}
}

// A passcode goes out once: who signs in again within its 30 seconds waits for the next.
func TestPasscodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, connect := bubble(t, codeartstest.Options{Users: mfaUser()})
		client := connect(func(cfg *codearts.Config) { cfg.Credentials = withMFA(mfaUser()[0].ID, codeSeed) })
		pass(7 * time.Second)
		for i, want := range []time.Duration{0, 23 * time.Second, 30 * time.Second} {
			began := time.Now()
			if err := second(client.JobConfig(t.Context(), jobID)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("call %d took %v, want %v", i, took, want)
			}
			fake.ExpireTokens()
		}
		if n := fake.Calls(codearts.OpToken); n != 3 {
			t.Errorf("%d token requests, want 3", n)
		}
	})
}

// Who does not wait for the next passcode fails alone, and nothing was sent.
func TestPasscodeIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, connect := bubble(t, codeartstest.Options{Users: mfaUser()})
		client := connect(func(cfg *codearts.Config) { cfg.Credentials = withMFA(mfaUser()[0].ID, codeSeed) })
		if err := second(client.JobConfig(t.Context(), jobID)); err != nil {
			t.Fatal(err)
		}
		fake.ExpireTokens()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := second(client.JobConfig(ctx, jobID))
		check(t, codearts.OpToken, err, verdict{class: "timeout", again: true})
		if n := fake.Calls(codearts.OpToken); n != 1 {
			t.Errorf("%d token requests, want 1", n)
		}
		if err := second(client.JobConfig(t.Context(), jobID)); err != nil {
			t.Errorf("who waits: %v", err)
		}
	})
}

func TestWrongPasscodeIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, who := range map[string]codearts.Password{
			"another seed": withMFA(mfaUser()[0].ID, strings.Repeat("A", 32)), "another user": withMFA("u2", codeSeed), "no MFA": password(codeartstest.Password),
		} {
			fake, connect := bubble(t, codeartstest.Options{Users: mfaUser()})
			client := connect(func(cfg *codearts.Config) { cfg.Credentials = who })
			for range 5 {
				err := second(client.JobConfig(t.Context(), jobID))
				check(t, codearts.OpToken, err, verdict{status: 401, class: "unauthorized", is: codearts.ErrUnauthorized})
				pass(40 * time.Second)
			}
			if n := fake.Calls(codearts.OpToken); n != 1 {
				t.Errorf("%s: %d token requests, want 1", name, n)
			}
		}
	})
}
