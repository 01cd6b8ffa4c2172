package stream

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// sourcesEvery is how often it is looked for sources that are not known, and how far consumers of EVENTS have come is remembered.
const sourcesEvery = 5 * time.Second

// bySource is one call of Consume with Weights.
type bySource struct {
	*Conn
	Consumer
	places *places
	lanes  map[string]*consuming // by source; "" is the one of messages without
	group  *errgroup.Group
	before floor // of the one consumer that versions before had for all sources
}

func (c *Conn) consumeSources(ctx context.Context, cons Consumer) error {
	g := &bySource{Conn: c, Consumer: cons, places: &places{limit: cons.Concurrency}, lanes: make(map[string]*consuming)}
	g.group, ctx = errgroup.WithContext(ctx)
	g.group.Go(func() error { return g.keep(ctx) })
	return g.group.Wait()
}

// keep makes a lane for each source, and for those that appear.
func (g *bySource) keep(ctx context.Context) error {
	var started []<-chan struct{}
	for failures := 0; ; failures++ {
		found, err := g.look(ctx)
		if err == nil {
			for source := range g.Weights {
				started = append(started, g.add(ctx, source))
			}
			for _, source := range found {
				started = append(started, g.add(ctx, source))
			}
			break
		}
		if ctx.Err() != nil {
			return nil
		}
		if needsPerson(err) {
			return err
		}
		g.log.Warn().Err(err).Str("consumer", g.Name).Msg("consuming interrupted")
		pause(ctx, failures)
	}
	if !g.succeed(ctx, started) {
		return nil
	}
	tick := time.NewTicker(or(g.cfg.sourcesEvery, sourcesEvery))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		found, err := g.look(ctx)
		if err != nil {
			continue // those that are known say so
		}
		for _, source := range found {
			g.add(ctx, source)
		}
	}
}

// add makes the lane of a source, unless there is one. What it returns is closed when its consumer is there.
func (g *bySource) add(ctx context.Context, source string) <-chan struct{} {
	started := make(chan struct{})
	if g.lanes[source] != nil {
		close(started)
		return started
	}
	r := &consuming{Conn: g.Conn, Consumer: g.Consumer, places: g.places, lane: &lane{weight: max(g.Weights[source], 1)}, floor: g.before}
	r.Name, r.Filter = consumerOf(g.Name, source), subjectOf(g.Stream, source)
	g.lanes[source] = r
	g.group.Go(func() error { return r.run(ctx, func() { close(started) }) })
	return started
}

// succeed waits until all consumers of sources are there, and then removes the one that versions before had for all of them. ok is false
// when ctx has ended.
func (g *bySource) succeed(ctx context.Context, started []<-chan struct{}) (ok bool) {
	for _, s := range started {
		select {
		case <-s:
		case <-ctx.Done():
			return false
		}
	}
	if g.Stream != Events {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	switch err := g.js.DeleteConsumer(ctx, string(Events), g.Name); {
	case err == nil:
		g.log.Info().Str("consumer", g.Name).Msg("consumer replaced")
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		g.log.Warn().Err(err).Str("consumer", g.Name).Msg("consumer not replaced")
	}
	return true
}

// look returns the sources of what is stored, and remembers how far the lanes have come, so that a consumer that somebody deletes goes on
// from there. From the start of the archive it would match old events with new rules.
func (g *bySource) look(ctx context.Context) (sources []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	info, err := g.info(ctx, g.Stream, jetstream.WithSubjectFilter(g.Filter))
	if err != nil {
		return nil, err
	}
	for source := range sourcesIn(info) {
		sources = append(sources, source)
	}
	if g.Stream == Work {
		return append(sources, ""), nil // versions before did not name the source
	}
	consumers, err := g.eventConsumers(ctx)
	if err != nil {
		return nil, err
	}
	if old := consumers[g.Name]; old != nil {
		g.before = floor{seq: old.AckFloor.Stream, created: info.Created}
	}
	for _, r := range g.lanes {
		if cons := consumers[r.Name]; cons != nil && cons.AckFloor.Stream > 0 {
			r.mu.Lock()
			r.floor = floor{seq: cons.AckFloor.Stream, created: info.Created}
			r.mu.Unlock()
		}
	}
	return sources, nil
}

// sourcesIn counts the messages of each source in a stream, of which info has the subjects. What somebody else put under a name that no
// source can have is left out: nobody takes it.
func sourcesIn(info *jetstream.StreamInfo) map[string]uint64 {
	all := make(map[string]uint64)
	for subject, n := range info.State.Subjects {
		if source := sourceOf(subject); source != "" {
			all[source] += n
		}
	}
	return all
}

// consumerOf is the name of the consumer of a source, subjectOf what it takes. "" is what does not name its source.
func consumerOf(name, source string) string {
	if source == "" {
		return name
	}
	return name + "-" + source
}

func subjectOf(s Store, source string) string {
	switch {
	case s == Events:
		return eventPrefix + source + ".>"
	case source == "":
		return Runs
	}
	return RunsOf(source)
}

// RunsOf is the subject of the runs on events of a source.
func RunsOf(source string) string { return runPrefix + source }

// sourceOf is the source that the subject of an event or a run names, "" when it names none.
func sourceOf(subject string) string {
	rest, ok := strings.CutPrefix(subject, eventPrefix)
	if !ok {
		if rest, ok = strings.CutPrefix(subject, runPrefix); !ok {
			return ""
		}
	}
	source, _, _ := strings.Cut(rest, ".")
	if !validToken(source) {
		return ""
	}
	return source
}
