package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// isEventID tells whether what is to be explained is the id of an event: there is no such file, and it begins with the name of a source.
func isEventID(name string) bool {
	source, delivery, ok := strings.Cut(name, "/")
	if !ok || delivery == "" || !events.ValidSource(source) {
		return false
	}
	_, err := os.Stat(name)
	return err != nil
}

// stored is what is known of a stored event.
type stored struct {
	Accepted  time.Time `json:"accepted"`
	MatchedAt time.Time `json:"matched_at,omitzero"`
	// Digest is of the ruleset of then, "" when it is not known.
	Digest     string   `json:"digest,omitempty"`
	Candidates []string `json:"candidates,omitempty"` // of then
	Note       string   `json:"note,omitempty"`       // what is not known, and why
	// Gone are those of the candidates that the rules explained do not have.
	Gone []string `json:"gone,omitempty"`
}

// runStored explains an event by its id.
func (o explainOptions) runStored(cmd *cobra.Command, paths []string, facts map[string]json.RawMessage) error {
	if cmd.Flags().Changed("kind") || cmd.Flags().Changed("source") {
		return usageError{fmt.Errorf("--kind and --source are about a file, and there is no file %s", o.event)}
	}
	if o.config == "" && os.Getenv("MILLRACE_CONFIG") == "" && os.Getenv("MILLRACE_NATS_URL") == "" {
		return usageError{fmt.Errorf("there is no file %s; to look for an event with that id, --config FILE says where NATS is", o.event)}
	}
	archive, err := app.OpenArchive(cmd.Context(), o.config)
	if err != nil {
		return err
	}
	defer archive.Close()
	past, err := archive.Look(cmd.Context(), o.event)
	if err != nil {
		if strings.HasSuffix(o.event, ".json") { // a file was meant
			return fmt.Errorf("there is no file %s, and as the id of an event: %w", o.event, err)
		}
		return err
	}
	ruleset := past.Ruleset
	switch {
	case len(paths) > 0:
		if ruleset, err = compile(cmd, o.configFile(), paths); err != nil {
			return err
		}
	case ruleset == nil && past.Recorded != nil && o.configFile() == "":
		return fmt.Errorf("%w; --config names the file with what rules may name, as the workers have it", past.Unknown)
	case ruleset == nil:
		return fmt.Errorf("%w; name the rules to explain: PATH…", past.Unknown)
	}
	if err := o.checkNames(ruleset, facts); err != nil {
		return err
	}
	all, summary, err := past.Explain(cmd.Context(), ruleset, o.chosen(ruleset), facts)
	if err != nil {
		return err
	}
	return o.write(cmd.OutOrStdout(), &account{ruleset: ruleset, rules: all, summary: summary, stored: o.stored(past, ruleset)})
}

// configFile is the configuration that is named, or that the environment names.
func (o explainOptions) configFile() string {
	if o.config != "" {
		return o.config
	}
	return os.Getenv("MILLRACE_CONFIG")
}

func (o explainOptions) stored(past *app.PastEvent, explained *rules.Ruleset) *stored {
	s := &stored{Accepted: past.Event.Time, Note: past.WithoutRecord(time.Now())}
	if past.Ruleset != nil {
		s.Digest = past.Ruleset.Digest()
	}
	r := past.Recorded
	if r == nil {
		return s
	}
	s.MatchedAt, s.Digest, s.Candidates = r.At, r.Digest, r.Candidates
	if past.Unknown != nil {
		s.Note = "The rules of then cannot be read, so their facts cannot be used: " + past.Unknown.Error() + "."
	}
	for _, name := range r.Candidates {
		if explained.Rule(name) == nil {
			s.Gone = append(s.Gone, name)
		}
	}
	return s
}

// print goes on with the line about the event.
func (s *stored) print(out io.Writer, explained string) {
	fmt.Fprintf(out, ", accepted %s.\n", instant(s.Accepted))
	if !s.MatchedAt.IsZero() {
		took := "no rule took it"
		if n := len(s.Candidates); n > 0 {
			took = fmt.Sprintf("%s took it", count(n, "rule"))
		}
		fmt.Fprintf(out, "Matched %s with the ruleset %.12s: %s.\n", instant(s.MatchedAt), s.Digest, took)
	}
	if s.Note != "" {
		fmt.Fprintln(out, s.Note)
	}
	switch {
	case explained != s.Digest:
		fmt.Fprintf(out, "These are other rules, %.12s.\n", explained)
	case s.MatchedAt.IsZero():
		fmt.Fprintf(out, "These are the rules that were live when it was stored, %.12s.\n", explained)
	}
	if len(s.Gone) > 0 {
		fmt.Fprintf(out, "Not among them, and took it then: %s.\n", listed(s.Gone, func(name string) string { return name }))
	}
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// printRecorded says what workers made of a rule.
func printRecorded(out io.Writer, r *trial.PastRun) {
	if r.Outcome == trial.Undecided {
		fmt.Fprintf(out, "  recorded: a candidate at %s, and no decision: it waits for a fact, is being tried, or is a dead letter\n", instant(r.At))
		return
	}
	fmt.Fprintf(out, "  recorded: %s at %s", r.Outcome, instant(r.At))
	if r.Reason != "" {
		fmt.Fprintf(out, ": %s", r.Reason)
	}
	fmt.Fprintln(out)
	for i := range r.Actions {
		printPastAction(out, &r.Actions[i])
	}
}

func printPastAction(out io.Writer, a *trial.PastAction) {
	fmt.Fprintf(out, "    %s (%s)", a.Kind, a.ID)
	if a.Item != "" {
		fmt.Fprintf(out, " of %s", a.Item)
	}
	if a.Target != "" {
		fmt.Fprintf(out, " to %s", a.Target)
	}
	switch r := a.Result; {
	case a.State == trial.ActionNotDone:
		fmt.Fprintf(out, " not done: %s\n", a.Error)
	case a.State == trial.ActionOpen:
		fmt.Fprintln(out, ": no end is recorded")
	case r != nil && r.ID != "":
		fmt.Fprintf(out, " done: %s\n", strings.TrimSpace(r.ID+" "+r.WebURL))
	case r != nil:
		fmt.Fprintf(out, " done: build %s\n", strings.TrimSpace(fmt.Sprint(r.BuildNo)+" "+r.DailyBuildNum))
	default:
		fmt.Fprintln(out, " done")
	}
}
