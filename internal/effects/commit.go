package effects

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// branchBusyPause is how long a commit is parked when too many wait for its branch already.
const branchBusyPause = 2 * time.Second

// Commit carries out a message of work.commit: the commit is on the branch once when it returns
// nil, its records are written and what waited for it is put as work.
//
// The order of its steps is what makes it once; see the package comment. The action record says
// started before anything is sent, so that a push webhook of our own commit which is faster
// than the commit record is still recognised, by the trailer.
func (e *Effects) Commit(ctx context.Context, m Message) error {
	if err := failedBefore(m); err != nil {
		return err
	}
	if w := waiting(m); w != nil {
		return e.releaseAgain(ctx, m, w)
	}
	a, err := readAction(m, rules.KindCommit)
	if err != nil {
		return err
	}
	c := &commitRun{once: once{e: e, m: m, a: a, log: e.actionLog(a, a.Key)}}
	c.what = "commit to " + c.where()
	if c.message, err = commitMessage(a); err != nil {
		return err
	}
	release, err := e.branches.acquire(ctx, branchKey(a.Commit))
	if errors.Is(err, errBusy) {
		return &ParkError{until: e.now().Add(branchBusyPause), reason: "other commits to " + c.where()}
	}
	if err != nil {
		return fmt.Errorf("wait for other commits to %s: %w", c.where(), err)
	}
	defer release()
	for range maxRaces {
		if err := c.try(ctx); !errors.Is(err, errRaced) {
			return err
		}
	}
	return raceLost(c.what)
}

// branchKey names a branch among the branches of all connections.
func branchKey(c *rules.Commit) string { return rules.Hash(c.Connection, c.RepoID, c.Branch) }

// commitMessage is the message as it is sent, with the trailer that names the action.
func commitMessage(a *rules.Action) (string, error) {
	if strings.TrimSpace(a.Commit.Message) == "" {
		return "", final(ClassRefused, "commit of action %s has no message", a.ID)
	}
	s := rules.WithTrailer(a.Commit.Message, a.Key)
	if n := utf8.RuneCountInString(s); n > codearts.MaxCommitMessage {
		return "", final(ClassSize, "commit message of action %s has %d characters with its trailer, CodeArts takes %d", a.ID, n, codearts.MaxCommitMessage)
	}
	if key, ok := rules.Trailer(s); !ok || key != a.Key {
		return "", final(ClassMessage, "action key %q cannot be found again as a trailer", a.Key)
	}
	return s, nil
}

// commitRun is one delivery of one commit.
type commitRun struct {
	once
	message string // with the trailer
	repo    Repo
	// base is the branch the commit goes on top of, as the last look-back found it, and head the last commit of its own branch; "" when
	// there is none.
	base, head string
}

func (c *commitRun) where() string { return c.a.Commit.RepoID + "@" + c.a.Commit.Branch }

// try makes at most one call that commits. errRaced: another worker wrote the record; look again.
func (c *commitRun) try(ctx context.Context) error {
	var err error
	if c.repo, err = c.e.seams.Repos(c.a.Commit.Connection); err != nil {
		return &RetryError{err: fmt.Errorf("%s: %w", c.what, err)} // another worker may have it
	}
	over, err := c.begin(ctx)
	if over || err != nil {
		return err
	}
	began := c.e.now() // only a look-back that begins after the doubt has ended sees all that may have landed
	found, err := c.lookBack(ctx)
	switch {
	case err != nil:
		return err
	case found != nil:
		return c.finish(ctx, found)
	}
	if rec := &c.ledger.rec; rec.inDoubt() && began.Before(c.e.landedBy(rec)) {
		return c.waitToLand()
	}
	if err := c.notRemoved(ctx); err != nil {
		return err
	}
	if err := c.e.late(c.m, c.a); err != nil {
		return err
	}
	if err := c.e.pass(ctx, c.a); err != nil {
		return err
	}
	return c.send(ctx)
}

// send records the attempt, makes the call and reads what became of it.
func (c *commitRun) send(ctx context.Context) error {
	if err := checkFences(c.a.Commit); err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, c.e.settings.ClientTimeout)
	defer cancel()
	if err := c.attempt(ctx, call, &baseline{Head: c.head, At: c.e.now()}); err != nil {
		return err
	}
	c.log.Debug().Int("attempts", c.ledger.rec.Attempt).Msg("commit sent")
	made, err := c.repo.CreateCommit(call, c.request())
	c.logAnswer(made, err)
	switch {
	case err == nil:
		return c.finish(ctx, made)
	case mayHaveHappened(err):
		return c.doubt(ctx, err)
	}
	return c.refused(ctx, err)
}

func (c *commitRun) logAnswer(made *codearts.Commit, err error) {
	l := c.log.Debug()
	if err != nil {
		l.Str("error", err.Error()).Msg("commit answered")
		return
	}
	l.Str("commit", made.ID).Msg("commit answered")
}

// doubt follows an attempt of unknown outcome. A commit that is there already ends the doubt;
// else the record keeps it, and the next attempt comes when this one can no longer land.
func (c *commitRun) doubt(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: outcome unknown: %w", c.what, ctx.Err())
	}
	if found, err := c.lookBack(ctx); err == nil && found != nil {
		return c.finish(ctx, found)
	}
	return c.unknown(cause)
}

// refused follows an attempt the service refused for certain.
func (c *commitRun) refused(ctx context.Context, refusal error) error {
	why := fmt.Errorf("%s: %w", c.what, refusal)
	if err := c.withdraw(ctx, why); err != why { //nolint:errorlint // identity is meant: withdraw returns why itself
		return err
	}
	if retryable(refusal) {
		return why
	}
	// A refusal may be the fence against a commit of ours that came late. Which code a
	// fence answers with is not documented, so any refusal leads here.
	base := c.base
	found, err := c.lookBack(ctx)
	switch {
	case err != nil:
		return err
	case found != nil:
		return c.finish(ctx, found)
	case c.base != base: // somebody else has made the branch meanwhile
		return &RetryError{err: why}
	}
	if reason := c.conflicts(ctx); reason != "" {
		return final(ClassConflict, "%s: %s: %w", c.what, reason, refusal)
	}
	switch {
	case errors.Is(refusal, codearts.ErrConflict):
		return final(ClassConflict, "%s: a file was changed since, or exists already: %w", c.what, refusal)
	case errors.Is(refusal, codearts.ErrNotFound):
		return final(ClassGone, "%s: the repository, the branch or a file is gone: %w", c.what, refusal)
	}
	return why
}

func retryable(err error) bool {
	var r interface{ Retryable() bool }
	return !errors.As(err, &r) || r.Retryable()
}

// finish records a commit that is on the branch, and sees to what waited for it. First the
// commit record, so that who reads done can rely on it.
func (c *commitRun) finish(ctx context.Context, made *codearts.Commit) error {
	own := entry[commitRecord]{subject: "commit." + rules.Hash(made.ID)}
	if err := own.store(ctx, c.e.seams.Records, newCommitRecord(c.a)); err != nil && !errors.Is(err, errRaced) {
		return err
	}
	err := c.recordDone(ctx, c.result(made), func(l *zerolog.Event) *zerolog.Event { return l.Str("commit", made.ID) })
	if err != nil {
		return err
	}
	return c.e.advance(ctx, c.m, c.a)
}

func (c *commitRun) result(made *codearts.Commit) *actionResult {
	r := &actionResult{ID: made.ID, ShortID: made.ShortID}
	if r.ShortID == "" {
		r.ShortID = made.ID[:min(8, len(made.ID))]
	}
	if page := c.a.Commit.WebURL; page != "" {
		pattern := c.e.settings.WebURL[c.a.Commit.Connection]
		if pattern == "" {
			pattern = "{web_url}/commits/detail/{id}"
		}
		r.WebURL = strings.NewReplacer("{web_url}", strings.TrimRight(page, "/"), "{id}", made.ID).Replace(pattern)
	}
	return r
}
