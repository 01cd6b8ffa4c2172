package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/ingest"
	"github.com/millrace/millrace/internal/journal"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/events"
)

const (
	// enoughCopies of a stream outlive the loss of one server.
	enoughCopies = 3
	// brokerWait is how long a delivery that is in the journal waits for NATS.
	brokerWait = 500 * time.Millisecond
	// firstLook is how long a receiver with a journal waits for NATS before it starts without it: enough to be told that NATS cannot be used.
	firstLook = 2 * time.Second
)

func journaled(cfg *config.Config) bool { return cfg.Receiver.Durability == "journal" }

// newPublisher is what a receiver stores events with. Call what it returns when no event comes any more.
func newPublisher(ctx context.Context, cfg *config.Config, watch *watch) (ingest.Publisher, func(), error) {
	settings := streamConfig(cfg, "millrace-receiver", watch.log)
	if journaled(cfg) {
		return newJournaled(ctx, cfg, settings, watch)
	}
	conn, err := awaitBroker(ctx, settings, watch)
	if err != nil {
		return nil, nil, err
	}
	return conn, conn.Close, nil
}

// broker is NATS as a journal sees it: it may not be there yet.
type broker struct {
	settings stream.Config
	watch    *watch
	conn     atomic.Pointer[stream.Conn]
	journal  *journal.Journal
	doubt    *doubt
	again    chan struct{} // it was lost and found
	found    atomic.Uint64 // how often the connection was
}

// newJournaled opens the journal and looks for NATS. A NATS that is away is no reason not to start, one that cannot be used is.
func newJournaled(ctx context.Context, cfg *config.Config, settings stream.Config, watch *watch) (ingest.Publisher, func(), error) {
	b := &broker{settings: settings, watch: watch, again: make(chan struct{}, 1), doubt: newDoubt(cfg.Receiver.Journal.Dir)}
	b.settings.Reconnected, b.settings.Disconnected = b.reconnected, b.disconnected
	var err error
	b.journal, err = journal.Open(journal.Options{
		Dir: cfg.Receiver.Journal.Dir, MaxBytes: int64(cfg.Receiver.Journal.MaxBytes), Hold: cfg.Receiver.Journal.Hold,
		Wait: min(brokerWait, cfg.Receiver.PublishTimeout), Broker: b, Log: watch.log,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%w; %s", err, journalRemedy(err))
	}
	looking, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	end := func() {
		if err := b.journal.Close(); err != nil {
			watch.log.Error().Err(err).Msg("journal failed")
		}
		stop()
		running.Wait()
		if conn := b.conn.Load(); conn != nil {
			conn.Close()
		}
	}
	first, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	if err := b.connect(first); err != nil {
		if !passing(err) {
			end()
			return nil, nil, err
		}
		watch.brokerAway(err)
	}
	watch.journal.Store(b.journal)
	running.Go(func() { b.look(looking) })
	running.Go(func() { b.watchEvents(looking) })
	return wholeJournal(b.journal, b), end, nil
}

// journalRemedy is what to do about a journal that cannot be opened.
func journalRemedy(err error) string {
	const elsewhere = "set receiver.journal.dir (MILLRACE_RECEIVER_JOURNAL_DIR) to "
	switch {
	case errors.Is(err, journal.ErrInUse):
		return elsewhere + "another folder for one of them; where they share a file, by the variable"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "let the receiver's user write there, or " + elsewhere + "a folder it may write to"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room on its disk, or " + elsewhere + "a folder on another"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return elsewhere + "a folder"
	}
	return elsewhere + "another folder, or mend this one"
}

func (b *broker) connect(ctx context.Context) error {
	conn, err := connect(ctx, b.settings, b.watch)
	if err != nil {
		return err
	}
	b.doubt.connected(conn.ServerID())
	b.conn.Store(conn)
	b.journal.Reconnected()
	return nil
}

// look connects if that has not been done, and makes sure of the stores after each reconnect, until ctx ends.
func (b *broker) look(ctx context.Context) {
	for {
		var err error
		if conn := b.conn.Load(); conn == nil {
			err = b.connect(ctx)
		} else {
			select {
			case <-ctx.Done():
			case <-b.again:
				err = conn.Ensure(ctx)
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			b.watch.away.Store(nil)
			continue
		}
		b.watch.brokerAway(err)
		wake(b.again)
		lookLater(ctx)
	}
}

// watchEvents asks for EVENTS again and again until ctx ends, and tells the journal when it was away or has lost something. In a cluster
// another server than ours may have it, and no connection is lost when that one goes. A server whose machine has lost power is away for
// longer than one of the pauses.
func (b *broker) watchEvents(ctx context.Context) {
	away := false
	for ; ctx.Err() == nil; lookLater(ctx) {
		conn, found := b.conn.Load(), b.found.Load()
		if conn == nil || !conn.Connected() {
			continue
		}
		back, err := conn.WentBack(ctx)
		switch {
		case ctx.Err() != nil:
		case b.found.Load() != found || !conn.Connected():
			away = false // the connection was lost, and says so
		case err != nil:
			if !away {
				b.watch.log.Warn().Err(err).Msg("stream away")
			}
			away = true
			b.journal.Disconnected()
		case away || back:
			b.watch.log.Warn().Bool("lost", back).Msg("stream found")
			away = false
			if back || conn.Copies() < enoughCopies { // else another copy has led meanwhile, and nothing is lost
				b.doubt.raise()
			}
			b.reconnected()
		default:
			b.endDoubt()
		}
	}
}

// reconnected is called by the connection.
func (b *broker) reconnected() {
	if conn := b.conn.Load(); conn != nil {
		b.doubt.connected(conn.ServerID())
	}
	b.found.Add(1)
	b.journal.Reconnected()
	wake(b.again)
}

// endDoubt ends the doubt once all that the journal holds is published.
func (b *broker) endDoubt() {
	is, since := b.doubt.state()
	if !is {
		return
	}
	if stats := b.journal.Stats(); stats.Unpublished > 0 || stats.Stuck {
		return
	}
	if err := b.doubt.end(since); err != nil {
		b.watch.log.Warn().Err(err).Msg("servers not noted")
	}
}

// disconnected is called by the connection. One that was never used, as the stores were not fit, has nothing to say: it is not found again.
func (b *broker) disconnected() {
	if b.conn.Load() != nil {
		b.journal.Disconnected()
	}
}

// wake wakes whoever reads from c, once.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// CheckEvent implements [journal.Broker]. Before the first connection it is not known how large a message may be; the body's limit
// keeps it below the default.
func (b *broker) CheckEvent(e *events.Event) error {
	if conn := b.conn.Load(); conn != nil {
		return conn.CheckEvent(e)
	}
	return nil
}

var errNotConnected = errors.New("NATS is not connected yet")

// PublishEvent implements [journal.Broker].
func (b *broker) PublishEvent(ctx context.Context, e *events.Event) (duplicate bool, err error) {
	conn := b.conn.Load()
	if conn == nil {
		return false, errNotConnected
	}
	return conn.PublishEvent(ctx, e)
}

// PublishAgain implements [journal.Broker].
func (b *broker) PublishAgain(ctx context.Context, e *events.Event) (duplicate bool, err error) {
	doubtful, _ := b.doubt.state() // before it is published: a reason that comes later has it published once more
	if duplicate, err = b.PublishEvent(ctx, e); err != nil || !duplicate || !doubtful {
		return duplicate, err
	}
	err = b.conn.Load().PutMatch(ctx, e.Header(), e.Body)
	if err != nil && passing(err) {
		return false, &unmatchedError{err}
	}
	if err != nil {
		b.watch.log.Error().Err(err).Str("event_id", e.ID).Msg("not matched again")
	}
	return duplicate, nil
}

// unmatchedError says that an event is there, and could not be put to be matched once more. It hides what the broker says of the store
// that this needs: no door is closed for it, and it is tried again.
type unmatchedError struct{ cause error }

func (e *unmatchedError) Error() string { return "match once more: " + e.cause.Error() }
