package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// maxNamesLogged bounds the rule names in one log line.
const maxNamesLogged = 20

// Match handles one stored event: it finds the candidates, creates the match record, and puts
// one work.run.<source> per candidate. An event whose record is there already is never matched again:
// the record's candidates are put, under the record's digest, whatever the rules say by now, and
// those that were paused then are decided as such. An event without candidates leaves nothing
// behind, but that it may have overtaken others.
func (e *Engine) Match(ctx context.Context, m Message) error {
	ev, err := readEvent(m)
	if err != nil {
		return err
	}
	log := eventLogger(e.log, ev)
	var rec matchRecord
	found, err := e.readRecord(ctx, matchSubject(ev.ID), &rec)
	if err != nil {
		return fmt.Errorf("match event %s: %w", ev.ID, err)
	}
	if !found {
		rec, err = e.match(ctx, ev, rules.ReadForced(m.Header[rules.HeaderForced]), log)
		if err != nil {
			return fmt.Errorf("match event %s: %w", ev.ID, err)
		}
	}
	for _, name := range rec.Candidates {
		o := runOrder{event: ev, runID: rules.RunID(ev.ID, name), rule: name, digest: rec.Digest, chain: rec.Chain}
		subject := subjectRun + ev.Source
		if err := e.stores.Work.Put(ctx, subject, o.header(m.Header), ev.Body); err != nil {
			return fmt.Errorf("match event %s: put run of rule %s: %w", ev.ID, name, err)
		}
		log.Debug().Str("subject", subject).Str("key", o.runID).Str("rule", name).Msg("work put")
	}
	if err := e.recordPauses(ctx, ev, &rec, log); err != nil {
		return fmt.Errorf("match event %s: %w", ev.ID, err)
	}
	return nil
}

// match decides the candidates of an event that has no match record yet, and creates it. The
// record returned has no candidates, and is not stored, when no rule fits.
func (e *Engine) match(ctx context.Context, ev *events.Event, forced *rules.Forced, log zerolog.Logger) (matchRecord, error) {
	rs := e.live.Current()
	if rs == nil {
		return matchRecord{}, fmt.Errorf("no rules are loaded yet")
	}
	view, err := events.Decode(ev)
	if err != nil {
		return matchRecord{}, &FinalError{class: ClassMessage, err: err}
	}
	if err := e.noteLanded(ctx, view, ev.Body); err != nil {
		return matchRecord{}, err
	}
	flat := view.Flat()
	candidates := rs.Match(nil, &flat)
	rec := matchRecord{V: rules.FormatVersion, EventID: ev.ID, Digest: rs.Digest(), At: e.now().UTC(), Forced: forced}
	if len(candidates) > 0 || rs.LatestMatters(ev.Type) {
		if rec.Chain, err = e.ownHead(ctx, view); err != nil {
			return matchRecord{}, err
		}
		if err := e.see(ctx, rs, view, ev, rec.Chain); err != nil {
			return matchRecord{}, err
		}
		if rec.Chain.Depth > 0 && len(candidates) > 0 {
			candidates = e.guard(candidates, rec.Chain, view, log)
		}
	}
	candidates = e.meter(rs, candidates, ev, &rec, log)
	rec.Candidates = ruleNames(candidates)
	log.Info().Int("candidates", len(rec.Candidates)).Strs("rules", bounded(rec.Candidates)).
		Str("digest", rec.Digest).Msg("matched")
	if len(rec.Candidates)+len(rec.Paused) == 0 {
		return rec, nil
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return matchRecord{}, fmt.Errorf("encode the match record: %w", err)
	}
	if len(data) > e.limits.Record {
		return matchRecord{}, sizeError("match record", len(data), e.limits.Record)
	}
	var other matchRecord
	created, err := e.createRecord(ctx, matchSubject(ev.ID), data, &other)
	if err != nil {
		return matchRecord{}, err
	}
	if !created {
		return other, nil
	}
	log.Debug().Int("candidates", len(rec.Candidates)).Str("digest", rec.Digest).Msg("match recorded")
	return rec, nil
}

// guard leaves of the candidates those that may see an event caused by one of our own commits.
func (e *Engine) guard(candidates []*rules.Rule, chain events.Chain, view *events.View, log zerolog.Logger) []*rules.Rule {
	commit, _ := view.Head()
	left, reason := rules.SeesOwn(candidates, chain, e.limits.ChainDepth)
	log.Info().Str("commit", commit).Str("key", chain.Action).Str("reason", reason).Msg("own commit recognised")
	return left
}

// eventLogger adds the fields every line about an event has.
func eventLogger(log zerolog.Logger, ev *events.Event) zerolog.Logger {
	c := log.With().Str("event_id", ev.ID).Str("source", ev.Source).Str("type", ev.Type)
	if ev.Repository != "" {
		c = c.Str("repository", ev.Repository)
	}
	return c.Logger()
}

func ruleNames(all []*rules.Rule) []string {
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.Name()
	}
	return names
}

// bounded is names for a log line.
func bounded(names []string) []string {
	if len(names) <= maxNamesLogged {
		return names
	}
	rest := fmt.Sprintf("… and %d more", len(names)-maxNamesLogged)
	return append(slices.Clone(names[:maxNamesLogged]), rest)
}
