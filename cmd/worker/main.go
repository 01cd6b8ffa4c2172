// Command worker is the server that matches stored events with rules, fetches facts and carries out actions.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones of schedules, on machines that have none

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	return 0
}

func command() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Apply rules to stored events",
		Long: `Matches events with the rules of worker.rules, fetches facts from CodeArts, makes follow-up commits, tells people, keeps alerts.
Any number of workers share the work. Changed rule files are picked up while it runs, whole or not at all.
Needs a nats-server 2.14 or newer with JetStream. Every setting of the file can be an environment variable, MILLRACE_ and its
path in capitals, which wins: MILLRACE_WORKER_RULES.`,
		Example:       "  worker --config millrace.yaml\n  MILLRACE_WORKER_RULES=./rules worker --config millrace.yaml",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := app.Load(file, os.Environ())
			if err != nil {
				return fmt.Errorf("the configuration is not right:\n%w", err)
			}
			return app.Worker(cmd.Context(), cfg, os.Stderr, nil)
		},
	}
	cmd.AddCommand(health(&file))
	cmd.PersistentFlags().StringVar(&file, "config", "", "configuration file; without it MILLRACE_CONFIG names it, or there is none")
	return cmd
}

// health is for health checks in images without a shell. It needs no secret.
func health(file *string) *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running worker whether it is ready, and exit 0 only if it is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if addr == "" {
				cfg, err := config.LoadSealed(*file, os.Environ())
				if err != nil {
					return fmt.Errorf("the configuration is not right:\n%w", err)
				}
				addr = cfg.Worker.AdminListen
			}
			address, err := app.ReadyURL(addr)
			if err != nil {
				return err
			}
			return app.Health(cmd.Context(), address)
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "", "address and port to ask; without it worker.admin_listen of the configuration")
	return cmd
}
