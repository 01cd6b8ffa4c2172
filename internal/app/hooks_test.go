package app

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// hookWorld is a fake CodeArts with a repository, its client, and a folder with a configuration.
type hookWorld struct {
	*codeartstest.Fake
	t        *testing.T
	client   *codearts.Client
	folder   string
	receiver string // answers what status says
	status   atomic.Int32
}

func newHookWorld(t *testing.T) *hookWorld {
	t.Helper()
	w := &hookWorld{Fake: codeartstest.New(codeartstest.Options{Tokens: []string{"t0ken"}}), t: t, folder: t.TempDir()}
	w.status.Store(http.StatusAccepted)
	w.AddRepository(codeartstest.Repository{ID: "7", Path: "shop/orders", GroupID: "8"})
	server := httptest.NewServer(w.Fake)
	receiver := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer.WriteHeader(int(w.status.Load()))
	}))
	w.receiver = receiver.URL
	var err error
	w.client, err = codearts.New(codearts.Config{
		BuildEndpoint: server.URL, RepoEndpoint: server.URL, Credentials: codearts.StaticToken{Token: codearts.NewSecret("t0ken")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		w.Close()
		server.Close()
		receiver.Close()
	})
	return w
}

func (w *hookWorld) plan() *HookPlan {
	return &HookPlan{
		Scope: codearts.HookScope{Kind: codearts.HooksOfRepository, ID: "7"}, URL: w.receiver + "/hooks/shop", Events: HookEvents(),
		SecretFile: filepath.Join(w.folder, "shop.secret"),
	}
}

// config is a configuration whose source shop has the secrets of files.
func (w *hookWorld) config(files ...string) HookConfig {
	w.t.Helper()
	text := "codearts: { default: { region: cn-north-4, user: u, domain: d, password: { env: P } } }\nsources: { shop: { secrets: ["
	for _, name := range files {
		text += "{ file: " + name + " }, "
	}
	if len(files) == 0 {
		text += "{ env: P }"
	}
	file := filepath.Join(w.folder, "millrace.yaml")
	if err := os.WriteFile(file, []byte(text+"] } }\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	cfg, err := config.LoadSealed(file, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return HookConfig{Config: cfg, File: file, Environ: []string{"P=p4ssword"}}
}

func (w *hookWorld) install(p *HookPlan, rotate bool) (*Installed, error) {
	w.t.Helper()
	return InstallHook(w.t.Context(), w.client, w.config(), p, rotate)
}

func (w *hookWorld) secret(p *HookPlan) string {
	w.t.Helper()
	data, err := os.ReadFile(p.SecretFile)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// Whatever happens to the call that makes the hook, doing it again ends with one hook that sends the secret of the file.
func TestInstallCanBeRepeated(t *testing.T) {
	for name, failure := range map[string]codeartstest.Failure{
		"nothing":                  {Skip: 9, Status: 500},
		"lost before":              {Drop: true, Times: 1},
		"lost after":               {Drop: true, Done: true, Times: 1},
		"broken off":               {Cut: true, Times: 1},
		"500":                      {Status: 500, Times: 1},
		"500 after":                {Status: 500, Done: true, Times: 1},
		"a page where JSON should": {Body: []byte("<html>"), Done: true, Times: 1},
		"refused":                  {Status: 403, Times: 1},
		"throttled":                {Status: 429, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHookWorld(t)
			p := w.plan()
			w.Fail(codearts.OpCreateHook, failure)
			done, err := w.install(p, false)
			first := w.secret(p)
			if err != nil && (!strings.Contains(err.Error(), "goes on from here") || strings.Contains(err.Error(), first)) {
				t.Errorf("error %v", err)
			}
			if err == nil && done.Did != HookMade {
				t.Errorf("done %+v", done)
			}
			for range 2 {
				if done, err = w.install(p, false); err != nil {
					t.Fatal(err)
				}
			}
			hooks := w.Hooks()
			if len(hooks) != 1 || hooks[0].Token != first || w.secret(p) != first || done.Did != HookUnchanged || done.Hook != hooks[0].ID {
				t.Errorf("%d hooks, done %+v", len(hooks), done)
			}
			if text := fmt.Sprintf("%+v", done); strings.Contains(text, first) {
				t.Errorf("the secret shows: %s", text)
			}
		})
	}
}

func TestSecretsAreFreshAndPrivate(t *testing.T) {
	w := newHookWorld(t)
	seen := map[string]bool{}
	for i := range 5 {
		p := w.plan()
		p.URL, p.SecretFile = fmt.Sprintf("%s/hooks/s%d", w.receiver, i), filepath.Join(w.folder, fmt.Sprint(i))
		if i == 4 { // left behind by a process that died
			if err := os.WriteFile(p.SecretFile, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if done, err := w.install(p, false); err != nil || !done.SecretMade {
			t.Fatalf("%+v, %v", done, err)
		}
		info, err := os.Stat(p.SecretFile)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		secret := w.secret(p)
		if len(secret) != 43 || seen[secret] {
			t.Errorf("secret %d has %d characters", i, len(secret))
		}
		seen[secret] = true
	}
	for _, bad := range []string{"short\n", "0123456789abcdef 0123456789abcdef", "0123456789abcdef\n0123456789abcdef\n", strings.Repeat("x", 5000)} {
		p := w.plan()
		if err := os.WriteFile(p.SecretFile, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := w.install(p, false); err == nil || !strings.Contains(err.Error(), "does not hold a secret") || strings.Contains(err.Error(), strings.TrimSpace(bad)) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	p := w.plan()
	p.SecretFile = filepath.Join(w.folder, "no", "folder")
	if _, err := w.install(p, false); err == nil || len(w.Hooks()) != 5 {
		t.Errorf("no folder: %v", err)
	}
}

// A change keeps what it is not about, and sends the same secret along.
func TestInstallChangesOnlyWhatDiffers(t *testing.T) {
	w := newHookWorld(t)
	p := w.plan()
	if _, err := w.install(p, false); err != nil {
		t.Fatal(err)
	}
	id := w.Hooks()[0].ID
	if _, err := w.client.UpdateHook(t.Context(), p.Scope, id, codearts.HookRequest{
		URL: p.URL, Name: "by hand", Description: "keep", Notes: true, NoteFilter: []string{"/retest"}, TokenHeader: "X-Gitlab-Token",
	}); err != nil {
		t.Fatal(err)
	}
	w.Fail(codearts.OpUpdateHook, codeartstest.Failure{Drop: true, Times: 1})
	if _, err := w.install(p, false); err == nil {
		t.Error("no error when the change was lost")
	}
	done, err := w.install(p, false)
	if err != nil || done.Did != HookChanged || len(done.Changes) != 2 { // events and token header
		t.Errorf("done %+v, %v", done, err)
	}
	h := w.Hooks()[0]
	if h.Name != "by hand" || len(h.NoteFilter) != 1 || h.TokenHeader != "X-Repo-Token" || h.BranchFilter != ".*" || !h.Push || h.Token != w.secret(p) {
		t.Errorf("hook %+v", h)
	}
	if done, err = w.install(p, false); err != nil || done.Did != HookUnchanged || w.Calls(codearts.OpUpdateHook) != 3 {
		t.Errorf("done %+v, %v", done, err)
	}
	p.Notes, p.Name = []string{"/build", "/retest"}, "millrace"
	if done, err = w.install(p, false); err != nil || len(done.Changes) != 2 || w.Hooks()[0].Name != "millrace" || len(w.Hooks()[0].NoteFilter) != 2 {
		t.Errorf("done %+v, %v", done, err)
	}
	if err := os.Remove(p.SecretFile); err != nil {
		t.Fatal(err)
	}
	if _, err = w.install(p, false); err == nil || !strings.Contains(err.Error(), "CodeArts shows nobody again") || fileExists(p.SecretFile) {
		t.Errorf("without its secret: %v", err)
	}
}

// A hook that somebody made by hand without a token gets one.
func TestInstallGivesATokenToAHookWithout(t *testing.T) {
	w := newHookWorld(t)
	p := w.plan()
	if _, err := w.client.CreateHook(t.Context(), p.Scope, p.request(codearts.Secret{}, nil)); err != nil {
		t.Fatal(err)
	}
	done, err := w.install(p, false)
	if err != nil || done.Did != HookChanged || !done.SecretMade || w.Hooks()[0].Token != w.secret(p) {
		t.Errorf("done %+v, %v", done, err)
	}
}

func TestInstallStopsAtTwentyHooks(t *testing.T) {
	w := newHookWorld(t)
	p := w.plan()
	for i := range codearts.MaxHooks {
		p.URL = fmt.Sprintf("https://example.com/%d", i)
		if _, err := w.client.CreateHook(t.Context(), p.Scope, p.request(codearts.Secret{}, nil)); err != nil {
			t.Fatal(err)
		}
	}
	p.URL = w.plan().URL
	if _, err := w.install(p, false); err == nil || !strings.Contains(err.Error(), "no more than 20") || fileExists(p.SecretFile) {
		t.Errorf("error %v", err)
	}
}

// The hook sends the next secret only when the configuration accepts it, whenever the command is stopped.
func TestRotate(t *testing.T) {
	w := newHookWorld(t)
	p := w.plan()
	if _, err := w.install(p, true); err == nil {
		t.Error("there is no hook to rotate")
	}
	if _, err := w.install(p, false); err != nil {
		t.Fatal(err)
	}
	old, next := w.secret(p), ""
	for range 2 {
		done, err := InstallHook(t.Context(), w.client, w.config("shop.secret"), p, true)
		if err != nil || done.Did != HookPrepared || done.SecretFile != p.SecretFile+".next" || w.Hooks()[0].Token != old {
			t.Fatalf("done %+v, %v", done, err)
		}
		data, err := os.ReadFile(done.SecretFile)
		if text := strings.TrimSpace(string(data)); err != nil || text == old || next != "" && text != next {
			t.Fatalf("the next secret changes: %v", err)
		}
		next = strings.TrimSpace(string(data))
	}
	both := w.config("shop.secret", "shop.secret.next")
	w.Fail(codearts.OpUpdateHook, codeartstest.Failure{Drop: true, Done: true, Times: 1})
	if _, err := InstallHook(t.Context(), w.client, both, p, true); err == nil {
		t.Error("no error for a change of unknown outcome")
	}
	done, err := InstallHook(t.Context(), w.client, both, p, true)
	if err != nil || done.Did != HookRotated || w.Hooks()[0].Token != next || w.secret(p) != old {
		t.Errorf("done %+v, %v", done, err)
	}
	if _, err = InstallHook(t.Context(), w.client, both, p, false); err == nil || !strings.Contains(err.Error(), "has been begun") || w.Hooks()[0].Token != next {
		t.Errorf("an installation in between: %v", err)
	}
	if err = os.Rename(p.SecretFile+".next", p.SecretFile); err != nil {
		t.Fatal(err)
	}
	if done, err = InstallHook(t.Context(), w.client, w.config("shop.secret"), p, false); err != nil || done.Did != HookUnchanged || len(done.NextSteps) != 0 {
		t.Errorf("afterwards %+v, %v", done, err)
	}
}

// deliver pushes so often, and waits until all was told.
func (w *hookWorld) deliver(times int) {
	w.t.Helper()
	want := len(w.Deliveries()) + times
	for range times {
		w.Push("7", codeartstest.Push{Message: "told"})
	}
	deadline, tick := time.After(2*time.Minute), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(w.Deliveries()) < want {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatal("not everything was told")
		}
	}
}

// point is a point of a diagnosis.
func point(t *testing.T, d *Diagnosis, code string) Point {
	t.Helper()
	for _, p := range d.Points {
		if p.Code == code {
			return p
		}
	}
	t.Fatalf("no point %s in %+v", code, d.Points)
	return Point{}
}

func TestCheckJudgesTheLastDeliveries(t *testing.T) {
	w := newHookWorld(t)
	p := w.plan()
	if _, err := w.install(p, false); err != nil {
		t.Fatal(err)
	}
	look := func(now time.Time) Point {
		t.Helper()
		d, err := CheckHook(t.Context(), w.client, w.config("shop.secret"), p, now)
		if err != nil {
			t.Fatal(err)
		}
		return point(t, d, codeHookLogs)
	}
	if got := look(w.Now()); got.Verdict != VerdictSkipped {
		t.Errorf("none: %+v", got)
	}
	for _, step := range []struct {
		status, times int
		verdict       Verdict
		text, remedy  string
	}{
		{202, 3, VerdictOK, "the last 3 deliveries", ""},
		{401, 1, VerdictFail, "the last 4 deliveries of hook", "does not know the secret"},
		{202, 1, VerdictFail, "; the newest one was", "does not know the secret"},
		{503, 1, VerdictFail, ": 2 not answered 2xx", "503 says"},
		{404, 1, VerdictFail, "404 at 20", "no such source"},
		{413, 1, VerdictFail, "413 at 20", "receiver.max_body"},
		{202, 21, VerdictOK, "the last 20 deliveries", ""},
		{500, 7, VerdictFail, ", and 2 more", "receiver's log"},
	} {
		w.status.Store(int32(step.status))
		w.deliver(step.times)
		if got := look(w.Now()); got.Verdict != step.verdict || !strings.Contains(got.Text, step.text) || !strings.Contains(got.Remedy, step.remedy) {
			t.Errorf("%d: %+v", step.status, got)
		}
	}
	if got := look(w.Now().Add(8 * 24 * time.Hour)); got.Verdict != VerdictSkipped {
		t.Errorf("long ago: %+v", got)
	}
	p.URL = "http://127.0.0.1:1/hooks/shop"
	if err := os.Remove(p.SecretFile); err != nil {
		t.Fatal(err)
	}
	if _, err := w.install(p, false); err != nil {
		t.Fatal(err)
	}
	w.deliver(2) // to both hooks
	if got := look(w.Now()); got.Verdict != VerdictFail || !strings.Contains(got.Text, "internal error at") || !strings.Contains(got.Remedy, "cannot reach") {
		t.Errorf("nobody there: %+v", got)
	}
}

func TestCheckJudgesTheSource(t *testing.T) {
	w := newHookWorld(t)
	p := w.plan()
	if _, err := w.install(p, false); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		change func(*HookPlan, *config.Config)
		code   string
		want   Verdict
		text   string
	}{
		{"as it is", func(*HookPlan, *config.Config) {}, codeHookSource, VerdictOK, "takes a token in X-Repo-Token"},
		{"accepted", func(*HookPlan, *config.Config) {}, codeHookSecret, VerdictOK, "accepts the secret"},
		{"another secret", func(p *HookPlan, _ *config.Config) { p.SecretFile += ".other" }, codeHookSecret, VerdictFail, "does not accept"},
		{"no file", func(p *HookPlan, _ *config.Config) { p.SecretFile += ".gone" }, codeHookSecret, VerdictFail, "cannot be read"},
		{"not asked", func(p *HookPlan, _ *config.Config) { p.SecretFile = "" }, codeHookSecret, VerdictSkipped, "--secret-file"},
		{"signed", func(_ *HookPlan, c *config.Config) { c.Sources["shop"] = config.Source{Verify: "hmac_sha256"} }, codeHookSource, VerdictFail, "CodeArts Repo sends a token"},
		{"other header", func(p *HookPlan, _ *config.Config) { p.TokenHeader = "X-Mine" }, codeHookSource, VerdictFail, "does not look into the header X-Mine"},
		{"own header", func(p *HookPlan, c *config.Config) {
			p.TokenHeader = "X-Mine"
			c.Sources["shop"] = config.Source{Verify: "token", Headers: []string{"x-mine"}}
		}, codeHookSource, VerdictOK, "X-Mine"},
		{"no source", func(_ *HookPlan, c *config.Config) { c.Sources = nil }, codeHookSource, VerdictFail, "no source shop"},
		{"no receiver", func(p *HookPlan, _ *config.Config) { p.URL = "https://example.com/" }, codeHookSource, VerdictFail, "not that of a receiver"},
		{"below another path", func(p *HookPlan, _ *config.Config) { p.URL = "https://example.com/millrace/hooks/shop" }, codeHookSource, VerdictOK, "shop"},
		{"https", func(p *HookPlan, _ *config.Config) { p.URL = "https://example.com/hooks/shop" }, codeHookURL, VerdictOK, "https"},
	} {
		cfg, asked := w.config("shop.secret"), w.plan()
		if err := os.WriteFile(asked.SecretFile+".other", []byte(strings.Repeat("x", 43)), 0o600); err != nil {
			t.Fatal(err)
		}
		row.change(asked, cfg.Config)
		d, err := CheckHook(t.Context(), w.client, cfg, asked, w.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := point(t, d, row.code); got.Verdict != row.want || !strings.Contains(got.Text, row.text) || (got.Remedy == "") != (row.want != VerdictFail) {
			t.Errorf("%s: %+v", row.name, got)
		}
	}
}

func TestHooksThatCannotBeAsked(t *testing.T) {
	w := newHookWorld(t)
	for status, want := range map[int]string{403: "needs the right to change", 404: "its id is on its page", 500: "500"} {
		w.Fail(codearts.OpHooks, codeartstest.Failure{Status: status})
		_, install := w.install(w.plan(), false)
		_, check := CheckHook(t.Context(), w.client, w.config(), w.plan(), w.Now())
		_, list := ListHooks(t.Context(), w.client, w.plan().Scope)
		for what, err := range map[string]error{"install": install, "check": check, "list": list} {
			if _, ok := errors.AsType[*codearts.APIError](err); !ok || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %d: %v", what, status, err)
			}
		}
		w.Clear()
	}
	if fileExists(w.plan().SecretFile) {
		t.Error("a secret was made for nothing")
	}
}
