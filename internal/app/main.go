package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/telemetry"
)

// Server is one of the two servers as a command.
type Server struct {
	Name                 string
	Short, Long, Example string
	Setting              string // of its admin_listen, as receiver.admin_listen
	AdminListen          func(*config.Config) string
	Drain                func(*config.Config) time.Duration // how long stopping may take
	Run                  func(ctx context.Context, cfg *config.Config, logs io.Writer) error
}

// ErrCut says that a server that was told to stop had not finished what it had begun when its time was over. Nothing accepted is lost by it:
// who was not answered sends again, and work that was cut off is handed back.
var ErrCut = errors.New("what was begun did not end in time and was cut off")

// Exit codes. A second signal ends with 128 and its number.
const (
	exitFailed = 1 // it did not start, or could not go on
	exitCut    = 2 // see ErrCut
)

// cutAfter is how long after the end of its time to stop a server that hangs is ended.
const cutAfter = 5 * time.Second

// Main runs the command until it ends by itself or by SIGINT or SIGTERM. It returns the exit code.
func (s Server) Main() int {
	err := s.command().ExecuteContext(context.Background())
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrCut): // the log says so
		return exitCut
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", s.Name, err)
	return exitFailed
}

// untilSignal is a context that ends at the first SIGINT or SIGTERM. At a second one the process ends at once, and also when it takes much
// longer to stop than it may, as when a disk hangs. What was accepted is on a disk by then, and work that nobody acknowledges comes again.
func (s Server) untilSignal(ctx context.Context, within time.Duration, log zerolog.Logger) (context.Context, context.CancelFunc) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	stopping, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-ended:
			return
		}
		stop()
		late := time.NewTimer(within + cutAfter)
		defer late.Stop()
		select {
		case again := <-signals:
			log.Warn().Stringer("signal", again).Msg(s.Name + " aborted")
			code := exitFailed
			if number, ok := again.(syscall.Signal); ok {
				code = 128 + int(number)
			}
			os.Exit(code)
		case <-late.C:
			log.Error().Dur("within", within).Msg(s.Name + " cut")
			os.Exit(exitCut)
		case <-ended:
		}
	}()
	return stopping, func() {
		signal.Stop(signals)
		stop()
		close(ended)
	}
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
			ctx, stop := s.untilSignal(cmd.Context(), s.Drain(cfg), telemetry.Logger(os.Stderr, cfg.Log.Format, cfg.Log.Level))
			defer stop()
			return s.Run(ctx, cfg, os.Stderr)
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
