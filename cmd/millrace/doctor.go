package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
)

func doctorCommand() *cobra.Command {
	var file string
	var asJSON bool
	var opts app.DoctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with a configuration and all it leads to",
		Long: `Looks, point by point, at what a receiver and a worker would meet: the configuration and its secrets, the rules, NATS and its
stores (what is unsafe, what waits, what was given up), and each CodeArts connection with its own identity (password, project, clock).
Every point has a remedy. Nothing is made or changed.

  ✓ in order   ! works, and you should know   ✗ does not work, or would lose events   – not looked at

Exit code 1 when there is a ✗. Run it where receiver and worker run, with their environment: what is reached depends on the place.`,
		Example: "  millrace doctor --config millrace.yaml\n  millrace doctor --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := app.Doctor(cmd.Context(), file, os.Environ(), opts)
			var err error
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(found)
			} else {
				err = printDiagnosis(cmd.OutOrStdout(), found)
			}
			if err == nil && found.Verdict == app.VerdictFail {
				err = errSilent
			}
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file; without it MILLRACE_CONFIG names it, or there is none")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the points as one JSON object")
	cmd.Flags().StringSliceVar(&opts.Monitors, "nats-monitor", nil, "address of a nats-server's monitoring, http://host:8222, or several: only there it says how often it writes to disk")
	return cmd
}

// printDiagnosis writes what was found for people.
func printDiagnosis(w io.Writer, d *app.Diagnosis) error {
	marks := map[app.Verdict]string{app.VerdictOK: "✓", app.VerdictWarn: "!", app.VerdictFail: "✗", app.VerdictSkipped: "–"}
	var b strings.Builder
	for _, p := range d.Points {
		fmt.Fprintf(&b, "%s %s: %s\n", marks[p.Verdict], p.Code, p.Text)
		if p.Remedy != "" {
			fmt.Fprintf(&b, "  → %s\n", p.Remedy)
		}
	}
	fmt.Fprintf(&b, "\n%s, %s.\n", count(d.Count(app.VerdictFail), "problem"), count(d.Count(app.VerdictWarn), "warning"))
	_, err := io.WriteString(w, b.String())
	return err
}
