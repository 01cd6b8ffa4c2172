package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// Probe says where the doctor tries whether CodeArts enforces what keeps a commit from being made twice.
type Probe struct {
	RepoID     string
	Connection string // "": default
	// Branch is the one to begin from. "": main, else master.
	Branch string
	// Scratch is the branch that is made for it and deleted afterwards; see ScratchBranch.
	Scratch string
}

// ScratchBranch is a name for a branch that nobody has.
func ScratchBranch() string { return "millrace-probe-" + strings.ToLower(rand.Text()[:10]) }

const (
	probeTimeout   = 3 * time.Minute
	cleanupTimeout = 30 * time.Second
)

// The parts of a probe, at the end of their codes.
const (
	probeBegin      = "begin"
	probeFileExists = "file_exists"
	probeStale      = "stale_" // followed by the action
	probeFresh      = "fresh_" // followed by the action
	probeRead       = "last_commit_id"
	probeLookBack   = "look_back"
	probeCleanUp    = "clean_up"
)

// unfenced is what follows when CodeArts does not enforce a condition, and what can be done about it.
const unfenced = "until CodeArts enforces it, run one worker, with worker.concurrency.commit: 1, and say at_least_once: true in the rules that do so, if a " +
	"second commit does no harm: a request that lands late, or two workers, can then carry out the same commit twice, or write over somebody's change. " +
	"Please report this line"

// probe is one run of a Probe.
type probe struct {
	Probe
	d      *Diagnosis
	client *codearts.Client
	name   string // of the connection
	api    string
	key    string // of the action that its commits claim to be
	began  time.Time
}

// probe tries it. It writes: a branch, some commits there, and the end of it.
func (d *Diagnosis) probe(ctx context.Context, cfg *config.Config, what Probe) {
	p := &probe{Probe: what, d: d, name: what.Connection, key: rules.Hash("probe", what.Scratch), began: time.Now()}
	if p.name == "" {
		p.name = defaultConnection
	}
	var err error
	if p.client, err = Connection(cfg, p.name); err != nil {
		p.fail(probeBegin, "name one with --connection", "%v", err)
		return
	}
	defer p.client.CloseIdleConnections()
	p.api = cfg.CodeArts[p.name].RepoAPI
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	p.run(ctx, cfg.Worker.ClockSkew)
}

func (p *probe) code(part string) string { return codeCodeArts + "." + p.name + ".probe." + part }

func (p *probe) fail(part, remedy, format string, args ...any) {
	p.d.add(VerdictFail, p.code(part), remedy, format, args...)
}

// answered puts what CodeArts said beside the last point.
func (p *probe) answered(err error) {
	last := &p.d.Points[len(p.d.Points)-1]
	if api, ok := errors.AsType[*codearts.APIError](err); ok {
		last.Status, last.ErrorCode = api.Status, api.Code
	}
}

// The files of a probe: each is for one thing, so that none depends on what became of another.
func (p *probe) file(name string) string { return p.Scratch + "/" + name + ".txt" }

// commit makes a commit on the scratch branch.
func (p *probe) commit(ctx context.Context, start, subject string, actions ...codearts.FileAction) (*codearts.Commit, error) {
	return p.client.CreateCommit(ctx, codearts.CommitRequest{
		RepoID: p.RepoID, Branch: p.Scratch, StartBranch: start, Message: rules.WithTrailer("chore: "+subject, p.key), Actions: actions,
	})
}

func create(path string) codearts.FileAction {
	return codearts.FileAction{Action: "create", FilePath: path, Content: new("first\n")}
}

func update(path, last string) codearts.FileAction {
	return codearts.FileAction{Action: "update", FilePath: path, Content: new("next\n"), LastCommitID: last}
}

func (p *probe) run(ctx context.Context, skew time.Duration) {
	base, ok := p.base(ctx)
	if !ok {
		return
	}
	first, err := p.commit(ctx, base, "make files to try conditions with",
		create(p.file("exists")), create(p.file("update")), create(p.file("move")), create(p.file("delete")))
	if err != nil {
		p.fail(probeBegin, "let the identity commit to the repository and make branches there, then try again", "branch %s could not be made from %s: %v", p.Scratch, base, err)
		p.answered(err)
		if api, ok := errors.AsType[*codearts.APIError](err); ok && api.MayHaveHappened() {
			p.cleanUp(ctx)
		}
		return
	}
	defer p.cleanUp(ctx)
	p.d.ok(p.code(probeBegin), "branch %s was made from %s in repository %s, with %s of Repo", p.Scratch, base, p.RepoID, p.api)
	p.fence(ctx, probeFileExists, "creating a file that is there", create(p.file("exists")))
	p.read(ctx, first.ID)

	// From here on first names no file's last commit any more.
	second, err := p.commit(ctx, "", "change files whose last commit is named",
		update(p.file("update"), first.ID), update(p.file("move"), first.ID), update(p.file("delete"), first.ID))
	p.fresh("update", second, err)
	if err == nil {
		p.stale(ctx, first.ID, second.ID)
	}
	p.lookBack(ctx, skew, first)
}

// base finds the branch to begin from.
func (p *probe) base(ctx context.Context) (string, bool) {
	names := []string{p.Branch}
	if p.Branch == "" {
		names = []string{"main", "master"}
	}
	var err error
	for _, name := range names {
		if _, err = p.client.Commit(ctx, p.RepoID, name); err == nil {
			return name, true
		}
		if !errors.Is(err, codearts.ErrNotFound) {
			break
		}
	}
	p.fail(probeBegin, "correct --probe-repo (the number of the repository) and --probe-branch (a branch that is there), and see that the identity may read it",
		"repository %s, branch %s, cannot be read: %v", p.RepoID, strings.Join(names, " or "), err)
	p.answered(err)
	return "", false
}

// fence tries something that must be refused, and sees that nothing was done.
func (p *probe) fence(ctx context.Context, part, what string, action codearts.FileAction) {
	before, err := p.client.Commit(ctx, p.RepoID, p.Scratch)
	if err != nil {
		p.unsure(part, what, err)
		return
	}
	_, refusal := p.commit(ctx, "", "what has to be refused", action)
	after, err := p.client.Commit(ctx, p.RepoID, p.Scratch)
	switch {
	case err != nil:
		p.unsure(part, what, err)
	case refusal == nil || after.ID != before.ID:
		p.fail(part, unfenced, "%s was not refused: CodeArts has made the commit", what)
		p.answered(refusal)
	case !certain(refusal):
		p.unsure(part, what, refusal)
	default:
		p.refused(part, what, refusal)
	}
}

// certain tells whether CodeArts has refused the commit for what it is: not the identity, and not for a while.
func certain(err error) bool {
	api, ok := errors.AsType[*codearts.APIError](err)
	return ok && api.Status != 0 && !errors.Is(err, codearts.ErrThrottled) && !errors.Is(err, codearts.ErrUnauthorized) &&
		!errors.Is(err, codearts.ErrForbidden) && api.Status < http.StatusInternalServerError
}

// refused tells that a condition is enforced, and whether the answer is one that workers take for a refusal.
func (p *probe) refused(part, what string, refusal error) {
	api, _ := errors.AsType[*codearts.APIError](refusal)
	text := fmt.Sprintf("%s is refused: %s", what, strings.TrimSpace(fmt.Sprintf("%d %s", api.Status, api.Code)))
	if api.Message != "" {
		text += ", " + api.Message
	}
	if api.MayHaveHappened() || api.Retryable() {
		p.d.add(VerdictWarn, p.code(part), "please report this line; until it is known, each such conflict is looked up and tried again before it is given up",
			"%s; workers do not know this answer as a refusal (%s)", text, api.Class())
	} else {
		p.d.ok(p.code(part), "%s (%s)", text, api.Class())
	}
	p.answered(refusal)
}

// unsure tells that something could not be tried.
func (p *probe) unsure(part, what string, err error) {
	p.d.add(VerdictWarn, p.code(part), "try again", "whether %s is refused could not be tried: %v", what, err)
	p.answered(err)
}

// read looks whether the commit that last changed a file is told.
func (p *probe) read(ctx context.Context, want string) {
	const remedy = "rules that update, move or delete files cannot work without it: with an access key set repo_api: v4; else please report this line"
	f, err := p.client.File(ctx, p.RepoID, p.file("update"), p.Scratch)
	switch {
	case err != nil:
		p.fail(probeRead, remedy, "a file cannot be read: %v", err)
		p.answered(err)
	case f.LastCommitID == nil || *f.LastCommitID != want:
		p.fail(probeRead, remedy, "a file does not tell the commit that last changed it")
	default:
		p.d.ok(p.code(probeRead), "a file tells the commit that last changed it")
	}
}

// fresh judges an action that names the right commit, and has to be carried out: else a refusal of a stale one says nothing.
func (p *probe) fresh(action string, made *codearts.Commit, err error) {
	if err != nil {
		p.fail(probeFresh+action, "rules that "+action+" files cannot work; please report this line", "%s with the last commit of the file is refused: %v", action, err)
		p.answered(err)
		return
	}
	p.d.ok(p.code(probeFresh+action), "%s with the last commit of the file is carried out (%s)", action, made.ShortID)
}

// stale tries each action with an old commit of the file, which must be refused, and with the right one.
func (p *probe) stale(ctx context.Context, old, last string) {
	content := "moved\n"
	for _, a := range []codearts.FileAction{
		update(p.file("update"), ""),
		{Action: "move", PreviousPath: p.file("move"), FilePath: p.file("moved"), Content: &content},
		{Action: "delete", FilePath: p.file("delete")},
	} {
		a.LastCommitID = old
		before := p.d.Count(VerdictFail)
		p.fence(ctx, probeStale+a.Action, a.Action+" of a file that has changed since the commit that is named", a)
		if a.Action == "update" || p.d.Count(VerdictFail) > before {
			continue // tried already, or the file is another one now
		}
		a.LastCommitID = last
		made, err := p.commit(ctx, "", a.Action+" a file whose last commit is named", a)
		p.fresh(a.Action, made, err)
	}
}

// lookBack looks for a commit as a worker does that does not know what became of it.
func (p *probe) lookBack(ctx context.Context, skew time.Duration, made *codearts.Commit) {
	const remedy = "do not let rules commit before this is understood: a commit whose answer was lost would be made twice. Please report this line"
	n := 0
	for c, err := range p.client.Commits(ctx, codearts.CommitsQuery{RepoID: p.RepoID, Ref: p.Scratch, Since: p.began.Add(-skew)}) {
		if err != nil {
			p.fail(probeLookBack, remedy, "the commits of the branch cannot be listed: %v", err)
			p.answered(err)
			return
		}
		n++
		if key, ok := rules.Trailer(c.Message); c.ID == made.ID {
			if !ok || key != p.key {
				p.fail(probeLookBack, remedy, "the commit is listed, but its message has lost the trailer")
				return
			}
			p.d.ok(p.code(probeLookBack), "a commit of which nothing is known is found again by its trailer, among %s since then", counted(n, "commit"))
			return
		}
	}
	p.fail(probeLookBack, remedy, "the commits of the branch since %s do not list one that was made after that: is the clock right?", p.began.Add(-skew).UTC().Format(time.RFC3339))
}

// cleanUp deletes the branch, also when the command was interrupted.
func (p *probe) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	err := p.client.DeleteBranch(ctx, p.RepoID, p.Scratch)
	_, still := p.client.Commit(ctx, p.RepoID, p.Scratch)
	switch {
	case errors.Is(still, codearts.ErrNotFound):
		p.d.ok(p.code(probeCleanUp), "branch %s is gone again", p.Scratch)
	case err == nil && still != nil:
		p.d.add(VerdictWarn, p.code(probeCleanUp), "look whether branch "+p.Scratch+" is there, and delete it", "branch %s was deleted, and whether it is gone cannot be seen: %v", p.Scratch, still)
	default:
		why := err
		if why == nil {
			why = errors.New("it is still there")
		}
		p.d.add(VerdictWarn, p.code(probeCleanUp), "delete the branch by hand, in repository "+p.RepoID, "branch %s could not be deleted: %v", p.Scratch, why)
		p.answered(err)
	}
}
