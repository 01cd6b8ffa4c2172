// Command millrace is for people: it plays the demo, checks rules and explains what they make of an event.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones of schedules, on machines that have none

	"github.com/spf13/cobra"
)

func main() { os.Exit(untilSignal(os.Args[1:])) }

func untilSignal(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, args)
}

// errSilent ends a command whose output has said everything.
var errSilent = errors.New("")

// rootCommand is the command with all that are below it.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "millrace",
		Short:         "Webhooks in, rules in YAML, commits and messages out",
		Long:          "Millrace turns webhooks into safe, explained action. The servers are receiver and worker; this command is for people.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(demoCommand(), rulesCommand(), codeArtsCommand(), healthCommand(), webhooksCommand(), hooksCommand(), doctorCommand(), deadLettersCommand(), eventsCommand())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	return root
}

// run carries out one command and returns the exit code: 1 when it failed, 2 when it was called wrongly.
func run(ctx context.Context, args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	return tell(os.Stderr, root.ExecuteContext(ctx))
}

// tell says why a command failed, and returns its exit code.
func tell(out io.Writer, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSilent):
		return 1
	}
	fmt.Fprintln(printable{out}, "millrace:", err)
	if usage := (usageError{}); errors.As(err, &usage) {
		return 2
	}
	return 1
}

// usageError is a command called with words it does not take.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// needArgs is a cobra check that there is at least one argument, with a remedy.
func needArgs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError{fmt.Errorf("%s needs %s; see '%s --help'", cmd.CommandPath(), what, cmd.CommandPath())}
		}
		return nil
	}
}

// noArgs is a cobra check that there is no argument.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument, it got %q; see '%s --help'", cmd.CommandPath(), args[0], cmd.CommandPath())}
	}
	return nil
}

// noCommand is a cobra check of a command that only leads to others: what it gets is the name of none of them.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return usageError{fmt.Errorf("%s has no command %q%s; see '%s --help'", cmd.CommandPath(), args[0], meant(args[0], names), cmd.CommandPath())}
}
