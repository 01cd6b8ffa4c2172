//go:build torture

package app

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/ingest"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// breakVariable names the one mechanism that this process does without, so that a torture run can be seen to notice.
const breakVariable = "TORTURE_BREAK"

func breaks(mechanism string) bool { return os.Getenv(breakVariable) == mechanism }

// wholeEngineRecords: without run records every try of a run decides anew.
func wholeEngineRecords(r engine.Records) engine.Records {
	if breaks("run_record") {
		return forgetful{r, "run.", false}
	}
	return r
}

// wholeEffectRecords: without action records nobody knows what others did; without compare-and-set the last one to write is right about an
// alert.
func wholeEffectRecords(r effects.Records) effects.Records {
	switch {
	case breaks("action_record"):
		return forgetful{r, "action.", true}
	case breaks("alert_cas"):
		return careless{r, new(atomic.Uint64)}
	}
	return r
}

// wholeJournal: without the journal a 2xx is a promise that nothing keeps but this process, which asks the broker once.
func wholeJournal(j ingest.Publisher, b *broker) ingest.Publisher {
	if breaks("journal") {
		return hopeful{b}
	}
	return j
}

// wholeRepo: without the trailer a look-back finds nothing.
func wholeRepo(r effects.Repo) effects.Repo {
	if breaks("trailer") {
		return blind{r}
	}
	return r
}

// forgetful never finds the records under a prefix. Those of others it may still store for them.
type forgetful struct {
	engine.Records
	prefix string
	drops  bool // nothing is stored either
}

func (f forgetful) Get(ctx context.Context, subject string) ([]byte, uint64, error) {
	if strings.HasPrefix(subject, f.prefix) {
		return nil, 0, nil
	}
	return f.Records.Get(ctx, subject)
}

func (f forgetful) Create(ctx context.Context, subject string, data []byte) (uint64, error) {
	switch {
	case !strings.HasPrefix(subject, f.prefix):
		return f.Records.Create(ctx, subject, data)
	case f.drops:
		return 1, nil
	}
	return write(ctx, f.Records, subject, data)
}

func (f forgetful) Update(ctx context.Context, subject string, data []byte, rev uint64) (uint64, error) {
	if f.drops && strings.HasPrefix(subject, f.prefix) {
		return rev + 1, nil
	}
	return f.Records.Update(ctx, subject, data, rev)
}

// careless writes the memories of alerts over whatever is there. Every third time it is late, as after a pause: others have gone on
// meanwhile. A late compare-and-set would do no harm.
type careless struct {
	effects.Records
	writes *atomic.Uint64
}

const (
	alertPrefix = "alert."
	// overtakenWithin is how long a late write waits for others.
	overtakenWithin = 5 * time.Second
)

func (c careless) Create(ctx context.Context, subject string, data []byte) (uint64, error) {
	if strings.HasPrefix(subject, alertPrefix) {
		return write(ctx, c.Records, subject, data)
	}
	return c.Records.Create(ctx, subject, data)
}

func (c careless) Update(ctx context.Context, subject string, data []byte, rev uint64) (uint64, error) {
	if !strings.HasPrefix(subject, alertPrefix) {
		return c.Records.Update(ctx, subject, data, rev)
	}
	if c.writes.Add(1)%3 == 0 {
		c.beOvertaken(ctx, subject, data)
	}
	return write(ctx, c.Records, subject, data)
}

// beOvertaken waits until the record is a step ahead of data.
func (c careless) beOvertaken(ctx context.Context, subject string, data []byte) {
	ctx, cancel := context.WithTimeout(ctx, overtakenWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for mine := stepsOf(data); ; {
		if now, _, err := c.Get(ctx, subject); err == nil && slices.Compare(stepsOf(now), mine) > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// stepsOf is how far an alert has come, so that what is later is greater: its generation, and how many rungs of it were sent.
func stepsOf(data []byte) []int {
	var memory rules.AlertMemory
	_ = json.Unmarshal(data, &memory) // a record that is not there has come nowhere
	return []int{memory.Generation, len(memory.Rungs)}
}

// hopeful says yes before it has asked.
type hopeful struct{ *broker }

func (h hopeful) PublishEvent(ctx context.Context, e *events.Event) (duplicate bool, err error) {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), brokerWait)
	go func() {
		defer cancel()
		_, _ = h.broker.PublishEvent(asking, e) // nobody waits for it
	}()
	return false, nil
}

// write writes a record whatever there was before.
func write(ctx context.Context, r effects.Records, subject string, data []byte) (uint64, error) {
	for {
		_, rev, err := r.Get(ctx, subject)
		if err != nil {
			return 0, err
		}
		if rev == 0 {
			rev, err = r.Create(ctx, subject, data)
		} else {
			rev, err = r.Update(ctx, subject, data, rev)
		}
		var raced interface{ Exists() bool }
		if err == nil || !errors.As(err, &raced) || !raced.Exists() {
			return rev, err
		}
	}
}

// blind shows the messages of commits without their last paragraph.
type blind struct{ effects.Repo }

func (b blind) Commits(ctx context.Context, q codearts.CommitsQuery) iter.Seq2[*codearts.Commit, error] {
	return func(yield func(*codearts.Commit, error) bool) {
		for commit, err := range b.Repo.Commits(ctx, q) {
			if commit != nil {
				without := *commit
				without.Message, _, _ = strings.Cut(commit.Message, "\n")
				commit = &without
			}
			if !yield(commit, err) {
				return
			}
		}
	}
}
