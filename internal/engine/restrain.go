package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// throttleRecord is the memory of one key of a rule's throttle, "throttle.<id>".
type throttleRecord struct {
	V    int    `json:"v"`
	Rule string `json:"rule"`
	Key  string `json:"key"`
	rules.ThrottleMemory
}

// latestRecord is the newest event of all that overtake each other, "latest.<id>".
type latestRecord struct {
	V int `json:"v"`
	// What they are about, for people.
	Source     string `json:"source"`
	Type       string `json:"type"`
	Repository string `json:"repository,omitempty"`
	Branch     string `json:"branch,omitempty"`
	rules.LatestMemory
}

func throttleSubject(id string) string { return "throttle." + id }
func latestSubject(id string) string   { return "latest." + id }

// see remembers an event for rules with latest_only. It comes before the match record: an event that is handed out again
// is seen again, which changes nothing.
func (e *Engine) see(ctx context.Context, rs *rules.Ruleset, view *events.View, ev *events.Event, chain events.Chain) error {
	id, ok := rules.LatestID(view)
	if !ok || !rs.LatestMatters(ev.Type) || chain.Depth > e.limits.ChainDepth { // too deep: no rule sees it
		return nil
	}
	return changeRecord(ctx, e.stores.Records, e.limits.Record, latestSubject(id), func(rec latestRecord) (latestRecord, bool) {
		next, changed := rec.See(rules.LatestEvent{EventID: ev.ID, At: ev.Time}, chain.Depth > 0)
		rec.V, rec.Source, rec.Type, rec.Repository, rec.LatestMemory = rules.FormatVersion, ev.Source, ev.Type, ev.Repository, next
		if view.Branch != nil {
			rec.Branch = *view.Branch
		}
		return rec, changed
	})
}

// overtaken ends a run whose rule wants only the latest event when there is a newer one; nil: there is none.
func (e *Engine) overtaken(ctx context.Context, rule *rules.Rule, x *rules.Run, view *events.View, ev *events.Event) (*rules.Decision, error) {
	if !rule.LatestOnly() {
		return nil, nil
	}
	id, ok := rules.LatestID(view)
	if !ok {
		return nil, nil
	}
	var rec latestRecord
	if _, err := e.readRecord(ctx, latestSubject(id), &rec); err != nil {
		return nil, err
	}
	by := rec.Overtook(rules.LatestEvent{EventID: ev.ID, At: ev.Time}, rule)
	if by == nil {
		return nil, nil
	}
	return x.Overtaken(by), nil
}

// throttle takes a slot for each key the decision acts under, and takes the actions back for which there is none. It
// is the last that may change a decision: who has a slot acts, and nobody else is to have it in vain.
func (e *Engine) throttle(ctx context.Context, rule *rules.Rule, d *rules.Decision, accepted time.Time) error {
	keys := d.ThrottleKeys()
	if len(keys) == 0 {
		return nil
	}
	if _, err := e.encodeDecision(d); err != nil {
		return err // it could not be recorded
	}
	slot := rules.ThrottleSlot{RunID: d.RunID, EventID: d.EventID, At: accepted}
	for _, key := range keys {
		var holder *rules.ThrottleSlot
		err := changeRecord(ctx, e.stores.Records, e.limits.Record, throttleSubject(rule.ThrottleID(key)), func(rec throttleRecord) (throttleRecord, bool) {
			var next rules.ThrottleMemory
			var changed bool
			next, holder, changed = rec.Take(slot, rule.Throttle())
			return throttleRecord{V: rules.FormatVersion, Rule: rule.Name(), Key: key, ThrottleMemory: next}, changed
		})
		if err != nil {
			return err
		}
		if holder != nil {
			d.Throttled(key, rule.Throttle(), holder)
		}
	}
	return nil
}

// meter leaves of the candidates those that are to run, and notes in the record those that are paused.
func (e *Engine) meter(rs *rules.Ruleset, candidates []*rules.Rule, ev *events.Event, rec *matchRecord, log zerolog.Logger) []*rules.Rule {
	var left []*rules.Rule
	for _, r := range candidates {
		p, resumed := e.matches.Count(rs, r, ev.ID, ev.Time)
		if resumed {
			log.Info().Str("rule", r.Name()).Msg("rule resumed")
		}
		if p == nil {
			left = append(left, r)
			continue
		}
		rec.Paused = append(rec.Paused, *p)
		if p.Began {
			log.Error().Str("rule", r.Name()).Str("reason", p.Reason()).Time("until", p.Until).Msg("rule paused")
		}
	}
	return left
}

// recordPauses decides about the rules that were paused when the event was matched. The match record says so for
// ever: an event that is handed out again, to whichever worker, finds the same rules paused.
func (e *Engine) recordPauses(ctx context.Context, ev *events.Event, rec *matchRecord, log zerolog.Logger) error {
	for i := range rec.Paused {
		p := &rec.Paused[i]
		d := p.Decision(rules.Input{EventID: ev.ID, Digest: rec.Digest, Now: rec.At})
		log := log.With().Str("run_id", d.RunID).Str("rule", d.Rule).Logger()
		if _, err := e.recordDecision(ctx, d, rec.Forced, log); err != nil {
			return fmt.Errorf("rule %s, which is paused: %w", p.Rule, err)
		}
	}
	return nil
}

// encodeDecision is the decision as its record, which has a limit.
func (e *Engine) encodeDecision(d *rules.Decision) ([]byte, error) {
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode the run record: %w", err)
	}
	if len(data) > e.limits.Record {
		return nil, sizeError("run record", len(data), e.limits.Record)
	}
	return data, nil
}
