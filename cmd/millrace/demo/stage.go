package demo

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/template"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/cmd/millrace/shop"
	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/notify/notifytest"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/internal/telemetry"
	"github.com/millrace/millrace/pkg/codearts/codeartstest"
)

//go:embed rules/*.yaml
var ruleFiles embed.FS

//go:embed millrace.yaml
var configTemplate string

const webhookToken = "demo-webhook-token-4f1c"

// stage is everything that runs during the demo.
type stage struct {
	folder   string
	nats     *natsserver.Server
	fake     *codeartstest.Fake
	robots   *notifytest.Robots
	codeArts string // address of the fake CodeArts
	chat     string // address of the chat robots
	receiver string // address of the receiver
	broker   *stream.Conn

	// What was done to it, and how it answered.
	commit, pushID      string
	build               int
	duplicates, refused int

	patience time.Duration // for the end to come out as told

	stop     context.CancelFunc
	servers  []*http.Server
	others   sync.WaitGroup  // what serves the servers
	millrace *errgroup.Group // receiver and worker
}

// open starts everything. What it started is stopped by close, also when it fails.
func open(ctx context.Context, story *story, lie bool) (*stage, error) {
	ctx, stop := context.WithCancel(ctx)
	millrace, ctx := errgroup.WithContext(ctx)
	s := &stage{stop: stop, millrace: millrace}
	if err := s.start(ctx, story, lie); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) start(ctx context.Context, story *story, lie bool) error {
	var err error
	if s.folder, err = os.MkdirTemp("", "millrace-demo-"); err != nil {
		return err
	}
	if err := s.startNATS(); err != nil {
		return err
	}
	s.fake = codeartstest.New(codeartstest.Options{})
	shop.Furnish(s.fake, 8)
	var codeArts http.Handler = s.fake
	if lie {
		codeArts = lyingCodeArts{s.fake}
	}
	if s.codeArts, err = s.serve(ctx, codeArts); err != nil {
		return err
	}
	s.robots = notifytest.New(nil, shop.TeamRobot(), shop.OpsRobot())
	if s.chat, err = s.serve(ctx, s.robots); err != nil {
		return err
	}
	return s.startMillrace(ctx, story)
}

func (s *stage) startNATS() error {
	server, err := natsserver.NewServer(&natsserver.Options{
		ServerName: "millrace-demo", Host: "127.0.0.1", Port: natsserver.RANDOM_PORT,
		JetStream: true, StoreDir: filepath.Join(s.folder, "jetstream"), NoSigs: true, NoLog: true,
	})
	if err != nil {
		return fmt.Errorf("set up nats-server: %w", err)
	}
	s.nats = server
	server.Start()
	if !server.ReadyForConnections(20 * time.Second) {
		return errors.New("nats-server did not get ready within 20 s")
	}
	return nil
}

// serve serves a handler on a free port of the loopback and returns its address.
func (s *stage) serve(ctx context.Context, handler http.Handler) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	s.others.Go(func() { _ = server.Serve(listener) })
	return "http://" + listener.Addr().String(), nil
}

// startMillrace writes rules and configuration as a user would, and starts receiver and worker with them.
func (s *stage) startMillrace(ctx context.Context, story *story) error {
	cfg, err := s.configure()
	if err != nil {
		return err
	}
	log := telemetry.Logger(story, "json", cfg.Log.Level)
	if s.broker, err = stream.Connect(ctx, stream.Config{URLs: []string{s.nats.ClientURL()}, Name: "millrace-demo", Log: log}); err != nil {
		return err
	}
	addr, ready := make(chan string, 1), make(chan struct{})
	s.millrace.Go(func() error { return app.Receiver(ctx, cfg, story, func(a string) { addr <- a }) })
	select {
	case a := <-addr:
		s.receiver = "http://" + a
	case <-ctx.Done():
		return s.millrace.Wait()
	}
	s.millrace.Go(func() error { return app.Worker(ctx, cfg, story, func() { close(ready) }) })
	select {
	case <-ready:
		s.fake.SetHook(s.receiver+hookPath, webhookToken)
		return nil
	case <-ctx.Done():
		return s.millrace.Wait()
	}
}

func (s *stage) configure() (*config.Config, error) {
	if err := os.CopyFS(s.folder, ruleFiles); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	t := template.Must(template.New("millrace.yaml").Parse(configTemplate))
	if err := t.Execute(&text, map[string]string{"NATS": s.nats.ClientURL(), "CodeArts": s.codeArts, "ChatPort": s.chat[strings.LastIndex(s.chat, ":")+1:]}); err != nil {
		return nil, err
	}
	path := filepath.Join(s.folder, "millrace.yaml")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	team, ops := shop.TeamRobot(), shop.OpsRobot()
	return app.Load(path, []string{
		"DEMO_WEBHOOK_TOKEN=" + webhookToken,
		"DEMO_CODEARTS_PASSWORD=" + codeartstest.Password,
		"DEMO_TEAM_URL=" + team.URL(s.chat), "DEMO_TEAM_SECRET=" + team.Secret,
		"DEMO_OPS_URL=" + ops.URL(s.chat), "DEMO_OPS_SECRET=" + ops.Secret,
	})
}

// close stops everything, last started first, and removes the folder.
func (s *stage) close() error {
	s.stop()
	err := s.millrace.Wait()
	if s.fake != nil {
		s.fake.Close()
	}
	for _, server := range s.servers {
		_ = server.Close()
	}
	s.others.Wait()
	if s.broker != nil {
		s.broker.Close()
	}
	if s.nats != nil {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
	}
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
