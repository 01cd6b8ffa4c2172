package effects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

// listSlack is added on either side of the times of a list of runs: in which zone the service reads
// them is not documented.
const listSlack = 24 * time.Hour

// foundRun is the run that an action has started.
type foundRun struct {
	number  int64
	daily   string
	certain bool // the service said so
	claimed bool // there is a record that says it is this action's
}

// runSubject is the record of a run that is ours.
func (b *buildRun) runSubject(number int64) string {
	return "build." + rules.Hash(b.a.Build.JobID, strconv.FormatInt(number, 10))
}

// lastRun reads the highest number of the task's runs. What is started from now on has a greater one.
func (b *buildRun) lastRun(ctx context.Context) (*baseline, error) {
	last := &baseline{At: b.e.now()}
	status, err := b.builder.RunningStatus(ctx, b.a.Build.JobID)
	if errors.Is(err, codearts.ErrNotFound) {
		return nil, final(ClassGone, "%s: there is no such task: %w", b.what, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the last run of task %s: %w", b.a.Build.JobID, err)
	}
	last.BuildNo = int64(status.LastNumber())
	if last.BuildNo > 0 && status.IsRunning != nil && !*status.IsRunning {
		return last, nil
	}
	// It names none, or while one is under way perhaps the one before.
	err = b.runs(ctx, last.At, func(run *codearts.JobRun) { last.BuildNo = max(last.BuildNo, int64(*run.Number)) })
	return last, err
}

// runs calls see with each run of the task that began after a time, or some time before it.
func (b *buildRun) runs(ctx context.Context, after time.Time, see func(*codearts.JobRun)) error {
	limit, n := b.e.settings.LookbackPages*lookbackPage, 0
	from := after.Add(-b.e.settings.ClockSkew)
	for run, err := range b.builder.JobRuns(ctx, b.a.Build.JobID, from.Add(-listSlack), b.e.now().Add(listSlack)) {
		if err != nil {
			return fmt.Errorf("look for the run of action %s among those of task %s: %w", b.a.ID, b.a.Build.JobID, err)
		}
		if n++; n > limit {
			return final(ClassLookback, "%s: the task has more than %d runs since %s: whether this one is among them cannot be told",
				b.what, limit, from.UTC().Format(time.RFC3339))
		}
		if run.Number != nil && *run.Number > 0 {
			see(run)
		}
	}
	return nil
}

// look searches the runs that the task has begun since its last run was read for the one that this
// action has started; nil: it is not there. It is the first one of the commit asked for, or of any
// when none was asked for, that no other action of ours has started. With all, those count too
// whose commit the service does not name, or not yet.
func (b *buildRun) look(ctx context.Context, all bool) (*foundRun, error) {
	var candidates []*codearts.JobRun
	err := b.runs(ctx, b.ledger.rec.Baseline.At, func(run *codearts.JobRun) {
		if m := b.match(run); m == isOurs || m == mayBeOurs && all {
			candidates = append(candidates, run)
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(candidates, func(x, y *codearts.JobRun) int {
		return cmp.Or(cmp.Compare(b.match(y), b.match(x)), cmp.Compare(*x.Number, *y.Number))
	})
	var best *foundRun
	for _, run := range candidates {
		found := &foundRun{number: int64(*run.Number), daily: textOf(run.DailyBuildNumber)}
		own, err := load[buildRecord](ctx, b.e.seams.Records, b.runSubject(found.number))
		switch {
		case err != nil:
			return nil, err
		case own.rev != 0 && own.rec.Key == b.a.Key: // we died between two records
			found.claimed = true
			return found, nil
		case own.rev == 0 && best == nil:
			best = found
		}
	}
	return best, nil
}

// match is how well a run fits what was asked for.
type match int

const (
	isNot match = iota
	mayBeOurs
	isOurs
)

func (b *buildRun) match(run *codearts.JobRun) match {
	rec, at := &b.ledger.rec, run.Started()
	trigger := b.e.settings.BuildTrigger
	switch {
	case int64(*run.Number) <= rec.Baseline.BuildNo,
		!at.IsZero() && at.Before(rec.Baseline.At.Add(-b.e.settings.ClockSkew)),
		trigger != "" && run.TriggerType != nil && !strings.EqualFold(*run.TriggerType, trigger):
		return isNot
	case b.a.Build.Commit != "" && run.Commit() != "":
		if strings.EqualFold(run.Commit(), b.a.Build.Commit) {
			return isOurs
		}
		return isNot
	case !at.IsZero() && !rec.SentAt.IsZero() && at.After(b.e.landedBy(rec).Add(b.e.settings.ClockSkew)):
		return isNot // too late to be that of our last attempt
	case b.a.Build.Commit != "":
		return mayBeOurs
	}
	return isOurs
}
