package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/pkg/rules"
)

func deadLettersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletters",
		Short: "See what did not succeed, and have it tried again",
		Long: `Looks at the dead letters: messages that will not succeed by themselves, kept for 90 days with the reason. list and show say what they are
about and what the records say of it now; replay has workers try again, without repeating what is done; drop gives them up.`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(deadListCommand(), deadShowCommand(), deadReplayCommand(), deadDropCommand())
	return cmd
}

// deadFlags are the flags of the deadletters commands.
type deadFlags struct {
	spanFlags
	filter                               app.DeadFilter
	all, dryRun, yes, force, json, bytes bool
	limit                                uint
}

func (f *deadFlags) filterFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.filter.Class, "class", "", "only of this class, like exhausted; * stands for anything but a slash, here and below")
	flags.StringVar(&f.filter.Kind, "kind", "", "only what was to be a match, run, commit, build, alert, notify, tick or poll")
	flags.StringVar(&f.filter.Rule, "rule", "", "only of this rule")
	flags.StringVar(&f.filter.Target, "target", "", "only messages to this target")
	flags.StringVar(&f.filter.Event, "event", "", "only of the event with this id")
	flags.StringVar(&f.filter.Source, "source", "", "only of events of this source")
	flags.StringVar(&f.filter.Type, "type", "", "only of events of this type, like merge_request.*")
	flags.StringVar(&f.filter.Repository, "repository", "", "only of events of this repository, like shop/*")
	flags.StringVar(&f.since, "since", "", "only what failed last at this time or later: 2026-05-04T03:02:01Z, 2026-05-04, or how long ago, like 36h or 7d")
	flags.StringVar(&f.until, "until", "", "only what failed last before this time")
}

// batchFlags are those of commands that change something.
func (f *deadFlags) batchFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "all dead letters there are")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would happen, and do nothing")
	flags.BoolVar(&f.yes, "yes", false, "do not ask before it is done")
	flags.BoolVar(&f.json, "json", false, "write one JSON object for each dead letter")
}

// open reads the filter and connects.
func (f *deadFlags) open(ctx context.Context) (*app.Archive, error) {
	return f.spanFlags.open(ctx, &f.filter.Since, &f.filter.Until, f.filter.Check)
}

func deadListCommand() *cobra.Command {
	var f deadFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the dead letters, oldest first",
		Long: `Lists the dead letters, oldest first, with the number that the other commands take. Event types are known of actions that were decided by
this version or a later one.`,
		Example: "  millrace deadletters list --config millrace.yaml\n" +
			"  millrace deadletters list --class exhausted --target team --since 36h\n" +
			"  millrace deadletters list --repository 'shop/*' --limit 0 --json",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.list(cmd) },
	}
	f.configFlag(cmd)
	f.filterFlags(cmd)
	cmd.Flags().UintVar(&f.limit, "limit", 100, "how many to show at most; 0 shows all")
	cmd.Flags().BoolVar(&f.json, "json", false, "write one JSON object for each dead letter")
	return cmd
}

func (f *deadFlags) list(cmd *cobra.Command) error {
	archive, err := f.open(cmd.Context())
	if err != nil {
		return err
	}
	defer archive.Close()
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tLAST FAILURE\tCLASS\tWHAT\tRULE\tEVENT\tTRIES\tREASON")
	found := uint(0)
	err = archive.DeadLetters(cmd.Context(), &f.filter, func(l *app.DeadLetter) error {
		if found++; f.limit > 0 && found > f.limit {
			return nil
		}
		if f.json {
			return printLine(cmd.OutOrStdout(), l)
		}
		reason := rules.MaskSecrets(l.Reason)
		_, err := fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", l.ID, l.LastFailure.Format(time.RFC3339), l.Class, whatOf(l), cell(&l.Rule),
			cell(&l.EventID), l.Attempts, clip(reason, 80))
		return err
	})
	if err != nil || f.json {
		return err
	}
	if found == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "There are no such dead letters.")
		return err
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if f.limit > 0 && found > f.limit {
		fmt.Fprintf(&b, "… and %d more; --limit 0 shows all\n", found-f.limit)
	}
	_, err = io.WriteString(printable{cmd.OutOrStdout()}, b.String())
	return err
}

// printLine writes v as one line of JSON.
func printLine(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// whatOf says in two words what was to be done.
func whatOf(l *app.DeadLetter) string {
	switch {
	case l.Target != "":
		return l.Kind + " " + l.Target
	case l.ActionID != "":
		return l.Kind + " (" + l.ActionID + ")"
	}
	return l.Kind
}

// clip cuts a text of one line after so many characters.
func clip(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

func deadDropCommand() *cobra.Command {
	var f deadFlags
	cmd := &cobra.Command{
		Use:   "drop [ID…]",
		Short: "Give dead letters up for good",
		Long: `Removes the dead letters with these numbers, or those that the filters choose. They are gone for good; what they are about stays as
it is: an action that failed stays failed, a rule that did not decide never does. It asks before, unless --yes is given.`,
		Example: "  millrace deadletters drop 12 --config millrace.yaml\n  millrace deadletters drop --class conflict --until 30d --dry-run\n" +
			"  millrace deadletters drop --rule announce-merge-request --yes",
		RunE: f.drop,
	}
	f.configFlag(cmd)
	f.filterFlags(cmd)
	f.batchFlags(cmd)
	return cmd
}

func (f *deadFlags) drop(cmd *cobra.Command, args []string) error {
	ids, err := f.ids(cmd, args)
	if err != nil {
		return err
	}
	archive, err := f.open(cmd.Context())
	if err != nil {
		return err
	}
	defer archive.Close()
	var chosen []uint64
	out, details := cmd.OutOrStdout(), printable{cmd.OutOrStdout()}
	err = f.each(cmd.Context(), archive, ids, func(l *app.DeadLetter) error {
		chosen = append(chosen, l.ID)
		switch {
		case !f.dryRun:
			return nil
		case f.json:
			return printLine(out, dropped{l, false})
		}
		_, err := fmt.Fprintf(details, "%d would be dropped: %s, %s, %s\n", l.ID, whatOf(l), l.Class, clip(rules.MaskSecrets(l.Reason), 80))
		return err
	})
	if err != nil {
		return err
	}
	if f.dryRun || len(chosen) == 0 {
		return f.summary(cmd, "%s would be dropped; nothing was done.", count(len(chosen), "dead letter"))
	}
	if !f.yes {
		if err := confirm(cmd, fmt.Sprintf("Drop %s for good?", count(len(chosen), "dead letter"))); err != nil {
			return err
		}
	}
	done := 0
	for _, id := range chosen {
		was, err := archive.DropDeadLetter(cmd.Context(), id)
		if err != nil {
			return fmt.Errorf("%w; %d of %d are dropped", err, done, len(chosen))
		}
		if was {
			done++
		}
		if f.json {
			if err := printLine(out, map[string]any{"id": id, "dropped": was}); err != nil {
				return err
			}
		}
	}
	return f.summary(cmd, "%s dropped.", count(done, "dead letter"))
}

// dropped is a dead letter and whether it went.
type dropped struct {
	*app.DeadLetter
	Dropped bool `json:"dropped"`
}

// summary is the last line for people.
func (f *deadFlags) summary(cmd *cobra.Command, format string, args ...any) error {
	if f.json {
		return nil
	}
	_, err := fmt.Fprintf(printable{cmd.OutOrStdout()}, format+"\n", args...)
	return err
}

// ids reads the arguments of a command that changes something: numbers, or else filters, or --all.
func (f *deadFlags) ids(cmd *cobra.Command, args []string) ([]uint64, error) {
	filtered := f.since != "" || f.until != "" || f.filter != app.DeadFilter{}
	switch {
	case len(args) == 0 && !filtered && !f.all:
		return nil, usageError{fmt.Errorf("%s needs numbers of dead letters, filters, or --all; see '%s --help'", cmd.CommandPath(), cmd.CommandPath())}
	case len(args) > 0 && (filtered || f.all), filtered && f.all:
		return nil, usageError{errors.New("numbers, filters and --all exclude each other: give one of them")}
	}
	var ids []uint64
	for _, arg := range args {
		id, err := deadID(arg)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func deadID(arg string) (uint64, error) {
	id, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || id == 0 {
		return 0, usageError{fmt.Errorf("%q is no number of a dead letter; millrace deadletters list shows them", arg)}
	}
	return id, nil
}

// each calls fn with those that are meant. One that is named and not there is an error.
func (f *deadFlags) each(ctx context.Context, archive *app.Archive, ids []uint64, fn func(*app.DeadLetter) error) error {
	if len(ids) == 0 {
		return archive.DeadLetters(ctx, &f.filter, fn)
	}
	for _, id := range ids {
		l, err := archive.DeadLetter(ctx, id)
		if err != nil {
			return err
		}
		if err := fn(l); err != nil {
			return err
		}
	}
	return nil
}
