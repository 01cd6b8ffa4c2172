package main

import (
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/pkg/rules"
)

func schemaCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON Schema of rule files, for editors",
		Long: `Prints a JSON Schema of rule files. An editor with a YAML language server completes and describes by it: keys, facts with their
arguments, types of events, fields under match. With --config, names of targets and connections too; no secret of that file is read.

A rule file names its schema in a comment on its first line: # yaml-language-server: $schema=rules.schema.json`,
		Example: "  millrace rules schema > rules/rules.schema.json\n  millrace rules schema --config millrace.yaml > rules/rules.schema.json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cat, err := catalogue(file)
			if err != nil {
				return err
			}
			schema, err := rules.Schema(cat)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(schema)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file whose targets and connections the rules may name")
	return cmd
}
