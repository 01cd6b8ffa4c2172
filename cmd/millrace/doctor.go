package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
)

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	file     string
	asJSON   bool
	monitors []string
	probe    app.Probe
	yes      bool
}

func doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with a configuration and all it leads to",
		Long: `Looks, point by point, at what a receiver and a worker would meet: the configuration and its secrets, the rules, NATS and its
stores (what is unsafe, what waits, what was given up), and each CodeArts connection with its own identity (password, project, clock).
Every point has a remedy. Nothing is made or changed.

  ✓ in order   ! works, and you should know   ✗ does not work, or would lose events   – not looked at

Exit code 1 when there is a ✗. Run it where receiver and worker run, with their environment: what is reached depends on the place.

With --probe-repo it also tries, on a branch that it makes and deletes again, whether CodeArts refuses what must be refused for a commit to be
made once: a file that is there already, and a change of a file that has changed since. It asks before it writes.`,
		Example: "  millrace doctor --config millrace.yaml\n  millrace doctor --nats-monitor http://nats-1:8222,http://nats-2:8222\n  millrace doctor --probe-repo 2111000001 --json",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.file, "config", "", "configuration file; without it MILLRACE_CONFIG names it, or there is none")
	flags.BoolVar(&f.asJSON, "json", false, "write the points as one JSON object")
	flags.StringSliceVar(&f.monitors, "nats-monitor", nil, "address of a nats-server's monitoring, http://host:8222, or several: only there it says how often it writes to disk")
	flags.StringVar(&f.probe.RepoID, "probe-repo", "", "id (digits) of a repository to try the conditions of commits in, on a branch of its own")
	flags.StringVar(&f.probe.Branch, "probe-branch", "", "branch that the one for the probe begins from; main, else master, when not given")
	flags.StringVar(&f.probe.Connection, "connection", "default", "connection to probe with")
	flags.BoolVar(&f.yes, "yes", false, "do not ask before the probe writes")
	return cmd
}

func (f *doctorFlags) run(cmd *cobra.Command) error {
	opts := app.DoctorOptions{Monitors: f.monitors}
	for _, name := range []string{"probe-branch", "connection", "yes"} {
		if f.probe.RepoID == "" && cmd.Flags().Changed(name) {
			return usageError{errors.New("--" + name + " is for --probe-repo, which is missing")}
		}
	}
	if f.probe.RepoID != "" {
		if _, err := strconv.ParseUint(f.probe.RepoID, 10, 63); err != nil {
			return usageError{errors.New("--probe-repo wants the number of a repository, not its path")}
		}
		f.probe.Scratch = app.ScratchBranch()
		question := fmt.Sprintf("Make branch %s in repository %s, try some commits there, and delete it? Webhooks of the repository tell of it as of any push.", f.probe.Scratch, f.probe.RepoID)
		if !f.yes {
			if err := confirm(cmd, question); err != nil {
				return err
			}
		}
		opts.Probe = &f.probe
	}
	found := app.Doctor(cmd.Context(), f.file, os.Environ(), opts)
	var err error
	if f.asJSON {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(found)
	} else {
		err = printDiagnosis(cmd.OutOrStdout(), found)
	}
	if err == nil && found.Verdict == app.VerdictFail {
		err = errSilent
	}
	return err
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
