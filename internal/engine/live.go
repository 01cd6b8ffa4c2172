package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/pkg/rules"
)

// keptRulesets is how many rulesets beside the current one are kept compiled.
const keptRulesets = 8

// Live holds the rules in use, and reads back those that runs in flight still need. Its zero
// value is not ready: use NewLive. It may be used by any number of goroutines.
type Live struct {
	catalogue *rules.Catalogue
	store     Rulesets
	current   atomic.Pointer[rules.Ruleset]

	mu   sync.Mutex
	kept []*rules.Ruleset // the most recently used first
}

// NewLive makes a Live without rules.
func NewLive(catalogue *rules.Catalogue, store Rulesets) *Live {
	return &Live{catalogue: catalogue, store: store}
}

// Current is the ruleset new events are matched with, nil before the first is loaded.
func (l *Live) Current() *rules.Ruleset { return l.current.Load() }

// swap makes rs the current ruleset. It must be stored by its digest already.
func (l *Live) swap(rs *rules.Ruleset) {
	if old := l.current.Swap(rs); old != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.keep(old)
	}
}

// Ruleset is the ruleset with that digest: the current one, one kept, or one read from the store
// and compiled. What is stored but is not that ruleset is a final error. One that is not found, or that this
// program with its configuration cannot compile, is not: another worker may have the target it names already,
// as in the middle of a deployment, and another copy of the store may have it.
func (l *Live) Ruleset(ctx context.Context, digest string) (*rules.Ruleset, error) {
	if rs := l.Current(); rs != nil && rs.Digest() == digest {
		return rs, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock() // one reads and compiles, others with the same need wait for it
	if rs := l.find(digest); rs != nil {
		l.keep(rs)
		return rs, nil
	}
	data, err := l.store.Ruleset(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("read ruleset %s: %w", digest, err)
	}
	if data == nil {
		return nil, &RulesetError{fmt.Errorf("ruleset %s: it is not stored, or not any more", digest)}
	}
	rs, _, err := l.compile(digest, data)
	if err != nil {
		return nil, err
	}
	l.keep(rs)
	return rs, nil
}

// compiled is the ruleset with that digest if it is the current one, or kept; nil if not.
func (l *Live) compiled(digest string) *rules.Ruleset {
	if rs := l.Current(); rs != nil && rs.Digest() == digest {
		return rs
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.find(digest)
}

// find is the ruleset with that digest if it is kept, nil if not. The caller holds the lock.
func (l *Live) find(digest string) *rules.Ruleset {
	for _, rs := range l.kept {
		if rs.Digest() == digest {
			return rs
		}
	}
	return nil
}

// compile compiles what is stored under a digest; the problems are warnings.
func (l *Live) compile(digest string, data []byte) (*rules.Ruleset, rules.Problems, error) {
	files, err := decodeBundle(data)
	switch newer := (*newerError)(nil); {
	case errors.As(err, &newer):
		return nil, nil, &RulesetError{fmt.Errorf("ruleset %s: %w", digest, err)}
	case err != nil:
		return nil, nil, &FinalError{class: ClassRuleset, err: fmt.Errorf("ruleset %s: it cannot be read: %w", digest, err)}
	}
	rs, problems := rules.Compile(files, l.catalogue)
	if problems.HasErrors() {
		return nil, nil, &RulesetError{fmt.Errorf("ruleset %s: this worker's program or configuration cannot run it: %w", digest, problems)}
	}
	if rs.Digest() != digest {
		return nil, nil, &FinalError{class: ClassRuleset, err: fmt.Errorf("ruleset %s: what is stored under it has the digest %s", digest, rs.Digest())}
	}
	return rs, problems, nil
}

// keep moves rs to the front of what is kept. The caller holds the lock.
func (l *Live) keep(rs *rules.Ruleset) {
	l.kept = slices.DeleteFunc(l.kept, func(k *rules.Ruleset) bool { return k.Digest() == rs.Digest() })
	l.kept = slices.Insert(l.kept, 0, rs)
	if len(l.kept) > keptRulesets {
		l.kept = slices.Delete(l.kept, keptRulesets, len(l.kept))
	}
}
