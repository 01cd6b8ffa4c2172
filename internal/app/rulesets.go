package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/rules"
)

// minPrefix is how many characters of a digest name a ruleset.
const minPrefix = 6

// Rulesets is an Archive that may also say which ruleset is that of the workers with rules_from: pushed.
type Rulesets struct{ *Archive }

// OpenRulesets connects to NATS as the configuration file says, of whose secrets only those of NATS are read.
func OpenRulesets(ctx context.Context, file string) (*Rulesets, error) {
	archive, err := OpenArchive(ctx, file)
	if err != nil {
		return nil, err
	}
	return &Rulesets{archive}, nil
}

// Move is a change of what is pushed.
type Move struct {
	From, To   string // digests; From is "" when nothing was pushed before
	Already    bool   // To was pushed already, and nothing was changed
	Generation uint64 // of what is pushed now, see [engine.Pushed]
}

// Push stores a ruleset and makes it what is pushed. by is who does it. It makes the stores that are missing, as the first worker would.
// Whenever it is interrupted, either the ruleset before or this one is pushed.
func (r *Rulesets) Push(ctx context.Context, rs *rules.Ruleset, by string, now time.Time) (*Move, error) {
	if err := r.conn.Ensure(ctx); err != nil {
		return nil, err
	}
	before, after, err := engine.PushRuleset(ctx, r.conn, r.conn, rs, by, now)
	if err != nil {
		return nil, err
	}
	return moved(before, after), nil
}

// Rollback makes a ruleset that is stored what is pushed: the one with that digest, of which 6 characters are enough when they name no
// other, or the one that was pushed before when digest is "". One that this configuration does not compile is refused.
func (r *Rulesets) Rollback(ctx context.Context, digest, by string, now time.Time) (*Move, error) {
	pushed, err := engine.ReadPushed(ctx, r.conn)
	if err != nil {
		return nil, err
	}
	switch {
	case digest != "":
		if digest, err = r.Resolve(ctx, digest); err != nil {
			return nil, err
		}
	case len(pushed.Previous) == 0:
		return nil, errors.New("no ruleset was pushed before; name the digest of one that is stored, millrace rules status shows those that were live")
	default:
		digest = pushed.Previous[0].Digest
	}
	if _, err := r.Ruleset(ctx, digest); err != nil {
		return nil, fmt.Errorf("it would be refused: %w", err)
	}
	after, err := pushed.Replace(ctx, r.conn, engine.Push{Digest: digest, By: by, At: now})
	if err != nil {
		return nil, err
	}
	return moved(pushed, after), nil
}

func moved(before, after *engine.Pushed) *Move {
	return &Move{From: before.Digest, To: after.Digest, Already: before.Generation == after.Generation, Generation: after.Generation}
}

// Resolve is the digest of the one stored ruleset whose digest begins so; 6 characters are the least.
func (a *Archive) Resolve(ctx context.Context, prefix string) (digest string, err error) {
	if len(prefix) < minPrefix || strings.Trim(prefix, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%q is no digest: give %d or more of its characters, which are 0-9 and a-f", prefix, minPrefix)
	}
	stored, err := a.conn.Rulesets(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, d := range stored {
		if strings.HasPrefix(d, prefix) {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("no ruleset is stored whose digest begins with %s; millrace rules status shows those that were live", prefix)
	}
	return "", fmt.Errorf("the digests of %d stored rulesets begin with %s: %s; give more of it", len(found), prefix, strings.Join(found, ", "))
}

// Fleet is which rulesets are live, and where.
type Fleet struct {
	Pushed   *engine.Pushed       `json:"pushed"`   // nil: nothing ever was
	Timeline []engine.LiveEntry   `json:"timeline"` // the newest first
	Workers  []engine.WorkerState `json:"workers"`
	// Differ is that workers use different rulesets, or one that takes what is pushed does not use it.
	Differ bool `json:"differ"`
}

// Fleet reads which rulesets are live. A worker that was killed is in it for up to 90 seconds more.
func (a *Archive) Fleet(ctx context.Context) (*Fleet, error) {
	f := &Fleet{Timeline: []engine.LiveEntry{}, Workers: []engine.WorkerState{}}
	pushed, err := engine.ReadPushed(ctx, a.conn)
	if err != nil {
		return nil, err
	}
	if pushed.Generation > 0 {
		f.Pushed = pushed
	}
	entries, err := engine.ReadTimeline(ctx, a.conn)
	if err != nil {
		return nil, err
	}
	for i := len(entries) - 1; i >= 0; i-- {
		f.Timeline = append(f.Timeline, entries[i])
	}
	workers, err := engine.ReadWorkers(ctx, a.conn)
	if err != nil {
		return nil, err
	}
	f.Workers = append(f.Workers, workers...)
	for _, w := range workers {
		f.Differ = f.Differ || w.Digest != workers[0].Digest || w.From == engine.FromPushed && w.Digest != pushed.Digest
	}
	return f, nil
}
