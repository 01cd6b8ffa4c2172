package effects

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// formatVersion is the "v" of the records this package writes.
const formatVersion = 1

// States of an action record.
const (
	stateStarted = "started" // a worker is at it, or was when it died
	stateDone    = "done"
	stateFailed  = "failed"  // ended without its effect, see Error
	stateSkipped = "skipped" // never tried, see Error
)

// actionRecord is the ledger's entry of one action (of a notify: of its message to one target),
// "action.<key>".
type actionRecord struct {
	V     int    `json:"v"`
	State string `json:"state"`
	// Owner is the worker that started or, later, sent it last.
	Owner   string `json:"owner,omitempty"`
	Attempt int    `json:"attempt"` // calls sent so far
	// SentAt is when the last attempt was about to be sent; zero when it was refused for certain.
	SentAt time.Time `json:"sent_at,omitzero"`
	// OutcomeKnown is false from SentAt on until the service answered, or was found to have acted.
	OutcomeKnown bool `json:"outcome_known"`
	// Baseline is what was there before an attempt that may have been carried out: of a build what its task
	// had run, since only what came after it can be ours; of a commit the head of its branch, which is still part of the
	// branch unless somebody has rewritten it.
	Baseline *baseline     `json:"baseline,omitempty"`
	Error    string        `json:"error,omitempty"` // why it failed or was skipped, or the last refusal
	Class    string        `json:"class,omitempty"` // of the failure
	Result   *actionResult `json:"result,omitempty"`
	At       time.Time     `json:"at"` // of this state
	// Forced is who had the action carried out although it was done, or might have been; the last ones.
	Forced []rules.Forced `json:"forced,omitempty"`

	// What the record is about: for explaining, and for the loop guard while there is no
	// commit record yet.
	Key     string       `json:"key,omitempty"` // of the action
	Kind    string       `json:"kind,omitempty"`
	EventID string       `json:"event_id,omitempty"`
	RunID   string       `json:"run_id,omitempty"`
	Rule    string       `json:"rule,omitempty"`
	Chain   events.Chain `json:"chain"` // of the event the action is for
	// Depth and Origin are what event.chain of an event caused by this action's commit has; of a
	// commit only.
	Depth  int    `json:"depth,omitempty"`
	Origin string `json:"origin,omitempty"`
}

type actionResult struct {
	ID      string `json:"id"`
	ShortID string `json:"short_id"`
	WebURL  string `json:"web_url"`

	BuildNo       int64  `json:"build_no,omitempty"`
	DailyBuildNum string `json:"daily_build_num,omitempty"`
	JobID         string `json:"job_id,omitempty"`
}

// baseline is the highest number of a build task's runs at a time, or the head of a branch.
type baseline struct {
	BuildNo int64     `json:"build_no,omitempty"`
	Head    string    `json:"head,omitempty"` // of a commit only; "" when the branch was still to be made
	At      time.Time `json:"at"`
}

// newActionRecord is the record of a in a state; the caller fills in what the state needs.
func newActionRecord(a *rules.Action, state string, at time.Time) actionRecord {
	r := actionRecord{
		V: formatVersion, State: state, OutcomeKnown: true, At: at,
		Key: a.Key, Kind: a.Kind, EventID: a.EventID, RunID: a.RunID, Rule: a.Rule, Chain: a.Chain,
	}
	if a.Kind == rules.KindCommit {
		c := a.Child()
		r.Depth, r.Origin = c.Depth, c.Origin
	}
	return r
}

func (r *actionRecord) final() bool { return r.State != stateStarted }

// inDoubt tells whether the last attempt may have landed, or may still land.
func (r *actionRecord) inDoubt() bool {
	return r.State == stateStarted && !r.SentAt.IsZero() && !r.OutcomeKnown
}

// carriedOut tells whether the service said yes to the last attempt, and what came of it is not known
// yet.
func (r *actionRecord) carriedOut() bool {
	return r.State == stateStarted && !r.SentAt.IsZero() && r.OutcomeKnown
}

// result is what a rule sees as results.<id>; only of a final record.
func (r *actionRecord) result() rules.Result {
	if r.State != stateDone || r.Result == nil {
		return rules.Result{Failed: true, Error: r.Error}
	}
	return rules.Result{
		ID: r.Result.ID, ShortID: r.Result.ShortID, WebURL: r.Result.WebURL,
		BuildNo: r.Result.BuildNo, DailyBuildNum: r.Result.DailyBuildNum, JobID: r.Result.JobID,
	}
}

// failure is the error of a failed record, as it was.
func (r *actionRecord) failure(key string) error {
	class := r.Class
	if class == "" {
		class = ClassRefused
	}
	return final(class, "action %s has failed: %s", key, r.Error)
}

func (r *actionRecord) check() error {
	switch {
	case !slices.Contains([]string{stateStarted, stateDone, stateFailed, stateSkipped}, r.State):
		return fmt.Errorf("unknown state %q", r.State)
	case r.Attempt < 0:
		return fmt.Errorf("attempt %d", r.Attempt)
	case r.State == stateDone && r.Kind == rules.KindCommit && (r.Result == nil || r.Result.ID == ""):
		return errors.New("done without a commit id")
	case r.State == stateDone && r.Kind == rules.KindBuild && (r.Result == nil || r.Result.BuildNo < 1):
		return errors.New("done without the number of a build")
	}
	return nil
}

// commitRecord says that a commit is ours, "commit.<Hash(id)>".
type commitRecord struct {
	V       int          `json:"v"`
	Key     string       `json:"key"` // of the action
	EventID string       `json:"event_id"`
	RunID   string       `json:"run_id"`
	Rule    string       `json:"rule"`
	Chain   events.Chain `json:"chain"` // of the event the action was for
	// Depth and Origin are what event.chain of an event caused by this commit has.
	Depth  int    `json:"depth"`
	Origin string `json:"origin"`
}

func newCommitRecord(a *rules.Action) commitRecord {
	r := commitRecord{V: formatVersion, Key: a.Key, EventID: a.EventID, RunID: a.RunID, Rule: a.Rule, Chain: a.Chain}
	c := a.Child()
	r.Depth, r.Origin = c.Depth, c.Origin
	return r
}

// landedRecord says that a push delivered a commit with our trailer, "landed.<key of the action>". The engine writes it, for an action
// whose record does not know yet what became of it: that commit was made, also when it is on no branch any more.
type landedRecord struct {
	V  int    `json:"v"`
	ID string `json:"id"` // of the commit
}

func (r *landedRecord) check() error {
	if r.ID == "" {
		return errors.New("no commit is named")
	}
	return nil
}

// buildRecord says that a run of a build task is ours, "build.<Hash(task, number)>": no other of our
// actions takes it for its own.
type buildRecord commitRecord

func (r *buildRecord) check() error {
	if r.Key == "" {
		return errors.New("no action is named")
	}
	return nil
}

// breakerRecord holds the last commits of one rule to one branch, oldest first,
// "breaker.<Hash(rule, connection, repository, branch)>"; or the last builds of one task that a rule
// has started, "breaker.<Hash(rule, connection, task)>".
type breakerRecord struct {
	V       int            `json:"v"`
	Commits []breakerEntry `json:"commits"`
}

type breakerEntry struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`
}

func (r *breakerRecord) check() error {
	if slices.ContainsFunc(r.Commits, func(c breakerEntry) bool { return c.Key == "" || c.At.IsZero() }) {
		return errors.New("entry without key or time")
	}
	return nil
}

// alertRecord is the memory of one alert, "alert.<Hash(alert key)>".
type alertRecord struct {
	V int `json:"v"`
	rules.AlertMemory
	// Pending is what has been decided and may not have been put as work yet.
	Pending *rules.AlertStep `json:"pending,omitempty"`
}

// next is the record after a reading; changed is false when the reading says nothing new. It must not be called while something
// is pending.
func (r *alertRecord) next(a *rules.Action) (next alertRecord, changed bool) {
	next.V = formatVersion
	next.AlertMemory, next.Pending, changed = r.Next(a)
	return next, changed
}

func (r *alertRecord) check() error {
	switch {
	case r.Generation < 1:
		return fmt.Errorf("generation %d", r.Generation)
	case r.Pending != nil && (r.Pending.Action.Notify == nil || r.Pending.Action.Key == "" || r.Pending.Action.Kind != rules.KindNotify):
		return errors.New("pending intent without a message")
	}
	for i := 1; i < len(r.Rungs); i++ {
		if r.Rungs[i] >= r.Rungs[i-1] {
			return fmt.Errorf("rungs %v do not descend", r.Rungs)
		}
	}
	return nil
}

// decodeRecord reads a record. One that cannot be read, or that contradicts itself, is a final
// error of class record: guessing could repeat an effect. One of a newer format is left to a
// newer worker.
func decodeRecord[T any, P interface {
	*T
	check() error
}](subject string, data []byte,
) (T, error) {
	var head struct {
		V int `json:"v"`
	}
	var r T
	err := json.Unmarshal(data, &head)
	if err == nil && head.V > formatVersion {
		return r, &RetryError{err: fmt.Errorf("record %s: %w", subject, newerFormatError("record", head.V))}
	}
	if err == nil && head.V < 1 {
		err = fmt.Errorf("format version %d", head.V)
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err == nil {
		err = P(&r).check()
	}
	if err != nil {
		return r, final(ClassRecord, "record %s is corrupt: %w", subject, err)
	}
	return r, nil
}

func newerFormatError(what string, v int) error {
	return fmt.Errorf("%s has format %d, newer than this worker's %d", what, v, formatVersion)
}

func encodeRecord(r any) ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, final(ClassRecord, "write a record: %w", err)
	}
	return data, nil
}
