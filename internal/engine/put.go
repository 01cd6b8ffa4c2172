package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/rules"
)

// putActions puts the actions of a decision that wait for no result. It may do so again and
// again: their keys are theirs for ever.
func (e *Engine) putActions(ctx context.Context, d *rules.Decision, from map[string]string, log zerolog.Logger) error {
	if d.Outcome != rules.OutcomeActed {
		return nil
	}
	for _, item := range d.Items {
		for i := range item.Actions {
			a := &item.Actions[i]
			if len(a.Waits) > 0 || a.Deferred != nil {
				continue
			}
			if err := e.putAction(ctx, a, from, log); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Engine) putAction(ctx context.Context, a *rules.Action, from map[string]string, log zerolog.Logger) error {
	switch a.Kind {
	case rules.KindCommit:
		return e.put(ctx, subjectCommit, a.Key, "", a, from, log)
	case rules.KindBuild:
		return e.put(ctx, subjectBuild, a.Key, "", a, from, log)
	case rules.KindAlert:
		return e.put(ctx, subjectAlert, a.Key, "", a, from, log)
	case rules.KindNotify:
		for i, target := range a.Notify.To {
			if slices.Contains(a.Notify.To[:i], target) {
				continue
			}
			if err := e.put(ctx, subjectNotify+target, rules.WorkKey(a.Key, target), target, a, from, log); err != nil {
				return err
			}
		}
		return nil
	default:
		return &FinalError{class: ClassMessage, err: fmt.Errorf("action %s of the run record has the unknown kind %q", a.ID, a.Kind)}
	}
}

func (e *Engine) put(ctx context.Context, subject, key, target string, a *rules.Action, from map[string]string, log zerolog.Logger) error {
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode action %s: %w", a.ID, err)
	}
	header := map[string]string{
		headerKey: key, headerEvent: escapeHeader(a.EventID), headerRun: a.RunID, headerRule: escapeHeader(a.Rule),
	}
	if target != "" {
		header[headerTarget] = target
	}
	if t := from["ce-type"]; t != "" {
		header[headerType] = t
	}
	for _, name := range traceHeaders {
		if v := from[name]; v != "" {
			header[name] = v
		}
	}
	if err := e.stores.Work.Put(ctx, subject, header, data); err != nil {
		return fmt.Errorf("put action %s as %s: %w", a.ID, subject, err)
	}
	log.Debug().Str("subject", subject).Str("key", key).Str("action_id", a.ID).Str("kind", a.Kind).Msg("work put")
	return nil
}

// checkTargets refuses a target that is no subject token, before anything is recorded.
func checkTargets(d *rules.Decision) error {
	for _, item := range d.Items {
		for _, a := range item.Actions {
			if a.Notify == nil {
				continue
			}
			for _, t := range a.Notify.To {
				if !isToken(t) {
					return evaluationError(fmt.Errorf("action %s: %q is no name of a target", a.ID, t))
				}
			}
		}
	}
	return nil
}

func isToken(s string) bool {
	return s != "" && len(s) <= 100 && !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}
