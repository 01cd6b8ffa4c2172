package app_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

// probed is a CodeArts with a repository, and what a probe of it found.
type probed struct {
	t       *testing.T
	w       *world
	fake    *codeartstest.Fake
	environ []string
}

func newProbed(t *testing.T, opts codeartstest.Options) *probed {
	t.Helper()
	w := newWorld(t, settings{Durability: "journal", DuplicateWindow: "20m"})
	opts.Users = []codeartstest.IAMUser{{
		Domain: codeartstest.Domain, Name: codeartstest.User, Password: password, ProjectName: codeartstest.ProjectName, ProjectID: codeartstest.ProjectID,
	}}
	fake := codeartstest.New(opts)
	address := serve(t, fake)
	t.Cleanup(fake.Close)
	fake.AddRepository(codeartstest.Repository{ID: repoID, Path: repoPath})
	const of = "MILLRACE_CODEARTS_DEFAULT_"
	return &probed{t: t, w: w, fake: fake, environ: append(w.environ(), of+"IAM_ENDPOINT="+address, of+"BUILD_ENDPOINT="+address, of+"REPO_ENDPOINT="+address)}
}

const scratch = "millrace-probe-test"

func (p *probed) probe(more ...string) *app.Diagnosis {
	p.t.Helper()
	return p.with(app.Probe{RepoID: repoID, Scratch: scratch}, more...)
}

func (p *probed) with(probe app.Probe, more ...string) *app.Diagnosis {
	p.t.Helper()
	opts := doctorOptions()
	opts.Probe = &probe
	d := app.Doctor(p.t.Context(), p.w.file, slices.Concat(p.environ, more), opts)
	if data, err := json.Marshal(d); err != nil || strings.Contains(string(data), mark) {
		p.t.Errorf("%v, or a secret in %s", err, data)
	}
	return d
}

// TestProbe: a CodeArts that enforces everything, in both versions of its API and with both of the likely answers.
func TestProbe(t *testing.T) {
	t.Parallel()
	for _, api := range []string{"v2", "v4"} {
		for _, status := range []int{http.StatusConflict, http.StatusBadRequest, http.StatusOK} {
			if api == "v4" && status == http.StatusOK {
				continue // there a failure has the status of one
			}
			p := newProbed(t, codeartstest.Options{ConflictStatus: status})
			d := p.probe("MILLRACE_CODEARTS_DEFAULT_REPO_API=" + api)
			if d.Verdict != app.VerdictOK {
				t.Errorf("%s, %d: verdict %s", api, status, d.Verdict)
			}
			const code = "codearts.default.probe."
			finds(t, d, app.VerdictOK, code+"begin", scratch, "from main", api)
			finds(t, d, app.VerdictOK, code+"file_exists", "is refused", "FAKE.file_exists")
			finds(t, d, app.VerdictOK, code+"last_commit_id")
			for _, action := range []string{"update", "move", "delete"} {
				finds(t, d, app.VerdictOK, code+"stale_"+action, "is refused", "FAKE.stale_file")
				finds(t, d, app.VerdictOK, code+"fresh_"+action, "is carried out")
			}
			finds(t, d, app.VerdictOK, code+"look_back", "found again by its trailer")
			finds(t, d, app.VerdictOK, code+"clean_up", "gone again")
			i := slices.IndexFunc(d.Points, func(point app.Point) bool { return point.Code == code+"file_exists" })
			if i < 0 || d.Points[i].Status != status || d.Points[i].ErrorCode != "FAKE.file_exists" {
				t.Errorf("%s, %d: %+v", api, status, d.Points[i])
			}
			if p.fake.Head(repoID, scratch) != "" {
				t.Error("the branch is still there")
			}
		}
	}
}

// TestProbeOfUnfenced: a CodeArts that enforces nothing; each condition is told by itself, with what to do.
func TestProbeOfUnfenced(t *testing.T) {
	t.Parallel()
	p := newProbed(t, codeartstest.Options{Unfenced: []string{"create", "update", "move", "delete"}})
	d := p.probe()
	if d.Verdict != app.VerdictFail || d.Count(app.VerdictFail) != 4 {
		t.Errorf("verdict %s, %d failures", d.Verdict, d.Count(app.VerdictFail))
	}
	for _, part := range []string{"file_exists", "stale_update", "stale_move", "stale_delete"} {
		finds(t, d, app.VerdictFail, "codearts.default.probe."+part, "was not refused", "one worker", "concurrency.commit: 1", "at_least_once")
	}
	finds(t, d, app.VerdictOK, "codearts.default.probe.clean_up")
	one := newProbed(t, codeartstest.Options{Unfenced: []string{"move"}})
	d = one.probe()
	finds(t, d, app.VerdictOK, "codearts.default.probe.stale_update")
	finds(t, d, app.VerdictFail, "codearts.default.probe.stale_move", "was not refused")
	finds(t, d, app.VerdictOK, "codearts.default.probe.stale_delete")
}

// TestProbeOfStrangeAnswers: what cannot be tried is no proof, what cannot be cleaned up is named, what cannot begin says why.
func TestProbeOfStrangeAnswers(t *testing.T) {
	t.Parallel()
	const code = "codearts.default.probe."
	p := newProbed(t, codeartstest.Options{ConflictStatus: http.StatusInternalServerError})
	finds(t, p.probe(), app.VerdictWarn, code+"file_exists", "could not be tried")

	p = newProbed(t, codeartstest.Options{})
	p.fake.Fail(codearts.OpCreateCommit, codeartstest.Failure{Skip: 1, Times: 1, Status: http.StatusTooManyRequests, Code: "APIGW.0308", Gateway: true})
	p.fake.Fail(codearts.OpDeleteBranch, codeartstest.Failure{Status: http.StatusForbidden, Code: "CH.1"})
	d := p.probe()
	finds(t, d, app.VerdictWarn, code+"file_exists", "could not be tried", "429")
	finds(t, d, app.VerdictOK, code+"stale_delete")
	finds(t, d, app.VerdictWarn, code+"clean_up", scratch+" could not be deleted", "CH.1", "by hand")

	p = newProbed(t, codeartstest.Options{})
	p.fake.Fail(codearts.OpCreateCommit, codeartstest.Failure{Status: http.StatusForbidden, Code: "CH.2"})
	d = p.probe()
	finds(t, d, app.VerdictFail, code+"begin", "could not be made from main", "CH.2", "make branches")
	if n := p.fake.Calls(codearts.OpDeleteBranch); n != 0 {
		t.Errorf("a branch that was never made was deleted %d times", n)
	}
	d = p.with(app.Probe{RepoID: repoID, Scratch: scratch, Branch: "nowhere"})
	finds(t, d, app.VerdictFail, code+"begin", "branch nowhere, cannot be read")
	d = p.with(app.Probe{RepoID: "77", Scratch: scratch})
	finds(t, d, app.VerdictFail, code+"begin", "main or master")
	d = p.with(app.Probe{RepoID: repoID, Scratch: scratch, Connection: "other"})
	finds(t, d, app.VerdictFail, "codearts.other.probe.begin", "no connection codearts.other")
}
