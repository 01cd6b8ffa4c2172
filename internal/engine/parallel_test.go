package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

func TestParallelStopsAtTheFirstError(t *testing.T) {
	var begun atomic.Int64
	err := parallel(t.Context(), 100, 1, func(_ context.Context, i int) error {
		begun.Add(1)
		if i == 2 {
			return errBroken
		}
		return nil
	})
	if !errors.Is(err, errBroken) || begun.Load() != 3 {
		t.Errorf("error %v after %d calls", err, begun.Load())
	}
}

func TestParallelPanicsWhereItWasCalled(t *testing.T) {
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "broken by the test") || !strings.Contains(text, "parallel_test.go") {
			t.Errorf("recovered %q", text)
		}
	}()
	_ = parallel(t.Context(), 3, 2, func(context.Context, int) error { panic(errBroken) })
}
