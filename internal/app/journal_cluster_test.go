package app_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/app"
	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/internal/stream/streamtest"
)

// TestAnotherServerLosesPower: in a cluster with one copy of EVENTS, the server that has it comes back without the last it has acknowledged.
// The receiver is connected to another and loses no connection, and publishes what it holds again all the same.
func TestAnotherServerLosesPower(t *testing.T) {
	t.Parallel()
	cluster := streamtest.StartCluster(t, 3)
	first, err := stream.Connect(t.Context(), stream.Config{URLs: cluster.URLs(), Replicas: 1, DuplicateWindow: time.Hour, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	err = first.Ensure(t.Context())
	first.Close()
	if err != nil {
		t.Fatal(err)
	}
	leader := cluster.Leader("EVENTS")
	other := cluster.Servers[(leader+1)%3].URL()
	w := newWorldAround(t, inJournal, other)
	log, _ := w.start("receiver", func(ctx context.Context, cfg *config.Config, logs io.Writer, ready func()) error {
		cfg.NATS.Replicas = 1
		return app.Receiver(ctx, cfg, logs, func(addr string) {
			w.receiver = "http://" + addr
			ready()
		})
	})
	w.accepted(probes("kept", 5)...)
	w.hasEvents(5)

	server := cluster.Servers[leader]
	said := func(message string, fields ...string) {
		t.Helper()
		eventually(t, message, func() error {
			if len(log.lines(message, fields...)) == 0 {
				return errors.New("it is not told")
			}
			return nil
		})
	}
	server.Stop()
	copied := server.Copied()
	said("stream away")
	cluster.Start(leader)
	said("stream found", "lost", "false")
	w.accepted(probes("lost", 5)...)
	w.hasEvents(10)
	server.Stop()
	server.PutBack(copied)
	cluster.Start(leader) // perhaps so soon that nobody has noticed
	said("stream found", "lost", "true")
	w.hasEvents(10)
	w.accepted(probes("new", 1)...)
	w.hasEvents(11)
	if slices.ContainsFunc([]string{"broker disconnected", "broker reconnected"}, func(message string) bool { return len(log.lines(message)) > 0 }) {
		t.Error("the receiver was connected to the server that was lost: this shows nothing")
	}
}
