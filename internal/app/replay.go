package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// recordsSure is how old an event may be of which every record must still be there. A day less than records are kept: clocks differ.
const recordsSure = stream.RecordsKeep - 24*time.Hour

// What a replay does with an action.
const (
	WillBegin    = "begin"    // it was never begun
	WillRetry    = "retry"    // it failed, and is tried again
	WillGoOn     = "go_on"    // it is being tried, or was opened again: it is put once more and done once
	WillKeep     = "keep"     // it is done, and not repeated
	WillRepeat   = "repeat"   // it is done, or may be, and repeated by force
	WillStay     = "stay"     // it failed and stays so without force: it may have been done, and undone by hand
	WillSkip     = "skip"     // it was skipped and stays so
	WillFollow   = "follow"   // it waits for the result of another action
	WillRekindle = "rekindle" // it was skipped because another one failed, which is tried again
)

// Effect is one action that a replay concerns; of a notify its message to one target.
type Effect struct {
	Rule     string `json:"rule"`
	ActionID string `json:"action_id"`
	Kind     string `json:"kind"`
	Item     string `json:"item,omitempty"`
	Target   string `json:"target,omitempty"`
	Key      string `json:"key"`
	effects.Standing
	// Result names what is there when it is done: a commit's id, a build's number.
	Result string `json:"result,omitempty"`
	Will   string `json:"will"` // one of the Will constants

	action *rules.Action
}

// Waiting are the ids of the actions whose results it waits for.
func (e *Effect) Waiting() []string { return e.action.Waits }

// Replay says what a replay does, or did.
type Replay struct {
	// Refused is why nothing is replayed, with the remedy; "" when it is.
	Refused string `json:"refused,omitempty"`
	// Will are sentences on what happens, without full stop.
	Will    []string `json:"will,omitempty"`
	Effects []Effect `json:"effects,omitempty"`
	// Told tells that a sentence of Will says all about the one effect.
	Told bool `json:"-"`
	// Drops are the dead letters of an event that go, because the replay of the event does what theirs would.
	Drops []uint64 `json:"drops,omitempty"`
	// Runs is how many rules run that have not decided yet; what they want done is not among the effects.
	Runs int `json:"runs,omitempty"`

	decided, undecided []string // rules that took the event
}

// Count is how many of the effects have one of these fates.
func (r *Replay) Count(will ...string) (n int) {
	for i := range r.Effects {
		if slices.Contains(will, r.Effects[i].Will) {
			n++
		}
	}
	return n
}

func (r *Replay) say(format string, args ...any) {
	r.Will = append(r.Will, fmt.Sprintf(format, args...))
}

func refused(format string, args ...any) *Replay {
	return &Replay{Refused: fmt.Sprintf(format, args...)}
}

// forgotten refuses what no record can tell of any more.
func forgotten(what string, accepted time.Time) *Replay {
	return refused("%s of %s is older than the records, which are forgotten after %d days: nobody can tell what was done meanwhile, so it might be done "+
		"twice; --force replays it all the same", what, accepted.UTC().Format(time.DateOnly), int(stream.RecordsKeep.Hours()/24))
}

// PlanReplay says what a replay of a dead letter would do now, and changes nothing.
func (a *Archive) PlanReplay(ctx context.Context, l *DeadLetter, force bool) (*Replay, error) {
	p := planner{records: a.stores, force: force, now: a.now().UTC()}
	switch {
	case l.unread != "":
		return refused("it cannot be read: %s; show --raw writes its bytes, drop removes it", l.unread), nil
	case l.Kind == kindMatch:
		return p.event(ctx, l.EventID, l.Accepted)
	case l.Kind == kindRun:
		return p.run(ctx, l)
	case l.action != nil:
		return p.one(ctx, l)
	case l.Kind == kindTick && l.letter.FirstStored.IsZero():
		return refused("it does not say when it was due; drop removes it"), nil
	case l.Kind == kindTick && p.old(l.Accepted):
		return forgotten("the tick", l.Accepted), nil
	case l.Kind == kindTick:
		r := new(Replay)
		r.say("the schedule's event %s is made, unless it is there already; it is matched once", l.EventID)
		return r, nil
	case l.Kind == kindPoll:
		r := new(Replay)
		r.say("the source is asked for its builds once more, beside its schedule; each build is one event")
		return r, nil
	}
	return refused("nobody takes work from %q; drop removes it", l.letter.Subject), nil
}

// PlanEvent says what a replay of a stored event would do now, and changes nothing. letters are those of the event.
func (a *Archive) PlanEvent(ctx context.Context, e *events.Event, letters EventLetters, force bool) (*Replay, error) {
	p := planner{records: a.stores, force: force, now: a.now().UTC()}
	r, err := p.event(ctx, e.ID, e.Time)
	if err == nil && r.Refused == "" {
		r.drop(letters[e.ID])
	}
	return r, err
}

// ReplayDeadLetter puts a dead letter's message as work again and then drops the dead letter, unless the answer says that it is refused.
//
// In this order nothing is lost and nothing doubled, wherever it stops: the records of what failed are opened, the message is put, the dead
// letter goes. Until the last step it is there to be replayed again, and what is put twice finds the record of the first.
func (a *Archive) ReplayDeadLetter(ctx context.Context, l *DeadLetter, force bool) (*Replay, error) {
	r, err := a.PlanReplay(ctx, l, force)
	if err != nil || r.Refused != "" {
		return r, err
	}
	if err := a.reopen(ctx, r, force); err != nil {
		return nil, err
	}
	again := *l.letter
	again.Header = a.header(again.Header, force)
	delete(again.Header, effects.HeaderFailed)
	if err := a.stores.PutAgain(ctx, &again); err != nil {
		return nil, err
	}
	if _, err := a.stores.DropDeadLetter(ctx, l.ID); err != nil {
		return nil, fmt.Errorf("%w; its message was put, and the dead letter is still there: replaying it again without --force does no harm", err)
	}
	return r, nil
}

// ReplayEvent puts a stored event to be matched once more, unless the answer says that it is refused, and then drops those of its dead letters
// that it stands for: else what fails again would leave a second one. letters are those of the event. EVENTS holds it once all the same.
func (a *Archive) ReplayEvent(ctx context.Context, e *events.Event, letters EventLetters, force bool) (*Replay, error) {
	r, err := a.PlanEvent(ctx, e, letters, force)
	if err != nil || r.Refused != "" {
		return r, err
	}
	if err := a.reopen(ctx, r, force); err != nil {
		return nil, err
	}
	if err := a.stores.PutMatch(ctx, a.header(e.Header(), force), e.Body); err != nil {
		return nil, err
	}
	for _, id := range r.Drops {
		if _, err := a.stores.DropDeadLetter(ctx, id); err != nil {
			return nil, fmt.Errorf("%w; event %s was put, and its dead letter %d is still there: millrace deadletters drop %d removes it", err, e.ID, id, id)
		}
	}
	return r, nil
}

// header is the header of a message that is put once more. Deadlines of what follows from it count from now.
func (a *Archive) header(from map[string]string, force bool) map[string]string {
	h := maps.Clone(from)
	h[effects.HeaderReplayed] = a.now().UTC().Format(time.RFC3339)
	if delete(h, rules.HeaderForced); force {
		h[rules.HeaderForced] = rules.Forced{At: a.now(), By: a.person}.Header()
	}
	return h
}

// reopen opens the records of what is to be tried again.
func (a *Archive) reopen(ctx context.Context, r *Replay, force bool) error {
	for i := range r.Effects {
		e := &r.Effects[i]
		if !slices.Contains([]string{WillRetry, WillGoOn, WillRepeat}, e.Will) {
			continue
		}
		how := effects.Reopening{Force: force, By: a.person, Now: a.now().UTC()}
		if err := effects.Reopen(ctx, a.stores, e.action, e.Key, how); err != nil {
			return err
		}
	}
	return nil
}
