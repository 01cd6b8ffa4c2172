// Command receiver is the HTTP server that accepts webhook deliveries and stores them in NATS JetStream before it answers.
package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
)

func main() {
	os.Exit(app.Server{
		Name:  "receiver",
		Short: "Accept webhook deliveries onto NATS JetStream",
		Long: `Accepts deliveries at POST /hooks/SOURCE, proves who sent them, and answers 202 only once the event is stored.
Needs a nats-server 2.14 or newer with JetStream; its stores are made if absent, and refused if their settings would lose events.
Every setting of the file can be an environment variable, MILLRACE_ and its path in capitals, which wins: MILLRACE_NATS_URL.`,
		Example:     "  receiver --config millrace.yaml\n  MILLRACE_RECEIVER_LISTEN=:8080 receiver --config millrace.yaml",
		Setting:     "receiver.admin_listen",
		AdminListen: func(cfg *config.Config) string { return cfg.Receiver.AdminListen },
		Drain:       func(cfg *config.Config) time.Duration { return cfg.Receiver.Drain },
		Run: func(ctx context.Context, cfg *config.Config, logs io.Writer) error {
			return app.Receiver(ctx, cfg, logs, nil)
		},
	}.Main())
}
