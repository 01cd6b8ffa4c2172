package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// posting are the names of the sources that post deliveries, polled those of the sources that are asked for builds; both sorted.
func posting(cfg *config.Config) []string { return namesOf(cfg, false) }

func polled(cfg *config.Config) []string { return namesOf(cfg, true) }

func namesOf(cfg *config.Config, polls bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(cfg.Sources)), func(name string) bool { return cfg.Sources[name].Polls() != polls })
}

// pollSources are the sources that are asked for builds. codeArts may be nil where nobody asks.
func pollSources(cfg *config.Config, codeArts map[string]*codearts.Client) []engine.PollSource {
	var all []engine.PollSource
	for _, name := range polled(cfg) {
		b := cfg.Sources[name].CodeArtsBuilds
		s := engine.PollSource{Name: name, Project: codearts.ProjectID(b.ProjectID), Repository: b.Repository, Every: b.Every}
		if c := codeArts[b.Connection]; c != nil {
			s.Builds = c
		}
		all = append(all, s)
	}
	return all
}

// newPoller asks for builds; nil when no source does.
func newPoller(cfg *config.Config, conn *stream.Conn, out *outside, log zerolog.Logger) (*engine.Poller, error) {
	sources := pollSources(cfg, out.codeArts)
	if len(sources) == 0 {
		return nil, nil
	}
	p, err := engine.NewPoller(sources, engine.PollStores{Records: conn, Events: conn, Schedules: conn}, engine.PollLimits{Slack: cfg.Worker.ClockSkew}, log, nil)
	if err != nil {
		return nil, fmt.Errorf("set up the sources that are asked for builds: %w", err)
	}
	return p, nil
}

// pollConsumer is the consumer of a poller. A poll that takes longer than its pause meets its next tick, which ends at once, so there
// is one place more than there are sources.
func pollConsumer(cfg *config.Config, p *engine.Poller) stream.Consumer {
	return stream.Consumer{Name: "poll", Stream: stream.Work, Filter: stream.Polls, Concurrency: len(polled(cfg)) + 1, Handler: toEngine(p.Tick)}
}

// sentTypes are the types of events that the sources of a configuration send. Where no source posts deliveries those may be in a file
// of the receiver's own, so all that forges send may come.
func sentTypes(cfg *config.Config) []string {
	sent := map[string]bool{events.TypeTick: true}
	forge := func() {
		for _, t := range events.Types() {
			sent[t] = sent[t] || !strings.HasPrefix(t, "build.")
		}
		sent[rules.UnknownTypes] = true
	}
	if len(posting(cfg)) == 0 {
		forge()
	}
	for _, s := range cfg.Sources {
		switch {
		case s.Polls():
			sent[events.TypeBuildFinished] = true
		case len(s.Sends) == 0:
			forge()
		}
		for _, text := range s.Sends {
			types, _ := rules.TypesTaken(text) // the configuration was checked
			for _, t := range types {
				sent[t] = true
			}
		}
	}
	maps.DeleteFunc(sent, func(_ string, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(sent))
}
