package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/pkg/rules"
)

// bodyShown is how much of a body is shown, in bytes.
const bodyShown = 4 << 10

func deadShowCommand() *cobra.Command {
	var f deadFlags
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter, and what a replay would do",
		Long: `Shows all about one dead letter: why it failed, what it is about, what a replay would do now, and its body. What looks like a secret is
masked, control characters are written out, and a long body is cut; --raw writes the body's own bytes instead, and nothing else.`,
		Example: "  millrace deadletters show 12 --config millrace.yaml\n  millrace deadletters show 12 --json\n  millrace deadletters show 12 --raw > body.json",
		Args:    needArgs("the number of a dead letter; 'millrace deadletters list' shows them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("%s takes one number, it got %d", cmd.CommandPath(), len(args))}
			}
			return f.show(cmd, args[0])
		},
	}
	f.configFlag(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "write one JSON object")
	cmd.Flags().BoolVar(&f.bytes, "raw", false, "write the bytes of the body as they came, with the secrets in them")
	return cmd
}

// deadShown is what show writes as JSON.
type deadShown struct {
	*app.DeadLetter
	Replay *app.Replay `json:"replay"`
	Body   string      `json:"body"` // masked
}

func (f *deadFlags) show(cmd *cobra.Command, arg string) error {
	id, err := deadID(arg)
	if err != nil {
		return err
	}
	archive, err := f.open(cmd.Context())
	if err != nil {
		return err
	}
	defer archive.Close()
	l, err := archive.DeadLetter(cmd.Context(), id)
	if err != nil {
		return err
	}
	if f.bytes {
		_, err := cmd.OutOrStdout().Write(l.Body())
		return err
	}
	plan, err := archive.PlanReplay(cmd.Context(), l, false)
	if err != nil {
		return err
	}
	l.Reason = rules.MaskSecrets(l.Reason)
	if f.json {
		return printJSON(cmd.OutOrStdout(), deadShown{l, plan, rules.MaskSecrets(string(l.Body()))})
	}
	return printDeadLetter(printable{cmd.OutOrStdout()}, l, plan)
}

func printDeadLetter(w io.Writer, l *app.DeadLetter, plan *app.Replay) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Dead letter %d: %s, class %s\n", l.ID, whatOf(l), l.Class)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "  %s\t%s\n", name, cell(&value))
		}
	}
	line("reason", l.Reason)
	failed := "last " + l.LastFailure.Format(time.RFC3339)
	if !l.FirstFailure.IsZero() {
		failed = "first " + l.FirstFailure.Format(time.RFC3339) + ", " + failed
	}
	line("failed", fmt.Sprintf("%s, %s", count(l.Attempts, "time"), failed))
	line("event", l.EventID)
	line("type", l.Type)
	line("repository", l.Repository)
	if !l.Accepted.IsZero() {
		line("accepted", l.Accepted.Format(time.RFC3339))
	}
	line("rule", l.Rule)
	line("run", l.RunID)
	line("action", l.ActionID)
	line("item", l.Item)
	line("target", l.Target)
	line("key", l.Key)
	if err := t.Flush(); err != nil {
		return err
	}
	printPlan(&b, plan)
	fmt.Fprintf(&b, "Body, %d bytes:\n", l.BodyBytes)
	printBody(&b, l.Body(), "--raw writes them all")
	_, err := io.WriteString(w, b.String())
	return err
}

// printPlan says what a replay would do.
func printPlan(w io.Writer, plan *app.Replay) {
	if plan.Refused != "" {
		fmt.Fprintf(w, "A replay is refused: %s\n", rules.MaskSecrets(plan.Refused))
		return
	}
	fmt.Fprintln(w, "A replay would do this:")
	printSentences(w, plan)
	printEffects(w, plan)
}

func printSentences(w io.Writer, plan *app.Replay) {
	for _, sentence := range plan.Will {
		fmt.Fprintf(w, "  - %s\n", rules.MaskSecrets(sentence))
	}
}

// maxEffects is how many effects are listed, for people.
const maxEffects = 50

// printEffects lists the actions of decisions.
func printEffects(w io.Writer, plan *app.Replay) {
	if plan.Told {
		return
	}
	several := slices.ContainsFunc(plan.Effects, func(e app.Effect) bool { return e.Rule != plan.Effects[0].Rule })
	for i := range plan.Effects {
		if i == maxEffects {
			fmt.Fprintf(w, "    … and %d more; --json lists all\n", len(plan.Effects)-i)
			return
		}
		e := &plan.Effects[i]
		what := e.Kind + " (" + e.ActionID + ")"
		if several {
			what = e.Rule + ", " + what
		}
		if e.Item != "" {
			what += " of item " + e.Item
		}
		if e.Target != "" {
			what += " to " + e.Target
		}
		fmt.Fprintf(w, "    %s: %s%s\n", what, fateOf(e), forcedBy(e))
	}
}

// forcedBy tells who had an effect carried out by force last.
func forcedBy(e *app.Effect) string {
	if len(e.Forced) == 0 {
		return ""
	}
	last := e.Forced[len(e.Forced)-1]
	return fmt.Sprintf("; forced by %s at %s", cmp.Or(last.By, "somebody"), last.At.Format(time.RFC3339))
}

// fateOf says what becomes of one effect among many.
func fateOf(e *app.Effect) string {
	switch e.Will {
	case app.WillKeep:
		if e.Result != "" {
			return "done, " + e.Result + ", not repeated"
		}
		return "done, not repeated"
	case app.WillRepeat:
		if e.Failed() {
			return "failed, carried out by force, also if it was made and removed by hand"
		}
		return "done, and repeated by force"
	case app.WillStay:
		return "failed, stays so without --force (" + clip(rules.MaskSecrets(e.Error), 120) + ")"
	case app.WillRetry:
		return "failed, tried again (" + clip(rules.MaskSecrets(e.Error), 120) + ")"
	case app.WillGoOn:
		return "open, carried out once"
	case app.WillFollow:
		return "goes by the result it waits for; what was sent is not sent again"
	case app.WillRekindle:
		return "skipped before, decided by the new result"
	case app.WillSkip:
		return "skipped, stays so (" + clip(rules.MaskSecrets(e.Error), 120) + ")"
	}
	return "not begun, carried out"
}

// printBody writes what of a body can be seen, indented; rest tells how to see more.
func printBody(w io.Writer, body []byte, rest string) {
	// A little more is masked than is shown, so that no secret is cut in two and missed.
	window := rules.MaskSecrets(strings.ToValidUTF8(string(body[:min(len(body), 2*bodyShown)]), string(utf8.RuneError)))
	shown := window[:min(len(window), bodyShown)]
	for len(shown) > 0 && len(shown) < len(window) && !utf8.RuneStart(window[len(shown)]) {
		shown = shown[:len(shown)-1]
	}
	if shown != "" {
		printIndented(w, shown)
	}
	if len(body) > bodyShown {
		fmt.Fprintf(w, "      … cut after %d of %d bytes; %s\n", len(shown), len(body), rest)
	}
}

func deadReplayCommand() *cobra.Command {
	var f deadFlags
	cmd := &cobra.Command{
		Use:   "replay [ID…]",
		Short: "Have workers try again what did not succeed",
		Long: `Puts the messages of dead letters as work again, those with these numbers or those that the filters choose, and drops each dead letter
once its message is put. Nothing that the records say is done is repeated: an action keeps its key, so a commit that is there, a build that
was started and a message that was sent stay the only ones. What was skipped because an action failed is decided anew once it succeeds.
Dead letters that fail again come back, with a new number.

An event that was accepted more than 20 days ago is refused when its records are gone: nobody can tell what was done meanwhile. --force
replays it all the same, and repeats what is done, too; the records say who did so and when. It asks before more than one is replayed.`,
		Example: "  millrace deadletters replay 12 --config millrace.yaml\n  millrace deadletters replay --target team --since 2d --dry-run\n" +
			"  millrace deadletters replay --class exhausted --yes",
		RunE: f.replay,
	}
	f.configFlag(cmd)
	f.filterFlags(cmd)
	f.batchFlags(cmd)
	cmd.Flags().BoolVar(&f.force, "force", false, "also repeat what is done, and what is too old for its records")
	return cmd
}

// replayed is a dead letter and what a replay does, as JSON.
type replayed struct {
	*app.DeadLetter
	Replayed bool        `json:"replayed"`
	Replay   *app.Replay `json:"replay"`
}

func (f *deadFlags) replay(cmd *cobra.Command, args []string) error {
	ids, err := f.ids(cmd, args)
	if err != nil {
		return err
	}
	archive, err := f.open(cmd.Context())
	if err != nil {
		return err
	}
	defer archive.Close()
	t := &tally{cmd: cmd, json: f.json, what: "dead letter"}
	var chosen []uint64
	err = f.each(cmd.Context(), archive, ids, func(l *app.DeadLetter) error {
		plan, err := archive.PlanReplay(cmd.Context(), l, f.force)
		if err != nil {
			return err
		}
		chosen = append(chosen, l.ID)
		t.count(plan, l.Kind)
		if !f.dryRun {
			return nil
		}
		return t.tell(fmt.Sprintf("%d, %s", l.ID, whatOf(l)), plan, "would be replayed", replayed{l, false, plan})
	})
	if err != nil {
		return err
	}
	if goOn, err := t.agreed(f.dryRun, f.yes || len(ids) == 1 && t.repeated == 0); !goOn {
		return err
	}
	return f.replayAll(cmd, archive, chosen)
}

// replayAll replays one after the other, each as it is by then.
func (f *deadFlags) replayAll(cmd *cobra.Command, archive *app.Archive, ids []uint64) error {
	t := &tally{cmd: cmd, json: f.json, what: "dead letter"}
	for _, id := range ids {
		l, err := archive.DeadLetter(cmd.Context(), id)
		var plan *app.Replay
		if err == nil {
			plan, err = archive.ReplayDeadLetter(cmd.Context(), l, f.force)
		}
		if err != nil {
			return fmt.Errorf("dead letter %d: %w; %d of %d are replayed, and the others are as they were", id, err, t.replayed, len(ids))
		}
		t.count(plan, l.Kind)
		if err := t.tell(fmt.Sprintf("%d, %s", l.ID, whatOf(l)), plan, "replayed", replayed{l, plan.Refused == "", plan}); err != nil {
			return err
		}
	}
	return t.end()
}
