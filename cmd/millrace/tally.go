package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/pkg/rules"
)

// tally counts what replays do.
type tally struct {
	cmd                                      *cobra.Command
	json                                     bool
	what                                     string // dead letter, event
	replayed, refused, again, kept, repeated int
}

func (t *tally) count(plan *app.Replay) {
	if plan.Refused != "" {
		t.refused++
		return
	}
	t.replayed++
	t.again += plan.Count(app.WillBegin, app.WillRetry, app.WillGoOn, app.WillRekindle)
	t.kept += plan.Count(app.WillKeep)
	t.repeated += plan.Count(app.WillRepeat)
}

// String counts what would be.
func (t *tally) String() string {
	text := count(t.replayed, t.what) + " would be replayed"
	for _, part := range []struct {
		n    int
		what string
	}{{t.again, "actions are carried out"}, {t.kept, "are done and not repeated"}, {t.repeated, "are REPEATED by force"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	if t.refused > 0 {
		text += fmt.Sprintf(", and %d refused", t.refused)
	}
	return text
}

// agreed tells whether what was counted is to be done: that is asked for, unless it is settled.
func (t *tally) agreed(dryRun, settled bool) (goOn bool, err error) {
	switch {
	case dryRun || t.replayed+t.refused == 0:
		return false, t.sum("%s; nothing was done.", t)
	case settled:
		return true, nil
	}
	err = confirm(t.cmd, fmt.Sprintf("%s. Replay?", t))
	return err == nil, err
}

// sum writes the last line for people.
func (t *tally) sum(format string, args ...any) error {
	if t.json {
		return nil
	}
	_, err := fmt.Fprintf(printable{t.cmd.OutOrStdout()}, format+"\n", args...)
	return err
}

// end says what was done. That something was refused is a failure.
func (t *tally) end() error {
	err := t.sum("%s replayed, %d refused.", count(t.replayed, t.what), t.refused)
	if err == nil && t.refused > 0 {
		err = errSilent
	}
	return err
}

// tell says what a replay of one does, as JSON or in words.
func (t *tally) tell(name string, plan *app.Replay, did string, asJSON any) error {
	if t.json {
		return printLine(t.cmd.OutOrStdout(), asJSON)
	}
	var b strings.Builder
	if plan.Refused != "" {
		fmt.Fprintf(&b, "%s: refused: %s\n", name, rules.MaskSecrets(plan.Refused))
	} else {
		fmt.Fprintf(&b, "%s: %s: %s\n", name, did, rules.MaskSecrets(strings.Join(plan.Will, "; ")))
		printEffects(&b, plan)
	}
	_, err := io.WriteString(printable{t.cmd.OutOrStdout()}, b.String())
	return err
}
