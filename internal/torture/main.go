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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	o.progress = func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%7.3f "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
	}
	o.progress("seed %d, %d s, %d events a second, broken: %q", o.Seed, o.Seconds, o.Rate, o.Break)
	r, err := run(ctx, o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "torture: %v\n", err)
		return 1
	}
	good := len(r.Why) == 0
	if o.Break != "" {
		good = r.noticed()
	}
	for _, why := range r.Why {
		o.progress("%s", why)
	}
	line, err := json.Marshal(r)
	if err != nil {
		fmt.Fprintf(os.Stderr, "torture: %v\n", err)
		return 1
	}
	fmt.Println(string(line))
	if !good {
		return 1
	}
	return 0
}
