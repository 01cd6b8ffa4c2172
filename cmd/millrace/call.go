package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

func listCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [OPERATION]",
		Short: "List the calls of CodeArts that Millrace knows",
		Long: `Lists the calls of CodeArts that Millrace knows, or says all about one. Those that only read are facts a rule may fetch, by the
same name and with the same arguments; call tries them.`,
		Example: "  millrace codearts list\n  millrace codearts list build_record\n  millrace codearts list --json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usageError{fmt.Errorf("%s takes one operation, it got %d", cmd.CommandPath(), len(args))}
			case len(args) == 1:
				op, err := operation(args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), describe(op))
				}
				return printOperation(cmd.OutOrStdout(), op)
			case asJSON:
				all := []operationInfo{}
				for _, op := range codearts.Operations() {
					all = append(all, describe(op))
				}
				return printJSON(cmd.OutOrStdout(), all)
			}
			return printOperations(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON array, or one object")
	return cmd
}

// operation finds a row of the table by its name.
func operation(name string) (codearts.Operation, error) {
	var names []string
	for _, op := range codearts.Operations() {
		if op.Name == name {
			return op, nil
		}
		names = append(names, op.Name)
	}
	hint := "see 'millrace codearts list'"
	if near := rules.Nearest(name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return codearts.Operation{}, usageError{fmt.Errorf("there is no operation %q; %s", name, hint)}
}

// operationInfo is a row of the table as JSON.
type operationInfo struct {
	Name    string         `json:"name"`
	Fact    bool           `json:"fact"`   // rules may fetch it
	Writes  bool           `json:"writes"` // changes something at CodeArts
	Title   string         `json:"title"`
	TitleZH string         `json:"title_zh"`
	Doc     string         `json:"doc"`
	Service string         `json:"service"`
	Method  string         `json:"method,omitempty"`
	Path    string         `json:"path,omitempty"`
	V4      string         `json:"v4,omitempty"`
	Page    string         `json:"page,omitempty"`
	Repeat  string         `json:"repeat"`
	Args    []argumentInfo `json:"args"`
}

type argumentInfo struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Required bool   `json:"required"`
	Doc      string `json:"doc"`
}

func describe(op codearts.Operation) operationInfo {
	info := operationInfo{
		Name: op.Name, Fact: op.Reads(), Writes: op.Writes, Title: op.Title, TitleZH: op.TitleZH, Doc: op.Doc, Service: string(op.Service),
		Method: op.Method, Path: op.Path, V4: op.V4, Page: op.Page, Repeat: string(op.Repeat), Args: []argumentInfo{},
	}
	for _, a := range op.Args {
		info.Args = append(info.Args, argumentInfo{a.Name, string(a.Kind), a.Required, a.Doc})
	}
	return info
}

func printOperations(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "OPERATION\tIT\tWHAT IT IS")
	for _, op := range codearts.Operations() {
		kind := "reads"
		switch {
		case op.Writes:
			kind = "writes"
		case !op.Callable():
			kind = "signs in"
		}
		fmt.Fprintf(t, "%s\t%s\t%s, %s\n", op.Name, kind, op.Title, op.TitleZH)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\nWhat reads is a fact for rules, too. 'millrace codearts list OPERATION' says more.\n")
	return err
}

func printOperation(w io.Writer, op codearts.Operation) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s (%s, %s)\n", op.Name, op.Doc, op.Title, op.TitleZH)
	switch {
	case op.Method == "":
		b.WriteString("made of several calls\n")
	case op.V4 != "":
		fmt.Fprintf(&b, "%s %s, or %s with repo_api: v4\n", op.Method, op.Path, op.V4)
	default:
		fmt.Fprintf(&b, "%s %s\n", op.Method, op.Path)
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, a := range op.Args {
		needed := ""
		if a.Required {
			needed = "needed"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", a.Name, a.Kind, needed, a.Doc)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// maxArgument bounds an argument that is read from a file, in bytes.
const maxArgument = 8 << 20

func callCommand() *cobra.Command {
	var file, connection string
	cmd := &cobra.Command{
		Use:   "call OPERATION [NAME=VALUE…]",
		Short: "Carry out one call of CodeArts and write what it brings as JSON",
		Long: `Carries out one call of CodeArts with a connection of the configuration, and writes its result as JSON; what is secret in it is
replaced by [redacted]. A value @PATH is read from a file, @- from standard input: for what is long, or secret. No other secret of the
configuration is read. Exit code 1 when the call fails.`,
		Example: `  millrace codearts call job_config job_id=f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3 --config millrace.yaml
  millrace codearts call package_status project_id=aaaabbbbccccddddeeeeffff00001111 status=normal
  millrace codearts call create_commit repo_id=2111000001 branch=main commit_message='add note' actions=@changes.json`,
		Args: needArgs("an operation; 'millrace codearts list' shows them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			op, err := operation(args[0])
			if err != nil {
				return err
			}
			if !op.Callable() {
				return usageError{fmt.Errorf("%s signs in, which every other call does by itself: it has nothing to show", op.Name)}
			}
			values, err := arguments(op, args[1:], cmd.InOrStdin())
			if err != nil {
				return err
			}
			cfg, err := config.LoadSection(file, os.Environ(), "codearts."+connection)
			if err != nil {
				return fmt.Errorf("the configuration is not right:\n%w", err)
			}
			client, err := app.Connection(cfg, connection)
			if err != nil {
				return err
			}
			defer client.CloseIdleConnections()
			got, err := client.Call(cmd.Context(), op.Name, values)
			if err != nil {
				return withAdvice(op, err)
			}
			if op.Result == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), `{"status":"success"}`)
				return err
			}
			return printJSON(cmd.OutOrStdout(), got)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file; without it MILLRACE_CONFIG names it, or the environment says it all")
	cmd.Flags().StringVar(&connection, "connection", "default", "connection under codearts in the configuration")
	return cmd
}

// arguments reads name=value pairs.
func arguments(op codearts.Operation, pairs []string, stdin io.Reader) (map[string]any, error) {
	var names []string
	for _, a := range op.Args {
		names = append(names, a.Name)
	}
	values := map[string]any{}
	for i, pair := range pairs {
		name, value, is := strings.Cut(pair, "=")
		if !is { // it is not shown: it may be a secret in the wrong place
			return nil, usageError{fmt.Errorf("an argument is written NAME=VALUE, and number %d has no =; %s takes %s", i+1, op.Name, orNone(names))}
		}
		if near := rules.Nearest(name, names); near != "" && !slices.Contains(names, name) {
			return nil, usageError{fmt.Errorf("%s has no argument %s; did you mean %s?", op.Name, name, near)}
		}
		if _, twice := values[name]; twice {
			return nil, usageError{fmt.Errorf("the argument %s is given twice", name)}
		}
		if path, from := strings.CutPrefix(value, "@"); from {
			data, err := readBounded(path, stdin, maxArgument)
			if err != nil {
				return nil, fmt.Errorf("argument %s: %w", name, err)
			}
			value = strings.TrimRight(string(data), "\r\n")
		}
		values[name] = value
	}
	return values, nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "no argument"
	}
	return strings.Join(names, ", ")
}

// withAdvice adds to a failure of a call what the user may want to know next.
func withAdvice(op codearts.Operation, err error) error {
	var failure *codearts.APIError
	if !errors.As(err, &failure) {
		return err
	}
	switch {
	case failure.Status == 0 && errors.Is(err, codearts.ErrInvalid):
		return usageError{fmt.Errorf("%w; 'millrace codearts list %s' says what it takes", err, op.Name)}
	case op.Writes && failure.MayHaveHappened():
		return fmt.Errorf("%w; it may have been carried out all the same: look before you try again", err)
	case failure.Retryable():
		return fmt.Errorf("%w; it may work later", err)
	}
	return err
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
