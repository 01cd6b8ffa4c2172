package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/engine"
)

// mostEntries is how much of the timeline is shown to people.
const mostEntries = 5

func rulesStatusCommand() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which rulesets are live, and what each worker uses",
		Long: `Shows what was pushed last, which rulesets were live from which event on, and of each worker the ruleset it uses, since when, and
what it refuses. A worker that was killed is shown for up to 90 seconds more. Digests are cut to 12 characters; --json has them whole.`,
		Example: "  millrace rules status --config millrace.yaml\n  millrace rules status --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			archive, err := app.OpenArchive(cmd.Context(), file)
			if err != nil {
				return err
			}
			defer archive.Close()
			fleet, err := archive.Fleet(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(fleet)
			}
			printFleet(printable{cmd.OutOrStdout()}, fleet)
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file; without it MILLRACE_CONFIG names it, or the environment says it all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	return cmd
}

func printFleet(w io.Writer, f *app.Fleet) {
	if p := f.Pushed; p == nil {
		fmt.Fprintln(w, "Nothing has been pushed.")
	} else {
		fmt.Fprintf(w, "Pushed: %.12s at %s by %s\n", p.Digest, stamp(p.At), p.By)
		for _, before := range p.Previous[:min(len(p.Previous), 1)] {
			fmt.Fprintf(w, "Before: %.12s at %s by %s\n", before.Digest, stamp(before.At), before.By)
		}
	}
	fmt.Fprint(w, "\nLive from which event on, the newest first:\n")
	for _, e := range f.Timeline[:min(len(f.Timeline), mostEntries)] {
		fmt.Fprintf(w, "  %.12s  after event %d, %s, first in %s\n", e.Digest, e.Sequence, stamp(e.At), e.By)
	}
	switch n := len(f.Timeline); {
	case n == 0:
		fmt.Fprintln(w, "  no worker has ever loaded any")
	case n > mostEntries:
		fmt.Fprintf(w, "  and %d before; --json has them\n", n-mostEntries)
	}
	if len(f.Workers) == 0 {
		fmt.Fprintln(w, "\nNo worker is there.")
		return
	}
	fmt.Fprintf(w, "\n%s:\n", count(len(f.Workers), "worker"))
	for _, worker := range f.Workers {
		printWorker(w, worker)
	}
	if f.Differ {
		fmt.Fprintln(w, "\nThey do not all use the same rules, or not those that were pushed.")
	}
}

func printWorker(w io.Writer, worker engine.WorkerState) {
	if worker.Digest == "" {
		fmt.Fprintf(w, "  %s  %s  no rules yet\n", worker.Name(), worker.From)
	} else {
		fmt.Fprintf(w, "  %s  %s  %.12s since %s\n", worker.Name(), worker.From, worker.Digest, stamp(worker.Since))
	}
	switch r := worker.Refused; {
	case r == nil:
	case r.Digest != "":
		fmt.Fprintf(w, "    does not use %.12s since %s: %s\n", r.Digest, stamp(r.At), r.Reason)
	default:
		fmt.Fprintf(w, "    not in order since %s: %s\n", stamp(r.At), r.Reason)
	}
}

// stamp is a time for people who compare it with a log.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
