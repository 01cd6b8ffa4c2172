package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
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
	runs                                     int
	kinds                                    map[string]int // of those that would be replayed
}

// count takes in a plan about something of a kind, "" when all are of one.
func (t *tally) count(plan *app.Replay, kind string) {
	if plan.Refused != "" {
		t.refused++
		return
	}
	if t.replayed++; t.kinds == nil {
		t.kinds = make(map[string]int)
	}
	t.kinds[kind]++
	t.runs += plan.Runs
	t.again += plan.Count(app.WillBegin, app.WillRetry, app.WillGoOn, app.WillRekindle)
	t.kept += plan.Count(app.WillKeep)
	t.repeated += plan.Count(app.WillRepeat)
}

// String counts what would be.
func (t *tally) String() string {
	text := count(t.replayed, t.what) + " would be replayed"
	if len(t.kinds) > 1 {
		var parts []string
		for _, kind := range slices.Sorted(maps.Keys(t.kinds)) {
			parts = append(parts, fmt.Sprintf("%d %s", t.kinds[kind], kind))
		}
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	for _, part := range []struct {
		n         int
		one, more string
	}{
		{t.runs, "rule runs", "rules run"},
		{t.again, "action is carried out", "actions are carried out"},
		{t.kept, "is done and not repeated", "are done and not repeated"},
		{t.repeated, "is REPEATED by force", "are REPEATED by force"},
	} {
		switch part.n {
		case 0:
		case 1:
			text += ", 1 " + part.one
		default:
			text += fmt.Sprintf(", %d %s", part.n, part.more)
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
		if len(plan.Will) == 1 {
			fmt.Fprintf(&b, "%s: %s: %s\n", name, did, rules.MaskSecrets(plan.Will[0]))
		} else {
			fmt.Fprintf(&b, "%s: %s:\n", name, did)
			printSentences(&b, plan)
		}
		printEffects(&b, plan)
	}
	_, err := io.WriteString(printable{t.cmd.OutOrStdout()}, b.String())
	return err
}
