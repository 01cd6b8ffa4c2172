package stream

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

// BenchmarkConsume is what taking a message of work costs, from a backlog, with handlers that do nothing.
func BenchmarkConsume(b *testing.B) {
	c, err := Connect(b.Context(), Config{URLs: []string{streamtest.Server(b).URL()}, Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if err := c.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		if err := c.Put(b.Context(), Runs, map[string]string{headerKey: strconv.Itoa(i)}, []byte(`{"v":1}`)); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	err = c.Consume(ctx, Consumer{Name: "run", Stream: Work, Filter: Runs, Concurrency: 16, Handler: func(context.Context, *Message) error {
		if left.Add(-1) == 0 {
			cancel()
		}
		return nil
	}})
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
}
