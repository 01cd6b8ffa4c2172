package stream

import (
	"context"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// Counts is how many messages there are. The parts of WORK are counted one after the other, so
// they fit together once nothing moves.
type Counts struct {
	Events  uint64
	Work    uint64 // to be done now, or being done
	Parked  uint64 // waiting for their time
	Crons   uint64 // schedules
	Records uint64
	Dead    uint64
}

// Counts reads the stores. It costs the same however many are parked.
func (c *Conn) Counts(ctx context.Context) (n Counts, err error) {
	for _, s := range [...]struct {
		store Store
		into  *uint64
	}{{Events, &n.Events}, {Records, &n.Records}, {Dead, &n.Dead}, {Work, &n.Parked}} {
		info, err := c.info(ctx, s.store)
		if err != nil {
			return Counts{}, err
		}
		*s.into = info.State.Msgs
	}
	if n.Parked == 0 {
		return n, nil
	}
	for _, filter := range workFilters() {
		if err := c.bySubject(ctx, Work, filter, func(_ string, held uint64) { n.Work += held }); err != nil {
			return Counts{}, err
		}
	}
	if err := c.bySubject(ctx, Work, cronPrefix+"*", func(_ string, held uint64) { n.Crons += held }); err != nil {
		return Counts{}, err
	}
	n.Parked -= min(n.Parked, n.Work+n.Crons)
	return n, nil
}

// LastEvent is the sequence of the newest event of EVENTS, also when it was purged since; 0: there never was one.
func (c *Conn) LastEvent(ctx context.Context) (uint64, error) {
	info, err := c.info(ctx, Events)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

// Schedules lists the ids of the schedules that are stored, sorted.
func (c *Conn) Schedules(ctx context.Context) ([]string, error) {
	info, err := c.info(ctx, Work, jetstream.WithSubjectFilter(cronPrefix+"*"))
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		ids = append(ids, subject[len(cronPrefix):])
	}
	slices.Sort(ids)
	return ids, nil
}

func (c *Conn) info(ctx context.Context, s Store, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	op := "look at " + string(s)
	st, err := c.stream(ctx, s)
	if err != nil {
		return nil, refuse(op, err)
	}
	info, err := st.Info(ctx, opts...)
	if err != nil {
		return nil, refuse(op, err)
	}
	return info, nil
}
