package main

import (
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
)

func healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health URL",
		Short: "Ask an address once, and exit 0 only if it answers 200",
		Long: `Asks an HTTP address once, for at most three seconds, and exits 0 only if the answer is 200. For health checks in images without
a shell. To ask a receiver or a worker, use its own health subcommand, which knows the address.`,
		Example: "  millrace health http://127.0.0.1:8222/healthz",
		Args:    needArgs("an address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.Health(cmd.Context(), args[0])
		},
	}
}
