package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/pkg/codearts"
	"github.com/millrace/millrace/pkg/rules"
)

func hooksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hooks",
		Short: "Have CodeArts Repo tell a receiver what happens",
		Long: `Looks after the webhooks of a repository, of a group or of a project in CodeArts Repo: install makes one that posts to a receiver,
check says point by point whether it works, list shows what is there. None of them shows a secret.`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(hooksInstallCommand(), hooksCheckCommand(), hooksListCommand())
	return cmd
}

// hookFlags are the flags of the hooks commands.
type hookFlags struct {
	config, connection, repository, group, project string
	plan                                           app.HookPlan
	rotate, json                                   bool
}

func (f *hookFlags) scopeFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "configuration file; without it MILLRACE_CONFIG names it, or the environment says it all")
	flags.StringVar(&f.connection, "connection", "default", "connection under codearts in the configuration")
	flags.StringVar(&f.repository, "repository", "", "id of the repository, digits")
	flags.StringVar(&f.group, "group", "", "id of the group, digits: the hook is told of all its repositories")
	flags.StringVar(&f.project, "project", "", "CodeArts project id, 32 characters: the hook is told of all its repositories")
	flags.BoolVar(&f.json, "json", false, "write one JSON object")
}

func (f *hookFlags) planFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.plan.URL, "url", "", "address of the receiver with the source, like https://receiver.example.com/hooks/shop")
	flags.StringSliceVar(&f.plan.Events, "events", app.HookEvents(), "what the hook is told of")
	flags.StringVar(&f.plan.Branches, "branches", codearts.DefaultBranchFilter, "regular expression: branches whose pushes are told")
	flags.StringSliceVar(&f.plan.Notes, "notes", nil, "texts that choose which comments are told; all comments when not given")
	flags.StringVar(&f.plan.TokenHeader, "token-header", codearts.DefaultTokenHeader, "header that carries the secret")
	flags.StringVar(&f.plan.Name, "name", "", "name of the hook; millrace for a new one")
	flags.StringVar(&f.plan.SecretFile, "secret-file", "", "file that holds the secret of this hook")
}

func hooksInstallCommand() *cobra.Command {
	var f hookFlags
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Make or correct the webhook that posts to a receiver",
		Long: `Sees to it that CodeArts Repo has one webhook for the address --url, told of --events, with a secret of its own. A fresh secret is
written into --secret-file, readable by its owner only; name it as {file: PATH} among the secrets of the source. A hook that is there
is changed where it differs, and left alone where not, so the command can be repeated: also after it failed half-way.

--rotate changes the secret without a gap. It makes the next one beside the old one, at --secret-file with .next at the end, and says
what to add to the configuration; called again when the configuration accepts both, it has the hook send the next one, and says how to
finish.`,
		Example: "  millrace hooks install --config millrace.yaml --repository 2111000001 \\\n" +
			"    --url https://receiver.example.com/hooks/shop --secret-file shop.secret\n" +
			"  millrace hooks install --project aaaabbbbccccddddeeeeffff00001111 --events push,merge_request --branches 'release/.*' \\\n" +
			"    --url https://receiver.example.com/hooks/shop --secret-file shop.secret\n" +
			"  millrace hooks install --repository 2111000001 --url https://receiver.example.com/hooks/shop --secret-file shop.secret --rotate",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.plan.SecretFile == "" {
				return usageError{errors.New("--secret-file is missing: the file that holds the secret of this hook, or is to hold it")}
			}
			return f.run(func(client *codearts.Client, cfg app.HookConfig) error {
				done, err := app.InstallHook(cmd.Context(), client, cfg, &f.plan, f.rotate)
				if err != nil {
					return err
				}
				if f.json {
					return printJSON(cmd.OutOrStdout(), done)
				}
				return printInstalled(cmd.OutOrStdout(), done, f.plan.Where())
			}, true)
		},
	}
	f.scopeFlags(cmd)
	f.planFlags(cmd)
	cmd.Flags().BoolVar(&f.rotate, "rotate", false, "replace the secret, in two calls")
	return cmd
}

func hooksCheckCommand() *cobra.Command {
	var f hookFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say point by point whether the webhook to a receiver works",
		Long: `Looks for the webhook of --url and compares it with the flags, as install would: there is one and not more, its events, branches and
token header, that the configuration has the source it posts to, with --secret-file that the source accepts its secret, and how CodeArts
says its last 20 deliveries of the last week were answered. Each point has a verdict and a remedy; exit code 1 when one fails. Nothing
is changed and nothing is sent to the receiver.

  ✓ in order   ! works, and you should know   ✗ does not work, or has lost events   – not looked at`,
		Example: "  millrace hooks check --config millrace.yaml --repository 2111000001 --url https://receiver.example.com/hooks/shop\n" +
			"  millrace hooks check --group 4100001 --url https://receiver.example.com/hooks/shop --secret-file shop.secret --json",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(func(client *codearts.Client, cfg app.HookConfig) error {
				found, err := app.CheckHook(cmd.Context(), client, cfg, &f.plan, time.Now())
				if err != nil {
					return err
				}
				if f.json {
					err = printJSON(cmd.OutOrStdout(), found)
				} else {
					err = printDiagnosis(printable{cmd.OutOrStdout()}, found)
				}
				if err == nil && found.Verdict == app.VerdictFail {
					err = errSilent
				}
				return err
			}, true)
		},
	}
	f.scopeFlags(cmd)
	f.planFlags(cmd)
	return cmd
}

func hooksListCommand() *cobra.Command {
	var f hookFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the webhooks of a repository, group or project",
		Long: `Lists the webhooks of a repository, a group or a project. Tokens are not shown, nor what may be a key in an address. Those of its group
and project tell of a repository, too, and are listed there.`,
		Example: "  millrace hooks list --config millrace.yaml --repository 2111000001\n  millrace hooks list --group 4100001 --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(func(client *codearts.Client, _ app.HookConfig) error {
				hooks, err := app.ListHooks(cmd.Context(), client, f.plan.Scope)
				if err != nil {
					return err
				}
				if f.json {
					return printJSON(cmd.OutOrStdout(), hooks)
				}
				return printHooks(printable{cmd.OutOrStdout()}, hooks, f.plan.Where())
			}, false)
		},
	}
	f.scopeFlags(cmd)
	cmd.Flags().Lookup("json").Usage = "write one JSON array"
	return cmd
}

// run checks the flags and does what is to be done with a client of the connection. planned: the flags of planFlags count.
func (f *hookFlags) run(do func(*codearts.Client, app.HookConfig) error, planned bool) error {
	if err := f.scope(); err != nil {
		return err
	}
	if planned {
		if err := f.checkPlan(); err != nil {
			return err
		}
	}
	cfg, err := config.LoadSection(f.config, os.Environ(), "codearts."+f.connection)
	if err != nil {
		return fmt.Errorf("the configuration is not right:\n%w", err)
	}
	client, err := app.Connection(cfg, f.connection)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	file := f.config
	if file == "" {
		file = os.Getenv("MILLRACE_CONFIG")
	}
	return do(client, app.HookConfig{Config: cfg, File: file, Environ: os.Environ()})
}

// scope reads the one flag that says what the hook belongs to.
func (f *hookFlags) scope() error {
	var given []codearts.HookScope
	for _, s := range []codearts.HookScope{
		{Kind: codearts.HooksOfRepository, ID: f.repository}, {Kind: codearts.HooksOfGroup, ID: f.group}, {Kind: codearts.HooksOfProject, ID: f.project},
	} {
		if s.ID != "" {
			given = append(given, s)
		}
	}
	if len(given) != 1 {
		return usageError{fmt.Errorf("one of --repository, --group and --project is needed, it got %d: the id of what the hook belongs to", len(given))}
	}
	f.plan.Scope = given[0]
	digits := strings.Trim(given[0].ID, "0123456789") == ""
	if given[0].Kind != codearts.HooksOfProject && !digits {
		return usageError{fmt.Errorf("the id %q is not a number: it is the one on the page of the repository or group, not a name or path", given[0].ID)}
	}
	return nil
}

// checkPlan checks what the hook is to be.
func (f *hookFlags) checkPlan() error {
	u, err := url.Parse(f.plan.URL)
	switch {
	case f.plan.URL == "":
		return usageError{errors.New("--url is missing: the address of the receiver with the source, like https://receiver.example.com/hooks/shop")}
	case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "http", u.User != nil, u.Fragment != "":
		return usageError{errors.New("--url has to be an address like https://receiver.example.com/hooks/shop, without user, password and fragment")}
	case strings.Contains(u.Path, "/hooks/") && strings.HasSuffix(u.Path, "/"):
		return usageError{errors.New("--url ends with a slash, and a receiver answers 404 there: leave it out")}
	case len(f.plan.Events) == 0:
		return usageError{fmt.Errorf("--events needs at least one of %s", strings.Join(app.HookEvents(), ", "))}
	}
	for _, event := range f.plan.Events {
		if !slices.Contains(app.HookEvents(), event) {
			hint := "use " + strings.Join(app.HookEvents(), ", ")
			if near := rules.Nearest(event, app.HookEvents()); near != "" {
				hint = "did you mean " + near + "?"
			}
			return usageError{fmt.Errorf("--events: there is no event %q; %s", event, hint)}
		}
	}
	return nil
}

// printInstalled says what was done, and what is left to do.
func printInstalled(w io.Writer, done *app.Installed, where string) error {
	var b strings.Builder
	hook := fmt.Sprintf("hook %d of %s", done.Hook, where)
	switch done.Did {
	case app.HookMade:
		fmt.Fprintf(&b, "Made %s.\n", hook)
	case app.HookChanged:
		fmt.Fprintf(&b, "Changed %s.\n", hook)
	case app.HookUnchanged:
		fmt.Fprintf(&b, "Nothing to change: %s is as it is to be.\n", hook)
	case app.HookPrepared:
		fmt.Fprintf(&b, "Not changed yet: %s sends its old secret until the receiver accepts the next one.\n", hook)
	case app.HookRotated:
		fmt.Fprintf(&b, "Changed %s: it sends the next secret from now on.\n", hook)
	}
	for _, change := range done.Changes {
		fmt.Fprintf(&b, "  %s\n", change)
	}
	switch {
	case done.SecretMade:
		fmt.Fprintf(&b, "A fresh secret is in %s.\n", done.SecretFile)
	case done.Did == app.HookUnchanged:
		fmt.Fprintf(&b, "Whether it sends the secret in %s CodeArts does not tell; millrace hooks check shows how its deliveries were answered.\n", done.SecretFile)
	default:
		fmt.Fprintf(&b, "The secret is in %s.\n", done.SecretFile)
	}
	for i, step := range done.NextSteps {
		fmt.Fprintf(&b, "%s %d. %s\n", map[bool]string{true: "→", false: " "}[i == 0], i+1, step)
	}
	_, err := io.WriteString(printable{w}, b.String())
	return err
}

// printHooks writes a table of hooks.
func printHooks(w io.Writer, hooks []*codearts.Hook, where string) error {
	if len(hooks) == 0 {
		_, err := fmt.Fprintf(w, "%s has no hooks; millrace hooks install makes one.\n", strings.ToUpper(where[:1])+where[1:])
		return err
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tNAME\tEVENTS\tBRANCHES\tTOKEN IN\tADDRESS")
	for _, h := range hooks {
		header := "no token"
		if h.Token != nil {
			header = cell(h.TokenType)
		}
		events := strings.Join(app.HookEventsOf(h), ",")
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", h.ID, cell(h.Name), cell(&events), cell(h.BranchFilter), header, cell(h.URL))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell is a text as it stands in one cell of a table.
func cell(s *string) string {
	if s == nil || *s == "" {
		return "–"
	}
	return strings.NewReplacer("\t", " ", "\n", " ").Replace(*s)
}
