package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/rules"
)

// planner says what replays do.
type planner struct {
	records effects.Records
	force   bool
	now     time.Time
}

// old tells whether records of what was accepted then may have been forgotten, and nobody insists.
func (p *planner) old(accepted time.Time) bool { return !p.force && p.now.Sub(accepted) > recordsSure }

// event is what matching an event once more does.
func (p *planner) event(ctx context.Context, id string, accepted time.Time) (*Replay, error) {
	recorded, err := engine.ReadRecorded(ctx, p.records, id)
	if err != nil {
		return nil, err
	}
	r := new(Replay)
	if recorded == nil {
		if p.old(accepted) {
			return forgotten("the event", accepted), nil
		}
		r.say("it is matched with the rules of now: no rule took it before, or nobody matched it")
		return r, nil
	}
	r.say("its match of %s is used again, with the rules of then (%s)%s", recorded.At.UTC().Format(time.RFC3339), short(recorded.Digest), byPerson(recorded.Forced))
	for _, rule := range recorded.Candidates {
		if d := recorded.Decisions[rule]; d != nil {
			err = p.decision(ctx, r, d)
		} else {
			r.say("rule %s has not decided yet: it waits, is being tried or has a dead letter of its own; it decides once", rule)
			r.undecided = append(r.undecided, rule)
			r.Runs++
		}
		if err != nil {
			return nil, err
		}
	}
	if len(r.undecided) == 0 && r.Count(WillKeep, WillSkip, WillFollow) == len(r.Effects) {
		r.say("nothing is left to do: all is done, or skipped")
	}
	return r, nil
}

// drop chooses, of an event's dead letters, those whose work the replay of the event does.
func (r *Replay) drop(letters []eventLetter) {
	var ids []string
	for _, l := range letters {
		does := l.kind == kindMatch ||
			l.kind == kindRun && (slices.Contains(r.undecided, l.rule) || slices.Contains(r.decided, l.rule)) ||
			slices.ContainsFunc(r.Effects, func(e Effect) bool { return e.Key == l.key })
		if does {
			r.Drops = append(r.Drops, l.id)
			ids = append(ids, strconv.FormatUint(l.id, 10))
		}
	}
	switch len(ids) {
	case 0:
	case 1:
		r.say("its dead letter %s goes: what fails again leaves a new one", ids[0])
	default:
		r.say("its dead letters %s go: what fails again leaves new ones", strings.Join(ids, ", "))
	}
}

// byPerson tells who has had it done by force.
func byPerson(f *rules.Forced) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf(", made by force of %s at %s", f.By, f.At.Format(time.RFC3339))
}

// run is what running a rule on an event once more does.
func (p *planner) run(ctx context.Context, l *DeadLetter) (*Replay, error) {
	recorded, err := engine.ReadRecorded(ctx, p.records, l.EventID)
	if err != nil {
		return nil, err
	}
	r := new(Replay)
	if recorded != nil && recorded.Decisions[l.Rule] != nil {
		return r, p.decision(ctx, r, recorded.Decisions[l.Rule])
	}
	if p.old(l.Accepted) {
		return forgotten("the event", l.Accepted), nil
	}
	r.Runs = 1
	r.say("rule %s runs as for the first time, with the rules of then (%s): its facts are fetched now", l.Rule, short(l.header("Millrace-Digest")))
	return r, nil
}

// decision is what putting the actions of a decision once more does.
func (p *planner) decision(ctx context.Context, r *Replay, d *rules.Decision) error {
	r.decided = append(r.decided, d.Rule)
	if d.Outcome != rules.OutcomeActed {
		r.say("rule %s decided %s, and nothing is decided anew%s", d.Rule, d.Outcome, byPerson(d.Forced))
		return nil
	}
	r.say("rule %s decided, and nothing is decided anew: what it wanted done is put again%s", d.Rule, byPerson(d.Forced))
	for i := range d.Items {
		if err := p.item(ctx, r, d.Items[i].Actions); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) item(ctx context.Context, r *Replay, actions []rules.Action) error {
	from := len(r.Effects)
	for i := range actions {
		a := &actions[i]
		targets := []string{""}
		if a.Notify != nil {
			targets = a.Notify.To
		}
		for j, target := range targets {
			if slices.Contains(targets[:j], target) {
				continue
			}
			e, err := p.effect(ctx, a, effects.Key(a, target), target)
			if err != nil {
				return err
			}
			r.Effects = append(r.Effects, e)
		}
	}
	p.rekindle(r.Effects[from:])
	return nil
}

// rekindle marks, of the effects of one item, what was skipped and waits for one that is tried again.
func (p *planner) rekindle(all []Effect) {
	for changed := true; changed; {
		changed = false
		for i := range all {
			if e := &all[i]; e.Will == WillSkip && slices.ContainsFunc(all, func(o Effect) bool {
				return o.Will != WillKeep && o.Will != WillSkip && o.Will != WillStay && slices.Contains(e.action.Waits, o.ActionID)
			}) {
				e.Will, changed = WillRekindle, true
			}
		}
	}
}

// effect is what becomes of one action.
func (p *planner) effect(ctx context.Context, a *rules.Action, key, target string) (Effect, error) {
	e := Effect{Rule: a.Rule, ActionID: a.ID, Kind: a.Kind, Item: a.ItemKey, Target: target, Key: key, action: a}
	var err error
	if e.Standing, err = effects.ReadStanding(ctx, p.records, key); err != nil {
		return e, err
	}
	if made := e.Standing.Result; made.ID != "" {
		e.Result = "commit " + made.ID
	} else if made.BuildNo > 0 {
		e.Result = fmt.Sprintf("build %d", made.BuildNo)
	}
	switch {
	case (e.Done() || e.NeedsForce()) && p.force:
		e.Will = WillRepeat
	case e.NeedsForce():
		e.Will = WillStay
	case e.Done():
		e.Will = WillKeep
	case e.Failed():
		e.Will = WillRetry
	case len(a.Waits) > 0 && e.Attempts == 0 && (e.State == "" || e.State == "started"): // or was skipped, and opened again
		e.Will = WillFollow
	case e.State == "":
		e.Will = WillBegin
	case e.State == "started":
		e.Will = WillGoOn
	default:
		e.Will = WillSkip
	}
	return e, nil
}

// one is what putting a single action once more does.
func (p *planner) one(ctx context.Context, l *DeadLetter) (*Replay, error) {
	r := new(Replay)
	e, err := p.effect(ctx, l.action, l.Key, l.Target)
	var broken *effects.FinalError
	if errors.As(err, &broken) {
		return refused("its record cannot be used: %v; drop removes the dead letter", err), nil
	}
	if err != nil {
		return nil, err
	}
	if e.State == "" {
		if p.old(l.Accepted) {
			return forgotten("the event", l.Accepted), nil
		}
		if e.Will = WillBegin; p.force {
			e.Will = WillRepeat // there is no telling: the record says that it was forced
		}
	}
	if e.Will == WillStay {
		return refused("%s", e.Error), nil
	}
	r.Effects, r.Told = []Effect{e}, true
	r.say("%s", p.fate(&e))
	if l.Class == effects.ClassExpired || e.action.Deadline != "" && e.Will != WillKeep && e.Will != WillSkip {
		r.say("its deadline counts from the replay")
	}
	if e.Will == WillRetry || e.Will == WillGoOn || e.Failed() {
		err = p.followers(ctx, r, l.action)
	}
	return r, err
}

// followers tells what was skipped because of the action and is decided anew.
func (p *planner) followers(ctx context.Context, r *Replay, a *rules.Action) error {
	if a.Kind != rules.KindCommit && a.Kind != rules.KindBuild {
		return nil // nothing can wait for it
	}
	recorded, err := engine.ReadRecorded(ctx, p.records, a.EventID)
	if err != nil {
		return err
	}
	if recorded == nil || recorded.Decisions[a.Rule] == nil {
		r.say("the record of its run is gone: what waited for its result is not found again")
		return nil
	}
	for _, item := range recorded.Decisions[a.Rule].Items {
		if item.Key != a.ItemKey {
			continue
		}
		for i := range item.Actions {
			if w := &item.Actions[i]; slices.Contains(w.Waits, a.ID) {
				r.say("%s (%s), which waits for its result, is decided by the new one; what was sent already is not sent again", w.Kind, w.ID)
			}
		}
	}
	return nil
}

// fate says in a sentence what becomes of an action whose message is put.
func (p *planner) fate(e *Effect) string {
	what := e.Kind + " (" + e.ActionID + ")"
	if e.Target != "" {
		what = "the message to " + e.Target
	}
	switch e.Will {
	case WillKeep:
		done := "is done since " + e.At.UTC().Format(time.RFC3339)
		if e.Result != "" {
			done += " (" + e.Result + ")"
		}
		return what + " " + done + " and not repeated; what waits for its result is put"
	case WillRepeat:
		return what + " is carried out once more by force" + byForce[e.Kind] + "; its record says so"
	case WillSkip:
		return what + " was skipped (" + e.Error + "), and stays so"
	case WillGoOn:
		return what + " is open: a worker is at it, or a replay was cut short; it is put again and carried out once"
	case WillBegin:
		return what + " was never begun, and is carried out"
	}
	text := what + " is tried again"
	if !e.InDoubt {
		return text
	}
	switch e.Kind {
	case rules.KindCommit, rules.KindBuild:
		return text + "; its last attempt may have been carried out: that is looked for first"
	default:
		return text + "; its last attempt may have arrived: then it comes twice"
	}
}

// byForce is what limits a repetition, by kind.
var byForce = map[string]string{
	rules.KindCommit: ", unless its trailer is still on the branch: then that commit is the one",
	rules.KindAlert:  ", and the memory of the alert decides whether there is something to say",
}

// short is a digest as people see it.
func short(digest string) string {
	return strings.TrimSpace(digest[:min(12, len(digest))])
}
