package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/trial"
)

func testCommand() *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test PATH…",
		Short: "Run the tests of rules",
		Long: `Runs the tests that lie beside rules: of a folder all files *_test.yaml, of a rule file a.yaml the file a_test.yaml. A test has an
event, the facts, and what is expected; nothing is fetched, nothing is carried out, and time passes by being set. docs/testing.md has the
format. Exit code 1 when a test fails or cannot be read.

Coverage is how much of the rules the tests reached: of each rule that it came to a decision, of each condition that it held and that it
did not, of each action that it would be carried out.`,
		Example: "  millrace rules test rules/\n  millrace rules test rules/builds.yaml --run 'failed build' --verbose\n" +
			"  millrace rules test rules/ --coverage-min 80 --junit report.xml",
		Args: needArgs("the rule files or folders whose tests to run"),
		RunE: o.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.pattern, "run", "", "run only tests whose name this regular expression finds")
	flags.BoolVar(&o.coverage, "coverage", false, "say what of the rules no test reached")
	flags.Float64Var(&o.least, "coverage-min", 0, "fail when the tests reach less than so many percent")
	flags.StringVar(&o.junit, "junit", "", "write a JUnit report to this file")
	flags.StringVar(&o.config, "config", "", "configuration file whose targets and connections the rules may name")
	flags.BoolVar(&o.json, "json", false, "write the report as one JSON object")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "name the tests that passed too")
	return cmd
}

type testOptions struct {
	pattern, junit, config  string
	least                   float64
	coverage, json, verbose bool
}

func (o *testOptions) run(cmd *cobra.Command, paths []string) error {
	fits, err := o.check()
	if err != nil {
		return err
	}
	suite, err := o.read(cmd, paths)
	if err != nil {
		return err
	}
	report := suite.Run(fits)
	if len(report.Tests) == 0 {
		return fmt.Errorf("no test has a name that %q finds; there are %s, which --verbose lists", o.pattern, count(suite.Tests(), "test"))
	}
	if o.junit != "" {
		if err := writeJUnit(o.junit, report); err != nil {
			return err
		}
	}
	if err := o.print(cmd, report); err != nil {
		return err
	}
	if report.Failed > 0 {
		return errSilent
	}
	if report.Coverage.Percent < o.least {
		return fmt.Errorf("the tests reach %.1f%% of the rules, less than the %g%% asked for; --coverage says what is missing", report.Coverage.Percent, o.least)
	}
	return nil
}

// check refuses flags that make no sense.
func (o *testOptions) check() (*regexp.Regexp, error) {
	if o.least < 0 || o.least > 100 {
		return nil, usageError{fmt.Errorf("--coverage-min is a number of percent, from 0 to 100; it got %g", o.least)}
	}
	if o.pattern == "" {
		return nil, nil
	}
	if o.least > 0 {
		return nil, usageError{errors.New("--coverage-min says nothing about some of the tests: leave --run out")}
	}
	fits, err := regexp.Compile(o.pattern)
	if err != nil {
		return nil, usageError{fmt.Errorf("--run takes a regular expression: %w", err)}
	}
	return fits, nil
}

// read reads rules and tests, and reports what is wrong with them.
func (o *testOptions) read(cmd *cobra.Command, paths []string) (*trial.Suite, error) {
	rulePaths, files, err := trial.Find(paths)
	if err != nil {
		return nil, err
	}
	ruleset, err := compile(cmd, o.config, rulePaths)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		name := ruleset.Files()[0].Name
		return nil, fmt.Errorf("there is no test in %s; the tests of %s belong into %s, see docs/testing.md",
			strings.Join(paths, ", "), name, strings.TrimSuffix(name, filepath.Ext(name))+"_test.yaml")
	}
	suite, problems := trial.Read(ruleset, files, trial.ReadFile)
	report(cmd.ErrOrStderr(), problems, files)
	if suite == nil {
		return nil, errSilent
	}
	return suite, nil
}

func writeJUnit(name string, report *trial.Report) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteJUnit(f), f.Close())
}

func (o *testOptions) print(cmd *cobra.Command, report *trial.Report) error {
	if o.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetEscapeHTML(false)
		return enc.Encode(report)
	}
	out := printable{cmd.OutOrStdout()}
	report.Render(out, o.verbose)
	if o.coverage {
		fmt.Fprintln(out)
		report.Coverage.Render(out)
		fmt.Fprintln(out)
	}
	tail := "all passed"
	if report.Failed > 0 {
		tail = fmt.Sprintf("%d failed", report.Failed)
	}
	files := make([]string, 0, len(report.Tests))
	for i := range report.Tests {
		files = append(files, report.Tests[i].File)
	}
	fmt.Fprintf(out, "%s in %s, %s; %.1f%% of the rules reached.\n",
		count(len(report.Tests), "test"), count(len(slices.Compact(files)), "file"), tail, report.Coverage.Percent)
	return nil
}
