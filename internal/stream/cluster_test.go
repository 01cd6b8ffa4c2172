package stream

import (
	"errors"
	"testing"

	"github.com/millrace/millrace/internal/stream/streamtest"
)

// TestClusterThatStarts: as long as a cluster has no leader, or too few servers for the replicas, connecting and making the stores fail with
// errors that time mends; then they succeed.
func TestClusterThatStarts(t *testing.T) {
	cluster := streamtest.NewCluster(t, 3)
	try := func() error {
		c, err := Connect(t.Context(), Config{URLs: cluster.URLs(), Replicas: 3, EventsMaxBytes: 64 << 20, RecordsMaxBytes: 64 << 20, DeadMaxBytes: 64 << 20})
		if err != nil {
			return err
		}
		defer c.Close()
		return c.Ensure(t.Context())
	}
	mends := func(err error) {
		t.Helper()
		var e interface{ Retryable() bool }
		if err == nil || errors.As(err, &e) && !e.Retryable() {
			t.Errorf("with too few servers: %v", err)
		}
	}
	mends(try())
	cluster.Start(0)
	mends(try())
	cluster.Start(1)
	mends(try())
	cluster.Start(2)
	eventually(t, "the stores are made", func() bool {
		err := try()
		if err != nil {
			mends(err)
		}
		return err == nil
	})
}
