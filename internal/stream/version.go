package stream

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// oldestMajor and oldestMinor are the first nats-server with cron schedules.
const oldestMajor, oldestMinor = 2, 14

// elsewhere is how long a server that is too old is stayed with before another one is looked for.
const elsewhere = 5 * time.Second

// judge says what is wrong with the server the connection leads to, nil if it is new enough.
func (c *Conn) judge(nc *nats.Conn) Complaints {
	version := or(c.cfg.serverVersion, nc.ConnectedServerVersion())
	if newEnough(version) {
		return nil
	}
	return Complaints{tooOld("broker "+withoutCredentials(nc.ConnectedUrl()), version)}
}

func tooOld(where, version string) Complaint {
	return Complaint{
		Where:  where,
		Found:  fmt.Sprintf("it is nats-server %s, and Millrace needs %d.%d or newer, whose schedules wake what is parked and start what is due", version, oldestMajor, oldestMinor),
		Remedy: "upgrade the server",
	}
}

// FitServer tells whether a nats-server of that version is one to work with.
func FitServer(version string) bool { return newEnough(version) }

// reconnected judges the server that was found after a connection was lost. In one that is too old nothing is stored and nothing is
// consumed, until the connection leads to another.
func (c *Conn) reconnected(nc *nats.Conn) {
	where := withoutCredentials(nc.ConnectedUrl())
	wrong := c.judge(nc)
	if wrong == nil {
		c.unfit.Store(nil)
		c.log.Info().Str("broker", where).Msg("broker reconnected")
		c.past.forget()
		if c.cfg.Reconnected != nil {
			c.cfg.Reconnected()
		}
		return
	}
	c.unfit.Store(&wrong)
	c.log.Error().Str("broker", where).Err(wrong).Msg("broker refused")
	select {
	case c.moveOn <- struct{}{}:
	default:
	}
}

// fit is nil unless the server is one to be refused. Until [Conn.reconnected] is called, which takes a moment, the server that was just
// found is judged here.
func (c *Conn) fit() error {
	if wrong := c.unfit.Load(); wrong != nil {
		return fmt.Errorf("the broker is refused: %w", *wrong)
	}
	if version := or(c.cfg.serverVersion, c.nc.ConnectedServerVersion()); version != "" && !newEnough(version) {
		return fmt.Errorf("the broker is refused: %w", c.judge(c.nc))
	}
	return nil
}

// leaveOld looks for another server when one was refused and more are known. A server that is upgraded ends the connection itself.
func (c *Conn) leaveOld(ctx context.Context) {
	for {
		select {
		case <-c.moveOn:
		case <-ctx.Done():
			return
		}
		timer := time.NewTimer(elsewhere)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if c.fit() != nil && len(c.nc.Servers()) > 1 {
			_ = c.nc.ForceReconnect() // failing, the connection is lost already
		}
	}
}

// newEnough reads "2.14.1" and "2.15.0-RC.2" alike. What it cannot read is too old.
func newEnough(version string) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err := strconv.Atoi(parts[0])
	if err != nil {
		return false
	}
	minor, err := strconv.Atoi(parts[1])
	if err != nil {
		return false
	}
	return major > oldestMajor || (major == oldestMajor && minor >= oldestMinor)
}
