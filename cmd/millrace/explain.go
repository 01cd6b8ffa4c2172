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

	"github.com/millrace/millrace/internal/trial"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

func explainCommand() *cobra.Command {
	var opts explainOptions
	cmd := &cobra.Command{
		Use:   "explain [PATH…] --event FILE|ID",
		Short: "Say what each rule makes of an event, and why",
		Long: `Reads rules as check does, and an event: a file with the body of a delivery, as a forge posts it ("-" reads standard input), or the
id of one that was accepted, as shop/8f6c1b52. For every rule it shows the conditions, with what was wanted and what was seen, and which of
them failed first. Nothing is fetched and nothing is carried out.

When no rule fits it names the nearest miss: of the rules that take the type of the event the one with the most conditions that hold. Of
more than 20 rules it shows those that fit and the 5 nearest in full, of each other one the condition that failed first.

A rule with facts goes on to its decision when --facts gives them: a file with one JSON object, fact name → value, with the fields
that docs/reference/facts.md lists. For a fact with for_each the value is the list of all results.

An event by its id is read from the NATS of --config, and so is what workers recorded of it: the facts of then are used, and beside what a
rule makes of them stands what was decided and what became of the actions. Without PATH the rules are those of then: the ruleset that the
event was matched with, or, when nothing is recorded, the one that was live. With PATH other rules are tried on the event; a fact of
theirs has a value when a rule of then asked for the same.`,
		Example: "  millrace rules explain rules/ --event push.json\n" +
			"  millrace rules explain rules/ --event push.json --rule record-failed-build --facts facts.json\n" +
			"  millrace rules explain --config millrace.yaml --event shop/8f6c1b52\n  millrace rules explain --config millrace.yaml --event shop/8f6c1b52 rules/",
		RunE: func(cmd *cobra.Command, args []string) error {
			if opts.event == "" {
				return usageError{errors.New("rules explain needs --event: a file with the body of a delivery, or the id of an event")}
			}
			return opts.run(cmd, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.event, "event", "", "file with the body of a delivery, - is standard input; or the id of a stored event")
	flags.StringVar(&opts.kind, "kind", "", "the kind header of the delivery, for bodies that name no kind")
	flags.StringVar(&opts.source, "source", "file", "name of the source it came from")
	flags.StringVar(&opts.rule, "rule", "", "only this rule")
	flags.StringVar(&opts.facts, "facts", "", "file with the facts, to go on to the decision")
	flags.StringVar(&opts.config, "config", "",
		"configuration file: its targets and connections are what rules may name, its NATS has the events; for these by default MILLRACE_CONFIG")
	flags.BoolVar(&opts.all, "all", false, "show every rule in full, however many there are")
	flags.BoolVar(&opts.json, "json", false, "write one JSON object a rule, and a last one with the summary")
	return cmd
}

type explainOptions struct {
	event, kind, source, rule, facts, config string
	all, json                                bool
}

func (o explainOptions) run(cmd *cobra.Command, paths []string) error {
	facts, err := o.readFacts()
	switch {
	case err != nil:
		return err
	case isEventID(o.event):
		return o.runStored(cmd, paths, facts)
	case len(paths) == 0:
		return usageError{errors.New("rules explain needs the rule files or folders: PATH…; only of an event by its id it finds the rules of then")}
	}
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
	if err := o.checkNames(ruleset, facts); err != nil {
		return err
	}
	in := trial.Input{Ruleset: ruleset, Event: event, View: view, Now: event.Time, Impatient: true}
	var all []*trial.Explained
	for _, rule := range o.chosen(ruleset) {
		in.Rule, in.Facts = rule, trial.GivenFacts(rule, facts)
		all = append(all, trial.ExplainRule(in))
	}
	return o.write(cmd.OutOrStdout(), &account{ruleset: ruleset, rules: all, summary: trial.Summarize(in, all)})
}

// chosen are the rules to explain.
func (o explainOptions) chosen(ruleset *rules.Ruleset) []*rules.Rule {
	if o.rule == "" {
		return ruleset.Rules()
	}
	return []*rules.Rule{ruleset.Rule(o.rule)}
}

func (o explainOptions) write(out io.Writer, a *account) error {
	if !o.json {
		a.out, a.all = printable{out}, o.all
		a.print()
		return nil
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, e := range a.rules {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	last := struct {
		Summary trial.Summary `json:"summary"`
		Stored  *stored       `json:"stored,omitempty"`
	}{a.summary, a.stored}
	return enc.Encode(last)
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
		return fmt.Errorf("there is no rule %q%s; there are: %s", o.rule, meant(o.rule, names), listed(names, func(name string) string { return name }))
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
