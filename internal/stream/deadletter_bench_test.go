package stream

import (
	"strconv"
	"testing"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

// BenchmarkDeadLetters reads 10,000 dead letters of 1 KiB.
func BenchmarkDeadLetters(b *testing.B) {
	c, err := Connect(b.Context(), Config{URLs: []string{streamtest.Server(b).URL()}, DeadMaxBytes: 64 << 20, Log: zerolog.Nop()})
	if err == nil {
		b.Cleanup(c.Close)
		err = c.Ensure(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	const n = 10_000
	for i := range n {
		msg := newMsg("dead.refused.notify-team", map[string]string{headerDeadSubject: "work.notify.team", headerDeadReason: "no " + strconv.Itoa(i)}, make([]byte, 1024))
		if _, err := c.js.PublishMsgAsync(msg); err != nil {
			b.Fatal(err)
		}
	}
	<-c.js.PublishAsyncComplete()
	for b.Loop() {
		read := 0
		if err := c.DeadLetters(b.Context(), func(*DeadLetter) error { read++; return nil }); err != nil || read != n {
			b.Fatal(read, err)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "letters/s")
}
