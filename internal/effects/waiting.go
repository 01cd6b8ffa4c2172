package effects

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/millrace/millrace/pkg/rules"
)

// advance sees to the actions that wait for the result of a, which has ended: those that wait
// for nothing else any more are rendered and put as work, or recorded as skipped, and then what
// waits for those in turn. Doing it again does no harm.
func (e *Effects) advance(ctx context.Context, m Message, a *rules.Action) error {
	item, err := e.itemOf(ctx, a)
	if err != nil {
		return err
	}
	ended := []string{a.ID}
	for len(ended) > 0 {
		id := ended[0]
		ended = ended[1:]
		for i := range item.Actions {
			w := &item.Actions[i]
			if !slices.Contains(w.Waits, id) || w.ID == id {
				continue
			}
			over, err := e.release(ctx, m, item, w)
			if err != nil {
				return err
			}
			if over && !slices.Contains(ended, w.ID) {
				ended = append(ended, w.ID)
			}
		}
	}
	return nil
}

// itemOf finds the item of a decision that a belongs to.
func (e *Effects) itemOf(ctx context.Context, a *rules.Action) (*rules.Item, error) {
	return itemOf(ctx, e.seams.Records, a)
}

func itemOf(ctx context.Context, records Records, a *rules.Action) (*rules.Item, error) {
	subject := "run." + a.RunID
	run, err := load[runRecord](ctx, records, subject)
	if err != nil {
		return nil, err
	}
	if run.rev == 0 {
		return nil, final(ClassRecord, "action %s has ended, but record %s is gone: what may have waited for its result cannot be found", a.ID, subject)
	}
	for i := range run.rec.Items {
		item := &run.rec.Items[i]
		if item.Key == a.ItemKey && slices.ContainsFunc(item.Actions, func(w rules.Action) bool { return w.Key == a.Key }) {
			return item, nil
		}
	}
	return nil, final(ClassRecord, "action %s has ended, but record %s does not name it", a.ID, subject)
}

// runRecord is the decision a run has recorded.
type runRecord rules.Decision

func (r *runRecord) check() error { return nil }

// release lets one waiting action go when all it waits for has ended. over tells that it ended
// too, without being put as work.
func (e *Effects) release(ctx context.Context, m Message, item *rules.Item, w *rules.Action) (over bool, err error) {
	results, err := e.results(ctx, item, w)
	if err != nil || results == nil {
		return false, err
	}
	ready, skipped, err := e.render(w, results)
	switch {
	case err != nil:
		return true, e.fail(ctx, m, w, fmt.Sprintf("render action %s: %v", w.ID, err))
	case skipped != "":
		return true, e.end(ctx, w, stateSkipped, skipped)
	}
	if ready.Commit != nil {
		missing, err := e.fillFences(ctx, ready.Commit)
		if err != nil {
			return false, err
		}
		if missing != "" {
			return true, e.fail(ctx, m, w, missing)
		}
	}
	ready.Since = e.now()
	if err := e.put(ctx, m, ready); err != nil {
		if retryable(err) {
			return false, err
		}
		// It is this action that can never be put, and not the others that wait.
		return true, e.fail(ctx, m, w, err.Error())
	}
	return false, nil
}

// fail ends an action that can never be put as work. It leaves a dead letter as any other failure does: the action as it waited
// goes to the commits, whose handler returns the reason it carries. The message is put before the record is written; dying in
// between, there is a second dead letter, which is better than none.
func (e *Effects) fail(ctx context.Context, m Message, w *rules.Action, reason string) error {
	en, err := e.loadAction(ctx, w.Key)
	if err != nil {
		return err
	}
	if en.rev != 0 && en.rec.final() {
		return nil
	}
	from := Message{Header: maps.Clone(m.Header)}
	if from.Header == nil {
		from.Header = make(map[string]string)
	}
	from.Header[headerFailed] = url.PathEscape(shortened(reason))
	err = e.putOne(ctx, from, w, subjectCommit, w.Key, "")
	if err != nil && retryable(err) {
		return err // an action too large for a dead letter has its record and its line in the log
	}
	return e.end(ctx, w, stateFailed, reason)
}

// maxReason bounds a reason that travels in a header, in bytes.
const maxReason = 500

func shortened(reason string) string {
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	return reason
}

// failedBefore is the failure a message carries that was only put to become a dead letter.
func failedBefore(m Message) error {
	text := m.Header[headerFailed]
	if text == "" {
		return nil
	}
	reason, err := url.PathUnescape(text)
	if err != nil {
		reason = text
	}
	return final(ClassEvaluation, "%s", reason)
}

// end records how an action ended that nobody carries out, and says so once.
func (e *Effects) end(ctx context.Context, w *rules.Action, state, reason string) error {
	rec := newActionRecord(w, state, e.now())
	rec.Error = reason
	if state == stateFailed {
		rec.Class = ClassEvaluation
	}
	wrote, err := e.settle(ctx, w.Key, rec)
	if err != nil || !wrote {
		return err
	}
	log := e.actionLog(w, w.Key)
	log.Info().Str("reason", reason).Str("class", rec.Class).Msg("action " + state)
	return nil
}

// results gathers what became of the actions w waits for, by id; nil when one has not ended.
func (e *Effects) results(ctx context.Context, item *rules.Item, w *rules.Action) (map[string]rules.Result, error) {
	results := make(map[string]rules.Result, len(w.Waits))
	for _, id := range w.Waits {
		i := slices.IndexFunc(item.Actions, func(a rules.Action) bool { return a.ID == id })
		if i < 0 {
			return nil, final(ClassRecord, "action %s waits for %q, which its run does not have", w.ID, id)
		}
		en, err := e.loadAction(ctx, item.Actions[i].Key)
		if err != nil {
			return nil, err
		}
		if en.rev == 0 || !en.rec.final() {
			return nil, nil
		}
		results[id] = en.rec.result()
	}
	return results, nil
}

// Buried is called before a dead letter is written for a message of work.commit, work.build, work.alert or
// work.notify.<target>, with the reason and the class it will have. It marks the action as
// failed, and sees to the actions that waited for its result: those that say
// `if: results.<id>.failed` are put as work, the others are skipped with the reason. An action
// that was done meanwhile stays done. Calling it again does no harm.
func (e *Effects) Buried(ctx context.Context, m Message, reason, class string) error {
	a, err := readAction(m, "")
	if err != nil {
		var f *FinalError
		if errors.As(err, &f) {
			return nil // what cannot be read has no record
		}
		return err
	}
	if err := e.bury(ctx, a, workKey(m, a), reason, class); err != nil {
		return err
	}
	if class == ClassExpired {
		if err := e.untell(ctx, a, workKey(m, a)); err != nil {
			return err
		}
	}
	if a.Kind != rules.KindCommit && a.Kind != rules.KindBuild {
		return nil // nothing can wait for it
	}
	err = e.advance(ctx, m, a)
	var f *FinalError
	if errors.As(err, &f) {
		log := e.actionLog(a, a.Key)
		log.Error().Err(err).Str("reason", "what may have waited for its result is not carried out").Msg("action failed")
		return nil
	}
	return err
}

// bury marks an action as failed, unless it has ended already.
func (e *Effects) bury(ctx context.Context, a *rules.Action, key, reason, class string) error {
	for range maxRaces {
		en, err := e.loadAction(ctx, key)
		var f *FinalError
		if err != nil && !errors.As(err, &f) {
			return err
		}
		// A corrupt record is replaced: whatever it said, nobody can act on it.
		if err == nil && en.rev != 0 && en.rec.final() {
			return nil
		}
		rec := newActionRecord(a, stateFailed, e.now())
		rec.Class, rec.Error = class, reason
		if err == nil && en.rev != 0 {
			old := en.rec
			rec.Owner, rec.Attempt, rec.SentAt, rec.OutcomeKnown = old.Owner, old.Attempt, old.SentAt, old.OutcomeKnown
			rec.Baseline, rec.Forced = old.Baseline, old.Forced
			if old.inDoubt() {
				rec.Error += "; the last attempt may have been carried out all the same"
			}
			if old.carriedOut() {
				rec.Error += "; it was carried out all the same"
			}
		}
		switch err := en.store(ctx, e.seams.Records, rec); {
		case errors.Is(err, errRaced):
			continue
		case err != nil:
			return err
		}
		log := e.actionLog(a, key)
		log.Info().Str("reason", rec.Error).Str("class", class).Msg("action failed")
		return nil
	}
	return raceLost("bury action " + key)
}
