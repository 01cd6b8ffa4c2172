package app

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/millrace/millrace/internal/config"
	"github.com/millrace/millrace/internal/effects"
	"github.com/millrace/millrace/internal/engine"
	"github.com/millrace/millrace/internal/stream"
	"github.com/millrace/millrace/pkg/events"
	"github.com/millrace/millrace/pkg/rules"
)

// Archive is what NATS keeps of the past, for commands that look at it: events, what was decided about them, with which rules, and what
// did not succeed. It has no client of CodeArts and no target, so nothing in it can act: what it replays it puts as work for workers.
type Archive struct {
	conn      *stream.Conn
	stores    replayStores
	catalogue *rules.Catalogue
	now       func() time.Time
	// chainDepth is up to where rules see our own commits, as a worker with this configuration has it.
	chainDepth int
	// person is who runs the command, for what is done by force.
	person string
}

// replayStores are what a replay changes. [stream.Conn] is all of them.
type replayStores interface {
	effects.Records
	PutAgain(ctx context.Context, l *stream.DeadLetter) error
	PutMatch(ctx context.Context, header map[string]string, body []byte) error
	DropDeadLetter(ctx context.Context, seq uint64) (dropped bool, err error)
}

// OpenArchive connects to NATS as the configuration file says, of whose secrets only those of NATS are read.
func OpenArchive(ctx context.Context, file string) (*Archive, error) {
	cfg, err := config.LoadSection(file, os.Environ(), "nats")
	if err != nil {
		return nil, fmt.Errorf("the configuration is not right:\n%w", err)
	}
	return openArchive(ctx, cfg)
}

func openArchive(ctx context.Context, cfg *config.Config) (*Archive, error) {
	conn, err := stream.Connect(ctx, streamConfig(cfg, "millrace", zerolog.Nop()))
	if err != nil {
		return nil, fmt.Errorf("%w; millrace doctor looks into it", err)
	}
	return &Archive{conn: conn, stores: conn, catalogue: Catalogue(cfg), now: time.Now, chainDepth: engineLimits(cfg).ChainDepth, person: person()}, nil
}

// person names who runs this process, user@machine, as far as the system tells.
func person() string {
	name := "uid " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	const most = 200
	return strings.ToValidUTF8(name[:min(len(name), most)], "")
}

// Close ends the connection.
func (a *Archive) Close() { a.conn.Close() }

// Catalogue is what rules may name under the configuration.
func (a *Archive) Catalogue() *rules.Catalogue { return a.catalogue }

// Event is a stored event by its id, with the place it has in EVENTS. One that is not there, or not any more, is an error.
func (a *Archive) Event(ctx context.Context, id string) (event *events.Event, sequence uint64, err error) {
	stored, err := a.conn.FindEvent(ctx, id, time.Time{})
	switch {
	case err != nil:
		return nil, 0, err
	case stored == nil:
		return nil, 0, fmt.Errorf("there is no event %s in EVENTS: it was never accepted, or was purged after its time", id)
	}
	return stored.Event, stored.Sequence, nil
}

// Recorded is what workers decided about an event; nil when there are no records of it: no rule took it, no worker has matched it yet, or
// their time is over.
func (a *Archive) Recorded(ctx context.Context, eventID string) (*engine.Recorded, error) {
	return engine.ReadRecorded(ctx, a.stores, eventID)
}

// Ruleset is the ruleset with that digest, as it was stored, compiled.
func (a *Archive) Ruleset(ctx context.Context, digest string) (*rules.Ruleset, error) {
	return engine.NewLive(a.catalogue, a.conn).Ruleset(ctx, digest)
}
