package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/rules"
)

func backtestCommand() *cobra.Command {
	var o backtestOptions
	cmd := &cobra.Command{
		Use:   "backtest PATH…",
		Short: "Say what rules would have done otherwise with the events of the last days",
		Long: `Plays the rules of PATH and the live ones on the events that are stored, with the facts that were recorded when workers decided
about them, and says for each rule what is different: which events it would newly fire on or no longer, which commits, builds, alerts and
messages would be others, what would fail. Nothing is fetched, nothing is carried out, nothing is stored.

A rule that asks for a fact that was not recorded is not comparable for that event, and never counted as unchanged. Rules that read the same on
both sides are not played. docs/testing.md says what else is known of the past, and what is not.

Exit code 0 whatever is different; with --fail-on-difference 1 when anything is, or is not comparable.`,
		Example: "  millrace rules backtest rules/\n  millrace rules backtest rules/ --since 24h --rule record-failed-build --examples 20\n" +
			"  millrace rules backtest rules/ --from 2026-11-01 --to 2026-11-08 --against old-rules/ --json",
		Args: needArgs("the rule files or folders to try"),
		RunE: o.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.since, "since", "", "events stored within this time, like 7d or 36h (default 7d, without --from)")
	flags.StringVar(&o.from, "from", "", "events stored from this time on, like 2026-11-01 or 2026-11-01T08:00:00+08:00")
	flags.StringVar(&o.to, "to", "", "events stored before this time (default: all there are now)")
	flags.StringArrayVar(&o.against, "against", nil, "compare with these rule files or folders, or the ruleset of this digest, instead of the live one")
	flags.StringVar(&o.source, "source", "", "only events of this source")
	flags.StringArrayVar(&o.rules, "rule", nil, "only this rule; may be given several times")
	flags.StringVar(&o.config, "config", "", "configuration file of the worker (default $MILLRACE_CONFIG)")
	flags.BoolVar(&o.json, "json", false, "write the report as one JSON object")
	flags.IntVar(&o.examples, "examples", 5, "how many events to show of each kind of difference of each rule")
	flags.IntVar(&o.jobs, "jobs", 0, "how many rules to play at once (default: one for each processor); the report is the same")
	flags.BoolVar(&o.fail, "fail-on-difference", false, "exit code 1 when anything is different or not comparable")
	return cmd
}

type backtestOptions struct {
	since, from, to, source, config string
	against, rules                  []string
	examples, jobs                  int
	json, fail                      bool
}

func (o *backtestOptions) run(cmd *cobra.Command, paths []string) error {
	in := app.BacktestOptions{Source: o.source, Rules: o.rules, Jobs: o.jobs, Examples: o.examples}
	if err := o.window(&in, time.Now()); err != nil {
		return usageError{err}
	}
	if o.examples < 0 || o.jobs < 0 {
		return usageError{errors.New("--examples and --jobs are not negative")}
	}
	archive, err := app.OpenArchive(cmd.Context(), o.config)
	if err != nil {
		return err
	}
	defer archive.Close()
	if in.After, err = compileWith(cmd, archive.Catalogue(), paths); err != nil {
		return err
	}
	if in.Before, err = o.baseline(cmd, archive); err != nil {
		return err
	}
	bar := newProgressBar(cmd.ErrOrStderr())
	in.Progress = bar.show
	report, err := archive.Backtest(cmd.Context(), in)
	bar.clear()
	switch {
	case errors.Is(err, context.Canceled) && cmd.Context().Err() != nil:
		return errors.New("interrupted, so there is no report")
	case err != nil:
		return err
	case o.json:
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetEscapeHTML(false)
		if err := enc.Encode(report); err != nil {
			return err
		}
	default:
		report.Render(printable{cmd.OutOrStdout()})
	}
	if o.fail && report.Differs() {
		return errSilent
	}
	return nil
}

// window reads which events are meant.
func (o *backtestOptions) window(in *app.BacktestOptions, now time.Time) (err error) {
	if o.since != "" && o.from != "" {
		return errors.New("--since and --from both say where to begin; leave one out")
	}
	if in.To, err = moment("to", o.to); err != nil {
		return err
	}
	if o.from != "" {
		if in.From, err = moment("from", o.from); err != nil {
			return err
		}
	} else {
		since := o.since
		if since == "" {
			since = "7d"
		}
		d, err := days(since)
		if err != nil {
			return err
		}
		in.From = now.Add(-d)
	}
	if !in.To.IsZero() && !in.From.Before(in.To) {
		return fmt.Errorf("there is no time between %s and %s", in.From.UTC().Format(time.RFC3339), in.To.UTC().Format(time.RFC3339))
	}
	return nil
}

// moment reads a time or a day, which begins at midnight UTC; nothing is the zero time.
func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--%s %q is no time; write it like 2026-11-01 or 2026-11-01T08:00:00+08:00", flag, text)
}

// days reads a duration above zero, which may be in whole days.
func days(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if n, ok := strings.CutSuffix(text, "d"); ok {
		var count int
		if count, err = strconv.Atoi(n); count > 36_500 {
			count = 36_500
		}
		d = time.Duration(count) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("--since %q is no time span; write it like 7d, 36h or 90m", text)
	}
	return d, nil
}

var digestLike = regexp.MustCompile(`^[0-9a-f]{6,64}$`)

// baseline is the ruleset to compare with.
func (o *backtestOptions) baseline(cmd *cobra.Command, archive *app.Archive) (*rules.Ruleset, error) {
	if len(o.against) == 1 && digestLike.MatchString(o.against[0]) {
		if _, err := os.Stat(o.against[0]); errors.Is(err, os.ErrNotExist) {
			return archive.Baseline(cmd.Context(), o.against[0])
		}
	}
	if len(o.against) > 0 {
		return compileWith(cmd, archive.Catalogue(), o.against)
	}
	rs, err := archive.Baseline(cmd.Context(), "")
	if errors.Is(err, app.ErrNothingLive) {
		err = fmt.Errorf("%w; give --against PATH, rules to compare with", err)
	}
	return rs, err
}

// compileWith is compile with a catalogue that is there already.
func compileWith(cmd *cobra.Command, cat *rules.Catalogue, paths []string) (*rules.Ruleset, error) {
	files, err := engine.ReadFiles(paths)
	if err != nil {
		return nil, err
	}
	ruleset, problems := rules.Compile(files, cat)
	if problems.HasErrors() {
		report(cmd.ErrOrStderr(), problems, files)
		return nil, errSilent
	}
	return ruleset, nil
}

// progressBar shows on a terminal how much is done, once that takes longer than a second; elsewhere nothing.
type progressBar struct {
	to    io.Writer // nil: nowhere
	begun time.Time
	shown string
}

func newProgressBar(w io.Writer) *progressBar {
	if f, ok := w.(*os.File); !ok || !isatty.IsTerminal(f.Fd()) {
		w = nil
	}
	return &progressBar{to: w, begun: time.Now()}
}

func (b *progressBar) show(done float64) {
	if b.to == nil || time.Since(b.begun) < time.Second {
		return
	}
	if line := progressLine(done); line != b.shown {
		b.shown = line
		fmt.Fprintf(b.to, "\r%s", line)
	}
}

// clear takes the bar away again.
func (b *progressBar) clear() {
	if b.shown != "" {
		fmt.Fprintf(b.to, "\r%s\r", strings.Repeat(" ", len(b.shown)))
		b.shown = ""
	}
}

func progressLine(done float64) string {
	const width = 40
	done = min(max(done, 0), 1)
	full := int(done * width)
	return fmt.Sprintf("[%s%s] %3d %%", strings.Repeat("#", full), strings.Repeat(".", width-full), int(done*100))
}
