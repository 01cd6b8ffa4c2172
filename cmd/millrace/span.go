package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/app"
)

// spanFlags are the flags of commands that look at a span of what is stored.
type spanFlags struct{ config, since, until string }

func (f *spanFlags) configFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.config, "config", "", "configuration file; without it MILLRACE_CONFIG names it, or the environment says it all")
}

// open reads the two times, checks the filter they belong to, and connects.
func (f *spanFlags) open(ctx context.Context, since, until *time.Time, check func() error) (*app.Archive, error) {
	var err error
	now := time.Now()
	if *since, err = parseWhen("--since", f.since, now); err != nil {
		return nil, err
	}
	if *until, err = parseWhen("--until", f.until, now); err != nil {
		return nil, err
	}
	if !since.IsZero() && !until.IsZero() && !until.After(*since) {
		return nil, usageError{fmt.Errorf("--until (%s) has to be later than --since (%s)", until.Format(time.RFC3339), since.Format(time.RFC3339))}
	}
	if err := check(); err != nil {
		return nil, usageError{err}
	}
	return app.OpenArchive(ctx, f.config)
}
