package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/pkg/events"
)

// Deadlines are until when the facts of a run are awaited, by name, in seconds since 1970. They are set when a fact is first found
// not ready, and travel with the run while it waits; each pass over the facts starts with those of the pass before.
type Deadlines map[string]int64

// of is until when a fact is awaited: as it was set when it was first found not ready.
func (d Deadlines) of(w Wait, now time.Time) time.Time {
	at, ok := d[w.Fact]
	if !ok {
		at = WholeSecond(now.Add(w.Timeout)).Unix()
		d[w.Fact] = at
	}
	return time.Unix(at, 0).UTC()
}

// WholeSecond rounds up: what is put off until then comes back at the whole second, never before.
func WholeSecond(t time.Time) time.Time {
	if r := t.Truncate(time.Second); !r.Equal(t) {
		return r.Add(time.Second)
	}
	return t
}

// Pause says when a run that has to wait is to be tried again, with all its facts fetched anew.
type Pause struct {
	Until time.Time
	// Awaited are the facts it waits for; For is the one that is looked at first.
	Awaited []Wait
	For     Wait
}

// Await decides about the facts that are not ready at a time. One past its deadline is given up (on_timeout: continue), or ends the
// run: with a decision (skip), or a *TimeoutError (fail). For the others there is a pause; nil when none is left. deadlines, which
// must not be nil, is added to.
func (x *Run) Await(waits []Wait, deadlines Deadlines, now time.Time) (*Pause, *Decision, error) {
	var p *Pause
	for _, w := range waits {
		deadline := deadlines.of(w, now)
		if now.Before(deadline) {
			until := WholeSecond(now.Add(w.Every))
			if until.After(deadline) {
				until = deadline
			}
			if p == nil {
				p = &Pause{Until: until, For: w}
			}
			if until.Before(p.Until) {
				p.Until, p.For = until, w
			}
			p.Awaited = append(p.Awaited, w)
			continue
		}
		switch w.OnTimeout {
		case OnTimeoutContinue:
			x.GiveUp(w.Fact)
		case OnTimeoutFail:
			return nil, nil, &TimeoutError{Wait: w}
		default:
			return nil, x.Skip(w.inVain()), nil
		}
	}
	return p, nil, nil
}

// What says what a fact is awaited to be.
func (w Wait) What() string {
	if w.Source == "" {
		return "there is none yet"
	}
	return w.Source
}

func (w Wait) inVain() string {
	return fmt.Sprintf("fact %s was awaited for %s in vain: %s", w.Fact, w.Timeout, w.What())
}

// TimeoutError says that a fact was awaited in vain, of a rule that takes this as a failure.
type TimeoutError struct{ Wait Wait }

func (e *TimeoutError) Error() string { return e.Wait.inVain() }

// Retryable is false.
func (e *TimeoutError) Retryable() bool { return false }

// Class is the class of the dead letter.
func (e *TimeoutError) Class() string { return "timeout" }

// SeesOwn are the rules among candidates that see an event whose head commit is ours, by its chain: those with on_own_commits, up
// to a depth of limit. reason says why others do not.
func SeesOwn(candidates []*Rule, chain events.Chain, limit int) (left []*Rule, reason string) {
	if chain.Depth > limit {
		return nil, fmt.Sprintf("depth %d is over the limit of %d: no rule sees it", chain.Depth, limit)
	}
	left = slices.DeleteFunc(slices.Clone(candidates), func(r *Rule) bool { return !r.ownCommits })
	return left, "only rules with on_own_commits see it"
}

// OwnFact says why the rule does nothing when a fact names a commit of ours with that chain; "" when it goes on.
func (r *Rule) OwnFact(commit string, chain events.Chain, limit int) string {
	switch {
	case !r.ownCommits:
		return fmt.Sprintf("a fact names our own commit %s", commit)
	case chain.Depth > limit:
		return fmt.Sprintf("a fact names our own commit %s, whose depth %d is over the limit of %d", commit, chain.Depth, limit)
	}
	return ""
}

// Child is the chain of an event that the commit of this action causes, without the action's key.
func (a *Action) Child() events.Chain {
	origin := a.Chain.Origin
	if origin == "" {
		origin = a.EventID
	}
	return events.Chain{Depth: a.Chain.Depth + 1, Origin: origin}
}
