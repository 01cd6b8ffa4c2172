package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// sourceRecord says how far a source has been polled, and by whom just now: JSON under poll.<hash of source and project>.
type sourceRecord struct {
	V       int    `json:"v"`
	Source  string `json:"source"`
	Project string `json:"project"`
	// Since is when it was polled first: what finished before is nobody's event.
	Since time.Time `json:"since"`
	// Polled is when the last poll began that left nothing out but what tasks have on record.
	Polled time.Time `json:"polled,omitzero"`
	// Owner polls it until Until, at the latest.
	Owner string    `json:"owner,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// taskRecord says which runs of a task are events: JSON under polltask.<hash of source, project and task>.
type taskRecord struct {
	V    int    `json:"v"`
	Task string `json:"task"`
	// Last is what the list of tasks said of the last build when all that follows was found; while the
	// list says the same there is nothing new.
	Last string `json:"last"`
	// Through: of all runs up to this number those that have finished are events, and the others are in Open.
	Through int `json:"through"`
	// Open are the runs that have not finished, or could not be looked at.
	Open []openRun `json:"open,omitempty"`
	// Floor is set while it is not known which runs were there when the task was first looked at: only those that
	// finished since are events.
	Floor time.Time `json:"floor,omitzero"`
	// Looked is when Last was seen.
	Looked time.Time `json:"looked"`
}

// openRun is a run that is looked at again at every poll.
type openRun struct {
	No    int       `json:"no"`
	Since time.Time `json:"since"` // seen so
	// Failed: it could not be looked at the last time.
	Failed bool `json:"failed,omitempty"`
	// Floor is set while it could never be looked at, in a task that had a floor: it is an event only if it finished since.
	Floor time.Time `json:"floor,omitzero"`
}

// rememberedTask is a task's record as it was read or written last, and what is only of this process.
type rememberedTask struct {
	taskRecord
	rev   uint64    // 0: there is none
	asked time.Time // when its runs were last asked for
}

// refreshAfter is how old a task's record may become before it is written anew: records are forgotten after 21 days.
const refreshAfter = 7 * 24 * time.Hour

func (s *polledSource) subject() string {
	return "poll." + rules.Hash(s.Name, string(s.Project))
}

func (s *polledSource) taskSubject(task string) string {
	return "polltask." + rules.Hash(s.Name, string(s.Project), task)
}

// readPolled reads the record under subject into rec; rev 0 says that there is none.
func (p *Poller) readPolled(ctx context.Context, subject string, rec any) (rev uint64, err error) {
	data, rev, err := p.stores.Records.Get(ctx, subject)
	if err != nil {
		return 0, fmt.Errorf("read record %s: %w", subject, err)
	}
	if data == nil {
		return 0, nil
	}
	var version struct {
		V int `json:"v"`
	}
	if err = json.Unmarshal(data, &version); err == nil && version.V > rules.FormatVersion {
		err = &newerError{version.V}
	}
	if err == nil {
		err = json.Unmarshal(data, rec)
	}
	if err != nil {
		return 0, fmt.Errorf("read record %s: %w", subject, err)
	}
	return rev, nil
}

// writePolled writes the record under subject, which is still at rev; other is true when it is not.
func (p *Poller) writePolled(ctx context.Context, subject string, rec any, rev uint64) (next uint64, other bool, err error) {
	data, err := json.Marshal(rec)
	if err != nil {
		return 0, false, fmt.Errorf("encode record %s: %w", subject, err)
	}
	if rev == 0 {
		next, err = p.stores.Records.Create(ctx, subject, data)
	} else {
		next, err = p.stores.Records.Update(ctx, subject, data, rev)
	}
	if exists(err) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("write record %s: %w", subject, err)
	}
	return next, false, nil
}

// take takes the source for this poll, unless another worker has it.
func (r *pollRound) take(ctx context.Context) (taken bool, err error) {
	rec := &r.record
	rev, err := r.readPolled(ctx, r.source.subject(), rec)
	if err != nil {
		return false, err
	}
	now := r.now().UTC()
	if rev == 0 {
		*rec = sourceRecord{V: rules.FormatVersion, Source: r.source.Name, Project: string(r.source.Project), Since: now}
		r.first = true
		r.source.memory = nil
	} else if rec.Owner != "" && rec.Owner != r.owner && now.Before(rec.Until) {
		return false, nil
	}
	rec.Owner, rec.Until = r.owner, now.Add(r.limits.Lease)
	next, other, err := r.writePolled(ctx, r.source.subject(), rec, rev)
	r.rev = next
	return !other, err
}

// hold keeps the source while the poll goes on.
func (r *pollRound) hold(ctx context.Context) error {
	now := r.now().UTC()
	if r.record.Until.Sub(now) > r.limits.Lease/2 {
		return nil
	}
	r.record.Until = now.Add(r.limits.Lease)
	next, other, err := r.writePolled(ctx, r.source.subject(), &r.record, r.rev)
	if err != nil {
		return err
	}
	if other {
		return errTaken
	}
	r.rev = next
	return nil
}

// giveBack ends the poll on record.
func (r *pollRound) giveBack(ctx context.Context) {
	if r.lost {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	r.record.Owner, r.record.Until = "", time.Time{}
	if r.whole {
		r.record.Polled = r.began.UTC()
	}
	if _, other, err := r.writePolled(ctx, r.source.subject(), &r.record, r.rev); err != nil {
		r.fail(err)
	} else if other {
		r.log.Debug().Msg("poll left to another worker")
	}
}

// storeTimeout bounds what is stored at the end of a poll, also when the process is about to end.
const storeTimeout = 5 * time.Second
