package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/trial"
)

func recordCommand() *cobra.Command {
	var o recordOptions
	cmd := &cobra.Command{
		Use:   "record EVENT_ID",
		Short: "Turn a real decision into a test",
		Long: `Reads from NATS an event and what workers decided about it, and writes a test file that expects the same: the event, the facts as they
were recorded, the clock, and of each rule that took the event its outcome, commits, builds and messages. millrace rules test runs it.

E-mails, phone numbers and what looks like a secret are masked, the same value by the same mask; names, ids and paths stay. Look the file
through before it goes into a repository. Exit code 1 when the file was written and cannot stand for the decision as it is: it says why.`,
		Example: "  millrace rules record codehub/7b1f2c64-4a8e-4f43-9d61-0c4f5d3f9a10 --out rules/failed-build_test.yaml\n" +
			"  millrace rules record codehub/42 --rule record-failed-build --name 'a failed build is written down'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s needs one event id, as logs and messages name it; see '%s --help'", cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		},
		RunE: o.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.config, "config", "", "configuration file; without it MILLRACE_CONFIG names it, or the environment says it all")
	flags.StringSliceVar(&o.rules, "rule", nil, "only this rule, also one that did not take the event; may be repeated")
	flags.StringVar(&o.out, "out", "", "file to write, *_test.yaml; without it standard output")
	flags.StringVar(&o.name, "name", "", "name of the test, what it shows")
	flags.BoolVar(&o.force, "force", false, "replace the file")
	return cmd
}

type recordOptions struct {
	config, out, name string
	rules             []string
	force             bool
}

func (o *recordOptions) run(cmd *cobra.Command, args []string) error {
	if o.out != "" && !strings.HasSuffix(o.out, "_test.yaml") && !strings.HasSuffix(o.out, "_test.yml") {
		return usageError{fmt.Errorf("--out %s: rules test reads files *_test.yaml; name it so", o.out)}
	}
	if err := o.free(); err != nil { // before anything is asked for
		return err
	}
	archive, err := app.OpenArchive(cmd.Context(), o.config)
	if err != nil {
		return err
	}
	defer archive.Close()
	in, leftOut, err := archive.Recording(cmd.Context(), args[0], o.rules)
	if err != nil {
		return err
	}
	in.Name = o.name
	recorded, err := trial.Record(in)
	if err != nil {
		return err
	}
	if err := o.write(cmd, recorded.Text); err != nil {
		return err
	}
	return o.report(cmd, recorded, leftOut, len(in.Runs))
}

// free refuses a file that is there.
func (o *recordOptions) free() error {
	if o.out == "" || o.force {
		return nil
	}
	_, err := os.Lstat(o.out)
	switch {
	case err == nil:
		return fmt.Errorf("%s is there already: choose another --out, or replace it with --force", o.out)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look for %s: %w", o.out, err)
	}
	return nil
}

func (o *recordOptions) write(cmd *cobra.Command, text []byte) error {
	if o.out == "" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !o.force {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(o.out, flags, 0o644)
	if err != nil {
		return fmt.Errorf("write the test: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the test: %w", err)
	}
	return nil
}

// report says on standard error what the file is, and what it is not.
func (o *recordOptions) report(cmd *cobra.Command, recorded *trial.Recorded, leftOut []string, tests int) error {
	out := printable{cmd.ErrOrStderr()}
	for _, line := range slices.Concat(leftOut, recorded.Notes, recorded.Faults) {
		fmt.Fprintln(out, line)
	}
	if o.out != "" {
		fmt.Fprintf(out, "%s written to %s; look it through before you keep it.\n", count(tests, "test"), o.out)
	}
	if len(recorded.Faults) > 0 {
		return errSilent
	}
	return nil
}
