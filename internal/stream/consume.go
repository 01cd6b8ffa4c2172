package stream

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Consumer says what to consume and who handles it.
type Consumer struct {
	// Name of the durable consumer. Workers that give the same name share its messages.
	Name string
	// Stream is Events or Work.
	Stream Store
	// Filter is one of the subjects to consume; in Work no two consumers may share one.
	Filter string
	// Weights, if not nil, makes one durable consumer for each source of AllEvents or AllRuns, <Name>-<source>, so that a source waits
	// behind itself only. It names the sources that are known, others are found by what is stored, and says how large each one's part of
	// the handlers is while all have work; below 1, and for those found: 1.
	Weights map[string]int
	// Concurrency is how many handlers run at once in this process. With Weights each source has one besides: of that many, less one,
	// those that have work get their part. 0: 8.
	Concurrency int
	// AckWait is how soon the broker delivers a message again whose handler went silent.
	// A running handler is kept alive for as long as it takes. 0: 30 s.
	AckWait time.Duration
	// MaxAckPending is how many messages all workers together may hold. 0: 1000.
	MaxAckPending int
	// Drain is how long running handlers may go on after the end was asked for; then their
	// context is cancelled. 0: 10 s.
	Drain time.Duration
	// Cut is how long after that they may take to return; then their messages are handed back all the same. 0: 5 s.
	Cut time.Duration
	// Retry says when its failed messages are tried again. What is zero is as in [Config].
	Retry Retry
	// Circuit, if not nil, decides when messages are asked for.
	Circuit *Circuit
	// Handler handles one message; its error is the verdict:
	//
	//   - nil: done, the message is acknowledged;
	//   - with a method Park() (until time.Time, state string): parked, not a failure;
	//   - with Retryable() bool that returns false: dead letter, of the class that
	//     Class() string names;
	//   - context.Canceled after the end was asked for: handed back, not a failure;
	//   - any other, and a panic: tried again after a growing delay, not before
	//     RetryAfter() time.Duration; too often or too long: dead letter "exhausted".
	Handler func(ctx context.Context, m *Message) error
	// Buried, if set, is called before a dead letter is written. It can be called more than
	// once for a message. While it fails the message is tried again instead.
	Buried func(ctx context.Context, m *Message, reason, class string) error
}

const (
	pullExpiry = 30 * time.Second
	// maxWaiting is how many workers may wait at one consumer.
	maxWaiting = 8192
)

// Consume handles messages until ctx ends and every handler has returned. It makes the durable
// consumer, or brings its settings up to date; that failing for a reason that will not go away is
// the only error. Afterwards it goes on whatever happens to the broker or to the
// consumer, which it makes again when it is gone. Handlers that do not return in time are left to themselves: the error is
// [ErrCut] then, and whatever they return has no consequence.
//
// No message is asked for before there is a place to handle it in, so a message never waits behind a slow one while another worker
// is idle.
func (c *Conn) Consume(ctx context.Context, cons Consumer) error {
	cons, err := cons.withDefaults()
	if err != nil {
		return err
	}
	cons.Retry = cons.Retry.over(c.cfg.Retry)
	defer c.flush()
	if cons.Weights != nil {
		return c.consumeSources(ctx, cons)
	}
	r := &consuming{Conn: c, Consumer: cons, places: &places{limit: cons.Concurrency}, lane: &lane{weight: 1}}
	return r.run(ctx, nil)
}

// run handles messages until ctx ends. started, if not nil, is called once the durable consumer is there.
func (r *consuming) run(ctx context.Context, started func()) error {
	if err := r.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if started != nil {
		started()
	}
	handlers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r.handlers = handlers

	finished := make(chan struct{})
	go func() { // ends with the last handler
		r.keep(ctx)
		r.running.Wait()
		close(finished)
	}()
	return r.drain(ctx, cancel, finished)
}

func (cons Consumer) withDefaults() (Consumer, error) {
	if !validToken(cons.Name) || cons.Handler == nil {
		return cons, fmt.Errorf("consumer %q needs a name of plain characters and a handler", cons.Name)
	}
	ok := isWork(cons.Filter) || cons.Filter == Ticks || cons.Filter == Polls
	if cons.Stream == Events {
		ok = strings.HasPrefix(cons.Filter, eventPrefix)
	}
	if cons.Weights != nil {
		ok = cons.Filter == AllEvents && cons.Stream == Events || cons.Filter == AllRuns && cons.Stream == Work
	}
	if !ok {
		return cons, fmt.Errorf("consumer %s: nothing arrives on %q of %s; ticks arrive on %s", cons.Name, cons.Filter, cons.Stream, Ticks)
	}
	cons.Concurrency = or(cons.Concurrency, 8)
	cons.AckWait = or(cons.AckWait, 30*time.Second)
	cons.MaxAckPending = max(or(cons.MaxAckPending, 1000), cons.Concurrency)
	cons.Drain = or(cons.Drain, 10*time.Second)
	cons.Cut = or(cons.Cut, 5*time.Second)
	return cons, nil
}

// consuming is one call of Consume.
type consuming struct {
	*Conn
	Consumer
	places *places
	lane   *lane
	// handlers is the context of the handlers; it outlives the caller's by Drain.
	handlers context.Context
	running  sync.WaitGroup // handlers

	mu         sync.Mutex
	current    jetstream.Consumer
	floor      floor
	complained time.Time
	held       map[*delivery]bool // by handlers, and not handed back
}

// keep asks for messages until ctx ends.
func (r *consuming) keep(ctx context.Context) {
	var used jetstream.Consumer
	for failures := 0; ctx.Err() == nil; failures++ {
		cons, err := r.consumer(ctx, used)
		if err == nil {
			used = cons
			var handled int
			if handled, err = r.pull(ctx, cons); handled > 0 {
				failures = 0
			}
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		r.interrupted(err)
		pause(ctx, failures)
	}
}

// interrupted says so once in a while: every slot that waits meets the same trouble.
func (r *consuming) interrupted(err error) {
	r.mu.Lock()
	quiet := time.Since(r.complained) < 10*time.Second
	if !quiet {
		r.complained = time.Now()
	}
	r.mu.Unlock()
	if !quiet {
		r.log.Warn().Err(err).Str("consumer", r.Name).Msg("consuming interrupted")
	}
}

// pause waits before the broker is asked again, longer after each failure.
func pause(ctx context.Context, failures int) {
	t := time.NewTimer(Retry{First: 100 * time.Millisecond, Max: 5 * time.Second}.withDefaults().delay(failures))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// pull has messages handled until ctx ends, then it returns nil, or until the consumer fails. It listens for one at a time, and fetches as
// many as it has places for while the broker says that more are waiting.
func (r *consuming) pull(ctx context.Context, cons jetstream.Consumer) (begun int, err error) {
	it, err := cons.Messages(
		jetstream.PullMaxMessages(1),
		jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(r.heartbeat()),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return 0, fmt.Errorf("ask for messages: %w", err)
	}
	defer it.Stop()
	defer context.AfterFunc(ctx, it.Drain)()
	for more := false; ; {
		most := 0
		if more {
			most = r.Concurrency
		}
		reserved, ok := r.places.await(ctx, r.lane, most)
		if !ok {
			return begun, nil
		}
		n := 0
		if more {
			n, more = r.fetch(ctx, cons, reserved)
		} else if n, more, err = r.listen(ctx, it); err != nil {
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) && ctx.Err() != nil {
				err = nil
			}
			return begun, err
		}
		begun += n
	}
}

// listen has the next message handled, unless it is handed back; more tells that others are there.
func (r *consuming) listen(ctx context.Context, it jetstream.MessagesContext) (begun int, more bool, err error) {
	pass := r.Circuit.enter(ctx)
	msg, err := it.Next()
	if err != nil {
		pass.leave()
		return 0, false, fmt.Errorf("wait for a message: %w", err)
	}
	leaving := ctx.Err() != nil
	if err := r.fit(); leaving || err != nil || !pass.holds() { // the circuit may have opened since it was asked for
		_ = msg.Nak()
		pass.leave()
		return 0, false, err
	}
	r.places.take(r.lane)
	more = r.begin(ctx, msg, pass)
	return 1, more && r.Circuit == nil, nil // each message needs a leave of its own
}

// fetch has those messages handled that are there, as many as places are reserved; more tells that there were others. When it fails
// the places are free again, and who listens next meets the reason.
func (r *consuming) fetch(ctx context.Context, cons jetstream.Consumer, reserved int) (begun int, more bool) {
	defer func() { r.places.free(r.lane, reserved-begun) }()
	batch, err := cons.FetchNoWait(reserved)
	if err != nil {
		return 0, false
	}
	for msg := range batch.Messages() {
		if ctx.Err() != nil || r.fit() != nil {
			_ = msg.Nak()
			continue
		}
		begun++
		more = r.begin(ctx, msg, new(pass))
	}
	return begun, more
}

// begin has a message handled in a place that is taken for it. more tells that others wait in the consumer.
func (r *consuming) begin(ctx context.Context, msg jetstream.Msg, pass *pass) (more bool) {
	if meta, err := msg.Metadata(); err == nil {
		more = meta.NumPending > 0
	}
	r.running.Go(func() {
		defer r.places.free(r.lane, 1)
		defer pass.leave()
		r.handle(ctx, msg)
	})
	return more
}

// handle takes one message from its delivery to its end. Nothing escapes from it.
func (r *consuming) handle(ctx context.Context, msg jetstream.Msg) {
	d, err := readDelivery(msg, time.Now())
	if err != nil {
		r.keepStray(d, err)
		return
	}
	beat, stop := context.WithCancel(context.Background())
	var beating sync.WaitGroup
	beating.Go(func() { r.keepAlive(beat, msg) })
	r.hold(d)
	err = r.invoke(d)
	if r.holds(d) {
		r.settle(ctx, d, err)
	}
	r.letGo(d)
	stop()
	beating.Wait()
}

// keepStray makes a dead letter of what no stream delivered, or not in a way that is understood.
func (r *consuming) keepStray(d *delivery, why error) {
	err := r.writeDead(d, oneLine(why.Error(), maxReason), ClassFailed, time.Now().UTC())
	r.log.Error().Str("consumer", r.Name).Err(errors.Join(why, err)).Msg("message refused")
	if err == nil { // else it is delivered again, if anybody still has it
		r.ack(d)
	}
}

// invoke calls the handler and makes an error of a panic.
func (r *consuming) invoke(d *delivery) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	return r.Handler(r.handlers, d.Message)
}

// keepAlive tells the broker that the message is in good hands until ctx ends.
func (r *consuming) keepAlive(ctx context.Context, msg jetstream.Msg) {
	tick := time.NewTicker(r.AckWait / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = msg.InProgress() // failing, it is delivered again, which is harmless
		}
	}
}
