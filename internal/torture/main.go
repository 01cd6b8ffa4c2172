//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() { os.Exit(command()) }

func command() int {
	o, err := readOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "torture: %v\n", err)
		return 2
	}
	began := time.Now()
	o.progress = func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%7.3f "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
	}
	if !canMount() {
		code, err := withMounts()
		if err == nil {
			return code
		}
		o.progress("%s cannot be had, so this run will not count: no disk can be mounted (%v); it takes Linux, and root or user namespaces", journalFull, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	good, err := torment(ctx, o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "torture: %v\n", err)
		return 1
	}
	if !good {
		return 1
	}
	return 0
}

// torment builds the programs and runs them once, or once for each mechanism that is to be broken. good: every run was.
func torment(ctx context.Context, o options) (good bool, err error) {
	bin, err := os.MkdirTemp("", "millrace-torture-bin-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	tags := ""
	if o.Break != "" {
		tags = "torture"
	}
	o.progress("building")
	if err := build(ctx, bin, tags); err != nil {
		return false, err
	}
	good = true
	for _, mechanism := range o.breaks() {
		for _, loss := range o.losses() {
			o.Break, o.Power = mechanism, loss
			one, err := once(ctx, o, bin)
			if err != nil {
				return false, err
			}
			good = good && one
		}
	}
	return good, nil
}

// once runs the programs in bin once, and says what came of it.
func once(ctx context.Context, o options, bin string) (good bool, err error) {
	o.progress("seed %d, %d s, %d events a second, broken: %q, power lost: %q", o.Seed, o.Seconds, o.Rate, o.Break, o.Power)
	r, err := run(ctx, o, bin)
	if err != nil {
		return false, err
	}
	for _, why := range r.Why {
		o.progress("%s", why)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return false, err
	}
	fmt.Println(string(line))
	if o.Report != "" {
		if err := os.WriteFile(o.Report, r.page(o, line, thisMachine(ctx)), 0o644); err != nil { //nolint:gosec // it is to be read by all
			return false, fmt.Errorf("write the report: %w", err)
		}
	}
	return r.good(), nil
}
