package stream

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Stats is what monitoring wants to know of the stores. Its parts are read one after the other.
type Stats struct {
	Stores []StoreStats // EVENTS, WORK, RECORDS, DEAD
	// Unmatched is how many events the match consumer has not acknowledged.
	Unmatched uint64
	// Waiting is the work to be done now or being done, by its subject without "work.": match, run,
	// commit, build, alert, tick, notify.<target>.
	Waiting map[string]uint64
	Parked  uint64
	Crons   uint64
	// Dead counts the dead letters by class.
	Dead map[string]uint64
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
	s := &Stats{Waiting: make(map[string]uint64), Dead: make(map[string]uint64)}
	for _, store := range [...]Store{Events, Work, Records, Dead} {
		info, err := c.info(ctx, store)
		if err != nil {
			return nil, err
		}
		s.Stores = append(s.Stores, StoreStats{
			Store: store, Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: info.Config.MaxBytes,
		})
	}
	var err error
	if s.Unmatched, err = c.unmatched(ctx, s.Stores[0].Messages); err != nil {
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
	for _, filter := range [...]string{"work.*", Notifies + "*", Ticks, Polls} {
		err := c.bySubject(ctx, Work, filter, func(subject string, n uint64) {
			if filter == Ticks || filter == Polls {
				subject = strings.TrimSuffix(filter, ".*") // one name for the ticks of all schedules
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

// unmatched is how many of all events nobody has matched yet.
func (c *Conn) unmatched(ctx context.Context, all uint64) (uint64, error) {
	cons, err := c.js.Consumer(ctx, string(Events), MatchConsumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return all, nil
	}
	if err != nil {
		return 0, refuse("look at consumer "+MatchConsumer, err)
	}
	info := cons.CachedInfo()
	return info.NumPending + uint64(max(info.NumAckPending, 0)), nil
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
	s := &Stats{Waiting: make(map[string]uint64)}
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
