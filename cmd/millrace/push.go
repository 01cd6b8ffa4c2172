package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/rules"
)

// pushOptions are those of the commands that change what is live.
type pushOptions struct {
	config string
	wait   time.Duration
}

func (o *pushOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.config, "config", "", "configuration file; without it MILLRACE_CONFIG names it, or the environment says it all")
	cmd.Flags().DurationVar(&o.wait, "wait", 30*time.Second, "how long to wait for the workers; 0s = not at all")
}

func pushCommand() *cobra.Command {
	var o pushOptions
	cmd := &cobra.Command{
		Use:   "push PATH…",
		Short: "Make rule files the ruleset of all workers",
		Long: `Checks rule files as check does, with the targets, connections and sources of the configuration, and refuses what a worker would
refuse: nothing is stored then. Otherwise it stores them by their digest and makes them what every worker with worker.rules_from: pushed
uses. Each takes all of them into use at once, or says why not and goes on with those it has. It waits for every worker that is there and
shows what it does:

  ✓ uses them   ✗ refuses them, or has not answered in time   – takes its rules from files, so it was not asked

Exit code 1 when there is a ✗. What is live already is not pushed again. The names of the files as they are given are part of the digest:
push from the same folder each time.`,
		Example: "  millrace rules push rules/ --config millrace.yaml\n  millrace rules push rules/ --wait 2m",
		Args:    needArgs("the rule files or folders to push"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.open(cmd, func(r *app.Rulesets) (*app.Move, error) {
				ruleset, err := o.compile(cmd, r, args)
				if err != nil {
					return nil, err
				}
				return r.Push(cmd.Context(), ruleset, whoami(), time.Now())
			})
		},
	}
	o.flags(cmd)
	return cmd
}

func rollbackCommand() *cobra.Command {
	var o pushOptions
	cmd := &cobra.Command{
		Use:   "rollback [DIGEST]",
		Short: "Make the ruleset before the last push that of all workers again",
		Long: `Makes the ruleset that was pushed before the last one, or the stored one that is named, what every worker with
worker.rules_from: pushed uses, and waits for them as push does. Six characters of a digest are enough when they name no other. A ruleset
that is not stored, or that the configuration no longer lets compile, is refused. A second rollback takes the first one back.`,
		Example: "  millrace rules rollback --config millrace.yaml\n  millrace rules rollback 3f2a1b2c",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("%s takes one digest, it got %d; see '%s --help'", cmd.CommandPath(), len(args), cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			digest := ""
			if len(args) == 1 {
				digest = args[0]
			}
			return o.open(cmd, func(r *app.Rulesets) (*app.Move, error) {
				return r.Rollback(cmd.Context(), digest, whoami(), time.Now())
			})
		},
	}
	o.flags(cmd)
	return cmd
}

// open carries out a change of what is live, and tells what the workers make of it.
func (o *pushOptions) open(cmd *cobra.Command, change func(r *app.Rulesets) (*app.Move, error)) error {
	if o.wait < 0 {
		return usageError{errors.New("--wait takes a time like 30s, or 0s")}
	}
	r, err := app.OpenRulesets(cmd.Context(), o.config)
	if err != nil {
		return err
	}
	defer r.Close()
	move, err := change(r)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	switch {
	case move.Already:
		fmt.Fprintf(out, "%.12s is pushed already; nothing is changed.\n", move.To)
	case move.From == "":
		fmt.Fprintf(out, "Pushed %.12s, the first.\n", move.To)
	default:
		fmt.Fprintf(out, "Pushed %.12s → %.12s.\n", move.From, move.To)
	}
	if o.wait == 0 {
		return nil
	}
	return o.await(cmd.Context(), printable{out}, r, move)
}

// await shows a line for each worker.
func (o *pushOptions) await(ctx context.Context, out io.Writer, r *app.Rulesets, move *app.Move) error {
	limited, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	asked := 0
	ok, err := r.Await(limited, move, func(a app.WorkerAnswer) {
		if a.Verdict != app.WorkerFiles {
			asked++
		}
		fmt.Fprintln(out, answerLine(a, time.Now()))
	})
	switch {
	case err != nil:
		return err
	case !ok:
		return errSilent
	case asked == 0:
		fmt.Fprintln(out, "No worker takes pushed rules now; those that start with worker.rules_from: pushed will use it.")
	}
	return nil
}

func answerLine(a app.WorkerAnswer, now time.Time) string {
	switch a.Verdict {
	case app.WorkerUses:
		return "✓ " + a.Name() + " uses it"
	case app.WorkerFiles:
		return "– " + a.Name() + " takes its rules from files"
	case app.WorkerRefuses:
		return "✗ " + a.Name() + " refuses it: " + reason(a.Refused)
	}
	line := fmt.Sprintf("✗ %s has not answered; it was last heard of %s ago", a.Name(), max(0, now.Sub(a.Renewed)).Round(time.Second))
	if a.Refused != nil {
		line += ": " + a.Refused.Reason
	}
	return line
}

func reason(r *engine.Refusal) string {
	if r == nil {
		return "it does not say why; look at its log"
	}
	return r.Reason
}

// compile compiles rule files as workers of this configuration do, and reports what is wrong with them.
func (o *pushOptions) compile(cmd *cobra.Command, r *app.Rulesets, paths []string) (*rules.Ruleset, error) {
	files, err := engine.ReadFiles(paths)
	if err != nil {
		return nil, err
	}
	ruleset, problems := rules.Compile(files, r.Catalogue())
	report(cmd.ErrOrStderr(), problems, files)
	if problems.HasErrors() {
		return nil, errSilent
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s in %s, digest %.12s.\n", count(len(ruleset.Rules()), "rule"), count(len(files), "file"), ruleset.Digest())
	return ruleset, nil
}

// whoami is who runs this command, for others to know whom to ask.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
