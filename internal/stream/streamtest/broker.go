package streamtest

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Broker is a running nats-server.
type Broker struct {
	t    testing.TB
	opts *server.Options
	now  *server.Server
	// front is what clients connect to instead of the server, see Front; or nil.
	front *front
}

// Option changes how the server is started.
type Option func(*server.Options)

// MaxPayload caps a message, in bytes.
func MaxPayload(bytes int32) Option { return func(o *server.Options) { o.MaxPayload = bytes } }

// MaxStore caps what JetStream may store, in bytes.
func MaxStore(bytes int64) Option { return func(o *server.Options) { o.JetStreamMaxStore = bytes } }

// WithoutJetStream starts a server that cannot store anything.
func WithoutJetStream() Option { return func(o *server.Options) { o.JetStream = false } }

// User asks for a user and a password.
func User(name, password string) Option {
	return func(o *server.Options) { o.Username, o.Password = name, password }
}

// Token asks for a token; an empty one asks for nothing.
func Token(token string) Option { return func(o *server.Options) { o.Authorization = token } }

// Monitored has the server say how it is at [Broker.Monitor].
func Monitored() Option {
	return func(o *server.Options) { o.HTTPHost, o.HTTPPort = "127.0.0.1", server.RANDOM_PORT }
}

// SyncAlways has the server write to its disk before it acknowledges.
func SyncAlways() Option { return func(o *server.Options) { o.SyncAlways = true } }

// Server starts a server; it ends with the test.
func Server(t testing.TB, opts ...Option) *Broker {
	t.Helper()
	o := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 8 << 30, JetStreamMaxMemory: 64 << 20,
	}
	for _, opt := range opts {
		opt(o)
	}
	b := &Broker{t: t, opts: o}
	b.start()
	t.Cleanup(b.Stop)
	return b
}

// URL is where clients find it, without user and password, the same after a restart.
func (b *Broker) URL() string {
	if b.front != nil {
		return "nats://" + b.front.listener.Addr().String()
	}
	return fmt.Sprintf("nats://127.0.0.1:%d", b.opts.Port)
}

// Monitor is the address of its monitoring; it needs [Monitored].
func (b *Broker) Monitor() string { return "http://" + b.now.MonitorAddr().String() }

// Start starts it again after [Broker.Stop], at the same URL and with the same files. It needs [Broker.Front]: the port of a server that
// is away is anybody's.
func (b *Broker) Start() {
	b.t.Helper()
	if b.front == nil {
		b.t.Fatal("a nats-server that is started again needs a Front before it is stopped")
	}
	b.start()
}

func (b *Broker) start() {
	b.t.Helper()
	s, err := server.NewServer(b.opts.Clone())
	if err != nil {
		b.t.Fatalf("start a nats-server: %v", err)
	}
	s.Start()
	if !s.ReadyForConnections(2 * time.Minute) {
		b.t.Fatal("the nats-server is not ready after 2 minutes")
	}
	b.now = s
	if b.front != nil {
		b.front.leadTo(s.Addr().String())
		return
	}
	b.opts.Port = s.Addr().(*net.TCPAddr).Port
}

// Stop ends it and waits until it is gone. Stopping twice, or what never ran, is harmless.
func (b *Broker) Stop() {
	if b.now == nil {
		return
	}
	b.now.Shutdown()
	b.now.WaitForShutdown()
}

// Restart stops and starts it, behind its [Broker.Front].
func (b *Broker) Restart() {
	b.t.Helper()
	b.Stop()
	b.Start()
}

// CopyStore is a copy of the server's files, for [Broker.PutBack]. The server is stopped for it and started again.
func (b *Broker) CopyStore() (folder string) {
	b.t.Helper()
	b.Stop()
	folder = b.Copied()
	b.Start()
	return folder
}

// Copied is a copy of the files of a server that is stopped, for [Broker.PutBack].
func (b *Broker) Copied() (folder string) {
	b.t.Helper()
	folder = b.t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(b.opts.StoreDir)); err != nil {
		b.t.Fatalf("copy the store: %v", err)
	}
	return folder
}

// PutBack makes the server lose what it has stored since a copy was made, or all of it, if folder is "": as a loss of power does, or of
// a disk. The server must be stopped.
func (b *Broker) PutBack(folder string) {
	b.t.Helper()
	if err := os.RemoveAll(b.opts.StoreDir); err != nil {
		b.t.Fatalf("remove the store: %v", err)
	}
	if folder == "" {
		return
	}
	if err := os.CopyFS(b.opts.StoreDir, os.DirFS(folder)); err != nil {
		b.t.Fatalf("put the store back: %v", err)
	}
}
