// Command worker is the server that matches stored events with rules, fetches facts and carries out actions.
package main

import (
	"context"
	"io"
	"os"
	"time"
	_ "time/tzdata" // time zones of schedules, on machines that have none

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
)

func main() {
	os.Exit(app.Server{
		Name:  "worker",
		Short: "Apply rules to stored events",
		Long: `Matches events with the rules of worker.rules, fetches facts from CodeArts, makes follow-up commits, tells people, keeps alerts.
Any number of workers share the work. Changed rule files are picked up while it runs, whole or not at all.
Needs a nats-server 2.14 or newer with JetStream. Every setting of the file can be an environment variable, MILLRACE_ and its
path in capitals, which wins: MILLRACE_WORKER_RULES.`,
		Example:     "  worker --config millrace.yaml\n  MILLRACE_WORKER_RULES=./rules worker --config millrace.yaml",
		Setting:     "worker.admin_listen",
		AdminListen: func(cfg *config.Config) string { return cfg.Worker.AdminListen },
		Drain:       func(cfg *config.Config) time.Duration { return cfg.Worker.Drain },
		Run: func(ctx context.Context, cfg *config.Config, logs io.Writer) error {
			return app.Worker(ctx, cfg, logs, nil)
		},
	}.Main())
}
