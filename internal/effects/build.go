package effects

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

const (
	// jobBusyPause is how long a build is parked when too many wait for its task already.
	jobBusyPause = 2 * time.Second
	// numberPause is after how long the number of a run is looked for again that was started.
	numberPause = 30 * time.Second
)

// Build carries out a message of work.build: the run is started once, as far as the service allows,
// when it returns nil, its number is recorded and what waited for it is put as work.
//
// The service starts a run at every call and has nothing to tell two calls apart. What keeps a
// build from being started twice is the action record, which one worker at a time takes for an
// attempt, and after an attempt of unknown outcome a look at the task's runs: see look.
func (e *Effects) Build(ctx context.Context, m Message) error {
	if err := failedBefore(m); err != nil {
		return err
	}
	a, err := readAction(m, rules.KindBuild)
	if err != nil {
		return err
	}
	b := &buildRun{once: once{e: e, m: m, a: a, what: "build of task " + a.Build.JobID, log: e.actionLog(a, a.Key)}}
	release, err := e.jobs.acquire(ctx, rules.Hash(a.Build.Connection, a.Build.JobID))
	if errors.Is(err, errBusy) {
		return &ParkError{until: e.now().Add(jobBusyPause), reason: "other builds of task " + a.Build.JobID}
	}
	if err != nil {
		return fmt.Errorf("wait for other builds of task %s: %w", a.Build.JobID, err)
	}
	defer release()
	for range maxRaces {
		if err := b.try(ctx); !errors.Is(err, errRaced) {
			return err
		}
	}
	return raceLost(b.what)
}

// buildRun is one delivery of one build.
type buildRun struct {
	once
	builder Builder
}

// try makes at most one call that starts a run. errRaced: another worker wrote a record; look again.
func (b *buildRun) try(ctx context.Context) error {
	var err error
	if b.builder, err = b.e.seams.Builders(b.a.Build.Connection); err != nil {
		return &RetryError{err: fmt.Errorf("%s: %w", b.what, err)} // another worker may have it
	}
	over, err := b.begin(ctx)
	if over || err != nil {
		return err
	}
	if over, err := b.recall(ctx); over || err != nil {
		return err
	}
	if err := b.e.late(b.m, b.a); err != nil {
		return err
	}
	if err := b.e.pass(ctx, b.a); err != nil {
		return err
	}
	return b.send(ctx)
}

// recall looks for what an earlier attempt has started. over tells that it was found, and recorded;
// without an error it was not, and the build may be started.
func (b *buildRun) recall(ctx context.Context) (over bool, err error) {
	rec := &b.ledger.rec
	if rec.Baseline == nil {
		return false, nil // no attempt was ever in doubt
	}
	landed := !b.e.now().Before(b.e.landedBy(rec)) // from before the look
	if rec.inDoubt() && !landed && rec.Owner != b.e.settings.Owner {
		return false, b.waitToLand() // most likely that worker is alive, and knows more
	}
	found, err := b.look(ctx, landed)
	switch {
	case err != nil:
		return false, err
	case found != nil:
		return true, b.finish(ctx, found)
	case rec.carriedOut():
		return false, &RetryError{after: numberPause, err: fmt.Errorf("%s: it was started, but its number is not to be found yet", b.what)}
	case rec.inDoubt() && !landed:
		return false, b.waitToLand()
	}
	return false, nil
}

// send records the attempt, makes the call and reads what became of it.
func (b *buildRun) send(ctx context.Context) error {
	before, err := b.ledger.rec.Baseline, error(nil)
	if before == nil {
		if before, err = b.lastRun(ctx); err != nil {
			return err
		}
	}
	call, cancel := context.WithTimeout(ctx, b.e.settings.ClientTimeout)
	defer cancel()
	if err := b.attempt(ctx, call, before); err != nil {
		return err
	}
	b.log.Debug().Int("attempts", b.ledger.rec.Attempt).Msg("build sent")
	started, err := b.builder.StartBuild(call, b.request())
	b.logAnswer(started, err)
	switch {
	case err == nil && started.Number() > 0:
		return b.finish(ctx, &foundRun{number: int64(started.Number()), daily: textOf(started.DailyBuildNumber), certain: true})
	case err == nil:
		return b.nameless(ctx)
	case mayHaveHappened(err):
		return b.doubt(ctx, err)
	}
	return b.refused(ctx, err)
}

func (b *buildRun) request() codearts.BuildRequest {
	from := b.a.Build
	r := codearts.BuildRequest{JobID: from.JobID, Commit: from.Commit, Tag: from.Tag}
	for _, p := range from.Parameters {
		r.Parameters = append(r.Parameters, codearts.BuildParameter{Name: p.Name, Value: p.Value})
	}
	return r
}

func (b *buildRun) logAnswer(started *codearts.StartedBuild, err error) {
	l := b.log.Debug()
	if err != nil {
		l.Str("error", err.Error()).Msg("build answered")
		return
	}
	l.Int("build_no", started.Number()).Msg("build answered")
}

func textOf(t *codearts.Text) string {
	if t == nil {
		return ""
	}
	return string(*t)
}

// nameless follows an attempt that the service said yes to without naming the run: it is never made
// again, and the run is looked for until it is found.
func (b *buildRun) nameless(ctx context.Context) error {
	rec := b.ledger.rec
	rec.OutcomeKnown, rec.At = true, b.e.now()
	if err := b.ledger.store(ctx, b.e.seams.Records, rec); err != nil {
		return err
	}
	_, err := b.recall(ctx)
	return err
}

// doubt follows an attempt of unknown outcome. A run that is there already ends the doubt; else
// the record keeps it, and the next look comes when the attempt can no longer land.
func (b *buildRun) doubt(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: outcome unknown: %w", b.what, ctx.Err())
	}
	if found, err := b.look(ctx, false); err == nil && found != nil {
		return b.finish(ctx, found)
	}
	return b.unknown(cause)
}

// refused follows an attempt the service refused for certain.
func (b *buildRun) refused(ctx context.Context, refusal error) error {
	why := fmt.Errorf("%s: %w", b.what, refusal)
	if err := b.withdraw(ctx, why); err != why { //nolint:errorlint // identity is meant: withdraw returns why itself
		return err
	}
	if errors.Is(refusal, codearts.ErrNotFound) {
		return final(ClassGone, "%s: there is no such task: %w", b.what, refusal)
	}
	return why
}

// finish records a run that was started for this action, and sees to what waited for it. First the
// run is taken for ours: errRaced, another action of ours took it just now.
func (b *buildRun) finish(ctx context.Context, run *foundRun) error {
	own := entry[buildRecord]{subject: b.runSubject(run.number)}
	err := own.store(ctx, b.e.seams.Records, buildRecord(newCommitRecord(b.a)))
	if errors.Is(err, errRaced) && !run.certain && !run.claimed {
		return err
	}
	if err != nil && !errors.Is(err, errRaced) {
		return err
	}
	result := &actionResult{BuildNo: run.number, DailyBuildNum: run.daily, JobID: b.a.Build.JobID}
	err = b.recordDone(ctx, result, func(l *zerolog.Event) *zerolog.Event { return l.Int64("build_no", run.number) })
	if err != nil {
		return err
	}
	return b.e.advance(ctx, b.m, b.a)
}
