package stream

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// start makes or updates the consumer for the first time. It waits for a broker that is away
// and returns what a person has to mend.
func (r *consuming) start(ctx context.Context) error {
	for failures := 0; ; failures++ {
		_, err := r.consumer(ctx, nil)
		if err == nil || needsPerson(err) {
			return err
		}
		r.interrupted(err)
		if pause(ctx, failures); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// needsPerson is true when the broker refused what was asked for, and would again.
func needsPerson(err error) bool {
	var cs Complaints
	if errors.As(err, &cs) {
		return true
	}
	var js jetstream.JetStreamError
	return errors.As(err, &js) && js.APIError() != nil && js.APIError().Code < 500
}

// consumer returns the durable consumer. failed is the one that did not work any more; the
// first to say so looks it up again, the others get what it found.
func (r *consuming) consumer(ctx context.Context, failed jetstream.Consumer) (jetstream.Consumer, error) {
	if err := r.fit(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil && r.current != failed {
		return r.current, nil
	}
	cons, err := r.ensure(ctx)
	var cs Complaints
	if err != nil && !errors.As(err, &cs) {
		err = fmt.Errorf("consumer %s of %s: %w", r.Name, r.Stream, err)
	}
	if err != nil {
		return nil, err
	}
	r.current = cons
	return cons, nil
}

// ensure makes the consumer if it is gone and updates it if it differs.
func (r *consuming) ensure(ctx context.Context) (jetstream.Consumer, error) {
	cons, err := r.js.Consumer(ctx, string(r.Stream), r.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		want := r.wanted(jetstream.ConsumerConfig{
			Durable: r.Name, AckPolicy: jetstream.AckExplicitPolicy, MaxWaiting: maxWaiting,
			DeliverPolicy: jetstream.DeliverAllPolicy,
		})
		if seq, ok := r.resumeAt(ctx); ok {
			want.DeliverPolicy, want.OptStartSeq = jetstream.DeliverByStartSequencePolicy, seq
		}
		return r.js.CreateOrUpdateConsumer(ctx, string(r.Stream), want)
	}
	if err != nil {
		return nil, err
	}
	have := cons.CachedInfo().Config
	if have.AckPolicy != jetstream.AckExplicitPolicy {
		return nil, Complaints{{
			Where:  "consumer " + r.Name + " of " + string(r.Stream),
			Found:  "its acknowledgement policy is not explicit, so messages count as done before they are handled",
			Remedy: "delete the consumer, Millrace makes it again",
		}}
	}
	if want := r.wanted(have); !reflect.DeepEqual(want, have) {
		return r.js.UpdateConsumer(ctx, string(r.Stream), want)
	}
	return cons, nil
}

// wanted is cfg with every setting that matters here as it should be.
func (r *consuming) wanted(cfg jetstream.ConsumerConfig) jetstream.ConsumerConfig {
	cfg.AckWait = r.AckWait
	cfg.MaxDeliver = -1
	cfg.MaxAckPending = r.MaxAckPending
	cfg.BackOff = nil
	cfg.FilterSubject, cfg.FilterSubjects = r.Filter, nil
	cfg.HeadersOnly = false
	cfg.InactiveThreshold = 0
	cfg.MaxRequestBatch, cfg.MaxRequestExpires, cfg.MaxRequestMaxBytes = 0, 0, 0
	return cfg
}

// floor is up to where a consumer of EVENTS has acknowledged everything, and in which
// stream: its sequences mean nothing in one that was made anew.
type floor struct {
	seq     uint64
	created time.Time
}

// resumeAt is the first sequence after the remembered floor, if there is one and it is of
// the stream of today, see [bySource.look]. The caller holds mu.
func (r *consuming) resumeAt(ctx context.Context) (uint64, bool) {
	if r.floor.seq == 0 {
		return 0, false
	}
	s, err := r.js.Stream(ctx, string(r.Stream))
	if err != nil || !s.CachedInfo().Created.Equal(r.floor.created) {
		return 0, false
	}
	return r.floor.seq + 1, true
}

// heartbeat is how often the broker says that it is there while nothing arrives. After two
// missing ones the consumer is looked up again.
func (r *consuming) heartbeat() time.Duration { return or(r.cfg.heartbeat, 5*time.Second) }
