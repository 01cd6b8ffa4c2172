package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// parallel calls do for 0 to n-1, several at a time, and returns the first error; what has not begun by then
// does not begin. A panic in do becomes one of the caller's goroutine, where one message is lost by it
// and not the process.
func parallel(ctx context.Context, n, atATime int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atATime)
	for i := range n {
		group.Go(func() (err error) {
			defer func() {
				if v := recover(); v != nil {
					err = &panicError{fmt.Sprintf("%v\n%s", v, debug.Stack())}
				}
			}()
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, i)
		})
	}
	err := group.Wait()
	if p := (*panicError)(nil); errors.As(err, &p) {
		panic(p)
	}
	return err
}

type panicError struct{ text string }

func (e *panicError) Error() string { return e.text }
