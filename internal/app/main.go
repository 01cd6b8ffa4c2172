package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/config"
)

// Server is one of the two servers as a command.
type Server struct {
	Name                 string
	Short, Long, Example string
	Setting              string // of its admin_listen, as receiver.admin_listen
	AdminListen          func(*config.Config) string
	Run                  func(ctx context.Context, cfg *config.Config, logs io.Writer) error
}

// Main runs the command until it ends by itself or by SIGINT or SIGTERM. It returns the exit code.
func (s Server) Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := s.command().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", s.Name, err)
		return 1
	}
	return 0
}

func (s Server) command() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: s.Name, Short: s.Short, Long: s.Long, Example: s.Example,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := Load(file, os.Environ())
			if err != nil {
				return fmt.Errorf("the configuration is not right:\n%w", err)
			}
			return s.Run(cmd.Context(), cfg, os.Stderr)
		},
	}
	cmd.AddCommand(s.health(&file))
	cmd.PersistentFlags().StringVar(&file, "config", "", "configuration file; without it MILLRACE_CONFIG names it, or there is none")
	return cmd
}

// health is for health checks in images without a shell. It needs no secret.
func (s Server) health(file *string) *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use:   "health",
		Short: fmt.Sprintf("Ask a running %s whether it is ready, and exit 0 only if it is", s.Name),
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if addr == "" {
				cfg, err := config.LoadSealed(*file, os.Environ())
				if err != nil {
					return fmt.Errorf("the configuration is not right:\n%w", err)
				}
				addr = s.AdminListen(cfg)
			}
			address, err := ReadyURL(addr)
			if err != nil {
				return err
			}
			return Health(cmd.Context(), address)
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "", fmt.Sprintf("address and port to ask; without it %s of the configuration", s.Setting))
	return cmd
}
