package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/millrace/shop"
)

func codeArtsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "codearts",
		Short: "List and try the calls of CodeArts, or serve a fake one",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(listCommand(), callCommand(), fakeCommand())
	return cmd
}

// fakeOptions are the flags of codearts fake.
type fakeOptions struct {
	listen, hook, tokenVariable string
	days                        int
}

func fakeCommand() *cobra.Command {
	var o fakeOptions
	cmd := &cobra.Command{
		Use:   "fake",
		Short: "Serve a fake CodeArts and fake chat robots, to try Millrace with",
		Long: `Serves a fake CodeArts (Build, Repo, IAM) and the robots of two chat groups at one address: a repository shop/orders, its build
task, a package that runs out. With --hook every commit is told to a receiver, as CodeArts Repo does; so it is to webhooks that millrace
hooks install makes, each with its own secret. Everything is in memory.

  GET  /_fake/state                     repositories, build runs, packages, webhooks, deliveries
  GET  /_fake/repos/2111000001/commits  the history of shop/orders
  GET  /_fake/messages                  what the robots got
  POST /_fake/push                      somebody pushes and the build of it fails; the body {} may say message, author, branch,
                                        files, build (FAILED, SUCCESS, none), after (3s), quiet (true: nothing is delivered)
  GET  /_fake/pushes/COMMIT             the body of the delivery of a push, to be delivered by hand
  POST /_fake/package                   {"days": 3}: the package runs out in three days

Whoever reaches the address may do all of that: keep it in a test network.`,
		Example: "  millrace codearts fake\n  HOOK_TOKEN=… millrace codearts fake --hook http://127.0.0.1:8080/hooks/shop --hook-token-env HOOK_TOKEN",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveFake(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:8090", "address and port")
	cmd.Flags().StringVar(&o.hook, "hook", "", "address of a receiver that is told of every commit")
	cmd.Flags().StringVar(&o.tokenVariable, "hook-token-env", "", "environment variable with the token of those deliveries")
	cmd.Flags().IntVar(&o.days, "package-days", 7, "days until the package runs out")
	return cmd
}

func serveFake(ctx context.Context, o fakeOptions, out io.Writer) error {
	token := os.Getenv(o.tokenVariable)
	switch {
	case o.hook == "" && o.tokenVariable != "":
		return usageError{errors.New("--hook-token-env is for --hook, which is missing")}
	case o.hook != "" && o.tokenVariable == "":
		return usageError{errors.New("--hook needs --hook-token-env: a receiver takes no delivery without a token")}
	case o.hook != "" && token == "":
		return fmt.Errorf("the environment variable %s is not set", o.tokenVariable)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; another --listen may be free", o.listen, err)
	}
	world := shop.New(o.days)
	if o.hook != "" {
		world.SetHook(o.hook, token)
	}
	fmt.Fprintf(out, "The fake CodeArts is at http://%s; look at /_fake/state, push with POST /_fake/push.\n", listener.Addr())
	server := &http.Server{Handler: world, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
		world.Close()
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	world.Close()
	err = server.Close()
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
