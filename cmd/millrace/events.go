package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/pkg/rules"
)

func eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "See what was accepted, and have it handled once more",
		Long: `Looks at the events in the archive. list and show say what was accepted and what came of it; replay has workers match an event once
more, which does what was not done, and nothing twice.`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(eventListCommand(), eventShowCommand(), eventReplayCommand())
	return cmd
}

// eventFlags are the flags of the events commands.
type eventFlags struct {
	spanFlags
	filter                          app.EventFilter
	dryRun, yes, force, json, bytes bool
	limit                           uint
}

func (f *eventFlags) filterFlags(cmd *cobra.Command, since string) {
	flags := cmd.Flags()
	flags.StringVar(&f.filter.Source, "source", "", "only of this source")
	flags.StringVar(&f.filter.Type, "type", "", "only of this type, or like merge_request.*")
	flags.StringVar(&f.filter.Repository, "repository", "", "only of this repository; * stands for anything but a slash, as in shop/*")
	flags.StringVar(&f.filter.Rule, "rule", "", "only what this rule took, as the records say; * as above")
	flags.StringVar(&f.since, "since", since, "only what was stored at this time or later: 2026-05-04T03:02:01Z, 2026-05-04, or how long ago, like 36h or 7d")
	flags.StringVar(&f.until, "until", "", "only what was stored before this time")
}

// open reads the filter and connects.
func (f *eventFlags) open(ctx context.Context) (*app.Archive, error) {
	return f.spanFlags.open(ctx, &f.filter.Since, &f.filter.Until, f.filter.Check)
}

func eventListCommand() *cobra.Command {
	var f eventFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the stored events of the last day, or of another time",
		Long: `Lists the events in the archive, oldest first, those of the last 24 hours unless --since says otherwise. Events stay until they are matched
and 14 days old.`,
		Example: "  millrace events list --config millrace.yaml\n  millrace events list --repository 'shop/*' --type merge_request.* --since 7d\n" +
			"  millrace events list --rule record-failed-build --since 2026-05-04 --limit 0 --json",
		Args: noArgs,
		RunE: f.list,
	}
	f.configFlag(cmd)
	f.filterFlags(cmd, "24h")
	cmd.Flags().UintVar(&f.limit, "limit", 100, "how many to show at most; 0 shows all")
	cmd.Flags().BoolVar(&f.json, "json", false, "write one JSON object for each event")
	return cmd
}

func (f *eventFlags) list(cmd *cobra.Command, _ []string) error {
	archive, err := f.open(cmd.Context())
	if err != nil {
		return err
	}
	defer archive.Close()
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STORED\tEVENT\tTYPE\tREPOSITORY\tBYTES")
	found := uint(0)
	unreadable, err := archive.Events(cmd.Context(), &f.filter, func(e *app.StoredEvent) error {
		if found++; f.limit > 0 && found > f.limit {
			return nil
		}
		if f.json {
			return printLine(cmd.OutOrStdout(), e)
		}
		_, err := fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\n", e.Stored.Format(time.RFC3339), cell(&e.ID), e.Type, cell(&e.Repository), e.BodyBytes)
		return err
	})
	if err != nil || f.json {
		return err
	}
	switch err = t.Flush(); {
	case err != nil:
		return err
	case found == 0:
		b.Reset()
		b.WriteString("There are no such events.\n")
	case f.limit > 0 && found > f.limit:
		fmt.Fprintf(&b, "… and %d more; --limit 0 shows all\n", found-f.limit)
	}
	if unreadable > 0 {
		fmt.Fprintf(&b, "Not listed: %s that is no event.\n", count(unreadable, "message"))
	}
	_, err = io.WriteString(printable{cmd.OutOrStdout()}, b.String())
	return err
}

func eventShowCommand() *cobra.Command {
	var f eventFlags
	cmd := &cobra.Command{
		Use:   "show EVENT_ID",
		Short: "Show one event, what came of it, and what a replay would do",
		Long: `Shows one event: which rules took it, what they decided, what became of each action, and what a replay would do now. What looks like a
secret in its body is masked, control characters are written out, and a long body is cut; --raw writes the body's own bytes instead, and
nothing else.`,
		Example: "  millrace events show shop/7b1f2c64-4a8e-4f43-9d61-0c4f5d3f9a10 --config millrace.yaml\n  millrace events show shop/42 --json\n" +
			"  millrace events show shop/42 --raw > body.json",
		Args: needArgs("an event id, as logs and messages name it"),
		RunE: f.show,
	}
	f.configFlag(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "write one JSON object")
	cmd.Flags().BoolVar(&f.bytes, "raw", false, "write the bytes of the body as they came, with the secrets in them")
	return cmd
}

// eventShown is what show writes as JSON.
type eventShown struct {
	*app.StoredEvent
	Replay *app.Replay `json:"replay"`
	Body   string      `json:"body"` // masked
}

func (f *eventFlags) show(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError{fmt.Errorf("%s takes one event id, it got %d", cmd.CommandPath(), len(args))}
	}
	archive, err := f.open(cmd.Context())
	if err != nil {
		return err
	}
	defer archive.Close()
	e, err := archive.EventByID(cmd.Context(), args[0])
	if err != nil {
		return err
	}
	if f.bytes {
		_, err := cmd.OutOrStdout().Write(e.Event().Body)
		return err
	}
	letters, err := archive.LettersOf(cmd.Context(), e.ID)
	if err != nil {
		return err
	}
	plan, err := archive.PlanEvent(cmd.Context(), e.Event(), letters, false)
	if err != nil {
		return err
	}
	if f.json {
		return printJSON(cmd.OutOrStdout(), eventShown{e, plan, rules.MaskSecrets(string(e.Event().Body))})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Event %s: %s", e.ID, e.Type)
	if e.Repository != "" {
		fmt.Fprintf(&b, " of %s", e.Repository)
	}
	fmt.Fprintf(&b, "\n  accepted %s, stored %s at place %d\n", e.Accepted.Format(time.RFC3339), e.Stored.Format(time.RFC3339), e.Sequence)
	printPlan(&b, plan)
	fmt.Fprintf(&b, "Body, %d bytes:\n", e.BodyBytes)
	printBody(&b, e.Event().Body, "--raw writes them all")
	_, err = io.WriteString(printable{cmd.OutOrStdout()}, b.String())
	return err
}

func eventReplayCommand() *cobra.Command {
	var f eventFlags
	cmd := &cobra.Command{
		Use:   "replay [EVENT_ID…]",
		Short: "Have workers match events once more",
		Long: `Puts events to be matched once more, those with these ids or those that the filters choose. The archive holds each of them once all
the same. An event that was matched before goes by that match and by what its rules decided then: what is done is not repeated, what failed
is tried again, and what was never put is put; its dead letters, which would do the same, go. So a corrected rule does not change it. An
event that no rule took is matched with the rules of now, so that is how a rule that came too late gets its events.

An event that was accepted more than 20 days ago is refused when its records are gone: nobody can tell what was done meanwhile. --force
replays it all the same, and repeats what is done, too; the records say who did so and when. It asks before more than one is replayed.`,
		Example: "  millrace events replay shop/42 --dry-run --config millrace.yaml\n  millrace events replay --repository shop/orders --since 2d --dry-run\n" +
			"  millrace events replay --rule record-failed-build --since 36h --yes",
		RunE: f.replay,
	}
	f.configFlag(cmd)
	f.filterFlags(cmd, "")
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would happen, and do nothing")
	flags.BoolVar(&f.yes, "yes", false, "do not ask before it is done")
	flags.BoolVar(&f.json, "json", false, "write one JSON object for each event")
	flags.BoolVar(&f.force, "force", false, "also repeat what is done, and what is too old for its records")
	return cmd
}

// eventReplayed is an event and what a replay does, as JSON.
type eventReplayed struct {
	*app.StoredEvent
	Replayed bool        `json:"replayed"`
	Replay   *app.Replay `json:"replay"`
}

func (f *eventFlags) replay(cmd *cobra.Command, ids []string) error {
	filtered := f.since != "" || f.until != "" || f.filter != app.EventFilter{}
	switch {
	case len(ids) == 0 && !filtered:
		return usageError{fmt.Errorf("%s needs event ids, or filters like --since; see '%s --help'", cmd.CommandPath(), cmd.CommandPath())}
	case len(ids) > 0 && filtered:
		return usageError{errors.New("event ids and filters exclude each other: give one of them")}
	}
	archive, err := f.open(cmd.Context())
	if err != nil {
		return err
	}
	defer archive.Close()
	t := &tally{cmd: cmd, json: f.json, what: "event"}
	var chosen []uint64
	var names []string
	err = f.each(cmd.Context(), archive, ids, func(e *app.StoredEvent) error {
		chosen, names = append(chosen, e.Sequence), append(names, e.ID)
		return nil
	})
	if err != nil {
		return err
	}
	letters, err := archive.LettersOf(cmd.Context(), names...)
	if err != nil {
		return err
	}
	for _, place := range chosen {
		e, err := archive.EventAt(cmd.Context(), place)
		if err != nil {
			return err
		}
		plan, err := archive.PlanEvent(cmd.Context(), e.Event(), letters, f.force)
		if err != nil {
			return err
		}
		t.count(plan, "")
		if !f.dryRun {
			continue
		}
		if err := t.tell(e.ID, plan, "would be replayed", eventReplayed{e, false, plan}); err != nil {
			return err
		}
	}
	if goOn, err := t.agreed(f.dryRun, f.yes || len(ids) == 1 && t.repeated == 0); !goOn {
		return err
	}
	return f.replayAll(cmd, archive, chosen, letters)
}

// each calls fn with those that are meant. One that is named and not there is an error.
func (f *eventFlags) each(ctx context.Context, archive *app.Archive, ids []string, fn func(*app.StoredEvent) error) error {
	if len(ids) == 0 {
		_, err := archive.Events(ctx, &f.filter, fn)
		return err
	}
	for _, id := range ids {
		e, err := archive.EventByID(ctx, id)
		if err != nil {
			return err
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

// replayAll replays one after the other, each as it is by then.
func (f *eventFlags) replayAll(cmd *cobra.Command, archive *app.Archive, places []uint64, letters app.EventLetters) error {
	t := &tally{cmd: cmd, json: f.json, what: "event"}
	for _, place := range places {
		e, err := archive.EventAt(cmd.Context(), place)
		var plan *app.Replay
		if err == nil {
			plan, err = archive.ReplayEvent(cmd.Context(), e.Event(), letters, f.force)
		}
		if err != nil {
			return fmt.Errorf("%w; %d of %d are replayed, and replaying one again without --force does no harm", err, t.replayed, len(places))
		}
		t.count(plan, "")
		if err := t.tell(e.ID, plan, "replayed", eventReplayed{e, plan.Refused == "", plan}); err != nil {
			return err
		}
	}
	return t.end()
}
