package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

func rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Check rules, and see what they make of an event",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(checkCommand(), explainCommand(), testCommand(), schemaCommand())
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

func explainCommand() *cobra.Command {
	var opts explainOptions
	cmd := &cobra.Command{
		Use:   "explain PATH… --event FILE",
		Short: "Say what each rule makes of an event, and why",
		Long: `Reads rules as check does, and an event: a file with the body of a delivery, as a forge posts it ("-" reads standard input).
For every rule it shows the conditions, with what was wanted and what was seen. Nothing is fetched and nothing is carried out.

A rule with facts goes on to its decision when --facts gives them: a file with one JSON object, fact name → value, with the fields
that docs/reference/facts.md lists. For a fact with for_each the value is the list of all results.`,
		Example: "  millrace rules explain rules/ --event push.json\n  millrace rules explain rules/ --event push.json --rule record-failed-build --facts facts.json",
		Args:    needArgs("the rule files or folders"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if opts.event == "" {
				return usageError{errors.New("rules explain needs --event FILE, the body of a delivery")}
			}
			return opts.run(cmd, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.event, "event", "", "file with the body of a delivery; - is standard input")
	flags.StringVar(&opts.kind, "kind", "", "the kind header of the delivery, for bodies that name no kind")
	flags.StringVar(&opts.source, "source", "file", "name of the source it came from")
	flags.StringVar(&opts.rule, "rule", "", "only this rule")
	flags.StringVar(&opts.facts, "facts", "", "file with the facts, to go on to the decision")
	flags.StringVar(&opts.config, "config", "", "configuration file whose targets and connections the rules may name")
	flags.BoolVar(&opts.json, "json", false, "write one JSON object a rule")
	return cmd
}

type explainOptions struct {
	event, kind, source, rule, facts, config string
	json                                     bool
}

func (o explainOptions) run(cmd *cobra.Command, paths []string) error {
	ruleset, err := compile(cmd, o.config, paths)
	if err != nil {
		return err
	}
	event, err := o.readEvent(cmd.InOrStdin())
	if err != nil {
		return err
	}
	view, err := events.Decode(event)
	if err != nil {
		return fmt.Errorf("%s: %w", o.event, err)
	}
	facts, err := o.readFacts()
	if err != nil {
		return err
	}
	if err := o.checkNames(ruleset, facts); err != nil {
		return err
	}
	x := explainer{event: event, view: view, flat: view.Flat(), facts: facts, ruleset: ruleset, asJSON: o.json, out: cmd.OutOrStdout()}
	if !o.json {
		x.out = printable{x.out}
		fmt.Fprintf(x.out, "A %s", view.Type)
		if event.Repository != "" {
			fmt.Fprintf(x.out, " of %s", event.Repository)
		}
		fmt.Fprintf(x.out, ", event %s.\n", event.ID)
	}
	for _, rule := range ruleset.Rules() {
		if o.rule == "" || rule.Name() == o.rule {
			if err := x.explain(rule); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkNames refuses a rule that is not there, and facts that no rule asks for.
func (o explainOptions) checkNames(ruleset *rules.Ruleset, facts map[string]json.RawMessage) error {
	var names []string
	asked := make(map[string]bool)
	for _, r := range ruleset.Rules() {
		names = append(names, r.Name())
		for _, f := range r.Facts() {
			asked[f] = true
		}
	}
	if o.rule != "" && ruleset.Rule(o.rule) == nil {
		return fmt.Errorf("there is no rule %q; there are: %s", o.rule, strings.Join(names, ", "))
	}
	for _, f := range slices.Sorted(maps.Keys(facts)) {
		if !asked[f] {
			return fmt.Errorf("%s: no rule fetches a fact named %q; there are: %s", o.facts, f, strings.Join(slices.Sorted(maps.Keys(asked)), ", "))
		}
	}
	return nil
}

func (o explainOptions) readEvent(stdin io.Reader) (*events.Event, error) {
	body, err := readBounded(o.event, stdin, events.MaxBody)
	if err != nil {
		return nil, err
	}
	scanned, err := events.Scan(body, o.kind)
	if err != nil {
		return nil, fmt.Errorf("%s is no body of a delivery: %w", o.event, err)
	}
	id := scanned.DeliveryID
	if id == "" {
		id = "no-id"
	}
	return &events.Event{
		ID: o.source + "/" + id, Source: o.source, Type: scanned.Type, Time: time.Now().UTC(), Repository: scanned.Repository, Body: body,
	}, nil
}

func (o explainOptions) readFacts() (map[string]json.RawMessage, error) {
	if o.facts == "" {
		return nil, nil
	}
	data, err := readBounded(o.facts, nil, 4<<20)
	if err != nil {
		return nil, err
	}
	facts := make(map[string]json.RawMessage)
	if err := json.Unmarshal(data, &facts); err != nil {
		return nil, fmt.Errorf("%s is not one JSON object of facts by name: %w", o.facts, err)
	}
	return facts, nil
}

// readBounded reads a file, or standard input for "-", of at most limit bytes.
func readBounded(name string, stdin io.Reader, limit int64) ([]byte, error) {
	from := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return data, nil
}
