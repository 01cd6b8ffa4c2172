package effects

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// pass asks the breaker for one more commit of this rule to this branch, or one more build of this
// task, and writes the action down as one of its last, once. A tripped breaker is a final error
// that says so.
func (e *Effects) pass(ctx context.Context, a *rules.Action) error {
	subject := breakerSubject(a)
	for range maxRaces {
		en, err := load[breakerRecord](ctx, e.seams.Records, subject)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(en.rec.Commits, func(c breakerEntry) bool { return c.Key == a.Key }) {
			return nil
		}
		now := e.now()
		if n := en.rec.since(now.Add(-e.settings.BreakerPeriod)); n >= e.settings.BreakerCommits {
			return tripped(a, n, e.settings.BreakerPeriod)
		}
		commits := append(slices.Clone(en.rec.Commits), breakerEntry{Key: a.Key, At: now})
		commits = commits[max(0, len(commits)-e.settings.BreakerCommits):]
		err = en.store(ctx, e.seams.Records, breakerRecord{V: formatVersion, Commits: commits})
		if !errors.Is(err, errRaced) {
			return err
		}
	}
	return raceLost("breaker of rule " + a.Rule)
}

func breakerSubject(a *rules.Action) string {
	if b := a.Build; b != nil {
		return "breaker." + rules.Hash(a.Rule, b.Connection, b.JobID)
	}
	c := a.Commit
	return "breaker." + rules.Hash(a.Rule, c.Connection, c.RepoID, c.Branch)
}

func tripped(a *rules.Action, n int, period time.Duration) error {
	if b := a.Build; b != nil {
		return final(ClassBreaker, "breaker: rule %s has started %d builds of task %s within %s; this one is not started. "+
			"If that is wanted, replay it later; if not, look for a rule that answers builds with builds",
			a.Rule, n, b.JobID, period)
	}
	return final(ClassBreaker, "breaker: rule %s has made %d commits to %s@%s within %s; this one is not made. "+
		"If that is wanted, replay it later; if not, look for a rule that answers its own commits",
		a.Rule, n, a.Commit.RepoID, a.Commit.Branch, period)
}

// since counts the commits not older than t.
func (r *breakerRecord) since(t time.Time) (n int) {
	for _, c := range r.Commits {
		if !c.At.Before(t) {
			n++
		}
	}
	return n
}
