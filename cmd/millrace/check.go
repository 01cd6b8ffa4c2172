package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pkg/rules"
)

func checkCommand() *cobra.Command {
	var file, format string
	cmd := &cobra.Command{
		Use:   "check PATH…",
		Short: "Find every mistake in rule files",
		Long: `Reads rule files, and all *.yaml and *.yml in folders, and reports every mistake at once, each with its place and a remedy:
errors, which a worker would refuse, and warnings, about what it would load and what cannot be meant. Exit code 1 when there is an
error. Names of targets and connections, and whether a source sends what a rule is for, are checked with --config only; no secret of
that file is read.

For other programs: --format json is one array of objects with file, line, col, end, severity, kind, message and hint; sarif is a log
of SARIF 2.1.0; github are the commands that GitHub Actions makes annotations of. They go to standard output.`,
		Example: "  millrace rules check rules/\n  millrace rules check --config millrace.yaml rules/builds.yaml\n  millrace rules check --format sarif rules/ > rules.sarif",
		Args:    needArgs("the rule files or folders to check"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(checkFormats(), format) {
				return usageError{fmt.Errorf("--format takes %s, not %q%s", strings.Join(checkFormats(), ", "), format, meant(format, checkFormats()))}
			}
			ruleset, problems, files, err := loadRules(file, args)
			if err != nil {
				return err
			}
			if err := writeCheck(cmd, format, ruleset, problems, files); err != nil {
				return err
			}
			if problems.HasErrors() {
				return errSilent
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file whose targets and connections the rules may name")
	cmd.Flags().StringVar(&format, "format", "text", "text, json, sarif or github")
	return cmd
}

func checkFormats() []string { return []string{"text", "json", "sarif", "github"} }

// meant is a hint at the nearest of some words.
func meant(word string, words []string) string {
	if n := rules.Nearest(word, words); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}

// writeCheck writes what a check found; ruleset is nil when it cannot be loaded.
func writeCheck(cmd *cobra.Command, format string, ruleset *rules.Ruleset, problems rules.Problems, files []rules.File) error {
	switch format {
	case "json":
		return problems.WriteJSON(cmd.OutOrStdout(), files)
	case "sarif":
		return problems.WriteSARIF(cmd.OutOrStdout(), files)
	case "github":
		return problems.WriteGitHub(cmd.OutOrStdout())
	}
	report(cmd.ErrOrStderr(), problems, files)
	if ruleset != nil {
		found := "no mistake found"
		if len(problems) > 0 {
			found = "no error"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s in %s, %s. Digest %.12s.\n",
			count(len(ruleset.Rules()), "rule"), count(len(ruleset.Files()), "file"), found, ruleset.Digest())
	}
	return nil
}

// report prints problems: one line each, and on a terminal the place with a caret.
func report(w io.Writer, problems rules.Problems, files []rules.File) {
	if len(problems) == 0 {
		return
	}
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		problems.Render(w, files, os.Getenv("NO_COLOR") == "")
	} else {
		for _, p := range problems {
			fmt.Fprintln(w, p)
		}
	}
	errors, warnings := problems.Count()
	switch {
	case warnings == 0:
		fmt.Fprintf(w, "%s.\n", count(errors, "problem"))
	case errors == 0:
		fmt.Fprintf(w, "%s.\n", count(warnings, "warning"))
	default:
		fmt.Fprintf(w, "%s, %s.\n", count(errors, "error"), count(warnings, "warning"))
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
