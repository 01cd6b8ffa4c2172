package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/egress"
)

func webhooksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Check addresses that messages go to",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(webhookCheckCommand())
	return cmd
}

func webhookCheckCommand() *cobra.Command {
	var o webhookCheck
	cmd := &cobra.Command{
		Use:   "check URL",
		Short: "Say point by point whether messages can go to an address",
		Long: `Looks at the address of a robot or receiver as a worker would: its form, scheme, host and port, what its name leads to, whether that
may be dialled, its certificate, and whether it looks like what its chat product gives out. Each point has a verdict and a remedy; exit
code 1 when one fails. Nothing is sent to the address. It is a secret: "-" reads it from standard input, which keeps it out of the
history of the shell.

What may be dialled is egress in the configuration. With --job-id and --notice-type CodeArts Build is asked too, over the connection
named default: it may send a message to the address.`,
		Example: "  millrace webhooks check 'https://oapi.dingtalk.com/robot/send?access_token=…'\n" +
			"  millrace webhooks check - --config millrace.yaml --json < robot-url\n" +
			"  millrace webhooks check - --config millrace.yaml --notice-type DING_TALK --job-id f0f0f0f0e1e1e1e1d2d2d2d2c3c3c3c3 < robot-url",
		Args: needArgs("the address to check"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("webhooks check takes one address; put it in quotes")}
			}
			if (o.jobID == "") != (o.noticeType == "") {
				return usageError{errors.New("--job-id and --notice-type go together")}
			}
			return o.run(cmd, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.config, "config", "", "configuration file with egress, and codearts.default for CodeArts's verdict")
	flags.StringVar(&o.jobID, "job-id", "", "build task for whose notices CodeArts is asked about the address")
	flags.StringVar(&o.noticeType, "notice-type", "", "DING_TALK, FEISHU or WECOM, as CodeArts names it")
	flags.BoolVar(&o.json, "json", false, "write the report as one JSON object")
	return cmd
}

type webhookCheck struct {
	config, jobID, noticeType string
	json                      bool
}

func (o webhookCheck) run(cmd *cobra.Command, address string) error {
	if address == "-" {
		data, err := readBounded("-", cmd.InOrStdin(), 64<<10)
		if err != nil {
			return err
		}
		address = strings.TrimSpace(string(data))
	}
	load := config.LoadSealed // the secrets of other settings are not needed
	if o.jobID != "" {
		load = app.Load
	}
	cfg, err := load(o.config, os.Environ())
	if err != nil {
		return fmt.Errorf("the configuration is not right:\n%w", err)
	}
	report, err := app.CheckWebhook(cmd.Context(), cfg, address, o.jobID, o.noticeType, zerolog.Nop())
	if err != nil {
		return fmt.Errorf("the configuration is not right:\n%w", err)
	}
	if o.json {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
	} else {
		err = printReport(cmd.OutOrStdout(), report)
	}
	if err == nil && report.Failed() {
		err = errSilent
	}
	return err
}

// printReport writes a report for people.
func printReport(w io.Writer, r egress.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Address)
	for _, p := range r.Points {
		fmt.Fprintf(&b, "  %-7s  %-19s  %s\n", p.Verdict, p.Code, p.Text)
		if p.Remedy != "" {
			fmt.Fprintf(&b, "  %-7s  %-19s  → %s\n", "", "", p.Remedy)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
