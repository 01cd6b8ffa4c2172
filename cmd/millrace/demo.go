package main

import (
	"os"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/millrace/demo"
)

func demoCommand() *cobra.Command {
	var opts demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole way of an event, with everything real but CodeArts and the chat",
		Long: `Starts a nats-server with JetStream, the receiver, a worker and a fake CodeArts in one process, posts deliveries as CodeArts
sends them, and tells what happens as it happens. At the end it looks at the fake CodeArts and at the chat over HTTP, and exits 0 only
if everything it told is true. It needs nothing but itself, listens on loopback only, and leaves nothing behind.`,
		Example: "  millrace demo\n  millrace demo --json | tail -n 1\n  millrace demo --serve",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Out = cmd.OutOrStdout()
			opts.Color = isatty.IsTerminal(os.Stdout.Fd()) && os.Getenv("NO_COLOR") == ""
			return demo.Run(cmd.Context(), opts)
		},
	}
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "write one JSON object a line, the summary last")
	cmd.Flags().BoolVar(&opts.Serve, "serve", false, "keep everything running afterwards, and print a curl line to try")
	return cmd
}
