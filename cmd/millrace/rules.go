package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/rules"
)

func rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Check rules, see what they make of an event, and push them to the workers",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(checkCommand(), explainCommand(), testCommand(), recordCommand(), schemaCommand(), backtestCommand(), pushCommand(), rollbackCommand(), rulesStatusCommand())
	return cmd
}

// compile reads and compiles rule files, and reports what is wrong with them.
func compile(cmd *cobra.Command, configFile string, paths []string) (*rules.Ruleset, error) {
	ruleset, problems, files, err := loadRules(configFile, paths)
	if err != nil {
		return nil, err
	}
	report(cmd.ErrOrStderr(), problems, files)
	if problems.HasErrors() {
		return nil, errSilent
	}
	return ruleset, nil
}

// loadRules reads and compiles rule files; the ruleset is nil when one of the problems is an error.
func loadRules(configFile string, paths []string) (*rules.Ruleset, rules.Problems, []rules.File, error) {
	cat, err := catalogue(configFile)
	if err != nil {
		return nil, nil, nil, err
	}
	files, err := engine.ReadFiles(paths)
	if err != nil {
		return nil, nil, nil, err
	}
	ruleset, problems := rules.Compile(files, cat)
	return ruleset, problems, files, nil
}

// catalogue is what rules may name: with a configuration file its targets and connections, else any.
func catalogue(configFile string) (*rules.Catalogue, error) {
	if configFile == "" {
		return engine.Catalogue(nil, nil), nil
	}
	cfg, err := config.LoadSealed(configFile, os.Environ())
	if err != nil {
		return nil, fmt.Errorf("the configuration is not right:\n%w", err)
	}
	return app.Catalogue(cfg), nil
}
