package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"regexp"
	"testing"

	"github.com/millrace/millrace/internal/app"
)

// TestFakeServesAndStops: it says where it is, answers there, and ends with its context.
func TestFakeServesAndStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serveFake(ctx, fakeOptions{listen: "127.0.0.1:0", days: 7}, in) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`http://[0-9.:]+`).FindString(line)
	for err := app.Health(ctx, address+"/_fake/state"); err != nil; err = app.Health(ctx, address+"/_fake/state") {
		if !errors.Is(err, context.DeadlineExceeded) { // on a machine that stalls the question takes too long
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if app.Health(t.Context(), address+"/_fake/state") == nil {
		t.Error("it still answers")
	}
}
