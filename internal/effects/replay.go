package effects

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/millrace/millrace/pkg/rules"
)

// HeaderFailed marks a message that was only put to become a dead letter: an action that could not be rendered or put once the results it
// waited for were there. Without this header such a message has it tried again.
const HeaderFailed = headerFailed

// keptForced is how many times of forcing a record keeps.
const keptForced = 10

// Standing is what the ledger says of an action; of a notify: of its message to one target.
type Standing struct {
	// State is "started", "done", "failed" or "skipped"; "" when there is no record: it was never begun, or the record was forgotten.
	State    string `json:"state"`
	Attempts int    `json:"attempts"` // calls sent so far
	// InDoubt tells that the last call may have had its effect, and nobody knows yet.
	InDoubt bool         `json:"in_doubt,omitempty"`
	Error   string       `json:"error,omitempty"` // why it failed or was skipped, or the last refusal
	Class   string       `json:"class,omitempty"` // of the failure
	Result  rules.Result `json:"-"`               // when done, of a commit and of a build
	At      time.Time    `json:"at,omitzero"`     // of the state
	// Forced is who had it carried out although it was done, or might have been; the last ones.
	Forced []rules.Forced `json:"forced,omitempty"`
}

// Done tells whether the effect is there.
func (s *Standing) Done() bool { return s.State == stateDone }

// NeedsForce tells that the action failed in a way that only somebody who has looked can overrule: its commit may have been removed from the
// branch by hand.
func (s *Standing) NeedsForce() bool { return s.Failed() && s.Class == ClassRewritten }

// Failed tells whether the action ended without its effect, and not because it was not wanted.
func (s *Standing) Failed() bool { return s.State == stateFailed }

// ReadStanding reads the record with that key, as [ReadAction] and [Keys] give it.
func ReadStanding(ctx context.Context, records Records, key string) (Standing, error) {
	en, err := loadAction(ctx, records, key)
	if err != nil || en.rev == 0 {
		return Standing{}, err
	}
	return en.rec.standing(), nil
}

func (r *actionRecord) standing() Standing {
	s := Standing{State: r.State, Attempts: r.Attempt, Error: r.Error, Class: r.Class, At: r.At, Forced: r.Forced}
	s.InDoubt = r.State != stateDone && !r.SentAt.IsZero() && !r.OutcomeKnown
	if r.State == stateDone && r.Result != nil {
		s.Result = r.result()
	}
	return s
}

// ReadAction reads the action of a message of work.commit, work.build, work.alert or work.notify.<target>, one that still waits for a result
// included, and the key of its record.
func ReadAction(m Message) (a *rules.Action, key string, err error) {
	if w := waiting(m); w != nil {
		return w, w.Key, nil
	}
	if a, err = readAction(m, ""); err != nil {
		return nil, "", err
	}
	return a, workKey(m, a), nil
}

// Key is the key of the record of one message of an action; target is "" but for a notify.
func Key(a *rules.Action, target string) string {
	if a.Kind != rules.KindNotify || target == "" {
		return a.Key
	}
	return rules.WorkKey(a.Key, target)
}

// Reopening says how an action is opened again.
type Reopening struct {
	// Force opens an action that is done, or of which there is no record, or whose branch was rewritten, and writes down who
	// wanted it and when.
	Force bool
	By    string
	Now   time.Time
}

// Reopen lets an action that failed be carried out after all, when its message is put again, and with it the actions that were skipped
// because they waited for it. What is in doubt about its last attempt stays so and is waited out. An action that did not fail is left as
// it is, unless it is forced. a and key are what [ReadAction] gives, or an action of a decision and its [Key]. It may be done again.
func Reopen(ctx context.Context, records Records, a *rules.Action, key string, how Reopening) error {
	if key == a.Key { // else nothing can wait for it
		now, err := ReadStanding(ctx, records, key)
		if err != nil {
			return err
		}
		// First those: what is open and waits for an action that failed is found again, the other way round it is not.
		if now.Failed() || now.State == stateStarted || how.Force {
			err = unskipWaiting(ctx, records, a, how.Now)
		}
		if err != nil {
			return err
		}
	}
	for range maxRaces {
		en, err := loadAction(ctx, records, key)
		if err != nil {
			return err
		}
		rec := en.rec
		forced := how.Force && (rec.State == stateDone || en.rev == 0 || rec.State == stateFailed && rec.Class == ClassRewritten)
		switch {
		case rec.State == stateFailed:
			if forced {
				rec.Baseline = nil // somebody has looked: what was removed does not count
			}
			rec.State, rec.Error, rec.Class, rec.At = stateStarted, "", "", how.Now
		case forced:
			rec = newActionRecord(a, stateStarted, how.Now)
		default:
			return nil
		}
		if forced {
			rec.Forced = append(slices.Clone(en.rec.Forced), rules.Forced{At: how.Now, By: how.By})
			rec.Forced = rec.Forced[max(0, len(rec.Forced)-keptForced):]
		}
		if err := en.store(ctx, records, rec); !errors.Is(err, errRaced) {
			return err
		}
	}
	return raceLost("reopen action " + key)
}

// unskipWaiting opens what was skipped and waits for an action, and what waits for that in turn.
func unskipWaiting(ctx context.Context, records Records, a *rules.Action, now time.Time) error {
	item, err := itemOf(ctx, records, a)
	var gone *FinalError
	if errors.As(err, &gone) {
		return nil // what waited cannot be found any more; who carries the action out says so
	}
	if err != nil {
		return err
	}
	opens := []string{a.ID}
	for i := 0; i < len(opens); i++ {
		for j := range item.Actions {
			w := &item.Actions[j]
			if !slices.Contains(w.Waits, opens[i]) || slices.Contains(opens, w.ID) {
				continue
			}
			if err := unskip(ctx, records, w.Key, now); err != nil {
				return err
			}
			opens = append(opens, w.ID)
		}
	}
	return nil
}

// unskip opens the record of an action that was skipped.
func unskip(ctx context.Context, records Records, key string, now time.Time) error {
	for range maxRaces {
		en, err := loadAction(ctx, records, key)
		if err != nil || en.rec.State != stateSkipped {
			return err
		}
		rec := en.rec
		rec.State, rec.Error, rec.At = stateStarted, "", now
		if err := en.store(ctx, records, rec); !errors.Is(err, errRaced) {
			return err
		}
	}
	return raceLost("reopen action " + key)
}

// waiting is the action of a message that holds one as it waited for results; nil for any other message.
func waiting(m Message) *rules.Action {
	a := new(rules.Action)
	if json.Unmarshal(m.Data, a) != nil || a.V != rules.FormatVersion || a.Key == "" || a.Deferred == nil {
		return nil
	}
	return a
}

// releaseAgain tries again to let go an action that failed before it could be put.
func (e *Effects) releaseAgain(ctx context.Context, m Message, w *rules.Action) error {
	if over, err := e.settled(ctx, w.Key); over || err != nil {
		return err
	}
	item, err := e.itemOf(ctx, w)
	if err != nil {
		return err
	}
	over, err := e.release(ctx, m, item, w)
	if err != nil || !over {
		return err
	}
	return e.advance(ctx, m, w)
}
