package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/stream"
)

// lookAgain is the pause between two tries to reach NATS, or to make its stores.
const lookAgain = time.Second

// connect tries once to reach the broker, and makes sure its stores are there and safe.
func connect(ctx context.Context, settings stream.Config, watch *watch) (*stream.Conn, error) {
	conn, err := stream.Connect(ctx, settings)
	if err != nil {
		return nil, err
	}
	watch.conn.Store(conn)
	if err := conn.Ensure(ctx); err != nil {
		watch.conn.Store(nil)
		conn.Close()
		return nil, fmt.Errorf("the stores in NATS are not fit for use:\n%w", err)
	}
	watch.ensured.Store(true)
	watch.away.Store(nil)
	return conn, nil
}

// awaitBroker is connect, again and again for as long as time may mend what is wrong. What a person has to mend is an error at once, and
// so is the end of ctx.
func awaitBroker(ctx context.Context, settings stream.Config, watch *watch) (*stream.Conn, error) {
	for {
		conn, err := connect(ctx, settings, watch)
		if err == nil || !passing(err) || ctx.Err() != nil {
			return conn, err
		}
		watch.brokerAway(err)
		lookLater(ctx)
	}
}

// brokerAway says why NATS cannot be used, in the log once for each reason in a row.
func (w *watch) brokerAway(err error) {
	said := err.Error()
	if before := w.away.Swap(&said); before == nil || *before != said {
		w.log.Warn().Err(err).Str("admin", w.address).Msg("broker away")
	}
}

// lookLater waits until it is time to look again, or ctx ends.
func lookLater(ctx context.Context) {
	timer := time.NewTimer(lookAgain)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// passing tells whether time may mend an error.
func passing(err error) bool {
	var e interface{ Retryable() bool }
	return !errors.As(err, &e) || e.Retryable()
}

// stopped is nil, and a line of the log, if err came of ctx having ended: who is told to stop while it starts has nothing to finish.
func stopped(ctx context.Context, err error, log zerolog.Logger, message string) error {
	if ctx.Err() == nil {
		return err
	}
	log.Info().Msg(message)
	return nil
}
