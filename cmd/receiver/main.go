// Command receiver is the HTTP server that accepts webhook deliveries and stores them in NATS JetStream before it answers.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		return 1
	}
	return 0
}

func command() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "receiver",
		Short: "Accept webhook deliveries onto NATS JetStream",
		Long: `Accepts deliveries at POST /hooks/SOURCE, proves who sent them, and answers 202 only once the event is stored.
Needs a nats-server 2.14 or newer with JetStream; its stores are made if absent, and refused if their settings would lose events.
Every setting of the file can be an environment variable, MILLRACE_ and its path in capitals, which wins: MILLRACE_NATS_URL.`,
		Example:       "  receiver --config millrace.yaml\n  MILLRACE_RECEIVER_LISTEN=:8080 receiver --config millrace.yaml",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := app.Load(file, os.Environ())
			if err != nil {
				return fmt.Errorf("the configuration is not right:\n%w", err)
			}
			return app.Receiver(cmd.Context(), cfg, os.Stderr, nil)
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
		Short: "Ask a running receiver whether it is ready, and exit 0 only if it is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if addr == "" {
				cfg, err := config.LoadSealed(*file, os.Environ())
				if err != nil {
					return fmt.Errorf("the configuration is not right:\n%w", err)
				}
				addr = cfg.Receiver.AdminListen
			}
			address, err := app.ReadyURL(addr)
			if err != nil {
				return err
			}
			return app.Health(cmd.Context(), address)
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "", "address and port to ask; without it receiver.admin_listen of the configuration")
	return cmd
}
