package stream

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Stats is what monitoring wants to know of the stores. Its parts are read one after the other.
type Stats struct {
	Stores []StoreStats // EVENTS, WORK, RECORDS, DEAD
	// Unmatched is how many events their match consumers have not acknowledged.
	Unmatched uint64
	// Sources is what is to be done of each source with something in the stores.
	Sources map[string]SourceStats
	// Waiting is the work to be done now or being done, by its subject without "work.": match, run (of all sources),
	// commit, build, alert, tick, notify.<target>.
	Waiting map[string]uint64
	Parked  uint64
	Crons   uint64
	// Dead counts the dead letters by class.
	Dead map[string]uint64
}

// SourceStats is what waits for one source.
type SourceStats struct {
	Unmatched uint64 // events
	Runs      uint64
}

// StoreStats is the size of one store.
type StoreStats struct {
	Store    Store
	Messages uint64
	Bytes    uint64
	MaxBytes int64 // 0 or less: no limit
}

// Stats reads the stores. It costs the same however many are parked.
func (c *Conn) Stats(ctx context.Context) (*Stats, error) {
	s := &Stats{Waiting: make(map[string]uint64), Dead: make(map[string]uint64), Sources: make(map[string]SourceStats)}
	for _, store := range [...]Store{Events, Work, Records, Dead} {
		info, err := c.info(ctx, store)
		if err != nil {
			return nil, err
		}
		s.Stores = append(s.Stores, StoreStats{
			Store: store, Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: info.Config.MaxBytes,
		})
	}
	err := c.unmatched(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := c.workStats(ctx, s.Stores[1].Messages, s); err != nil {
		return nil, err
	}
	if s.Stores[3].Messages > 0 {
		err = c.bySubject(ctx, Dead, "dead.>", func(subject string, n uint64) {
			class, _, _ := strings.Cut(strings.TrimPrefix(subject, "dead."), ".")
			s.Dead[class] += n
		})
	}
	return s, err
}

// workStats fills in what is in WORK, which holds so many messages in all.
func (c *Conn) workStats(ctx context.Context, all uint64, s *Stats) error {
	if all == 0 {
		return nil
	}
	work := uint64(0)
	for _, filter := range workFilters() {
		err := c.bySubject(ctx, Work, filter, func(subject string, n uint64) {
			switch filter {
			case Ticks, Polls:
				subject = strings.TrimSuffix(filter, ".*") // one name for the ticks of all schedules
			case AllRuns:
				of := s.Sources[sourceOf(subject)]
				of.Runs += n
				s.Sources[sourceOf(subject)] = of
				subject = Runs
			}
			s.Waiting[strings.TrimPrefix(subject, "work.")] += n
			work += n
		})
		if err != nil {
			return err
		}
	}
	if err := c.bySubject(ctx, Work, cronPrefix+"*", func(_ string, n uint64) { s.Crons += n }); err != nil {
		return err
	}
	s.Parked = all - min(all, work+s.Crons)
	return nil
}

// workFilters are the subjects of what is to be done, together all of WORK but what is parked and the schedules.
func workFilters() []string { return []string{"work.*", AllRuns, Notifies + "*", Ticks, Polls} }

// unmatched counts the events that nobody has matched yet.
func (c *Conn) unmatched(ctx context.Context, s *Stats) error {
	info, err := c.info(ctx, Events, jetstream.WithSubjectFilter(AllEvents))
	if err != nil {
		return err
	}
	consumers, err := c.eventConsumers(ctx)
	if err != nil {
		return err
	}
	for source, n := range sourcesIn(info) {
		if cons := consumers[consumerOf(MatchConsumer, source)]; cons != nil {
			n = cons.NumPending + uint64(max(cons.NumAckPending, 0))
		}
		s.Sources[source] = SourceStats{Unmatched: n}
		s.Unmatched += n
	}
	return nil
}

// eventConsumers are the consumers of EVENTS by name.
func (c *Conn) eventConsumers(ctx context.Context) (map[string]*jetstream.ConsumerInfo, error) {
	s, err := c.stream(ctx, Events)
	if err != nil {
		return nil, refuse("look up EVENTS", err)
	}
	all := make(map[string]*jetstream.ConsumerInfo)
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		all[info.Name] = info
	}
	if err := list.Err(); err != nil {
		return nil, refuse("list the consumers of EVENTS", err)
	}
	return all, nil
}

// bySubject calls fn with each subject that fits and its number of messages.
func (c *Conn) bySubject(ctx context.Context, s Store, filter string, fn func(subject string, n uint64)) error {
	info, err := c.info(ctx, s, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return err
	}
	for subject, n := range info.State.Subjects {
		fn(subject, n)
	}
	return nil
}

// Waiting is the work to be done, as in [Stats], alone.
func (c *Conn) Waiting(ctx context.Context) (map[string]uint64, error) {
	info, err := c.info(ctx, Work)
	if err != nil {
		return nil, err
	}
	s := &Stats{Waiting: make(map[string]uint64), Sources: make(map[string]SourceStats)}
	return s.Waiting, c.workStats(ctx, info.State.Msgs, s)
}

// Reachable asks the broker for EVENTS: nil means that it is there and that somebody leads it.
func (c *Conn) Reachable(ctx context.Context) error {
	if err := c.fit(); err != nil {
		return err
	}
	_, err := c.info(ctx, Events)
	return err
}
