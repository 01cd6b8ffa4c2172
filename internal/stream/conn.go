package stream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

const (
	connectTimeout = 5 * time.Second
	requestTimeout = 5 * time.Second
)

// Conn is a connection to the broker. It is safe for concurrent use.
type Conn struct {
	cfg  Config
	log  zerolog.Logger
	nc   *nats.Conn
	js   jetstream.JetStream
	fill fill
	past past

	unfit  atomic.Pointer[Complaints] // about a server that was found after the first
	moveOn chan struct{}

	handles handles
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Connect opens the connection to the first of the servers that Millrace can work with, in an order of chance. The error says of each
// what is wrong with it; it is not Retryable() if none of that will mend by itself.
// Once connected it stays so: a lost connection is opened again, forever. While it is lost
// every request fails at once instead of being kept in memory. If it then leads to a server that
// is too old, no event and no schedule is stored there and no message is consumed.
func Connect(ctx context.Context, cfg Config) (*Conn, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Conn{cfg: cfg, log: cfg.Log, moveOn: make(chan struct{}, 1)}
	if err := c.dial(ctx); err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.running.Go(func() { c.watchFill(watching) })
	c.running.Go(func() { c.leaveOld(watching) })
	return c, nil
}

// Close sends what is still unsent, closes the connection and waits for its goroutines.
// Call it after every [Conn.Consume] and [Conn.Housekeep] has returned.
func (c *Conn) Close() {
	c.stop()
	c.running.Wait()
	c.flush()
	c.nc.Close()
}

// Connected tells whether the connection is open at this moment.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// ServerID is the id of the server that it is, or was last, connected to. A server that is started again has another one.
func (c *Conn) ServerID() string { return c.nc.ConnectedServerId() }

// flush waits until the server has what was sent, acknowledgements above all. A lost one
// costs a repetition, so a failure is of no consequence.
func (c *Conn) flush() { _ = c.nc.FlushTimeout(2 * time.Second) }

func (c *Conn) dialOptions(timeout time.Duration) []nats.Option {
	opts := []nats.Option{
		nats.Name(c.cfg.Name),
		nats.Timeout(timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		nats.ReconnectBufSize(-1), // refuse at once while disconnected, never keep in memory
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if err != nil {
				c.log.Warn().Err(err).Msg("broker disconnected")
			}
			if c.cfg.Disconnected != nil && !nc.IsClosed() { // closed, it never comes back
				c.cfg.Disconnected()
			}
		}),
		nats.ReconnectHandler(c.reconnected),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			c.log.Warn().Err(err).Msg("broker reported an error")
		}),
	}
	if c.cfg.CredentialsFile != "" {
		opts = append(opts, nats.UserCredentials(c.cfg.CredentialsFile))
	}
	if c.cfg.User != "" {
		opts = append(opts, nats.UserInfo(c.cfg.User, string(c.cfg.Password)))
	}
	if c.cfg.Token != "" {
		opts = append(opts, nats.Token(string(c.cfg.Token)))
	}
	if c.cfg.CAFile != "" {
		opts = append(opts, nats.RootCAs(c.cfg.CAFile))
	}
	if c.cfg.CertFile != "" {
		opts = append(opts, nats.ClientCert(c.cfg.CertFile, c.cfg.KeyFile))
	}
	return opts
}

// handles keeps the streams that were looked up, by name.
type handles struct {
	mu     sync.Mutex
	byName map[string]jetstream.Stream
}

// stream looks a stream up once. The handle is no copy of its state, it stays good when the
// stream is deleted and made again.
func (c *Conn) stream(ctx context.Context, s Store) (jetstream.Stream, error) {
	c.handles.mu.Lock()
	known := c.handles.byName[string(s)]
	c.handles.mu.Unlock()
	if known != nil {
		return known, nil
	}
	found, err := c.js.Stream(ctx, string(s))
	if err != nil {
		return nil, err
	}
	c.handles.mu.Lock()
	defer c.handles.mu.Unlock()
	if c.handles.byName == nil {
		c.handles.byName = make(map[string]jetstream.Stream)
	}
	c.handles.byName[string(s)] = found
	return found, nil
}
